#!/bin/sh
#
# Install what is missing: packages, the users, and the empty chroot.  As
# root on Debian (and its kin) it does so; elsewhere, and as any other user,
# it says what to install and do.  Where nothing is missing it is quick.
#
# usage: deps.sh build | test | users

set -eu

BUILD="gcc libc6-dev make pkg-config bison libbsd-dev libseccomp-dev
    libcap-ng-dev libssl-dev"
# For building and checking; programs that tests run (swaks with IPv6 and TLS);
# libraries of python3's scripts are only the standard ones.
TEST="check clang clang-tidy cppcheck bmake byacc mandoc valgrind swaks
    libio-socket-inet6-perl libnet-ssleay-perl python3 iproute2 nftables
    iptables openssl ca-certificates procps util-linux binutils"

USERS="_smtpproxyd _smtpproxyk"
EMPTY=/var/empty

os=$(uname -s)
root=no
[ "$(id -u)" -ne 0 ] || root=yes
apt=no
if command -v apt-get >/dev/null 2>&1 &&
    command -v dpkg-query >/dev/null 2>&1; then
	apt=yes
fi
status=0

# What dpkg does not know as installed.
missing()
{
	# shellcheck disable=SC2016,SC2086 # dpkg's own fields; a list
	have=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' $1 \
	    2>/dev/null) || :
	for pkg in $1; do
		echo "$have" | grep -q "^installed $pkg\$" || echo "$pkg"
	done
}

install_debian()
{
	lack=$(missing "$1" | tr '\n' ' ')
	[ -n "$lack" ] || return 0
	if [ $root = no ]; then
		echo "Missing packages.  As root:" >&2
		echo "    apt-get install $lack" >&2
		return 1
	fi
	echo "installing: $lack"
	export DEBIAN_FRONTEND=noninteractive
	cmd="apt-get -q -y --no-install-recommends install $lack"
	mkdir -p build
	# A fresh machine has no package lists, or old ones: then once more.
	# shellcheck disable=SC2086 # a command line
	$cmd >build/deps.log 2>&1 </dev/null || {
		apt-get -q update >build/deps.log 2>&1 </dev/null &&
		    $cmd >>build/deps.log 2>&1 </dev/null
	} || {
		cat build/deps.log >&2
		return 1
	}
}

# The sanitizers' libraries carry the compiler's version in their name.
clang_rt()
{
	version=$(clang -dumpversion 2>/dev/null) || version=14
	echo "libclang-rt-${version%%.*}-dev"
}

has_user()
{
	id -u "$1" >/dev/null 2>&1
}

add_user()
{
	case $os in
	Linux)
		getent group "$1" >/dev/null || groupadd -r "$1"
		useradd -r -g "$1" -d $EMPTY -s /usr/sbin/nologin \
		    -c "SMTP proxy" "$1"
		;;
	OpenBSD|NetBSD)
		groupinfo -e "$1" || groupadd "$1"
		useradd -g "$1" -d $EMPTY -s /sbin/nologin -L daemon \
		    -c "SMTP proxy" "$1"
		;;
	*)
		return 1
		;;
	esac
	echo "created user and group $1"
}

users()
{
	for user in $USERS; do
		has_user "$user" && continue
		if [ $root = yes ] && add_user "$user"; then
			continue
		fi
		cat >&2 <<-END
		Missing user $user.  As root create a system user and a
		group of that name: home $EMPTY, no login shell.
		END
		status=1
	done
	[ -d $EMPTY ] && return
	if [ $root = yes ]; then
		mkdir -p $EMPTY
		chmod 0755 $EMPTY
		echo "created $EMPTY"
	else
		echo "Missing $EMPTY.  As root: mkdir -m 0755 $EMPTY" >&2
		status=1
	fi
}

elsewhere()
{
	case $os in
	OpenBSD)
		cat <<-END
		OpenBSD's base system has what the build needs.
		END
		[ "$1" = build ] || cat <<-END
		For the unit tests, as root:
		    pkg_add check
		The system tests need Linux.
		END
		;;
	*)
		cat <<-END
		Please install with this system's own tools: a C11 compiler,
		make, pkg-config, bison or byacc, the development files of
		OpenSSL 3, and on Linux those of libbsd, libseccomp and
		libcap-ng.
		END
		[ "$1" = build ] || cat <<-END
		For the tests: check (libcheck), clang with its sanitizers,
		clang-tidy, cppcheck, bmake, byacc, mandoc, valgrind, swaks,
		python3, iproute2, nftables, iptables, openssl, procps,
		util-linux.
		The mail servers of the system tests are taken from Debian.
		END
		;;
	esac
}

case ${1-} in
build|test)
	if [ $apt = yes ]; then
		install_debian "$BUILD"
		if [ "$1" = test ]; then
			install_debian "$TEST"
			install_debian "$(clang_rt)"
		fi
	else
		elsewhere "$1"
	fi
	users
	if [ "$1" = test ] && [ $apt = yes ] &&
	    [ -f regress/tools/fetch-mta.sh ]; then
		sh regress/tools/fetch-mta.sh build/mta
	fi
	;;
users)
	users
	;;
*)
	echo "usage: deps.sh build | test | users" >&2
	exit 2
	;;
esac

# As an ordinary user the build goes on without the daemon's users.
[ $root = no ] || exit $status
