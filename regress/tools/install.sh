#!/bin/sh
#
# Called by `make install` and `make uninstall`, which set DESTDIR, PREFIX,
# SYSCONFDIR, MAN and SERVICE.  The configuration of this machine is never
# written and never removed.

set -eu

sbin=$DESTDIR$PREFIX/sbin
man=$DESTDIR${MAN:-$PREFIX/share/man}
examples=$DESTDIR$PREFIX/share/examples/smtpproxyd
service=${SERVICE:+$DESTDIR$SERVICE}

# put MODE FILE FOLDER
put()
{
	[ -f "$2" ] || return 0
	mkdir -p "$3"
	install -m "$1" "$2" "$3"
	echo "installed $3/$(basename "$2")"
}

# The service file of this system, and its mode.
service_file()
{
	case $(uname -s) in
	Linux) echo etc/smtpproxyd.service ;;
	OpenBSD) echo etc/rc.d/smtpproxyd ;;
	esac
}

case $1 in
install)
	put 0755 smtpproxyd/smtpproxyd "$sbin"
	put 0644 smtpproxyd/smtpproxyd.8 "$man/man8"
	put 0644 smtpproxyd/smtpproxyd.conf.5 "$man/man5"
	for file in etc/*.conf etc/*.example; do
		put 0644 "$file" "$examples"
	done
	put 0755 etc/linux-tproxy "$examples"
	file=$(service_file)
	if [ -n "$service" ] && [ -n "$file" ]; then
		mkdir -p "$service"
		mode=0644
		[ "$(uname -s)" = Linux ] || mode=0555
		sed "s|/usr/local/sbin|$PREFIX/sbin|" "$file" \
		    >"$service/$(basename "$file")"
		chmod $mode "$service/$(basename "$file")"
		echo "installed $service/$(basename "$file")"
	fi
	if [ -n "$DESTDIR" ]; then
		echo "DESTDIR is set: no users and no /var/empty were created"
	elif [ "$(id -u)" -ne 0 ]; then
		echo "not root: no users and no /var/empty were created"
	else
		sh regress/tools/deps.sh users
		echo "users _smtpproxyd and _smtpproxyk, and /var/empty," \
		    "are there"
	fi
	echo "next: write $SYSCONFDIR/smtpproxyd.conf," \
	    "smtpproxyd.conf(5) tells how"
	;;
uninstall)
	rm -f "$sbin/smtpproxyd" "$man/man8/smtpproxyd.8" \
	    "$man/man5/smtpproxyd.conf.5"
	for file in etc/*.conf etc/*.example etc/linux-tproxy; do
		rm -f "$examples/$(basename "$file")"
	done
	[ ! -d "$examples" ] || rmdir "$examples"
	file=$(service_file)
	[ -z "$service" ] || [ -z "$file" ] ||
	    rm -f "$service/$(basename "$file")"
	echo "removed; users, /var/empty and $SYSCONFDIR/smtpproxyd.conf stay"
	;;
*)
	echo "usage: install.sh install | uninstall" >&2
	exit 2
	;;
esac
