#!/bin/sh
#
# make demo: the daemon with a tiny configuration in front of a small SMTP
# sink, one message sent through, and what can be seen of it.  Stays until it
# is interrupted, or ends by itself when standard input is no terminal.  Ends
# only processes that it started.

set -eu
cd "$(dirname "$0")/../.."
prog=smtpproxyd/smtpproxyd
sink=regress/tools/sink
dir=build/demo
port=2525
sink_port=2526
proxy_pid=
sink_pid=
tail_pid=

if [ "$(id -u)" -ne 0 ]; then
	echo "make demo must be run by root: the daemon starts as root, to" >&2
	echo "chroot its processes and to give root up in them." >&2
	exit 1
fi

cleanup()
{
	trap - EXIT INT TERM HUP
	for pid in $tail_pid $proxy_pid $sink_pid; do
		kill "$pid" 2>/dev/null || :
		wait "$pid" 2>/dev/null || :
	done
}
trap cleanup EXIT
trap 'cleanup; exit 0' INT TERM HUP

title()
{
	printf '\n==> %s\n' "$*"
}

# Does somebody listen on that port of the loopback?
listening()
{
	if [ -r /proc/net/tcp ]; then
		grep -q " [0-9A-F]*:$(printf '%04X' "$1") 00000000:0000 0A " \
		    /proc/net/tcp
	else
		netstat -an -f inet | grep LISTEN | grep -q "\.$1 "
	fi
}

# wait_for PORT PID: until it listens, five seconds, or the process ended.
wait_for()
{
	n=0
	while ! listening "$1"; do
		kill -0 "$2" 2>/dev/null || return 1
		n=$((n + 1))
		[ $n -lt 50 ] || return 1
		sleep 0.1
	done
}

# A client for machines without swaks: perl is in Debian's base system.
client()
{
	perl -MIO::Socket::INET -e '
	my $s = IO::Socket::INET->new(PeerAddr => "127.0.0.1:'$port'",
	    Timeout => 10) or die "connect: $!\n";
	sub answer {
		my $line;
		do {
			$line = <$s> // die "connection closed\n";
			print "<-  $line";
		} while ($line =~ /^\d\d\d-/);
		die "not accepted\n" if $line !~ /^[23]/;
	}
	sub say_line { print " -> $_[0]\n"; print $s "$_[0]\r\n"; }
	answer();
	for my $line ("EHLO client.example.org",
	    "MAIL FROM:<alice\@example.org>", "RCPT TO:<bob\@example.com>",
	    "DATA") {
		say_line($line);
		answer();
	}
	say_line($_) for "From: alice\@example.org",
	    "To: bob\@example.com", "Subject: through smtpproxyd", "",
	    "One message.", ".";
	answer();
	say_line("QUIT");
	answer();
	'
}

send_one()
{
	if command -v swaks >/dev/null 2>&1; then
		swaks --server 127.0.0.1 --port $port \
		    --helo client.example.org --from alice@example.org \
		    --to bob@example.com --body "One message." \
		    --header "Subject: through smtpproxyd"
	else
		client
	fi
}

# One line of the table for a process: everything from /proc.
show_process()
{
	about=/proc/$1/status
	[ -r "$about" ] || return 0
	uid=$(awk '/^Uid:/ { print $3 }' "$about")
	user=$(id -nu "$uid" 2>/dev/null) || user=$uid
	seccomp=$(awk '/^Seccomp:/ { print $2 }' "$about")
	caps=$(awk '/^CapEff:/ { print $2 }' "$about")
	case $seccomp in
	0) sandbox=no ;;
	2) sandbox=seccomp ;;
	*) sandbox="Seccomp: $seccomp" ;;
	esac
	case $caps in
	*[!0]*) caps=yes ;;
	*) caps=none ;;
	esac
	name=$(tr '\0' ' ' <"/proc/$1/cmdline" | sed 's/[ .]*$//')
	printf '%7s %-12s %-11s %-8s %-5s %s%s\n' "$1" "$user" \
	    "$(readlink "/proc/$1/root")" "$sandbox" "$caps" "$2" "$name"
}

show_processes()
{
	if [ ! -r /proc/self/status ]; then
		# State c: in a chroot, p: pledged, U: unveiled.
		ps -axo pid,ppid,user,state,command |
		    grep -e PID -e '[s]mtpproxyd'
		return
	fi
	printf '%7s %-12s %-11s %-8s %-5s %s\n' PID USER ROOT SANDBOX CAPS \
	    PROCESS
	show_process "$proxy_pid" ""
	for stat in /proc/[0-9]*/stat; do
		pid=${stat#/proc/}
		pid=${pid%/stat}
		ppid=$(sed 's/^.*) . \([0-9]*\) .*/\1/' "$stat" \
		    2>/dev/null) || continue
		[ "$ppid" = "$proxy_pid" ] || continue
		show_process "$pid" "  "
	done
}

for p in $port $sink_port; do
	if listening $p; then
		echo "port $p of 127.0.0.1 is in use; make demo needs it" >&2
		exit 1
	fi
done

rm -rf $dir
mkdir -p $dir
cat >$dir/smtpproxyd.conf <<END
relay "demo" {
	listen on 127.0.0.1 port $port
	forward to 127.0.0.1 port $sink_port
}
END
title "the configuration, $dir/smtpproxyd.conf"
cat $dir/smtpproxyd.conf

$sink -v -l 127.0.0.1 -p $sink_port >$dir/sink.log 2>&1 </dev/null &
sink_pid=$!
$prog -d -f $dir/smtpproxyd.conf >$dir/proxy.log 2>&1 </dev/null &
proxy_pid=$!
if ! wait_for $sink_port $sink_pid || ! wait_for $port $proxy_pid; then
	echo "did not start:" >&2
	cat $dir/sink.log $dir/proxy.log >&2
	exit 1
fi

title "one message through 127.0.0.1 port $port"
status=0
send_one 2>&1 || status=$?

# The session's line comes when both sides are closed.
n=0
while [ $n -lt 30 ] && ! grep -q 'sess=.* reason=' $dir/proxy.log; do
	n=$((n + 1))
	sleep 0.1
done
title "what smtpproxyd logged (standard error, because of -d)"
cat $dir/proxy.log

title "the processes"
show_processes

if [ $status -ne 0 ]; then
	echo "the message was not accepted" >&2
	exit 1
fi
if [ ! -t 0 ]; then
	title "standard input is no terminal: the end"
	exit 0
fi

title "smtpproxyd goes on; to send more, in another terminal:"
cat <<END
    swaks --server 127.0.0.1 --port $port --to bob@example.com
    nc -C 127.0.0.1 $port          (and speak SMTP yourself)
An interrupt (^C) ends it.  Log lines follow.

END
lines=$(wc -l <$dir/proxy.log)
tail -n "+$((lines + 1))" -f $dir/proxy.log &
tail_pid=$!
wait "$proxy_pid" || :
proxy_pid=
