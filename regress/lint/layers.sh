#!/bin/sh
#
# Who may include whom: the layers of the house style, as a table.  An arrow
# that the table does not have is printed, and is an error.

set -eu
cd "$(dirname "$0")/../.."

{
# layer, the layers it may include, the files; first match counts.  What a
# name in angle brackets may be stands below.
cat <<'END'
layer port	port			common/port/*
layer common	port common		common/*
layer proc	port common proc	privsep/proc*.[ch] privsep/chan*.[ch] privsep/msg*.[ch] privsep/*_client.[ch] privsep/keyholder.h
layer pmain	port common proc pmain	privsep/*
layer msgs	port common proc msgs	smtpproxyd/messages.[ch]
layer engine	pure engine		smtpproxyd/smtp_*.[ch] smtpproxyd/policy.[ch]
layer worker	port common proc msgs conf engine worker	smtpproxyd/worker*.[ch] smtpproxyd/session.[ch] smtpproxyd/session_*.[ch] smtpproxyd/resolve*.[ch] smtpproxyd/keycheck*.[ch] smtpproxyd/relay.[ch]
layer main	port common proc msgs conf root worker pmain main	smtpproxyd/main.c smtpproxyd/parent_load.[ch]
layer root	port common proc msgs conf root	smtpproxyd/parent*.[ch] smtpproxyd/sessions.[ch] smtpproxyd/version.h smtpproxyd/listen*.[ch] smtpproxyd/upstream*.[ch] smtpproxyd/intercept.[ch] smtpproxyd/waiting.[ch] smtpproxyd/parse.y smtpproxyd/conf_lex*.[ch] smtpproxyd/conf_input.[ch] smtpproxyd/conf_load.[ch] smtpproxyd/conf_parse.h smtpproxyd/keyfile.[ch]
layer conf	port common conf	smtpproxyd/conf.[ch] smtpproxyd/conf_*.[ch]
pure		common/buf.h common/addr.h common/strutil.h
standard	assert.h ctype.h errno.h inttypes.h limits.h stdarg.h stddef.h stdint.h stdio.h stdlib.h string.h sys/types.h emmintrin.h
only openssl/	smtpproxyd/session_tls* privsep/key_client* privsep/keyholder* common/port/tls_*
only ares.h	privsep/resolver.c
only emmintrin.h	smtpproxyd/smtp_scan.c
only seccomp.h	common/port/*
only cap-ng.h	common/port/*
only linux/	common/port/*
only sys/prctl.h	common/port/*
only sys/epoll.h	common/port/*
only sys/event.h	common/port/*
END
for file in common/*.[chy] common/port/*.[chy] privsep/*.[chy] \
    smtpproxyd/*.[chy]; do
	case $file in
	*'*'*|smtpproxyd/parse.[ch]|smtpproxyd/build_id.h)
		continue
		;;
	esac
	echo "file $file"
	sed -n 's/^[ 	]*#[ 	]*include[ 	]*\([<"][^>"]*\)[>"].*/include \1/p' \
	    "$file"
done
} | awk '
# A shell pattern as an anchored regular expression.
function pattern(p)
{
	gsub(/\./, "\\.", p)
	gsub(/\*/, ".*", p)
	return "^" p "$"
}

function layer_of(file,	i)
{
	for (i = 1; i <= nrules; i++)
		if (file ~ rule[i])
			return rule_layer[i]
	return ""
}

function complain(what)
{
	print file ": " what
	bad = 1
}

# "../common/buf.h" seen from privsep/x.c is common/buf.h.
function resolve(name,	dir)
{
	dir = file
	sub(/\/[^\/]*$/, "", dir)
	while (name ~ /^\.\.\//) {
		sub(/^\.\.\//, "", name)
		if (dir !~ /\//)
			dir = ""
		else
			sub(/\/[^\/]*$/, "", dir)
	}
	return dir == "" ? name : dir "/" name
}

function check_system(name,	i)
{
	for (i = 1; i <= nonly; i++)
		if (index(name, only[i]) == 1 && file !~ only_in[i])
			only_hit[only[i]] = 1
		else if (index(name, only[i]) == 1)
			only_ok[only[i]] = 1
	for (i in only_hit)
		if (!(i in only_ok))
			complain("may not include <" name ">")
	split("", only_hit)
	split("", only_ok)
	if (layer == "engine" && !(name in standard))
		complain("the engine may not include <" name ">")
}

function check_own(name,	path, to)
{
	path = resolve(name)
	if (path == "smtpproxyd/build_id.h" && file == "smtpproxyd/main.c")
		return
	if (path in pure && layer == "engine")
		return
	to = layer_of(path)
	if (to == "")
		complain(path " is in no layer")
	else if (!((layer, to) in allowed))
		complain("layer " layer " may not include " path \
		    " (layer " to ")")
}

$1 == "layer" {
	n = split($0, part, /\t+/)
	split(part[1], word, " ")
	m = split(part[2], to, " ")
	for (i = 1; i <= m; i++)
		allowed[word[2], to[i]] = 1
	m = split(part[3], pat, " ")
	for (i = 1; i <= m; i++) {
		rule[++nrules] = pattern(pat[i])
		rule_layer[nrules] = word[2]
	}
}
$1 == "pure" {
	for (i = 2; i <= NF; i++)
		pure[$i] = 1
}
$1 == "standard" {
	for (i = 2; i <= NF; i++)
		standard[$i] = 1
}
$1 == "only" {
	for (i = 3; i <= NF; i++) {
		only[++nonly] = $2
		only_in[nonly] = pattern($i)
	}
}
$1 == "file" {
	file = $2
	nfiles++
	layer = layer_of(file)
	if (layer == "")
		complain("is in no layer")
}
$1 == "include" && layer != "" {
	name = substr($2, 2)
	if (substr($2, 1, 1) == "<")
		check_system(name)
	else
		check_own(name)
}
END {
	if (nfiles == 0)
		print "no source found"
	exit bad || nfiles == 0
}'
