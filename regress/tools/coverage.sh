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
		file = ""
	}'
done

# The engine once more: each line that nothing ran, and the total, which may
# not be under the bar.  regress/COVERAGE.md says of each why.
echo
for source in smtpproxyd/smtp_*.c; do
	gcov -t -o smtpproxyd "$source" 2>/dev/null |
	    awk -F: -v name="$source" '
	$1 ~ /Source/ || $2 == 0 || /^ *-:/ { next }
	{ n++ }
	/^ *#####:/ {
		missed++
		text = $0
		sub(/^[^:]*:[^:]*:[ \t]*/, "", text)
		print name ":" $2 + 0 ": " text
	}
	END { print n + 0, missed + 0 >"/dev/stderr" }' 2>>engine.count
done
awk -v bar=95 '
{ n += $1; missed += $2 }
END {
	printf "%7.2f %%  of %5d lines  the engine\n", \
	    (n == 0 ? 0 : 100 * (n - missed) / n), n
	exit (n == 0 || 100 * (n - missed) < bar * n)
}' engine.count || { echo "the engine is below the bar"; exit 1; }
tally_end
