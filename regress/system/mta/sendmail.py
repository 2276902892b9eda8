"""Sendmail 8.17.1 (Debian 12).

Delivery by a mailer of the tests' own into one maildir, one file for each
recipient.  In front of the message the mailer puts Return-Path and
Delivered-To, Sendmail Received.  Missing headers are not added, lines of any
length stay whole, but addresses in From, To, Cc are parsed and may be written
anew, so compare bodies, and headers that hold no addresses.
It sleeps for a minute unless its host name is fully qualified in the hosts
file, which base.py sees to.
"""

from mta.base import Mta


class Sendmail(Mta):
    name = "sendmail"
    adds = ("Return-Path", "Delivered-To", "Received")
    accepted = r": from=\S*, size=\d+, class="

    MC = """divert(-1)
divert(0)dnl
VERSIONID(`test')dnl
OSTYPE(`linux')dnl
define(`confDOMAIN_NAME', `{hostname}')dnl
define(`QUEUE_DIR', `/var/spool/mqueue')dnl
define(`STATUS_FILE', `/var/lib/sendmail.st')dnl
define(`confPID_FILE', `/run/sendmail.pid')dnl
define(`confTO_IDENT', `0')dnl
define(`confMAX_MESSAGE_SIZE', `{max_size}')dnl
define(`confBIND_OPTS', `-DNSRCH -DEFNAMES')dnl
define(`confSERVICE_SWITCH_FILE', `/etc/mail/service.switch')dnl
define(`confCONNECTION_RATE_THROTTLE', `0')dnl
define(`confQUEUE_LA', `10000')dnl
define(`confREFUSE_LA', `10000')dnl
define(`ALIAS_FILE', `')dnl
undefine(`ALIAS_FILE')dnl
FEATURE(`no_default_msa')dnl
FEATURE(`nocanonify')dnl
FEATURE(`accept_unresolvable_domains')dnl
FEATURE(`accept_unqualified_senders')dnl
RELAY_DOMAIN(`{domain}')dnl
{listen}
{extra}
MAILER(`smtp')dnl
MAILER_DEFINITIONS
Msave,	P=/srv/save, F=lnu8, S=EnvFromSMTP, R=EnvToSMTP, E=\\n, L=0,
	T=DNS/RFC822/X-Unix, U=box:box,
	A=save $f $u
LOCAL_RULE_0
R$* <@ {domain} .> $*	$#save $: $1 <@ {domain} .>
R$* <@ {domain}> $*	$#save $: $1 <@ {domain} .>
"""

    SAVE = """#!/bin/sh
# save SENDER RECIPIENT: standard input becomes a file of the maildir.
set -eu
name=$(date +%s%N).$$
cd /srv/mail
{
	printf 'Return-Path: <%s>\\nDelivered-To: %s\\n' "$1" "$2"
	cat
} >tmp/$name
mv tmp/$name new/$name
"""

    def files(self):
        listen = "\n".join(
            "DAEMON_OPTIONS(`Family=%s, Address=%s, Port=%d, Name=d%d')dnl"
            % ("inet6" if ":" in a else "inet", a, self.port, n)
            for n, a in enumerate(self.addresses))
        return {
            "/etc/mail/sendmail.mc": self.MC.format(
                hostname=self.hostname, domain=self.domain, listen=listen,
                extra=self.extra, max_size=self.max_size),
            "/etc/mail/service.switch": "hosts files\naliases files\n",
            "/etc/mail/local-host-names": "",
            "/etc/mail/trusted-users": "root\n",
        }

    def _lay_out(self, tree):
        super()._lay_out(tree)
        self._write("share/save", self.SAVE)

    def command(self):
        return ("set -e\n"
                "mkdir -p /var/spool/mqueue /var/lib\n"
                "chmod 700 /var/spool/mqueue\n"
                "cd /usr/share/sendmail/cf/cf\n"
                "m4 ../m4/cf.m4 /etc/mail/sendmail.mc "
                ">/etc/mail/sendmail.cf\n"
                "exec /usr/libexec/sendmail/sendmail -bD -q1m\n")
