#!/bin/sh
#
# The engine does no I/O, reads no clock and keeps nothing: the objects of
# smtp_*.c and policy.c may need only these symbols, and have no variable
# that can be written.

set -eu
cd "$(dirname "$0")/../.."

OWN='(buf|addr|str|smtp|policy)_[a-z0-9_]+'
MEMORY='malloc|calloc|realloc|reallocarray|recallocarray|free|freezero'
MEMORY="$MEMORY|explicit_bzero|mem[a-z]+"
STRING='str(l?cpy|lcat|n?cmp|n?len|r?chr|str|n?casecmp|spn|cspn|tonum)'
FORMAT='snprintf|vsnprintf'
# What the compiler puts there for its checks.
COMPILER='__stack_chk_fail|__stack_smash_handler|_GLOBAL_OFFSET_TABLE_'
COMPILER="$COMPILER|__(v?snprintf|mem[a-z]+|strl?cpy|strl?cat)_chk"
ALLOWED="^($OWN|$MEMORY|$STRING|$FORMAT|$COMPILER)\$"

found=no
bad=0
for obj in smtpproxyd/smtp_*.o smtpproxyd/policy.o; do
	[ -f "$obj" ] || continue
	found=yes
	other=$(nm -u "$obj" | awk '{ print $NF }' |
	    grep -E -v "$ALLOWED") || :
	for symbol in $other; do
		echo "$obj: needs $symbol"
		bad=1
	done
	size -A "$obj" | awk -v obj="$obj" '
	$1 ~ /^\.(data|bss|tdata|tbss)$/ && $2 > 0 {
		print obj ": " $2 " octets of variables in " $1
		bad = 1
	}
	END { exit bad }' || bad=1
done
[ $found = yes ] || { echo "no object of the engine is built"; exit 1; }
exit $bad
