#!/bin/sh
#
# Unpack the mail servers that the system tests talk to, and the proxies they
# run beside ours (HAProxy; nginx for comparison), each into a folder of its
# own below DIR.  None is ever installed: their packages conflict with one
# another, and with what the admin of this machine runs.
# A second run finds the stamps and takes no time.
#
# usage: fetch-mta.sh DIR          (as root on Debian 12)

set -eu

# What the unpacked programs need at run time, installed by name.
LIBS="libcrypt1 libdb5.3 libevent-2.1-7 libgnutls-dane0 libgnutls30 libicu72
    libidn12 libidn2-0 libldap-2.5-0 liblockfile1 libnsl2 libpam0g
    libpcre2-8-0 libsasl2-2 libsigsegv2 libssl3 libsystemd0 libwrap0 zlib1g"

# name, the upstream version the tests were written against, packages; the
# first package is the one whose version counts.
SERVERS="postfix 3.7.11 postfix
exim 4.96 exim4-daemon-light exim4-base
opensmtpd 6.8.0p2 opensmtpd
sendmail 8.17.1.9 sendmail-bin sendmail-base sendmail-cf m4
haproxy 2.6.12 haproxy liblua5.3-0 libopentracing-c-wrapper0 libopentracing1
nginx 1.22.1 nginx libnginx-mod-mail"

die()
{
	echo "fetch-mta: $*" >&2
	exit 1
}

[ $# -eq 1 ] || die "usage: fetch-mta.sh DIR"
for tool in apt-get dpkg dpkg-query dpkg-deb; do
	command -v $tool >/dev/null 2>&1 ||
	    die "needs $tool: the servers come from Debian's packages"
done
mkdir -p "$1"
dir=$(cd "$1" && pwd)

# The lists of a fresh machine are empty or old: look again once.
updated=no
update()
{
	[ $updated = no ] || return 1
	updated=yes
	apt-get -q update >"$dir/.update.log" 2>&1 ||
	    { cat "$dir/.update.log" >&2; return 1; }
}

missing=
for lib in $LIBS; do
	# shellcheck disable=SC2016 # a field of dpkg's
	state=$(dpkg-query -W -f '${db:Status-Status}' "$lib" 2>/dev/null) || :
	[ "$state" = installed ] || missing="$missing $lib"
done
if [ -n "$missing" ]; then
	[ "$(id -u)" -eq 0 ] || die "as root: apt-get install$missing"
	install="apt-get -q -y --no-install-recommends install$missing"
	export DEBIAN_FRONTEND=noninteractive
	$install || { update && $install; } || die "cannot install$missing"
fi

# Downloads go beside the result, which appears with one rename: a run that
# was interrupted leaves no half a tree that looks whole.
fetch()
{
	name=$1 want=$2
	shift 2
	stamp=$dir/.stamp-$name
	if [ -f "$stamp" ] && [ -d "$dir/$name" ]; then
		cat "$stamp"
		return
	fi
	tmp=$dir/.tmp-$name
	rm -rf "$tmp" "${dir:?}/$name"
	mkdir -p "$tmp/debs" "$tmp/tree"
	# Root downloads: the user _apt cannot write below a private folder.
	get="apt-get -q -o APT::Sandbox::User=root download $*"
	(cd "$tmp/debs" && $get >../log 2>&1) ||
	    { update && (cd "$tmp/debs" && $get >../log 2>&1); } ||
	    { cat "$tmp/log" >&2; die "$name: cannot download: $*"; }
	for deb in "$tmp"/debs/*.deb; do
		dpkg -x "$deb" "$tmp/tree" || die "$name: cannot unpack $deb"
	done
	# Laid over a root whose /lib is a link, a folder lib would hide it.
	for sub in bin lib sbin; do
		[ -d "$tmp/tree/$sub" ] || continue
		mkdir -p "$tmp/tree/usr/$sub"
		cp -a "$tmp/tree/$sub/." "$tmp/tree/usr/$sub"
		rm -r "$tmp/tree/$sub"
	done
	got=$(dpkg-deb -f "$tmp/debs/$1"_*.deb Version)
	case $got in
	"$want"[-+]*)
		;;
	*)
		echo "fetch-mta: $name $got: the tests were written for" \
		    "$want" >&2
		;;
	esac
	mv "$tmp/tree" "$dir/$name"
	rm -rf "$tmp"
	echo "$name $got" >"$stamp.new"
	mv "$stamp.new" "$stamp"
	cat "$stamp"
}

echo "$SERVERS" | while read -r line; do
	# shellcheck disable=SC2086 # the line is a list of words
	fetch $line
done
