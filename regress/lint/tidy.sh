#!/bin/sh
#
# clang-tidy over the sources; the checks, and why some are left out, stand in
# .clang-tidy.

set -eu
unset MAKEFLAGS MFLAGS MAKELEVEL MAKEOVERRIDES GNUMAKEFLAGS
cd "$(dirname "$0")/../.."
command -v clang-tidy >/dev/null 2>&1 || { echo "no clang-tidy"; exit 77; }

flags=$(make -s show-flags)
make -s smtpproxyd/build_id.h
# Prints "N warnings generated" for what it left out of system headers.
status=0
# shellcheck disable=SC2016,SC2086 # words
for file in $(make -s show-srcs); do
	[ ! -f "$file" ] || echo "$file"
done | xargs -P 2 -n 2 sh -c '
	flags=$1
	shift
	clang-tidy --quiet --warnings-as-errors="*" "$@" -- $flags
' sh "$flags" 2>build/tidy.err || status=$?
[ $status -eq 0 ] || grep -v 'warnings\? generated' build/tidy.err || :
exit $status
