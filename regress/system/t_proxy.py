#!/usr/bin/python3
"""listen ... proxy-protocol: clients behind a load balancer, whose header is
believed from the addresses of a table and from nobody else."""

import re
import socket
import ssl
import struct

import lib
import lib_tls
from lib import RawClient, ScriptedServer, check, check_equal, check_match
from mta.haproxy import Front, HAProxy
from mta.postfix import Postfix

CLIENT = "198.51.100.7"
STRANGER = "192.0.2.66"
V1 = b"PROXY TCP4 198.51.100.7 192.0.2.25 4321 25\r\n"
SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
V2 = SIGNATURE + bytes([0x21, 0x11, 0, 12]) + bytes(
    [198, 51, 100, 7, 192, 0, 2, 25]) + struct.pack(">HH", 4321, 25)
LOCAL = SIGNATURE + bytes([0x20, 0, 0, 0])
TOP = "table <lb> { 127.0.0.1 ::1 }"


def balanced(server, words="", tls="", **kw):
    return lib_tls.proxy(
        server, listen="%s proxy-protocol from <lb> %s" % (tls, words),
        top=TOP, **kw)


def ended(proxy, **fields):
    return lib_tls.session(proxy, **fields)


@lib.cases("version", ["send-proxy", "send-proxy-v2"])
@lib.long
def test_haproxy_in_front(version):
    with ScriptedServer() as server, balanced(server) as proxy:
        front = Front((proxy.address, proxy.port), server=version)
        with HAProxy(front):
            c = RawClient(*front.at, source=lib.add_address(STRANGER))
            port = c.name[1]
            c.greet()
            c.quit()
            record = ended(proxy, reason="quit")
            check_equal(record["client"], "%s:%d" % (STRANGER, port))
            check_match(r"127\.0\.0\.1:\d+$", record["proxy"])


@lib.long
def test_health_checks_of_haproxy():
    """With send-proxy-v2 they say LOCAL; HAProxy finds the proxy up."""
    with ScriptedServer() as server, balanced(server) as proxy:
        front = Front((proxy.address, proxy.port), more="option smtpchk",
                      server="send-proxy-v2 check inter 100ms rise 1")
        with HAProxy(front):
            record = ended(proxy)
            check("proxy" not in record, lambda: "%r" % record)
            check_match(r"127\.0\.0\.1:", record["client"])


HEADERS = [("v1", V1), ("v2", V2)]


@lib.cases("header", HEADERS)
def test_octet_by_octet(_, header):
    with ScriptedServer() as server, balanced(server) as proxy:
        c = RawClient(proxy.address, proxy.port)
        c.send_slowly(header)
        c.greet()
        c.quit()
        check_equal(ended(proxy)["client"], CLIENT + ":4321")


def test_local():
    with ScriptedServer() as server, balanced(server) as proxy:
        c = RawClient(proxy.address, proxy.port)
        port = c.name[1]
        c.send(LOCAL)
        c.greet()
        c.quit()
        check_equal(ended(proxy)["client"], "127.0.0.1:%d" % port)


BAD = [("none", b"EHLO client.example\r\n"),
       ("lower case", V1.lower()),
       ("port", V1.replace(b"4321", b"65536")),
       ("mixed families", V1.replace(b"192.0.2.25", b"2001:db8::1")),
       ("two spaces", V1.replace(b"TCP4 ", b"TCP4  ")),
       ("too long", b"PROXY UNKNOWN " + b"x" * 200),
       ("version 3", V2[:12] + b"\x31" + V2[13:]),
       ("too short for its family", V2[:15] + b"\x04" + V2[16:]),
       ("TLV over the end", V2[:15] + b"\x0f" + V2[16:] + b"\x01\0\x09"),
       ("HTTP", b"GET / HTTP/1.0\r\n\r\n")]


@lib.cases("header", BAD)
@lib.long
def test_not_well_formed(_, header):
    """Nothing is said, and the destination hears nothing."""
    with ScriptedServer() as server, balanced(server) as proxy:
        c = RawClient(proxy.address, proxy.port)
        c.send(header)
        check_equal(c.read_all(), b"")
        check(ended(proxy)["reason"] not in ("quit", "client closed"), "")
        server.wait_idle()
        check_equal(server.messages, [])


@lib.cases("words", ["", "others plain"])
@lib.long
def test_strangers(words):
    with ScriptedServer() as server, balanced(server, words) as proxy:
        source = lib.add_address(STRANGER)
        c = RawClient(proxy.address, proxy.port, source=source)
        if words:
            c.greet()
            # And may not say who it is.
            c.cmd(V1.rstrip().decode(), 502)
            c.expect(421)
            check_match(STRANGER, ended(proxy)["client"])
        else:
            check_equal(c.read_all(), b"")
            # Refusals are summed up for ten seconds, or until the end.
            proxy.stop()
            record, = proxy.records(
                reason="not in the table of proxy-protocol")
            check_match(STRANGER, record["client"])


@lib.cases("header", HEADERS)
@lib.long
def test_tls_behind_it_in_one_segment(_, header):
    context = lib_tls.client_context("1.3")
    with ScriptedServer() as server, \
            balanced(server, tls="smtps pki mx") as proxy:
        read, out = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context.wrap_bio(read, out, server_hostname=lib_tls.NAME)
        s = socket.create_connection((proxy.address, proxy.port), timeout=10)
        said = [header]

        def run(call):
            while True:
                try:
                    got = call()
                except ssl.SSLWantReadError:
                    got = None
                octets = b"".join(said) + out.read()
                said.clear()
                if octets:
                    s.sendall(octets)
                if got is not None:
                    return got
                read.write(s.recv(16384))

        run(lambda: tls.do_handshake() or True)
        check_match(rb"220 ", run(lambda: tls.read(1000)))
        s.close()
        record = ended(proxy, tls="TLSv1.3")
        check_equal(record["client"], CLIENT + ":4321")


@lib.long
def test_on_to_xclient():
    """Who is told is told of the client, not of the balancer."""
    offer = ("XCLIENT NAME ADDR PORT DESTADDR DESTPORT",)
    with ScriptedServer(ehlo=offer, replies={
            "XCLIENT": "220 again"}) as server, \
            balanced(server, extra="identity xclient") as proxy:
        c = RawClient(proxy.address, proxy.port)
        c.send(V1)
        c.greet()
        c.quit()
        told = [x for x in server.wait_for_conn().commands
                if x.startswith(b"XCLIENT")]
        check_equal(told, [b"XCLIENT NAME=[UNAVAILABLE] ADDR=198.51.100.7 "
                           b"PORT=4321 DESTADDR=192.0.2.25 DESTPORT=25"])


@lib.long
@lib.cases("version", ["send-proxy", "send-proxy-v2"])
def test_from_haproxy_on_to_postfix(version):
    """HAProxy's word, and ours: Postfix knows the client all the same."""
    port = lib.free_port()
    master = ("127.0.0.1:%d inet n - n - - smtpd\n"
              "  -o smtpd_client_port_logging=yes\n"
              "  -o smtpd_authorized_xclient_hosts=127.0.0.1\n" % port)
    with Postfix(port=lib.free_port(), master=master) as mta, \
            balanced(("127.0.0.1", port), extra="identity xclient",
                     tls="tls pki mx") as proxy:
        front = Front((proxy.address, proxy.port), server=version)
        with HAProxy(front):
            c = lib_tls.TlsClient(*front.at,
                                  source=lib.add_address(STRANGER))
            at = "[%s]:%d" % c.name
            c.greet()
            c.starttls()
            c.ehlo()
            mark = lib.marker()
            c.envelope()
            c.data(lib.make_message(mark))
            c.quit()
            check_match(r"\[%s\]" % re.escape(STRANGER),
                        mta.find(mark)[0].added)
            mta.wait_for_log("client=unknown" + re.escape(at))


@lib.slow
def test_a_header_has_ten_seconds():
    with ScriptedServer() as server, balanced(server) as proxy:
        clients = []
        for header in (b"", V1[:-1], V2[:-1]):
            c = RawClient(proxy.address, proxy.port, timeout=30)
            c.send(header)
            clients.append(c)
        for n, c in enumerate(clients):
            check_equal(c.read_all(), b"")
            lib_tls.session(proxy, count=n + 1,
                            reason="timeout: no PROXY header")


@lib.long
def test_not_counted_as_the_balancer():
    with ScriptedServer() as server, \
            balanced(server, extra="max-sessions-per-client 1") as proxy:
        clients = []
        for _ in range(3):
            c = RawClient(proxy.address, proxy.port)
            c.send(V1)
            c.greet()
            clients.append(c)
        for c in clients:
            c.quit()


if __name__ == "__main__":
    lib.main()
