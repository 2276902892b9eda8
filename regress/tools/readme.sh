#!/bin/sh
#
# The commands of README.md do what it says: demo, install into a folder, the
# check of a configuration with the installed binary, the manual pages from
# where they were installed, and uninstall.

set -u
unset MAKEFLAGS MFLAGS MAKELEVEL MAKEOVERRIDES GNUMAKEFLAGS
cd "$(dirname "$0")/../.." || exit 1
dest=$(pwd)/build/dest
passed=0 failed=0

check()
{
	what=$1
	shift
	if "$@" </dev/null; then
		echo "ok $what"
		passed=$((passed + 1))
	else
		echo "FAIL $what"
		failed=$((failed + 1))
	fi
}

# Every "make X" of README.md is a target of the Makefile.
targets_exist()
{
	missing=0
	for target in $(sed -n 's/^[ 	]*make \([a-z][a-z-]*\)$/\1/p' \
	    README.md INSTALL | sort -u); do
		grep -q "^$target:" Makefile || {
			echo "no target $target"
			missing=1
		}
	done
	[ $missing -eq 0 ]
}

demo()
{
	make demo >build/log/demo.log 2>&1
	status=$?
	cat build/log/demo.log
	[ $status -eq 0 ] && grep -q '^<.* 250[ -]' build/log/demo.log
}

installs()
{
	rm -rf "$dest"
	make DESTDIR="$dest" PREFIX=/opt/proxy install &&
	    [ -x "$dest/opt/proxy/sbin/smtpproxyd" ] &&
	    [ -f "$dest/opt/proxy/share/man/man8/smtpproxyd.8" ] &&
	    [ -f "$dest/opt/proxy/share/man/man5/smtpproxyd.conf.5" ] &&
	    [ -f "$dest/opt/proxy/lib/systemd/system/smtpproxyd.service" ]
}

checks_conf()
{
	conf=$dest/smtpproxyd.conf
	cat >"$conf" <<-END
	relay "r" {
		listen on 127.0.0.1 port 2525
		forward to 127.0.0.1 port 2526
	}
	END
	"$dest/opt/proxy/sbin/smtpproxyd" -n -f "$conf"
}

refuses_conf()
{
	echo 'relay "r" { listen on nowhere }' >"$dest/bad.conf"
	if "$dest/opt/proxy/sbin/smtpproxyd" -n -f "$dest/bad.conf" \
	    2>"$dest/bad.log"; then
		return 1
	fi
	grep -q 'bad.conf:1: ' "$dest/bad.log"
}

uninstalls()
{
	make DESTDIR="$dest" PREFIX=/opt/proxy uninstall &&
	    [ -z "$(find "$dest/opt" -type f)" ]
}

check "targets named in README.md and INSTALL exist" targets_exist
check "make demo" demo
check "make install" installs
check "smtpproxyd -n takes the smallest configuration" checks_conf
check "smtpproxyd -n refuses another with file and line" refuses_conf
check "make uninstall" uninstalls
rm -rf "$dest"

echo "$passed passed, $failed failed, 0 skipped"
[ $failed -eq 0 ]
