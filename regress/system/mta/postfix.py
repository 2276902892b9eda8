"""Postfix 3.7 (Debian 12).

Delivery by virtual(8) into one maildir, one file for each recipient.  In
front of the message it puts Return-Path, X-Original-To, Delivered-To and
Received.  It changes nothing else: rewriting of headers and adding of missing
ones are off, and long lines stay whole.  A message whose first line is no
header gets an empty line in front of it.
Its stock smtpd_forbid_bare_newline = no ends DATA at LF.LF: a lenient
destination.

    master    lines for master.cf: further services
"""

import os

import lib
from mta.base import Mta, BOX_UID, TLS_CERT, TLS_KEY


class Postfix(Mta):
    name = "postfix"
    adds = ("Return-Path", "X-Original-To", "Delivered-To", "Received")
    accepted = r"postfix/cleanup\[\d+\]: \w+: message-id="

    MASTER = """
{listen}
pickup    unix n - n 60 1 pickup
cleanup   unix n - n - 0 cleanup
qmgr      unix n - n 300 1 qmgr
tlsmgr    unix - - n 1000? 1 tlsmgr
rewrite   unix - - n - - trivial-rewrite
bounce    unix - - n - 0 bounce
defer     unix - - n - 0 bounce
trace     unix - - n - 0 bounce
verify    unix - - n - 1 verify
flush     unix n - n 1000? 0 flush
proxymap  unix - - n - - proxymap
proxywrite unix - - n - 1 proxymap
smtp      unix - - n - - smtp
relay     unix - - n - - smtp
showq     unix n - n - - showq
error     unix - - n - - error
retry     unix - - n - - error
discard   unix - - n - - discard
local     unix - n n - - local
virtual   unix - n n - - virtual
lmtp      unix - - n - - lmtp
anvil     unix - - n - 1 anvil
scache    unix - - n - 1 scache
postlog   unix-dgram n - n - 1 postlogd
"""

    MAIN = """
compatibility_level = 3.6
myhostname = {hostname}
mydestination =
inet_interfaces = {interfaces}
inet_protocols = all
mynetworks = 127.0.0.0/8 [::1]/128
smtpd_relay_restrictions = permit_mynetworks, reject_unauth_destination
virtual_mailbox_domains = {domain}
virtual_mailbox_base = /srv
virtual_mailbox_maps = static:mail/
virtual_minimum_uid = 100
virtual_uid_maps = static:{uid}
virtual_gid_maps = static:{uid}
virtual_mailbox_limit = 0
message_size_limit = {max_size}
local_header_rewrite_clients =
alias_maps =
alias_database =
smtpd_client_connection_count_limit = 0
smtpd_client_connection_rate_limit = 0
smtpd_peername_lookup = no
in_flow_delay = 0
{tls}
{extra}
"""

    TLS = """
smtpd_tls_security_level = may
smtpd_tls_loglevel = 1
smtpd_tls_received_header = yes
smtpd_tls_cert_file = %s
smtpd_tls_key_file = %s
""" % (TLS_CERT, TLS_KEY)

    def __init__(self, master="", **kw):
        super().__init__(**kw)
        self.master = master

    def files(self):
        listen = "\n".join(
            "%s:%d inet n - n - - smtpd"
            % ("[%s]" % a if ":" in a else a, self.port)
            for a in self.addresses)
        return {
            "/etc/postfix/main.cf": self.MAIN.format(
                hostname=self.hostname, domain=self.domain, uid=BOX_UID,
                interfaces=" ".join(self.addresses), extra=self.extra,
                max_size=self.max_size,
                tls="" if self.tls is None else self.TLS),
            "/etc/postfix/master.cf":
                self.MASTER.format(listen=listen) + self.master,
        }

    def command(self):
        # Not by `postfix start-fg`: its checks of every file take a second.
        # What they make has to be made here.
        return ("set -e\n"
                "mkdir -p /var/lib/postfix /var/spool/postfix\n"
                "chown 901:901 /var/lib/postfix\n"
                "cd /var/spool/postfix\n"
                "[ -d pid ] || {\n"
                "own='active bounce corrupt defer deferred flush hold "
                "incoming private saved trace'\n"
                "mkdir -m 755 pid\n"
                "mkdir -m 700 $own\n"
                "mkdir -m 710 public\n"
                "mkdir -m 730 maildrop\n"
                "chown 901 $own\n"
                "chown 901:907 public maildrop\n"
                "}\n"
                "exec /usr/lib/postfix/sbin/master -s\n")


def tool(name):
    """(argv[0], environment) of a program that comes with Postfix, such as
    smtp-source, smtp-sink and postconf, run from the unpacked tree."""
    tree = os.path.join(lib.mta_dir(), "postfix")
    path = os.path.join(tree, "usr/sbin", name)
    if not os.path.exists(path):
        raise lib.Skip("no %s: run `make test-deps`" % name)
    env = dict(os.environ)
    env["LD_LIBRARY_PATH"] = os.path.join(tree, "usr/lib/postfix")
    env["MAIL_CONFIG"] = os.path.join(tree, "etc/postfix")
    return path, env
