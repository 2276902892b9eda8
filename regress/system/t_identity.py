#!/usr/bin/python3
"""identity: who the client is, as Postfix hears it by XCLIENT, XFORWARD and
PROXY, HAProxy by PROXY, and what the octets of a PROXY header say."""

import re
import socket
import struct

import lib
import lib_tls
from lib import Proxy, RawClient, ScriptedServer, check, check_equal, \
    check_match
from mta.haproxy import Front, HAProxy
from mta.postfix import Postfix

CLIENT = {4: "192.0.2.77", 6: "2001:db8::77"}
LOOPBACK = {4: "127.0.0.1", 6: "::1"}
BOTH = [4, 6]
WAYS = [("%s IPv%d" % (kind, v), kind, v)
        for kind in ("xclient", "xforward", "proxy-v1", "proxy-v2")
        for v in BOTH]


# --- What hears it ----------------------------------------------------------

SERVICE = """
{0}:{1} inet n - n - - smtpd
  -o smtpd_client_port_logging=yes
  -o {{ {2} }}
"""

TRUSTS = {
    "xclient": "smtpd_authorized_xclient_hosts = 127.0.0.0/8",
    "xforward": "smtpd_authorized_xforward_hosts = 127.0.0.0/8",
    "proxy-v1": "smtpd_upstream_proxy_protocol = haproxy",
    "proxy-v2": "smtpd_upstream_proxy_protocol = haproxy",
}
PORTS = {kind: lib.free_port() for kind in TRUSTS}
PLAIN = lib.free_port()


def postfix(**more):
    """Postfix, with a port for each way to tell it."""
    master = "".join(SERVICE.format("127.0.0.1", PORTS[kind], trust)
                     for kind, trust in TRUSTS.items())
    return lib.shared(Postfix, port=PLAIN, master=master, **more)


def to(kind, server, v=4):
    """A proxy whose destination is told in this way."""
    return Proxy.to(server, listen=[(LOOPBACK[v], lib.free_port())],
                    extra="identity " + kind)


def client_of(proxy, v=4):
    return RawClient(proxy.address, proxy.port,
                     source=lib.add_address(CLIENT[v]))


def deliver(c, helo="client.example", greeted=False):
    """A session with one message; returns its marker."""
    mark = lib.marker()
    if not greeted:
        c.greet(helo)
    c.envelope()
    c.data(lib.make_message(mark))
    c.quit()
    return mark.decode()


def literal(v):
    return re.escape("[%s]" % CLIENT[v])


@lib.cases("way", WAYS)
@lib.long
def test_postfix_knows_the_client(_, kind, v):
    mta = postfix()
    with to(kind, ("127.0.0.1", PORTS[kind]), v) as proxy:
        c = client_of(proxy, v)
        port = c.name[1]
        mark = deliver(c)
        found = mta.find(mark)[0]
        if kind == "xforward":
            # It believes us for its log, never for its decisions.
            check_match(r"\[127\.0\.0\.1\]", found.added)
            sess = proxy.wait_for_record(delivered="yes")["msg"]
            mta.wait_for_log(r"client=\S+\[127\.0\.0\.1\]\S*, orig_queue_id="
                             r"%s, orig_client=\S*%s" % (re.escape(sess),
                                                         literal(v)))
            return
        check_match(literal(v).replace(r"\[", r"\[(IPv6:)?"), found.added)
        if kind != "xclient":
            mta.wait_for_log(r"connect from unknown%s:%d$" % (literal(v),
                                                              port))
        mta.wait_for_log(r" client=unknown%s:%d$" % (literal(v), port))


# --- XCLIENT ----------------------------------------------------------------

@lib.long
def test_xclient_where_it_is_not_offered():
    mta = postfix()
    with to("xclient", mta) as proxy:
        c = client_of(proxy)
        c.expect(421)
        c.expect_eof()
        line = proxy.wait_for_log("destination offers no XCLIENT")
        check("session" in line, line)


@lib.long
def test_xclient_goes_to_one_that_offers_it():
    """The first of two destinations does not know it: the second is used."""
    postfix()
    conf = Proxy.conf_to(("127.0.0.1", PLAIN),
                         ("127.0.0.1", PORTS["xclient"]),
                         extra="identity xclient")
    with Proxy(conf) as proxy:
        c = client_of(proxy)
        c.greet()
        c.quit()
        record = proxy.wait_for_record(messages="0")
        check_equal(record["destination"],
                    "127.0.0.1:%d" % PORTS["xclient"])


def told(server, n=1):
    """The lines of a scripted server's n-th connection that are ours."""
    return [c for c in server.wait_for_conn(n).commands
            if c.startswith((b"XCLIENT", b"XFORWARD"))]


XCLIENT_OFFER = ("PIPELINING", "XCLIENT NAME ADDR PORT PROTO HELO LOGIN "
                 "DESTADDR DESTPORT")


def test_xclient_says_each_fact_once():
    with ScriptedServer(ehlo=XCLIENT_OFFER, replies={
            "XCLIENT": "220 server.test.example again"}) as server, \
            to("xclient", server, 6) as proxy:
        c = client_of(proxy, 6)
        check_equal(c.expect(220), b"220 server.test.example again\r\n")
        words = c.ehlo()
        check("XCLIENT" not in words, "%r" % words)
        deliver(c, greeted=True)
        check_equal(told(server), [
            b"XCLIENT NAME=[UNAVAILABLE] ADDR=IPV6:%s PORT=%d "
            b"DESTADDR=IPV6:::1 DESTPORT=%d" % (
                CLIENT[6].encode(), c.transcript and
                proxy_port_of(proxy), proxy.port)])


def proxy_port_of(proxy):
    """The client's port, by the proxy's log."""
    return int(proxy.wait_for_record(messages="1")["client"]
               .rpartition(":")[2])


@lib.cases("reply", ["550 5.7.1 not from you", "501 5.5.4 what",
                     "250 2.0.0 fine"])
def test_xclient_refused(reply):
    """Then that destination must not be used: it would take the session for
    ours."""
    with ScriptedServer(ehlo=XCLIENT_OFFER,
                        replies={"XCLIENT": reply}) as server, \
            to("xclient", server) as proxy:
        c = client_of(proxy)
        c.expect(421)
        c.expect_eof()
        proxy.wait_for_log("destination refused XCLIENT")
        check_equal(server.messages, [])


@lib.cases("reply", ["554 5.7.1 listed", "421 4.7.0 too many of yours"])
@lib.long
def test_xclient_judges_the_client(reply):
    """As a greeting does: it is for the client to hear."""
    with ScriptedServer(ehlo=XCLIENT_OFFER,
                        replies={"XCLIENT": reply}) as server, \
            to("xclient", server) as proxy:
        c = client_of(proxy)
        check_equal(c.expect(int(reply[:3])), reply.encode() + b"\r\n")
        c.expect_eof()


# --- XFORWARD ---------------------------------------------------------------

XFORWARD_OFFER = ("PIPELINING", "XFORWARD NAME ADDR PORT PROTO HELO IDENT "
                  "SOURCE")
XTEXT = re.compile(rb"XFORWARD(?: [A-Z]+=[!-*,-<>-~+]+)+")


def decode(value):
    return re.sub(rb"\+([0-9A-F]{2})",
                  lambda m: bytes([int(m.group(1), 16)]), value)


HOSTILE = [("plain", b"client.example"),
           ("equals", b"a=b"),
           ("plus", b"a+0D+0Ab"),
           ("spaces", b"two words ADDR=192.0.2.1"),
           ("quotes", b"\"q\\\"<>()"),
           ("unavailable", b"[UNAVAILABLE]"),
           ("literal", b"[192.0.2.9]"),
           ("long", b"x" * 400)]


def try_helo(c, helo):
    """EHLO with these octets; whether it was accepted."""
    c.expect(220)
    c.line(b"EHLO " + helo)
    return c.read_reply()[0] == 250


@lib.cases("helo", HOSTILE)
@lib.long
def test_xforward_and_a_hostile_helo(_, helo):
    with ScriptedServer(ehlo=XFORWARD_OFFER, replies={
            "XFORWARD": "250 2.0.0 fine"}) as server, \
            to("xforward", server) as proxy:
        c = client_of(proxy)
        check(try_helo(c, helo), lambda: c.dialogue())
        deliver(c, greeted=True)
        line, = told(server)
        check(XTEXT.fullmatch(line), lambda: "%r" % line)
        check(len(line) <= 510, lambda: "%r" % line)
        values = dict(word.split(b"=", 1) for word in line.split()[1:])
        check_equal(values[b"ADDR"], CLIENT[4].encode())
        got = decode(values[b"HELO"])
        check_equal(got, helo[:len(got)])
        check(got == helo or len(values[b"HELO"]) > 250, "%r" % line)
        check_equal(values[b"SOURCE"], b"REMOTE")
        check_equal(values[b"PROTO"], b"ESMTP")


@lib.cases("octets", [("CR LF", b"a\r\nXFORWARD ADDR=192.0.2.1"),
                      ("bare LF", b"a\nXFORWARD ADDR=192.0.2.1"),
                      ("bare CR", b"a\rXFORWARD ADDR=192.0.2.1"),
                      ("NUL", b"a\0b")])
@lib.long
def test_a_helo_of_two_lines(_, octets):
    """CR LF ends the command, whatever stands behind it is one of the
    client's; anything else that might end a line is refused."""
    with ScriptedServer(ehlo=XFORWARD_OFFER, replies={
            "XFORWARD": "250 2.0.0 fine"}) as server, \
            to("xforward", server) as proxy:
        c = client_of(proxy)
        c.expect(220)
        c.send(b"EHLO " + octets + b"\r\nQUIT\r\n")
        c.read_all()
        c.close()
        server.wait_idle()
        check_equal(told(server), [])


def test_xforward_for_each_message():
    with ScriptedServer(ehlo=XFORWARD_OFFER, replies={
            "XFORWARD": "250 2.0.0 fine"}) as server, \
            to("xforward", server) as proxy:
        c = client_of(proxy)
        c.greet()
        for _ in range(2):
            c.envelope()
            c.cmd("RSET")
        deliver(c, greeted=True)
        idents = [re.search(rb"IDENT=(\S+)", x).group(1)
                  for x in told(server)]
        sess = proxy.wait_for_record(delivered="yes")["sess"].encode()
        check_equal(idents, [sess + b".%d" % n for n in (1, 2, 3)])


@lib.long
def test_postfix_passes_the_helo_on():
    """Through Postfix and out again by its own XFORWARD: decoded there."""
    with ScriptedServer(ehlo=XFORWARD_OFFER, replies={
            "XFORWARD": "250 2.0.0 fine"}) as behind:
        port = lib.free_port()
        master = SERVICE.format("127.0.0.1", port, TRUSTS["xforward"])
        extra = ("smtp_send_xforward_command = yes\n"
                 "relay_domains = far.example\n"
                 "relay_transport = smtp:[127.0.0.1]:%d\n" % behind.port)
        with Postfix(port=lib.free_port(), master=master,
                     extra=extra) as mta:
            del mta
            with to("xforward", ("127.0.0.1", port)) as proxy:
                c = client_of(proxy)
                check(try_helo(c, b"a+b=c"), lambda: c.dialogue())
                c.envelope(recipients=["user@far.example"])
                c.data(lib.make_message())
                c.quit()
                behind.wait_for_messages(1)
                line = b" ".join(told(behind))
                check_match(rb"ADDR=%s( |$)" % CLIENT[4].encode(), line)
                check_match(rb"HELO=a\+2Bb(=|\+3D)c( |$)", line)


@lib.cases("kind", ["xclient", "xforward"])
@lib.long
def test_clients_cannot_say_it(kind):
    """Where the destination would believe it."""
    postfix()
    with to(kind, ("127.0.0.1", PORTS[kind])) as proxy:
        c = client_of(proxy)
        words = c.greet()
        check(kind.upper() not in words, "%r" % words)
        for verb in ("XCLIENT", "XFORWARD", "PROXY"):
            c.cmd("%s ADDR=198.51.100.1" % verb, 502)
        c.cmd("PROXY TCP4 198.51.100.1 192.0.2.1 1 25", 502)
        c.expect(421)
        c.expect_eof()


# --- PROXY ------------------------------------------------------------------

@lib.cases("way", [w for w in WAYS if w[1].startswith("proxy")])
@lib.long
def test_haproxy_takes_our_header(_, kind, v):
    with ScriptedServer() as server:
        front = Front(server.at, "accept-proxy", "send-proxy")
        server.replies["connect"] = take_line
        with HAProxy(front) as haproxy, to(kind, front, v) as proxy:
            c = client_of(proxy, v)
            port = c.name[1]
            deliver(c)
            haproxy.wait_for_log("front=%s:%d client=%s:%d " % (
                LOOPBACK[v], proxy.port, CLIENT[v], port))
            # And as HAProxy tells it on.
            check_equal(server.wait_for_conn().header,
                        b"PROXY TCP%d %s %s %d %d" % (
                            v, CLIENT[v].encode(), LOOPBACK[v].encode(),
                            port, proxy.port))


def take_line(conn, _):
    conn.header = conn.read_line()


SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
TLV_AUTHORITY, TLV_SSL = 0x02, 0x20
SSL_VERSION, SSL_CN, SSL_CIPHER = 0x21, 0x22, 0x23
CLIENT_SSL, CLIENT_CERT_CONN, CLIENT_CERT_SESS = 1, 2, 4


def tlvs(raw):
    """{type: value}, each once, nothing left over."""
    found = {}
    while raw:
        kind, length = struct.unpack_from(">BH", raw)
        check(kind not in found and len(raw) >= 3 + length, "%r" % raw)
        found[kind] = raw[3:3 + length]
        raw = raw[3 + length:]
    return found


def take_v2(conn, _):
    """Read a header of version 2: conn.header becomes (source, port,
    destination, port, TLVs)."""
    head = conn.read_octets(16)
    check_equal(head[:12], SIGNATURE)
    check_equal(head[12], 0x21, "version and command")
    check(head[13] in (0x11, 0x21), "family %#x" % head[13])
    raw = conn.read_octets(struct.unpack(">H", head[14:])[0])
    v, size = (socket.AF_INET, 4) if head[13] == 0x11 else \
        (socket.AF_INET6, 16)
    ends = [socket.inet_ntop(v, raw[n:n + size]) for n in (0, size)]
    ports = struct.unpack_from(">HH", raw, 2 * size)
    conn.header = (ends[0], ports[0], ends[1], ports[1],
                   tlvs(raw[2 * size + 4:]))


@lib.cases("v", BOTH)
def test_v2_with_a_wildcard_listener(v):
    """The local address is where the client connected to."""
    here = lib.add_address({4: "192.0.2.25", 6: "2001:db8::25"}[v])
    with ScriptedServer(replies={"connect": take_v2}) as server, \
            Proxy.to(server, listen=[({4: "0.0.0.0", 6: "::"}[v],
                                      lib.free_port())],
                     extra="identity proxy-v2") as proxy:
        c = RawClient(here, proxy.port, source=lib.add_address(CLIENT[v]))
        port = c.name[1]
        deliver(c)
        check_equal(server.wait_for_conn().header,
                    (CLIENT[v], port, here, proxy.port, {}))


CLIENT_CERT = "/CN=someone"


@lib.cases("way", [("IPv4", 4, None), ("IPv6", 6, None),
                   ("with a certificate", 4, lib_tls.ROOT),
                   ("with one of others", 4, "Other Root")])
def test_v2_carries_facts_of_smtps(_, v, ca):
    """The destination is connected to behind the handshake, so it can be told
    what came of it; a certificate that was not verified proves nothing."""
    cert = lib_tls.certificate(use="client", subject=CLIENT_CERT, ca=ca) \
        if ca else None
    has_cert = ca == lib_tls.ROOT
    with ScriptedServer(replies={"connect": take_v2}) as server, \
            lib_tls.proxy(server, address=LOOPBACK[v],
                          listen="smtps verify pki mx " + lib_tls.ca(),
                          extra="identity proxy-v2") as proxy:
        c = lib_tls.implicit(
            proxy, context=lib_tls.client_context("1.3", cert=cert),
            source=lib.add_address(CLIENT[v]))
        deliver(c, greeted=True)
        *ends, more = server.wait_for_conn().header
        check_equal(ends[0], CLIENT[v])
        check_equal(more[TLV_AUTHORITY], lib_tls.NAME.encode())
        bits, verify = struct.unpack_from(">BI", more[TLV_SSL])
        facts = tlvs(more[TLV_SSL][5:])
        check_equal(facts[SSL_VERSION], b"TLSv1.3")
        check_match(rb"TLS_[A-Z0-9_]+", facts[SSL_CIPHER])
        check_equal(bits, CLIENT_SSL | (CLIENT_CERT_CONN | CLIENT_CERT_SESS
                                        if has_cert else 0))
        check_equal(verify == 0, has_cert)
        check_equal(facts.get(SSL_CN), b"CN=someone" if has_cert else None)


@lib.long
def test_haproxy_reads_the_name():
    """The TLV with the name, as another reader understands it."""
    with ScriptedServer() as server:
        front = Front(server.at, "accept-proxy")
        with HAProxy(front) as haproxy, \
                lib_tls.proxy(front, listen="smtps pki mx",
                              extra="identity proxy-v2") as proxy:
            c = lib_tls.implicit(proxy)
            port = c.name[1]
            deliver(c, greeted=True)
            haproxy.wait_for_log("front=127.0.0.1:%d client=127.0.0.1:%d "
                                 "authority=%s" % (proxy.port, port,
                                                   lib_tls.NAME))


def test_a_failed_handshake_reaches_no_destination():
    with ScriptedServer(replies={"connect": take_v2}) as server, \
            lib_tls.proxy(server, listen="smtps pki mx",
                          extra="identity proxy-v2") as proxy:
        c = RawClient(proxy.address, proxy.port)
        c.send(b"EHLO client.example\r\n")
        c.read_all()
        lib_tls.session(proxy)
        check_equal(len(server.conns), 0, "connections")


# --- Beside TLS -------------------------------------------------------------

def test_clients_cannot_say_it_in_tls_either():
    postfix()
    with lib_tls.proxy(("127.0.0.1", PORTS["xclient"]), listen="tls pki mx",
                       extra="identity xclient") as proxy:
        c = lib_tls.starttls(proxy)
        for verb in ("XCLIENT", "XFORWARD", "PROXY"):
            check(verb not in c.words, "%r" % c.words)
            c.cmd("%s ADDR=198.51.100.1" % verb, 502)
        c.cmd("PROXY TCP4 198.51.100.1 192.0.2.1 1 25", 502)
        c.expect(421)


@lib.long
@lib.cases("kind", ["xclient", "xforward"])
def test_behind_tls_to_postfix(kind):
    """It is told in the TLS of the destination's leg, once that stands."""
    port = lib.free_port()
    master = SERVICE.format("127.0.0.1", port, TRUSTS[kind])
    with Postfix(port=lib.free_port(), master=master, tls=lib_tls.pem(),
                 extra="smtpd_tls_security_level = encrypt") as mta, \
            lib_tls.proxy((lib_tls.NAME, port), listen="tls pki mx",
                          forward="tls " + lib_tls.ca(),
                          extra="identity " + kind) as proxy:
        c = lib_tls.starttls(proxy, source=lib.add_address(CLIENT[4]))
        found = mta.find(deliver(c, greeted=True))[0]
        check_match(b"using TLSv1.3", found.added)
        if kind == "xclient":
            check_match(literal(4), found.added)
        else:
            mta.wait_for_log("orig_client=\\S*" + literal(4))


if __name__ == "__main__":
    lib.main()
