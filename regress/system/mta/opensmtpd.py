"""OpenSMTPD 6.8.0p2 (Debian 12).

Delivery by mail.maildir into one maildir, one file for each recipient.  In
front of the message it puts Return-Path, Delivered-To and Received; behind the
message's own headers it puts Date and Message-Id where they are missing.
It offers neither PIPELINING nor CHUNKING, answers pipelined commands with 500
and a close, and takes lines that end in LF alone: a lenient destination.
"""

from mta.base import Mta, TLS_CERT, TLS_KEY


class OpenSMTPD(Mta):
    name = "opensmtpd"
    adds = ("Return-Path", "Delivered-To", "Received")
    accepted = r" smtp message msgid="

    CONFIG = """
table boxes {{ "@" = "box" }}
smtp max-message-size {max_size}
{tls}
{listen}
{extra}
action "save" maildir "/srv/mail" virtual <boxes>
match from any for domain "{domain}" action "save"
"""

    TLS = """pki mail cert "%s"
pki mail key "%s"
""" % (TLS_CERT, TLS_KEY)

    def files(self):
        words = "" if self.tls is None else "tls pki mail"
        listen = "\n".join("listen on %s port %d %s hostname %s"
                           % (a, self.port, words, self.hostname)
                           for a in self.addresses)
        return {
            "/etc/smtpd.conf": self.CONFIG.format(
                domain=self.domain, listen=listen, extra=self.extra,
                max_size=self.max_size,
                tls="" if self.tls is None else self.TLS),
        }

    def command(self):
        return ("mkdir -p /var/lib/opensmtpd/empty /var/spool/smtpd\n"
                "chmod 711 /var/spool/smtpd\n"
                "exec /usr/sbin/smtpd -dv\n")
