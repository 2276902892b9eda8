#!/bin/sh
#
# cppcheck over the sources, with the reviewed list of what is let pass.

set -eu
cd "$(dirname "$0")/../.."
command -v cppcheck >/dev/null 2>&1 || { echo "no cppcheck"; exit 77; }

# Without queue(3)'s macros it does not understand a list.
queue=
[ ! -f /usr/include/bsd/sys/queue.h ] ||
    queue="--include=/usr/include/bsd/sys/queue.h"
# What is from yacc is yacc's.
# shellcheck disable=SC2046 # lists of names without blanks
cppcheck -q -j 2 --std=c11 --error-exitcode=1 --inline-suppr \
    --enable=warning,performance,portability \
    --suppressions-list=regress/lint/cppcheck.suppress \
    -D_GNU_SOURCE -D__linux__ -U__SSE2__ \
    "-D_Noreturn=__attribute__((noreturn))" $queue \
    $(ls common/*.c common/port/linux*.c privsep/*.c smtpproxyd/*.c \
    regress/unit/*.c regress/fuzz/*.c regress/tools/*.c 2>/dev/null |
    grep -v '/parse\.c$')
