#!/bin/sh
#
# What of the house style a script can see.  Long functions and long files
# are printed as notes: a reason to look again, no error.

set -eu
cd "$(dirname "$0")/../.."
LC_ALL=C
export LC_ALL

# Sources and scripts of ours, built files left out.
list()
{
	find common privsep smtpproxyd smtpproxyctl regress etc .ci Makefile \
	    -type f \( -name '*.[chy]' -o -name '*.sh' -o -name '*.py' -o \
	    -name '*.[1-9]' -o -name Makefile -o -name run -o \
	    -name '*.conf' -o -name smtpproxyd -o -name '*.service' \) \
	    2>/dev/null | grep -v -e '/parse\.[ch]$' -e '/build_id\.h$' \
	    -e '^smtpproxyd/smtpproxyd$' -e '/corpus/' | sort
}

# shellcheck disable=SC2046 # names without blanks
awk '
function complain(what)
{
	print FILENAME ":" FNR ": " what
	bad = 1
}

# Columns, with tabs of eight.
function columns(line,	n, i, c)
{
	if (line !~ /\t/)
		return length(line)
	n = 0
	for (i = 1; i <= length(line); i++) {
		c = substr(line, i, 1)
		n = c == "\t" ? n + 8 - n % 8 : n + 1
	}
	return n
}

function end_of_file()
{
	if (last != "" && is_c && lines > 600)
		print "note: " last ": " lines " lines"
}

BEGIN {
	forbidden = "(^|[^a-z0-9_])(strtok|v?sprintf|strn?cat|strn?cpy|gets|" \
	    "ato(i|l|ll|f)|alloca)[ \t]*\\("
	systems = "__linux|OpenBSD|FreeBSD|NetBSD|__APPLE|__unix|_WIN32|" \
	    "__GNUC|__clang|__GLIBC|LIBRESSL|OPENSSL_VERSION"
}

FNR == 1 {
	end_of_file()
	last = FILENAME
	is_c = FILENAME ~ /\.[chy]$/
	is_port = FILENAME ~ /^common\/port\//
	in_comment = 0
	nfiles++
}

{ lines = FNR }

/[ \t]$/	{ complain("blanks at the end") }
/[^\t -~]/	{ complain("not ASCII") }
columns($0) > 80 && !/https?:/ && FILENAME !~ /lint\/layers\.sh$/ {
	complain("more than 80 columns")
}

!is_c { next }

# Code alone: without strings, character constants and comments.
{
	code = $0
	gsub(/\\./, "_", code)
	gsub(/"[^"]*"/, "\"\"", code)
	gsub(/\047[^\047]\047/, "0", code)
	if (in_comment) {
		if (code ~ /\*\//) {
			sub(/^.*\*\//, "", code)
			in_comment = 0
		} else
			code = ""
	}
	gsub(/\/\*([^*]|\*[^\/])*\*\//, "", code)
	if (code ~ /\/\*/) {
		sub(/\/\*.*$/, "", code)
		in_comment = 1
	}
}

/(^|[^A-Za-z])(TODO|FIXME|XXX|HACK)([^A-Za-z]|$)/ {
	complain("an unfinished thing")
}
/^        /		{ complain("eight blanks where a tab belongs") }
/ \t/			{ complain("blanks in front of a tab") }
code ~ /\/\//		{ complain("a // comment") }
code ~ forbidden {
	complain("a function that is not used here")
}
code ~ /(^|[^a-z0-9_])(if|for|while|switch)\(/ {
	complain("no blank behind the keyword")
}
code ~ /(^|[^a-z0-9_])sizeof [(]/ {
	complain("a blank behind sizeof")
}
code ~ /(^|[^a-z0-9_])return \([^()]*\);/ {
	complain("return with parentheses")
}
code ~ /^[ \t]*typedef[ \t]+(struct|union|enum)/ {
	complain("a typedef of a struct, union or enum")
}
!is_port && code ~ /^[ \t]*#[ \t]*(el)?if/ && code ~ systems {
	complain("a condition on a system, compiler or library outside " \
	    "common/port")
}

/^[a-z_][a-z0-9_]*\(/	{ name = $0; sub(/\(.*/, "", name) }
/^\{/			{ start = FNR }
/^\}/ && start > 0 {
	if (FNR - start - 1 > 60 && FILENAME !~ /\.y$/)
		print "note: " FILENAME ":" start ": " name "() has " \
		    FNR - start - 1 " lines"
	start = 0
}

END {
	end_of_file()
	exit bad || nfiles == 0
}' $(list)
