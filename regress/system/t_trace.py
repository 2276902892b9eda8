#!/usr/bin/python3
"""add-header trace: the header is in front of each message, says what is so,
and nothing else of the message is another."""

import re

import lib
import lib_tls
from lib import Proxy, RawClient, ScriptedServer, check, check_equal, \
    check_match, check_octets
from mta.exim import Exim
from mta.postfix import Postfix

BODY = (b"..two dots\r\n.\r\n.one dot\r\n\r\ntrailing blanks  \t\r\n"
        b"high \xc3\xa9\xff octets\r\n" + b"x" * 900 + b"\r\n\r\n\r\n")
CLIENT = {4: "192.0.2.77", 6: "2001:db8::77"}

# What one header looks like, whatever the client said.
ATOM = rb"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]+"
HEADER = re.compile(
    rb"Received: from\s+(?P<helo>" + ATOM + rb"|\[[0-9A-Za-z:.-]+\])"
    rb"\s+\(\[(?P<client>[0-9A-Za-z:.]+)\]\)\r\n"
    rb"(?:\s+\(using (?P<tls>TLSv1\.[23]) with\s+cipher "
    rb"(?P<cipher>[A-Z0-9_-]+)"
    rb"(?:;\s+client\s+certificate\s+\"(?P<subject>[^\"\\()\r\n]+)\"\s+"
    rb"(?P<verified>not verified|verified))?\)\r\n)?"
    rb"\s+by (?P<by>" + ATOM + rb") \(smtpproxyd\) with\s+"
    rb"(?P<with>[A-Z0-9]+)\s+id\s+(?P<id>[0-9a-f]{16}\.\d+);\r\n"
    rb"\s+(?P<date>[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} "
    rb"\d\d:\d\d:\d\d \+0000)\r\n")


def take(octets):
    """(facts of the header in front, what stands behind it)"""
    m = HEADER.match(octets)
    check(m is not None, lambda: "%r" % octets[:800])
    check(all(len(line) <= 78 for line in m.group(0).split(b"\r\n")) or
          len(m.group("helo")) > 40, lambda: "%r" % m.group(0))
    return m, octets[m.end():]


def traced(*servers, v=4, **kw):
    """A proxy that adds the header."""
    return Proxy.to(*servers, extra="add-header trace", listen=[
        ({4: "127.0.0.1", 6: "::1"}[v], lib.free_port())], **kw)


def client_of(proxy, v=4):
    return RawClient(proxy.address, proxy.port,
                     source=lib.add_address(CLIENT[v]))


# --- Real servers -----------------------------------------------------------

def by_data(c, content):
    c.data(content)


def by_bdat(c, content):
    c.bdat(content)


def by_chunks(c, content):
    c.bdat(content, chunk=100)


WAYS = [("%s %s" % (mta.name, how.__name__), mta, how)
        for mta in (Postfix, Exim) for how in (by_data, by_bdat, by_chunks)]
PORT = {mta: lib.free_port() for mta in (Postfix, Exim)}


@lib.cases("way", WAYS)
def test_content_is_as_it_was(_, mta_class, how):
    mta = lib.shared(mta_class, port=PORT[mta_class])
    with traced(mta) as proxy:
        c = client_of(proxy)
        c.greet()
        ids = []
        for n in (1, 2):
            mark = lib.marker()
            content = lib.make_message(mark, body=BODY)
            c.envelope(params="BODY=8BITMIME SIZE=%d" % len(content))
            how(c, content)
            header, rest = take(mta.find(mark)[0].crlf)
            check_octets(rest, content, "content")
            check_equal(header["client"], CLIENT[4].encode())
            check_equal(header["helo"], b"client.example")
            check_equal(header["with"], b"ESMTP")
            check_equal(header["tls"], None)
            ids.append(header["id"].decode())
        c.quit()
        for n, msg in enumerate(ids):
            check_match(r"\.%d$" % (n + 1), msg)
            proxy.wait_for_record(msg=msg, delivered="yes")


@lib.cases("mta", [Postfix, Exim])
def test_facts_of_tls(mta_class):
    mta = lib.shared(mta_class, port=PORT[mta_class])
    with lib_tls.proxy(mta.at, listen="tls pki mx",
                       extra="add-header trace") as proxy:
        c = lib_tls.starttls(proxy)
        tls, cipher = c.sock.version(), c.sock.cipher()[0]
        mark = lib.marker()
        content = lib.make_message(mark, body=BODY)
        c.envelope(params="BODY=8BITMIME")
        c.data(content)
        c.quit()
        header, rest = take(mta.find(mark)[0].crlf)
        check_octets(rest, content, "content")
        check_equal((header["tls"], header["cipher"]),
                    (tls.encode(), cipher.encode()))
        check_equal(header["with"], b"ESMTPS")
        check_equal(header["subject"], None)


# --- What a client can choose -----------------------------------------------

HOSTILE = [("parenthesis", b"a)b(c"), ("comment", b"a (x) by evil"),
           ("quote", b"\"a\\\"b"), ("header", b"a;Bcc:x@y"),
           ("spaces", b"a b  c"), ("plus", b"a+0D+0Ab"),
           ("literal", b"[192.0.2.1]"), ("half a literal", b"[192.0.2.1"),
           ("not a literal", b"[a];b]"), ("tab", b"a\tb"),
           ("long", b"(" * 450)]


@lib.cases("helo", HOSTILE)
def test_a_hostile_helo(_, helo):
    with ScriptedServer() as server, traced(server) as proxy:
        c = client_of(proxy)
        c.expect(220)
        c.line(b"EHLO " + helo)
        c.expect(250)
        content = lib.make_message(body=BODY)
        c.envelope()
        c.data(content)
        c.quit()
        header, rest = take(server.wait_for_messages()[0].content)
        check_octets(rest, content, "content")
        if not helo.startswith(b"[1") or not helo.endswith(b"]"):
            got = re.sub(rb"\+([0-9A-F]{2})",
                         lambda m: bytes([int(m.group(1), 16)]),
                         header["helo"])
            check_equal(got, helo[:len(got)])
        else:
            check_equal(header["helo"], helo)


SUBJECTS = [("plain", "/CN=client", b"CN=client"),
            ("quote", "/CN=a\"b\\\\c", None),
            ("parenthesis", "/CN=a) by evil (b", None),
            ("line", "/CN=a\r\nBcc: x@y", None)]


@lib.cases("subject", SUBJECTS)
def test_a_hostile_subject(_, subject, want):
    cert = lib_tls.certificate(names=(), use="client", subject=subject)
    with ScriptedServer() as server, \
            lib_tls.proxy(server, listen="tls verify pki mx " + lib_tls.ca(),
                          extra="add-header trace") as proxy:
        c = lib_tls.starttls(
            proxy, context=lib_tls.client_context(cert=cert))
        content = lib_tls.deliver(c)
        c.quit()
        header, rest = take(server.wait_for_messages()[0].content)
        check_octets(rest, content, "content")
        check_equal(header["verified"], b"verified")
        check(want is None or header["subject"] == want,
              lambda: "%r" % header["subject"])


def test_a_certificate_that_proves_nothing():
    cert = lib_tls.certificate(names=(), use="client", subject="/CN=client",
                               ca="Other Root")
    with ScriptedServer() as server, \
            lib_tls.proxy(server, listen="tls verify pki mx " + lib_tls.ca(),
                          extra="add-header trace") as proxy:
        c = lib_tls.starttls(
            proxy, context=lib_tls.client_context(cert=cert))
        lib_tls.deliver(c)
        c.quit()
        header, _ = take(server.wait_for_messages()[0].content)
        check(header["verified"] != b"verified", "%r" % header.group(0))


# --- The numbers ------------------------------------------------------------

@lib.cases("how", [by_data, by_bdat, by_chunks])
def test_size_is_raised(how):
    """By as much as the header has."""
    with ScriptedServer() as server, traced(server, v=6) as proxy:
        c = client_of(proxy, 6)
        c.greet()
        content = lib.make_message(body=BODY)
        c.envelope(params="SIZE=%d BODY=8BITMIME" % len(content))
        how(c, content)
        c.quit()
        message = server.wait_for_messages()[0]
        header, rest = take(message.content)
        check_octets(rest, content, "content")
        check_equal(header["client"], b"IPv6:" + CLIENT[6].encode())
        check_match(rb" SIZE=%d BODY=8BITMIME$" % len(message.content),
                    message.mail)
        if message.chunks is not None:
            check_octets(message.chunks[0], header.group(0), "first chunk")


@lib.cases("case", [("HELO", True, "", b"SMTP"), ("EHLO", False, "", b"ESMTP"),
                    ("SMTPUTF8", False, "SMTPUTF8", b"UTF8SMTP")])
def test_protocol(_, helo, params, want):
    with ScriptedServer() as server, traced(server) as proxy:
        c = client_of(proxy)
        c.greet(helo=helo)
        c.envelope(params=params)
        c.data(lib.make_message())
        c.quit()
        header, _ = take(server.wait_for_messages()[0].content)
        check_equal(header["with"], want)


def test_pipelined():
    """With everything in one segment, as BDAT allows it."""
    with ScriptedServer() as server, traced(server) as proxy:
        c = client_of(proxy)
        c.greet()
        contents = [lib.make_message(body=BODY) for _ in range(3)]
        octets = b""
        for content in contents:
            octets += (b"MAIL FROM:<a@client.example>\r\n"
                       b"RCPT TO:<user@test.example>\r\n"
                       b"BDAT %d\r\n%sBDAT %d LAST\r\n%s" % (
                           100, content[:100], len(content) - 100,
                           content[100:]))
        c.send(octets)
        for _ in range(12):
            c.expect(250)
        c.quit()
        for message, content in zip(server.wait_for_messages(3), contents):
            check_octets(take(message.content)[1], content, "content")


def test_refused_chunk():
    """The reply to the header's chunk is nobody's; the client's own chunk
    behind it is refused then, and the session goes on."""
    with ScriptedServer(replies={
            "BDAT": "552 5.3.4 too much",
            "LAST": lib.Seq("503 5.5.1 no more of it", None)}) as server, \
            traced(server) as proxy:
        c = client_of(proxy)
        c.greet()
        c.envelope()
        c.bdat(lib.make_message(), want="5..")
        c.cmd("RSET")
        check_equal(server.messages, [])
        server.replies["BDAT"] = None
        c.envelope()
        content = lib.make_message()
        c.bdat(content)
        c.quit()
        check_octets(take(server.wait_for_messages()[0].content)[1],
                     content, "content")


def test_none_is_added():
    """Without the setting, and to sessions that pass unread."""
    for extra in ("", "bypass from <all>"):
        with ScriptedServer() as server, Proxy.to(
                server, top="table <all> { 127.0.0.0/8 192.0.2.0/24 }",
                extra=extra) as proxy:
            c = client_of(proxy)
            c.greet()
            content = lib.make_message(body=BODY)
            c.envelope()
            c.data(content)
            c.quit()
            check_octets(server.wait_for_messages()[0].content, content)


if __name__ == "__main__":
    lib.main()
