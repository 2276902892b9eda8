#!/bin/sh
#
# What the shipped binary must be, and must not have.  Needs the release
# build in the tree, a build with SANDBOX=trace in build/trace, and on Linux
# one with FAULTS=yes in build/faults.  Prints a line for each check, and
# totals.

set -u
cd "$(dirname "$0")/../.." || exit 1
release=smtpproxyd/smtpproxyd
trace=build/trace/smtpproxyd/smtpproxyd
faults=build/faults/smtpproxyd/smtpproxyd
passed=0 failed=0

check()
{
	what=$1
	shift
	if "$@" >/dev/null 2>&1 </dev/null; then
		echo "ok $what"
		passed=$((passed + 1))
	else
		echo "FAIL $what"
		failed=$((failed + 1))
	fi
}

has_text()
{
	grep -a -q -e "$2" "$1"
}

has_no_text()
{
	! has_text "$@"
}

has_symbol()
{
	nm -D "$1" | grep -q -e " $2\(@.*\)\?\$"
}

has_no_function()
{
	! nm "$1" | grep -q -e "$2"
}

# Nothing may be installed by a build for tests: it must fail, and leave
# nothing.
is_refused()
{
	folder=$1
	shift
	rm -rf build/dest
	(cd "$folder" && ! make "$@" DESTDIR="$(pwd)/../dest" install) ||
	    return 1
	[ ! -e build/dest ]
}

# The text that only port_sandbox_name() of a trace build has.
check "trace build says that it is one" has_text $trace 'trace build'
check "release build has no trace build in it" \
    has_no_text $release 'trace build'
check "release build has no word of SANDBOX" has_no_text $release SANDBOX
check "release build loads a filter" has_symbol $release seccomp_load
check "trace build is refused by install" is_refused build/trace \
    SANDBOX=trace HARDEN= HARDEN_LD= CFLAGS="-O2 -g"
if [ "$(uname -s)" = Linux ]; then
	check "faults build says that it is one" \
	    has_text $faults 'faults build'
	check "faults build is refused by install" \
	    is_refused build/faults FAULTS=yes
fi
check "release build has no faults build in it" \
    has_no_text $release 'faults build\|\.faults'
check "release build has no function of it" \
    has_no_function $release '__wrap_'
check "position independent" sh -c \
    "readelf -h $release | grep -q 'Type:.*DYN'"
check "relocations are read-only, at once" sh -c \
    "readelf -d $release | grep -q BIND_NOW"
check "relocations are read-only" sh -c \
    "readelf -l $release | grep -q GNU_RELRO"
check "the stack can't be executed" sh -c \
    "readelf -lW $release | grep -q 'GNU_STACK.* RW '"
check "stack protector" has_symbol $release __stack_chk_fail
check "fortified calls" has_symbol $release '__.*_chk'
check "no set-user-id bit" test ! -u $release

echo "$passed passed, $failed failed, 0 skipped"
[ $failed -eq 0 ]
