#!/bin/sh
#
# Run parts of the tests, after make has built them.
#
# usage: regress.sh PART ...
#
#	unit		regress/unit, one program each
#	corpora		regress/fuzz/corpus, replayed
#	lint		regress/lint, regress/openbsd
#	system		regress/system, against real mail servers
#	full		all of these:
#	clang		build and unit tests with clang
#	bmake		and with bmake and byacc
#	asan		unit and short system tests with ASan and UBSan
#	valgrind	and under memcheck
#	faults		calls that fail, one by one, in a build made for it
#	cppcheck tidy	static checks
#	fuzz		each target for SECONDS_EACH (10) seconds
#	release		what the shipped binary must be, and must not have
#	readme		the commands of README.md
#	slow		system tests that wait long
#	soak		mixed load for two minutes
#	engine-bench	instructions of the engine, beside those stored
#
# What needs other flags is built in a copy of the tree, build/PART, so that
# the objects beside the sources stay what they are.

set -u
# Make's own flags must not reach another make.
unset MAKEFLAGS MFLAGS MAKELEVEL MAKEOVERRIDES GNUMAKEFLAGS

cd "$(dirname "$0")/../.." || exit 1
top=$(pwd)
PROG=smtpproxyd/smtpproxyd
. regress/tools/tally.sh
jobs=$(getconf _NPROCESSORS_ONLN 2>/dev/null) || jobs=2

# The tree as it is now, without what was built, in build/NAME.
copy_tree()
{
	rm -rf "build/$1"
	mkdir -p "build/$1"
	if [ -e .git ] && command -v git >/dev/null 2>&1; then
		git ls-files -co --exclude-standard
	else
		find . -type d -name build -prune -o -type f ! -name '*.o' \
		    -print
	fi | while read -r file; do
		[ ! -f "$file" ] || echo "$file"
	done | tar -cf - -T - | tar -xf - -C "build/$1"
	# Without git, programs were copied too.
	(cd "build/$1" && make -s clean >/dev/null)
}

# variant NAME MAKE ARGUMENT...: build it there.
variant()
{
	name=$1
	shift
	copy_tree "$name"
	step "$name-build" sh -c 'cd "$1" && shift && "$@"' sh \
	    "build/$name" "$@"
}

# unit NAME DIR COMMAND...: its test programs, through a command.
unit()
{
	unit_name=$1 unit_dir=$2
	shift 2
	progs=$(cd "$unit_dir" && ls regress/unit/test_*.test) || progs=
	if [ -z "$progs" ]; then
		step "$unit_name" false
		return
	fi
	for prog in $progs; do
		prog=${prog#regress/unit/test_}
		echo "${prog%.test}"
	done >build/log/unit.list
	step_each "$unit_name" "$unit_dir" "$@" ./regress/unit/test_%.test \
	    <build/log/unit.list
}

corpora()
{
	for prog in regress/fuzz/fuzz_*.replay; do
		[ -x "$prog" ] || continue
		base=$(basename "$prog" .replay)
		corpus=regress/fuzz/corpus/${base#fuzz_}
		step "corpus-${base#fuzz_}" "./$prog" "$corpus"
	done
}

lint()
{
	for check in layers style man symbols threats machine; do
		step "lint-$check" sh "regress/lint/$check.sh"
	done
	step lint-openbsd sh regress/openbsd/check.sh
}

system()
{
	step_live system /usr/bin/python3 regress/system/run.py
}

part_clang()
{
	variant clang make -j"$jobs" CC=clang all tests
	unit clang "$top/build/clang" env
}

part_bmake()
{
	variant bmake bmake -j"$jobs" YACC=byacc all tests
	unit bmake "$top/build/bmake" env
}

# libFuzzer's and the sanitizers' builds have no use for our hardening, and
# the sanitizers none for a sandbox in which they can't report.  Leaks are
# memcheck's to find: LeakSanitizer needs /proc, and no chroot has one.
SAN="-fsanitize=address,undefined -fno-sanitize-recover=all"
SAN="$SAN -fno-omit-frame-pointer"
SAN_ENV="UBSAN_OPTIONS=print_stacktrace=1
    ASAN_OPTIONS=detect_leaks=0:detect_stack_use_after_return=1"

SAN_ENV_FIBRES="$SAN_ENV:detect_stack_use_after_return=0"

part_asan()
{
	variant asan make -j"$jobs" CC=clang SANDBOX=trace HARDEN= HARDEN_LD= \
	    CFLAGS="-O1 -g $SAN" all tests
	# shellcheck disable=SC2086 # words of env
	unit asan "$top/build/asan" env $SAN_ENV CK_TIMEOUT_MULTIPLIER=4 \
	    sh regress/tools/fibres.sh
	# Workers pause handshakes: see fibres.sh.
	# shellcheck disable=SC2086
	step_live asan-system env $SAN_ENV_FIBRES TEST_SLOW=4 \
	    SMTPPROXYD="$top/build/asan/$PROG" \
	    /usr/bin/python3 regress/system/run.py --short
}

MEMCHECK="valgrind -q --vgdb=no --error-exitcode=99 --leak-check=full
    --errors-for-leak-kinds=definite,indirect --trace-children=yes"

part_valgrind()
{
	variant trace make -j"$jobs" SANDBOX=trace HARDEN= HARDEN_LD= \
	    CFLAGS="-O2 -g" all tests
	# shellcheck disable=SC2086
	unit valgrind "$top/build/trace" env CK_TIMEOUT_MULTIPLIER=5 \
	    CK_EXCLUDE_TAGS=few-descriptors $MEMCHECK
	# shellcheck disable=SC2086
	# Twenty times as slow; half an hour would be a fault.
	STEP_MINUTES=25 step_live valgrind-system env TEST_SLOW=10 \
	    SMTPPROXYD="$(echo $MEMCHECK) $top/build/trace/$PROG" \
	    /usr/bin/python3 regress/system/run.py --short -j 2
}

part_faults()
{
	# The wrapped calls are Linux's.
	[ "$(uname -s)" = Linux ] || return 0
	variant faults make -j"$jobs" FAULTS=yes all
	step_live faults-system env SMTPPROXYD="$top/build/faults/$PROG" \
	    /usr/bin/python3 regress/system/run.py regress/system/t_inject.py
}

part_cppcheck()
{
	step cppcheck sh regress/lint/cppcheck.sh
}

part_tidy()
{
	step clang-tidy sh regress/lint/tidy.sh
}

part_fuzz()
{
	seconds=${SECONDS_EACH:-10}
	variant fuzz make -j"$jobs" CC=clang SANDBOX=trace HARDEN= HARDEN_LD= \
	    CFLAGS="-O1 -g -fsanitize=fuzzer-no-link $SAN" fuzzers
	for prog in build/fuzz/regress/fuzz/fuzz_*.fuzz; do
		[ -x "$prog" ] || continue
		base=$(basename "$prog" .fuzz)
		target=${base#fuzz_}
		work=build/fuzz/found/$target
		mkdir -p "$work" "build/fuzz/regress/fuzz/corpus/$target"
		step "fuzz-$target" "$prog" -max_total_time="$seconds" \
		    -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
		    -artifact_prefix="build/fuzz/found/$target-" \
		    "$work" "build/fuzz/regress/fuzz/corpus/$target"
	done
}

part_release()
{
	[ -x build/trace/$PROG ] ||
	    variant trace make -j"$jobs" SANDBOX=trace HARDEN= HARDEN_LD= \
	    CFLAGS="-O2 -g" all
	[ "$(uname -s)" != Linux ] || [ -x build/faults/$PROG ] ||
	    variant faults make -j"$jobs" FAULTS=yes all
	step release sh regress/tools/release.sh
}

part_readme()
{
	step readme sh regress/tools/readme.sh
}

part_slow()
{
	step_live slow-system /usr/bin/python3 regress/system/run.py --slow
}

part_soak()
{
	step_live soak /usr/bin/python3 regress/soak/soak.py --minutes 2
}

part_engine_bench()
{
	step_live engine-bench /usr/bin/python3 regress/bench/engine --check
}

[ $# -gt 0 ] || { echo "usage: regress.sh PART ..." >&2; exit 2; }
tally_start "$top/build/log"
for part in "$@"; do
	case $part in
	unit)	unit unit "$top" env ;;
	corpora|lint|system)
		$part
		;;
	full)
		for each_part in clang bmake asan valgrind faults cppcheck \
		    tidy fuzz release readme slow engine_bench soak; do
			part_$each_part
		done
		;;
	clang|bmake|asan|valgrind|faults|cppcheck|tidy|fuzz|release|readme|\
	slow|soak)
		part_$part
		;;
	engine-bench)
		part_engine_bench
		;;
	*)
		echo "regress.sh: no part $part" >&2
		exit 2
		;;
	esac
done
tally_end
