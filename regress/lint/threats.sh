#!/bin/sh
#
# regress/THREATS.md is true: each test and each function that it names exists,
# and each class of attack names a test.
#
#	`t_X.py: test_Y`	a function of regress/system
#	`test_X.c: Y`		a test of regress/unit
#	`test_X.c: "Y"`		a row of one of its tables
#	`fuzz_X.c`		a target of regress/fuzz, with a corpus
#	`X.c: Y()`		a function of the source

set -eu
cd "$(dirname "$0")/../.."
page=${1:-regress/THREATS.md}
bad=0
nclasses=0
class=
ntests=0

complain()
{
	echo "$page: $1"
	bad=1
}

end_of_class()
{
	[ -z "$class" ] || [ "$ntests" -gt 0 ] ||
	    complain "$class: no test is named"
	ntests=0
}

# holds FILE STRING ...: it is there, and has a line that begins with one of
# these strings.
holds()
{
	file=$1
	shift
	if [ ! -f "$file" ]; then
		complain "there is no $file"
		return
	fi
	for string in "$@"; do
		if grep -q -e "^$string" "$file"; then
			return
		fi
	done
	complain "$file has no $1"
}

# check FILE NAME
check()
{
	ntests=$((ntests + 1))
	case $1 in
	t_*.py)
		holds "regress/system/$1" "def $2("
		;;
	test_*.c)
		case $2 in
		\"*)	holds "regress/unit/$1" "	{ $2," ;;
		*)	# TABLE(x) makes test_x.
			holds "regress/unit/$1" "START_TEST($2)" \
			    "TABLE(${2#test_})"
			;;
		esac
		;;
	fuzz_*.c)
		holds "regress/fuzz/$1" "LLVMFuzzerTestOneInput("
		target=${1#fuzz_}
		[ -d "regress/fuzz/corpus/${target%.c}" ] ||
		    complain "$1 has no corpus"
		;;
	*)
		ntests=$((ntests - 1))
		for dir in common common/port privsep smtpproxyd; do
			if [ -f "$dir/$1" ]; then
				holds "$dir/$1" "${2%()}("
				return
			fi
		done
		complain "there is no $1"
		;;
	esac
}

# The headings, and what stands between backquotes and looks like a file's
# name; a span that was broken at a line's end would be passed by.
list=$(awk '
/^## /	{ print "# " substr($0, 4) }
/^#/	{ next }
{
	n = split($0, part, "`")
	if (n > 0 && n % 2 == 0)
		print "broken " FNR
	for (i = 2; i < n; i += 2)
		if (part[i] ~ /^[a-z_0-9]+\.(c|py)(: |$)/)
			print part[i]
}' "$page")
while read -r first rest; do
	case $first in
	'#')
		end_of_class
		class=$rest
		nclasses=$((nclasses + 1))
		;;
	broken)	complain "line $rest: a backquote without its other one" ;;
	*)	check "${first%:}" "$rest" ;;
	esac
done <<END
$list
END
end_of_class
[ $nclasses -gt 0 ] || complain "no class of attack"
exit $bad
