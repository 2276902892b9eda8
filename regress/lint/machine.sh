#!/bin/sh
#
# The page of the session machine is what the table prints.

set -eu
cd "$(dirname "$0")/../.."
[ -x regress/tools/machine ] || { echo "regress/tools/machine is not built"
    exit 1; }

regress/tools/machine | diff -u regress/MACHINE.md - ||
    { echo "regress/MACHINE.md: run make machine"; exit 1; }
