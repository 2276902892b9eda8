#!/usr/bin/python3
"""Real mail servers with TLS on both legs: Postfix, Exim and OpenSMTPD send
through the proxy to Postfix and Exim, and each side insists on TLS.

Debian 12's OpenSMTPD is no TLS server: on OpenSSL 3 its private keys are out
of its own reach (its issues 1171 and 1239).  So it gets its mail in clear.
"""

import re
import shutil

import lib
import lib_tls
from lib import Skip, check, check_equal, check_match, check_octets
from mta.exim import Exim
from mta.opensmtpd import OpenSMTPD
from mta.postfix import Postfix

LONG = True
CA = "/etc/ssl/certs/ca-certificates.crt"
BODY = (b"..two dots\r\n.\r\n.one dot\r\n\r\ntrailing blanks  \t\r\n"
        b"high \xc3\xa9\xff octets\r\n" + b"x" * 900 + b"\r\n\r\n\r\n")


# --- Destinations: no mail without TLS --------------------------------------

SERVERS = {
    Postfix: {"extra": "smtpd_tls_security_level = encrypt"},
    Exim: {"acl": "  deny ! encrypted = *\n"},
    OpenSMTPD: None,
}
PORT = {server: lib.free_port() for server in SERVERS}


def destination(server):
    if SERVERS[server] is None:
        return lib.shared(server, port=PORT[server])
    return lib.shared(server, port=PORT[server], tls=lib_tls.pem(),
                      **SERVERS[server])


def between(mta, listen="tls-require pki mx", **kw):
    """A proxy with verified TLS to it, where it can have that."""
    return lib_tls.proxy((lib_tls.NAME, mta.port), listen=listen,
                         forward="tls " + lib_tls.ca() if mta.tls else "",
                         **kw)


# --- Senders ----------------------------------------------------------------

# A sender's hosts file has its own name alone, so that it must be the
# proxy's: what they verify is its certificate.
def sender(cls, **kw):
    with open(lib_tls.root(lib_tls.ROOT).cert) as f:
        return cls(port=lib.free_port(), domain="sender.example",
                   hostname=lib_tls.NAME, etc=((CA, f.read()),), **kw)


def postfix(level, port):
    return sender(Postfix, extra="smtp_tls_security_level = %s\n"
                  "smtp_tls_CAfile = %s\nsmtp_tls_loglevel = 1\n"
                  "smtp_host_lookup = native\n"
                  "default_transport = smtp:[%s]:%d\n" % (
                      level, CA, lib_tls.NAME, port))


def postfix_encrypt(port):
    return postfix("encrypt", port)


def postfix_secure(port):
    return postfix("secure", port)


def exim(port):
    return sender(
        Exim, acl="  accept hosts = 127.0.0.1\n",
        extra="log_selector = +tls_cipher +tls_certificate_verified",
        routers="out:\n  driver = manualroute\n"
        "  domains = ! +local_domains\n"
        "  route_list = * %s byname\n  self = send\n"
        "  transport = out\n" % lib_tls.NAME,
        transports="out:\n  driver = smtp\n  port = %d\n"
        "  hosts_require_tls = *\n  tls_verify_hosts = *\n"
        "  tls_verify_certificates = %s\n  tls_sni = $host\n" % (port, CA))


def opensmtpd(port):
    return sender(
        OpenSMTPD, extra='action "out" relay host smtp+tls://%s:%d\n'
        'match from any for any action "out"\n' % (lib_tls.NAME, port))


# What a sender logs of a connection that it has verified.
SENDERS = {
    postfix_encrypt: r"Trusted TLS connection established to %s" %
                     lib_tls.NAME,
    postfix_secure: r"Verified TLS connection established to %s" %
                    lib_tls.NAME,
    exim: r"=> user@test\.example .* X=TLS\S+ CV=yes",
    opensmtpd: r'mta server-cert-check result="success"',
}
# OpenSMTPD waits for seconds before it sends: once will do.
WAYS = [("%s to %s" % (a.__name__, b.name), a, b) for a in SENDERS
        for b in SERVERS if a is not opensmtpd or b is OpenSMTPD]


@lib.cases("way", WAYS)
def test_both_legs(_, start, server):
    mta = destination(server)
    with between(mta) as proxy, start(proxy.port) as mail:
        mark = lib.marker()
        content = lib.make_message(mark, body=BODY)
        c = lib.RawClient(*mail.at)
        c.greet()
        c.envelope(params="BODY=8BITMIME")
        c.data(content)
        c.quit()
        found = mta.find(mark)
        check_equal(len(found), 1, "deliveries")
        check(found[0].crlf.endswith(b"\r\n" + content),
              lambda: "%r" % found[0].crlf)
        mail.wait_for_log(SENDERS[start])
        # OpenSMTPD keeps its session for ten seconds otherwise.
        mail.stop()
        record = lib_tls.session(proxy, delivered="1")
        check_match(r"^TLSv1\.[23]$", record["tls"])
        if mta.tls:
            check_match(r"^TLSv1\.[23]$", record["dest_tls"])
            check_equal(record["dest_verify"], "ok")


@lib.cases("start", [postfix_secure, exim, opensmtpd])
def test_a_sender_refuses_another_name(start):
    """What they verify counts: nothing goes out."""
    mta = destination(Postfix)
    with between(mta, pki={"mx": lib_tls.wrong_name()}) as proxy, \
            start(proxy.port) as mail:
        mark = lib.marker()
        c = lib.RawClient(*mail.at)
        c.greet()
        c.envelope()
        c.data(lib.make_message(mark))
        c.quit()
        mail.wait_for_log(r"status=deferred|== user@test\.example|"
                          r"SSL certificate check failed")
        check_equal([d for d in mta.messages() if mark in d.raw], [])


# --- Other clients ----------------------------------------------------------

@lib.cases("way", [("starttls", "tls-require pki mx", "--tls"),
                   ("smtps", "smtps pki mx", "--tls-on-connect")])
def test_swaks(_, listen, option):
    if shutil.which("swaks") is None:
        raise Skip("no swaks: make test-deps")
    mta = destination(Exim)
    with between(mta, listen=listen) as proxy:
        mark = lib.marker()
        lib.Program("swaks", option, "--server", proxy.address, "--port",
                    proxy.port, "--from", "a@client.example", "--to",
                    "user@test.example", "--header",
                    "X-Marker: " + mark.decode()).wait()
        check_equal(len(mta.find(mark)), 1)


EXTENSIONS = ("PIPELINING", "SIZE", "8BITMIME", "SMTPUTF8", "DSN",
              "CHUNKING", "ENHANCEDSTATUSCODES", "VRFY", "ETRN")


def test_extensions_in_tls():
    """Of those that pass without TLS none is missing, or without effect."""
    mta = destination(Postfix)
    with between(mta) as proxy:
        c = lib_tls.starttls(proxy)
        missing = set(EXTENSIONS) - set(c.words)
        check(not missing, lambda: "no %r in %r" % (missing, c.words))
        check_equal(c.words["SIZE"], str(mta.max_size))
        mark = lib.marker()
        content = lib.make_message(mark, body=BODY)
        c.cmd("MAIL FROM:<s\u00e9nder@test.example> SMTPUTF8 BODY=8BITMIME "
              "SIZE=%d RET=HDRS ENVID=%s" % (len(content), mark.decode()))
        c.cmd("RCPT TO:<us\u00e9r@test.example> NOTIFY=SUCCESS,FAILURE "
              "ORCPT=utf-8;us\\x{E9}r@test.example")
        c.bdat(content, chunk=300)
        c.quit()
        found = lib.wait_until(
            lambda: len(mta.find(mark)) >= 2 and mta.find(mark), 30,
            "the message, and word of its delivery")
        message, = [d for d in found if d.sender != ""]
        report, = [d for d in found if d.sender == ""]
        check_octets(message.crlf, content, "content")
        check_equal(message.recipient, "us\u00e9r@test.example")
        check_match(rb"\nOriginal-Envelope-Id: " + re.escape(mark),
                    report.raw)
        check_match(rb"\nAction: delivered\n", report.raw)


@lib.cases("way", [("EHLO in clear, and in TLS", "tls pki mx", "", False),
                   ("ours, and EHLO", "", "tls opportunistic", False),
                   ("ours, and HELO", "", "tls opportunistic", True),
                   ("three", "tls pki mx", "tls opportunistic", False)])
def test_one_ehlo_is_enough_for_opensmtpd(_, listen, forward, helo):
    """It refuses the second of a session, which is our doing."""
    mta = destination(OpenSMTPD)
    with lib_tls.proxy(mta.at, listen=listen, forward=forward) as proxy:
        c = lib_tls.connect(proxy)
        words = c.greet(helo=helo)
        if listen:
            c.starttls()
            words = c.ehlo()
        check(helo or "8BITMIME" in words, lambda: "%r" % words)
        mark = lib.marker()
        content = lib.make_message(mark)
        c.envelope()
        c.data(content)
        c.quit()
        check_octets(mta.find(mark)[0].crlf, content, "content")


@lib.cases("server", [Postfix, Exim])
def test_pipelined_in_tls(server):
    mta = destination(server)
    with between(mta) as proxy:
        c = lib_tls.starttls(proxy)
        marks = [lib.marker() for _ in range(3)]
        contents = [lib.make_message(mark, body=BODY) for mark in marks]
        c.send(b"".join(
            b"MAIL FROM:<a@client.example>\r\nRCPT TO:<user@test.example>"
            b"\r\nBDAT %d LAST\r\n%s" % (len(content), content)
            for content in contents) + b"QUIT\r\n")
        for _ in range(9):
            c.expect(250)
        c.expect(221)
        for mark, content in zip(marks, contents):
            check_octets(mta.find(mark)[0].crlf, content, "content")


if __name__ == "__main__":
    lib.main()
