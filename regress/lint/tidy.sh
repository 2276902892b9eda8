#!/bin/sh
#
# clang-tidy over the sources.  Checks that are left out altogether, and why,
# stand in .clang-tidy; single places that were looked at, in tidy.suppress.

set -eu
unset MAKEFLAGS MFLAGS MAKELEVEL MAKEOVERRIDES GNUMAKEFLAGS
cd "$(dirname "$0")/../.."
command -v clang-tidy >/dev/null 2>&1 || { echo "no clang-tidy"; exit 77; }

flags=$(make -s show-flags)
make -s smtpproxyd/build_id.h
mkdir -p build/log
# One file a run: with several it takes a va_list of the second for unset.
# shellcheck disable=SC2016
for file in $(make -s show-srcs); do
	[ ! -f "$file" ] || echo "$file"
done | xargs -P 2 -n 1 sh -c '
	out=$(clang-tidy --quiet "$2" -- $1 2>&1) || status=$?
	echo "$out" | grep -v "warnings\{0,1\} generated"
	exit ${status:-0}
' sh "$flags" >build/log/tidy.all || :

# A line "file check reason" takes out what that check says of that file.
awk -v top="$(pwd)/" '
FNR == NR {
	if ($0 !~ /^#/ && NF > 2)
		pass[$1, $2] = 1
	next
}
/: (warning|error): .*\[[a-z]/ {
	file = $0
	sub(/:[0-9]+:[0-9]+: .*/, "", file)
	if (index(file, top) == 1)
		file = substr(file, length(top) + 1)
	while (sub(/[^\/]+\/\.\.\//, "", file))
		continue
	check = $0
	sub(/.*\[/, "", check)
	sub(/[],].*/, "", check)
	shown = !((file, check) in pass)
	if (!shown)
		used[file, check] = 1
	else
		bad = 1
}
shown
END {
	for (key in pass)
		if (!(key in used)) {
			split(key, part, SUBSEP)
			print "note: not needed any more: " part[1] " " part[2]
		}
	exit bad
}' regress/lint/tidy.suppress build/log/tidy.all
