#!/bin/sh
#
# How much of each source the unit tests and the corpora run: built with gcc's
# counters in build/coverage, summed up by gcov.  The daemon's processes can't
# write their counts out of an empty chroot, so system tests are not in it.

set -eu
unset MAKEFLAGS MFLAGS MAKELEVEL MAKEOVERRIDES GNUMAKEFLAGS
cd "$(dirname "$0")/../.."
. regress/tools/tally.sh

rm -rf build/coverage
mkdir -p build/coverage
git ls-files -co --exclude-standard | while read -r file; do
	[ ! -f "$file" ] || echo "$file"
done | tar -cf - -T - | tar -xf - -C build/coverage
cd build/coverage
make -s -j2 CC=gcc SANDBOX=trace HARDEN= HARDEN_LD= \
    CFLAGS="-O0 -g --coverage" all tests

tally_start build/log
for prog in regress/unit/test_*.test; do
	[ -x "$prog" ] || continue
	step "$(basename "$prog" .test)" "$prog"
done
for prog in regress/fuzz/fuzz_*.replay; do
	[ -x "$prog" ] || continue
	name=$(basename "$prog" .replay)
	step "$name" "$prog" "regress/fuzz/corpus/${name#fuzz_}"
done

echo
for source in common/*.c common/port/*.c privsep/*.c smtpproxyd/*.c; do
	[ -f "${source%.c}.gcno" ] || continue
	gcov -n -o "$(dirname "$source")" "$source" 2>/dev/null |
	    awk -v want="$source" '
	$1 == "File" { file = $2; gsub(/\047/, "", file) }
	/^Lines executed/ && file == want {
		split($0, part, /[:%]| of /)
		printf "%7.2f %%  of %5d lines  %s\n", part[2], \
		    part[length(part)], want
	}'
done
tally_end
