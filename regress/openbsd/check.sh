#!/bin/sh
#
# Compile common/port/openbsd.c for OpenBSD as far as types go: README here.

set -eu
cd "$(dirname "$0")/../.."
command -v clang >/dev/null 2>&1 || { echo "no clang"; exit 77; }

clang --target=x86_64-unknown-openbsd -std=c11 -nostdlibinc \
    -isystem regress/openbsd/include -fsyntax-only -Wall -Wextra -Wshadow \
    -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith \
    -Wundef -Wvla -Werror common/port/openbsd.c
