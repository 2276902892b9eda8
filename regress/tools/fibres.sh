#!/bin/sh
#
# Run a program under AddressSanitizer.  Its check for stacks that are used
# after a return counts frames by their address, and takes those of a handshake
# that is paused (on a stack of the library's own) for left ones: it is off for
# programs that pause.
#
# usage: fibres.sh PROGRAM [ARGUMENT ...]

case $1 in
*tls*|*key_client*)
	ASAN_OPTIONS="${ASAN_OPTIONS-}:detect_stack_use_after_return=0"
	export ASAN_OPTIONS
	;;
esac
exec "$@"
