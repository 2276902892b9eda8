#!/usr/bin/python3
"""Interception: a firewall sends sessions to the proxy, which finds out where
they were going, and the servers see the clients' own addresses.  Networks as
in lib_gateway.py, rules as in etc/."""

import os
import re
import resource
import shutil
import socket
import ssl
import subprocess
import threading

import lib
import lib_gateway
from lib import Skip, check, check_equal, check_match, check_octets
from lib_gateway import CLIENT, GATEWAY_IN, GATEWAY_OUT, IN_IF, LISTEN, \
    MTA, NOWHERE, OTHER, SERVER, bed, relay
from mta.postfix import Postfix

REFUSED_LOOP = b"421 4.4.6 routing loop detected\r\n"
REFUSED_DEST = b"421 4.7.0 destination not allowed\r\n"
REFUSED_UNKNOWN = b"421 4.3.0 original destination not known\r\n"

BOTH = [4, 6]
MODES = ["redirect", "tproxy"]
ALL = [("%s IPv%d %stransparent" % (mode, v, "" if is_transparent
                                    else "not "), mode, v, is_transparent)
       for mode in MODES for v in BOTH for is_transparent in (True, False)]


# --- Servers and clients ----------------------------------------------------

_certificate = []


def certificate():
    """(certificate, key): files of one made for the server."""
    if not _certificate:
        if shutil.which("openssl") is None:
            raise Skip("no openssl: make test-deps")
        folder = lib.mkdtemp("tls")
        cert, key = (os.path.join(folder, n) for n in ("cert", "key"))
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
             "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj",
             "/CN=server.test.example", "-keyout", key, "-out", cert],
            check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        _certificate.append((cert, key))
    return _certificate[0]


class TlsPostfix(Postfix):
    def files(self):
        found = super().files()
        for name, path in zip(("cert", "key"), certificate()):
            with open(path) as f:
                found["/etc/postfix/" + name] = f.read()
        return found


def postfix(b):
    """Postfix at addresses of its own, port 25, for the whole file."""
    with b.server:
        return lib.shared(
            TlsPostfix, port=25, addresses=tuple(MTA.values()),
            extra="smtpd_tls_security_level = may\n"
            "smtpd_tls_cert_file = /etc/postfix/cert\n"
            "smtpd_tls_key_file = /etc/postfix/key\n")


def swaks(b, address, port, *more):
    if shutil.which("swaks") is None:
        raise Skip("no swaks: make test-deps")
    mark = lib.marker()
    text = b.client_run(
        "swaks", "--server", "[%s]" % address if lib.is_v6(address)
        else address, "--port", port, "--from", "a@client.example", "--to",
        "user@test.example", "--header", "X-Marker: " + mark.decode(),
        *more).wait()
    return mark, text


def deliver(c):
    """A whole session with one message; returns the message's octets."""
    content = lib.make_message()
    c.greet()
    c.envelope()
    c.data(content)
    c.quit()
    return content


def turned_away(c, want):
    """This reply in the place of a greeting, and the end."""
    got = c.expect(want)
    c.expect_eof()
    c.close()
    return got


def refusal(proxy, reason, client=None, relay_name="r"):
    """The line of a refusal, once the proxy has stopped."""
    proxy.stop()
    fields = {"reason": re.compile(reason), "relay": relay_name}
    if client is not None:
        fields["client"] = client
    found = proxy.records(**fields)
    check(len(found) == 1, lambda: "%d refusals %r:\n%s" % (
        len(found), fields, proxy.log_tail()))
    check_match(r"refused relay=", found[0]["_line"])
    return found[0]


class RawServer:
    """Takes one connection and returns what comes, each octet with its bits
    turned over; closes when the client has ended."""

    def __init__(self, b, address, port):
        self.got = b""
        self.peer = None
        with b.server:
            self.listener = socket.create_server(
                (address, port), family=lib.family(address))
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()
        lib.at_exit(self.listener.close)

    def _serve(self):
        sock, peer = self.listener.accept()
        self.peer = peer[:2]
        with sock:
            sock.settimeout(20)
            while True:
                data = sock.recv(65536)
                if not data:
                    break
                self.got += data
                sock.sendall(turned(data))
            sock.sendall(b"the end")


def turned(data):
    return data.translate(bytes(255 - n for n in range(256)))


# --- What it is for ---------------------------------------------------------

@lib.cases("way", ALL)
def test_intercepted(way, mode, v, is_transparent):
    """A message arrives, from the right address, at the server and port that
    the client chose."""
    b = bed()
    mta = postfix(b)
    b.rules(mode)
    other = b.serve(OTHER[v], 25)
    odd = b.serve(SERVER[v], 2525)
    proxy = b.intercept(mode, transparent=is_transparent)
    source = CLIENT[v] if is_transparent else GATEWAY_OUT[v]
    before = len(mta.log_text())
    mark, _ = swaks(b, MTA[v], 25)
    found = mta.find(mark)
    check_equal([d.sender for d in found], ["a@client.example"], "sender")
    peers = re.findall(r"smtpd\[\d+\]: connect from unknown\[([^]]+)\]",
                       mta.log_text()[before:])
    check_equal(peers, [source], "the client in the log of Postfix")
    for server in (other, odd):
        content = deliver(b.connect(*server.at))
        check_octets(server.wait_for_messages()[0].content, content)
        check_equal([c.peer[0] for c in server.conns], [source], "peer")
    for address, port in ((MTA[v], 25), other.at, odd.at):
        record = proxy.wait_for_record(_kind="session", delivered="1",
                                       destination=place(address, port))
        check_match(r"^\[?%s\]?[: ]" % re.escape(CLIENT[v]),
                    record["client"])


def place(address, port):
    """A pattern for an address with its port in the log."""
    return re.compile(r"^\[?%s\]?:%d$" % (re.escape(address), port))


@lib.long
@lib.cases("mode", MODES)
def test_iptables(mode):
    b = bed()
    b.rules(mode, tool="iptables")
    servers = [b.serve(SERVER[v], 25) for v in BOTH]
    b.intercept(mode, "mark 25")
    for server, v in zip(servers, BOTH):
        deliver(b.connect(*server.at))
        check_equal([c.peer[0] for c in server.conns], [CLIENT[v]], "peer")


@lib.long
@lib.cases("mode", MODES)
def test_script(mode):
    """linux-tproxy: start, start again, status, stop, and all is gone."""
    b = bed()
    for name, value in (("net.ipv4.ip_forward", 0),
                        ("net.ipv6.conf.all.forwarding", 0),
                        ("net.ipv4.conf.all.rp_filter", 0),
                        ("net.ipv4.conf.%s.rp_filter" % IN_IF, 1)):
        b.change(b.gateway, name, value)
    args = ["start", "-i", IN_IF, "-m", mode, "-p"]
    try:
        b.script(*args, "25")
    except lib.Failure as e:
        if "are nftables and" in str(e):
            raise Skip(str(e)) from None
        raise
    b.script(*args, "25,2525")
    servers = [b.serve(SERVER[v], 2525) for v in BOTH]
    b.intercept(mode)
    for server, v in zip(servers, BOTH):
        deliver(b.connect(*server.at))
        check_equal([c.peer[0] for c in server.conns], [CLIENT[v]], "peer")
    text = b.script("status")
    check("no  " not in text and "note" not in text, text)
    check_equal(b.gateway.sysctl("net.ipv4.ip_forward"), "1")
    check_equal(b.gateway.sysctl("net.ipv4.conf.%s.rp_filter" % IN_IF), "2")
    b.gateway.ip("-6", "rule", "del", "pref", 2525)
    check_match(r"(?m)^no +ip -6 rule", b.script("status", code=1))
    b.script("stop")
    check_match("(?m)^not started$", b.script("status", code=3))
    check_equal(b.gateway.run("nft", "list", "ruleset"), "", "rules")
    check_equal(b.ip_rules(), b.rules_before, "ip rules")
    for name, value in (("net.ipv4.ip_forward", "0"),
                        ("net.ipv6.conf.all.forwarding", "0"),
                        ("net.ipv4.conf.%s.rp_filter" % IN_IF, "1")):
        check_equal(b.gateway.sysctl(name), value, name)
    b.script("stop")


@lib.long
def test_script_not_transparent():
    b = bed()
    b.script("start", "-i", IN_IF, "-m", "redirect", "-N")
    b.script("status")
    server = b.serve(SERVER[4], 25)
    b.intercept("redirect", transparent=False)
    deliver(b.connect(*server.at))
    check_equal(server.conns[0].peer[0], GATEWAY_OUT[4], "peer")
    check_equal(b.ip_rules(), b.rules_before, "ip rules")
    b.script("stop")


@lib.long
def test_script_says_what_is_wrong():
    b = bed()
    for argv, code, text in (
            ([], 2, "usage"), (["restart"], 2, "usage"),
            (["start"], 2, "no interface"),
            (["start", "-i", "none0"], 1, "no interface none0"),
            (["start", "-i", "a b"], 2, "not a name"),
            (["start", "-i", IN_IF, "-p", "25;drop"], 2, "no port"),
            (["start", "-i", IN_IF, "-p", "70000"], 2, "no port"),
            (["start", "-i", IN_IF, "-l", "0"], 2, "no port"),
            (["start", "-i", IN_IF, "-m", "nat"], 2, "expected tproxy"),
            (["start", "-i", IN_IF, "-k", "x"], 2, "no number"),
            (["start", "-i", IN_IF, "-t", "255"], 2, "one that is free"),
            (["stop"], 0, "")):
        check_match(text, b.script(*argv, code=code))
    check_equal(b.gateway.run("nft", "list", "ruleset"), "", "rules")
    check_equal(b.ip_rules(), b.rules_before, "ip rules")


@lib.long
@lib.cases("way", [("nft redirect", "nft", "redirect", 41001),
                   ("nft tproxy", "nft", "tproxy", 41002),
                   ("iptables redirect", "iptables", "redirect", 41003),
                   ("iptables tproxy", "iptables", "tproxy", 41004)])
def test_the_same_port_twice(way, tool, mode, port):
    """The client's connection and the proxy's have the same two addresses
    and ports: neither kernel nor firewall takes one for the other."""
    b = bed()
    b.rules(mode, tool)
    server = b.serve(SERVER[4], 25)
    b.intercept(mode, "mark 25")
    for net in (b.gateway, b.client):
        b.change(net, "net.ipv4.ip_local_port_range", "%d %d" % (port, port))
    c = b.connect(*server.at)
    check_equal(c.name, (CLIENT[4], port))
    deliver(c)
    check_equal(server.conns[0].peer, (CLIENT[4], port), "peer")


@lib.cases("mode", MODES)
def test_client_has_the_port_that_we_have(mode):
    """A client connects to another server from the port that the proxy uses
    under its address: no loop."""
    b = bed()
    b.rules(mode)
    server, other = b.serve(SERVER[4], 25), b.serve(OTHER[4], 25)
    b.intercept(mode)
    c = b.connect(*server.at)
    c.greet()
    with b.client:
        second = lib.RawClient(*other.at, connect=False)
        second.sock.bind(server.conns[0].peer)
        second.sock.connect(other.at)
    deliver(second)
    deliver_again(c)


def deliver_again(c):
    c.envelope()
    c.data(lib.make_message())
    c.quit()


def test_fixed_destination():
    """An inbound relay that keeps the client's address."""
    b = bed()
    b.rules("redirect", ports="25")
    for v in BOTH:
        server = b.serve(SERVER[v], 25)
        port = lib.free_port()
        b.proxy('relay "in" {\n\tlisten on %s port %d\n\ttransparent forward '
                'to %s port 25\n}\n' % (GATEWAY_IN[v], port, SERVER[v]))
        c = b.connect(GATEWAY_IN[v], port)
        check("STARTTLS" not in c.greet(), "STARTTLS by default")
        c.envelope()
        c.data(lib.make_message())
        c.quit()
        check_equal(server.conns[0].peer[0], CLIENT[v], "peer")


def test_fixed_destination_of_another_family():
    b = bed()
    b.rules("redirect", ports="25")
    server = b.serve(SERVER[6], 25)
    port = lib.free_port()
    proxy = b.proxy('relay "r" {\n\tlisten on %s port %d\n\ttransparent '
                    'forward to %s port 25\n}\n' % (GATEWAY_IN[4], port,
                                                   SERVER[6]))
    c = b.connect(GATEWAY_IN[4], port)
    turned_away(c, 421)
    check_equal(len(server.conns), 0, "connections")
    refusal(proxy, "of another family", CLIENT[4])


@lib.cases("mode", MODES)
def test_nothing_is_changed(mode):
    """Greeting and EHLO reply are the destination's, octet for octet, and so
    are its refusals."""
    ehlo = [k for k in lib.GOOD_EHLO if k != "HELP"] + ["STARTTLS", "HELP"]
    replies = {"connect": b"220-mail.example.net ESMTP\r\n220-Nobody may "
               b"send\r\n220 what nobody wants\r\n",
               "RCPT": "550 5.7.1 <you> are not welcome here"}
    lines = ["EHLO client.example", "MAIL FROM:<a@client.example>",
             "RCPT TO:<b@test.example>", "VRFY x", "QUIT"]
    b = bed()
    server = b.serve(SERVER[4], 25, ehlo=ehlo, replies=replies,
                     name="mail.example.net")
    said = []
    for is_proxied in (False, True):
        if is_proxied:
            b.rules(mode)
            proxy = b.intercept(mode)
        c = b.connect(*server.at)
        got = c.read_reply()[1]
        for line in lines:
            c.line(line)
            got += c.read_reply()[1]
        c.close()
        said.append(got)
    check_octets(said[1], said[0], "replies")
    proxy.wait_for_record(_kind="session")


# --- Guards -----------------------------------------------------------------

@lib.cases("version", BOTH)
def test_direct_connect(v):
    """Who connects to the listener itself, with connection tracking, is
    refused: no loop, and no relay for everyone."""
    b = bed()
    b.rules("redirect")
    b.gateway.run("nft", "delete", "chain", "inet", "smtpproxyd", "direct")
    proxy = b.intercept("redirect")
    for address in (GATEWAY_IN[v], GATEWAY_OUT[v]):
        c = b.connect(address, LISTEN["redirect"])
        turned_away(c, REFUSED_DEST)
    record = refusal(proxy, "to the proxy itself", CLIENT[v])
    check_equal(record["count"], "2", "count")


@lib.cases("version", BOTH)
def test_direct_connect_untracked(v):
    b = bed()
    b.gateway.nft("table inet t {\nchain c {\ntype filter hook prerouting "
                  "priority raw\nnotrack\n}\nchain d {\ntype filter hook "
                  "output priority raw\nnotrack\n}\n}\n")
    proxy = b.intercept("redirect")
    c = b.connect(GATEWAY_IN[v], LISTEN["redirect"])
    check(c.read_all() in (REFUSED_UNKNOWN, REFUSED_DEST), c.dialogue())
    refusal(proxy, "nat lookup|to the proxy itself", CLIENT[v])


@lib.cases("version", BOTH)
def test_direct_connect_divert(v):
    b = bed()
    b.rules("tproxy")
    proxy = b.intercept("tproxy")
    own = {4: "127.0.0.1", 6: "::1"}[v]
    c = b.connect(own, LISTEN["tproxy"], net=b.gateway)
    turned_away(c, REFUSED_DEST)
    refusal(proxy, "to the proxy itself", own)


def test_direct_connect_is_dropped():
    """By the example's own chain: it does not come as far as the proxy."""
    b = bed()
    b.rules("redirect")
    b.intercept("redirect")
    with b.client, socket.socket() as s:
        s.setblocking(False)
        s.connect_ex((GATEWAY_IN[4], LISTEN["redirect"]))
        lib.wait_until(lambda: re.search(
            r"counter packets [1-9]", b.gateway.run(
                "nft", "list", "chain", "inet", "smtpproxyd", "direct")),
            5, "a packet to be dropped", interval=0.05)


@lib.cases("mode", MODES)
def test_except_and_only(mode):
    tables = "table <no> { %s/32 %s/128 }\n" % (OTHER[4], OTHER[6])
    b = bed()
    b.rules(mode)
    for how, reason in (("except <no>", "is excepted"),
                        ("only <no>", "not among those allowed")):
        proxy = b.proxy(tables + relay(mode, how=how))
        for v in BOTH:
            good, bad = b.serve(SERVER[v], 25), b.serve(OTHER[v], 25)
            if how.startswith("only"):
                good, bad = bad, good
            c = b.connect(*bad.at)
            turned_away(c, REFUSED_DEST)
            deliver(b.connect(*good.at))
            check_equal(len(bad.conns), 0, "connections")
            good.stop()
            bad.stop()
        refusal(proxy, reason, CLIENT[4])
        check_equal(len(proxy.records(reason=re.compile(reason))), 2,
                    "refusals")


@lib.cases("mode", MODES)
def test_bypass(mode):
    """Every octet goes through, both ways, whatever it means."""
    b = bed()
    b.rules(mode)
    table = "table <unseen> { %s/32 }\n" % CLIENT[4]
    proxy = b.proxy(table + relay(mode, "bypass from <unseen>"))
    server = RawServer(b, SERVER[4], 2525)
    c = b.connect(SERVER[4], 2525)
    data = bytes(range(256)) * 2000 + b"\n.\n\r\0EHLO\nQUIT\r\n.\r\n" + \
        b"x" * 100000
    # What comes back may be more than sockets hold: read it meanwhile.
    sender = threading.Thread(target=lambda: (c.sock.sendall(data),
                                              c.half_close()), daemon=True)
    sender.start()
    got = c.read_octets(len(data))
    check_octets(c.read_all(), b"the end", "the last octets")
    sender.join(5)
    server.thread.join(5)
    check_octets(server.got, data, "to the server")
    check_octets(got, turned(data), "to the client")
    check_equal(server.peer[0], CLIENT[4], "peer")
    record = proxy.wait_for_record(_kind="session", opaque="bypass")
    check_equal((record["octets"], record["octets_back"]),
                (str(len(data)), str(len(data) + 7)), "octets")
    # A client that is not in the table is read.
    other = b.serve(SERVER[6], 25)
    c = b.connect(*other.at)
    c.greet()
    c.cmd("XNONSENSE", (500, 502))
    c.close()


def test_bypass_unreachable():
    b = bed()
    b.rules("tproxy")
    table = "table <unseen> { %s/32 }\n" % CLIENT[4]
    proxy = b.proxy(table + relay("tproxy", "bypass from <unseen>"))
    c = b.connect(SERVER[4], 2525)
    turned_away(c, 421)
    proxy.wait_for_record(_kind="session", opaque="bypass")


# --- STARTTLS ---------------------------------------------------------------

@lib.cases("mode", MODES)
def test_starttls(mode):
    """The client talks TLS with the server itself."""
    b = bed()
    mta = postfix(b)
    b.rules(mode)
    proxy = b.intercept(mode)
    c = b.connect(MTA[4], 25)
    check("STARTTLS" in c.greet(), "no STARTTLS")
    c.cmd("STARTTLS", 220)
    context = ssl.create_default_context(cafile=certificate()[0])
    c.sock = context.wrap_socket(c.sock,
                                 server_hostname="server.test.example")
    with open(certificate()[0]) as f:
        want = ssl.PEM_cert_to_DER_cert(f.read())
    check_octets(c.sock.getpeercert(True), want, "certificate")
    c.ehlo()
    c.envelope()
    content = lib.make_message()
    c.data(content)
    c.cmd("QUIT", 221)
    c.close()
    mark = re.search(rb"marker-[\w-]+", content).group()
    check_octets(mta.find(mark)[0].crlf, content, "content")
    record = proxy.wait_for_record(_kind="session", opaque="starttls")
    check_equal(record["messages"], "0", "messages seen")
    check(int(record["octets_back"]) > 1000, record["_line"])
    if mode == "tproxy":
        mark, text = swaks(b, MTA[6], 25, "--tls")
        mta.find(mark)
        check_match("TLS started with cipher", text)
        proxy.wait_for_record(_kind="session", opaque="starttls", count=2)


def test_starttls_refused_by_the_server():
    """454: nothing has changed, and the session goes on in clear."""
    b = bed()
    b.rules("tproxy")
    server = b.serve(SERVER[4], 25, ehlo=["STARTTLS", "HELP"],
                     replies={"STARTTLS": "454 4.7.0 not today"})
    proxy = b.intercept("tproxy")
    c = b.connect(*server.at)
    check("STARTTLS" in c.greet(), "no STARTTLS")
    c.cmd("STARTTLS", 454)
    c.envelope()
    c.data(lib.make_message())
    c.quit()
    record = proxy.wait_for_record(_kind="session")
    check("opaque" not in record, record["_line"])


def test_starttls_and_no_handshake():
    """What is no TLS behind STARTTLS does not reach the server."""
    b = bed()
    b.rules("tproxy")
    server = b.serve(SERVER[4], 25, ehlo=["STARTTLS", "HELP"],
                     replies={"STARTTLS": "220 2.0.0 go ahead"})
    proxy = b.intercept("tproxy")
    c = b.connect(*server.at)
    c.greet()
    c.cmd("STARTTLS", 220)
    c.send(b"MAIL FROM:<evil@client.example>\r\n")
    check_octets(c.read_all(), b"", "behind the 220")
    c.close()
    server.conns[0].wait_closed()
    check_equal(server.conns[0].commands,
                [b"EHLO client.example", b"STARTTLS"], "commands")
    proxy.wait_for_record(reason=re.compile("no TLS handshake"))


@lib.cases("mode", MODES)
def test_starttls_hidden(mode):
    b = bed()
    postfix(b)
    b.rules(mode)
    b.intercept(mode, "starttls hide")
    c = b.connect(MTA[4], 25)
    check("STARTTLS" not in c.greet(), "STARTTLS in the EHLO reply")
    check_match(rb"^502 5\.5\.1 ", c.cmd("STARTTLS", 502))
    c.envelope()
    c.data(lib.make_message())
    c.quit()


# --- What goes wrong --------------------------------------------------------

@lib.cases("mode", MODES)
def test_server_refuses(mode):
    """421 with on-failure reply, which is the default."""
    b = bed()
    b.rules(mode)
    proxy = b.intercept(mode)
    for v in BOTH:
        c = b.connect(SERVER[v], 2525)
        check_match(rb"^421 4\.4\.1 ", turned_away(c, 421))
        proxy.wait_for_record(_kind="session",
                              destination=place(SERVER[v], 2525))


@lib.cases("mode", MODES)
def test_server_refuses_reset(mode):
    b = bed()
    b.rules(mode)
    proxy = b.intercept(mode, "on-failure reset")
    for v in BOTH:
        c = b.connect(SERVER[v], 2525)
        check(c.expect_eof(), "not reset")
        deliver(b.connect(*b.serve(OTHER[v], 25).at))
    refusal(proxy, "reset: the destination refuses", CLIENT[4])


@lib.cases("what", ["reply", "reset"])
def test_server_does_not_answer(what):
    b = bed()
    b.rules("tproxy")
    b.server.nft("table inet t {\nchain c {\ntype filter hook input priority "
                 "0\ntcp dport 2525 drop\n}\n}\n")
    proxy = b.intercept("tproxy", "timeout connect 1\non-failure " + what)
    c = b.connect(SERVER[4], 2525)
    if what == "reset":
        check(c.expect_eof(), "not reset")
        refusal(proxy, "reset: timeout", CLIENT[4])
    else:
        turned_away(c, 421)
        proxy.wait_for_record(_kind="session",
                              reason=re.compile("timeout"))


@lib.cases("way", [("%s %s" % (m, w), m, w) for m in MODES
                   for w in ("reply", "reset")])
def test_no_route(way, mode, what):
    b = bed()
    b.rules(mode)
    proxy = b.intercept(mode, "on-failure " + what)
    for v in BOTH:
        c = b.connect(NOWHERE[v], 25)
        if what == "reset":
            check(c.expect_eof(), "not reset")
        else:
            turned_away(c, 421)
        c.close()
    refusal(proxy, "^no route to the destination", CLIENT[4])
    check(proxy.records(client=CLIENT[6], reason=re.compile("^no route")),
          proxy.log_tail())


@lib.long
@lib.cases("version", BOTH)
def test_no_port_left(v):
    """All ports under a client's address are used: its next session is told
    so, other clients go on."""
    b = bed()
    more = {4: "10.1.0.3", 6: "fd00:1::3"}[v]
    b.add_address(b.client, "c0", more)
    lib.at_exit(lambda: b.client.ip("addr", "del", more +
                                    {4: "/24", 6: "/64"}[v], "dev", "c0"))
    b.rules("tproxy")
    server, other = b.serve(SERVER[v], 25), b.serve(OTHER[v], 25)
    proxy = b.intercept("tproxy")
    b.change(b.gateway, "net.ipv4.ip_local_port_range", "42000 42003")
    clients = [b.connect(*server.at, source=CLIENT[v]) for _ in range(4)]
    for c in clients:
        c.greet()
    check_equal(sorted(c.peer[1] for c in server.conns),
                [42000, 42001, 42002, 42003], "ports")
    c = b.connect(*server.at, source=CLIENT[v])
    turned_away(c, 421)
    # Ports count for each destination, and for each client, anew.
    deliver(b.connect(*other.at, source=CLIENT[v]))
    deliver(b.connect(*server.at, source=more))
    clients.pop().quit()
    for c in clients:
        c.cmd("NOOP")
        c.close()
    refusal(proxy, "no port left under the client's address", CLIENT[v])


def test_no_rule_for_the_answers():
    """Transparent, but the answers don't come to the proxy: the connection
    times out, and the log says what may be missing."""
    b = bed()
    b.rules("redirect", routes=False)
    server = b.serve(SERVER[4], 25)
    proxy = b.intercept("redirect", "timeout connect 2")
    c = b.connect(*server.at)
    turned_away(c, 421)
    lib.wait_until(lambda: proxy.find_log("transparent"), 5,
                   lambda: "a hint in the log:\n" + proxy.log_tail())


@lib.cases("way", ["without mark", "with mark"])
def test_own_mail_of_the_gateway(way):
    """The proxy's own connections are redirected to it unless they are
    marked: it sees that the second one is its own."""
    b = bed()
    b.rules("redirect", local=True)
    server = b.serve(SERVER[4], 25)
    proxy = b.intercept("redirect", "mark 25" if way == "with mark" else "",
                        transparent=False)
    c = b.connect(*server.at, net=b.gateway)
    if way == "with mark":
        deliver(c)
        deliver(b.connect(*server.at))
        check_equal({x.peer[0] for x in server.conns}, {GATEWAY_OUT[4]})
        return
    turned_away(c, REFUSED_LOOP)
    check_equal(len(server.conns), 0, "connections")
    record = refusal(proxy, "loop")
    check_equal(record["count"], "1", "turns")


def test_capability_is_missing():
    """-n says it, the log says it at the start and for each session."""
    if shutil.which("setpriv") is None:
        raise Skip("no setpriv(1): install util-linux")
    b = bed()
    b.rules("redirect")
    server = b.serve(SERVER[4], 25)
    conf = relay("redirect", "mark 25")
    less = "-net_admin,-net_raw"
    binary = "setpriv --bounding-set=%s --inh-caps=%s %s" % (
        less, less, os.environ.get("SMTPPROXYD") or "smtpproxyd/smtpproxyd")
    with b.gateway:
        _, out, err = lib.Proxy(conf, binary=binary).run("-n", "-v")
    check_match("CAP_NET_ADMIN", out + err)
    proxy = b.proxy(conf, binary=binary)
    proxy.wait_for_log("CAP_NET_ADMIN")
    c = b.connect(*server.at)
    turned_away(c, 421)
    check_equal(len(server.conns), 0, "connections")
    refusal(proxy, "CAP_NET_ADMIN", CLIENT[4])


# --- Many -------------------------------------------------------------------

def raise_files(n):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < n:
        raise Skip("no %d open files" % n)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, n), hard))


@lib.cases("mode", MODES)
@lib.timeout(120)
@lib.long
def test_500_sessions(mode):
    """All at once, from 50 addresses, each under its own."""
    raise_files(4096)
    b = bed()
    sources = ["10.1.0.%d" % n for n in range(100, 125)] + \
        ["fd00:1::%d" % n for n in range(100, 125)]
    for source in sources:
        b.client.ip("addr", "replace", source + (
            "/64" if lib.is_v6(source) else "/24"), "dev", "c0",
            *["nodad"] * lib.is_v6(source))
    b.rules(mode)
    servers = {v: b.serve(SERVER[v], 25) for v in BOTH}
    proxy = b.intercept(mode)
    clients = []
    with b.client:
        for n in range(500):
            source = sources[n % 50]
            v = 6 if lib.is_v6(source) else 4
            clients.append(lib.RawClient(SERVER[v], 25, source=source,
                                         timeout=60))
    for c in clients:
        c.greet()
    check_equal(sum(len(s.open_conns()) for s in servers.values()), 500,
                "sessions at once")
    for c in clients:
        c.envelope()
        c.data(lib.make_message())
    for c in clients:
        c.quit()
    peers = [x.peer[0] for s in servers.values() for x in s.conns]
    check_equal(sorted(peers), sorted(sources * 10), "addresses")
    check_equal(sum(len(s.messages) for s in servers.values()), 500,
                "messages")
    proxy.wait_for_record(_kind="session", delivered="1", count=500,
                          timeout=20)


@lib.cases("mode", MODES)
def test_worker_killed(mode):
    """Its sessions end, the others go on, and new ones are served."""
    b = bed()
    b.rules(mode)
    server = b.serve(SERVER[4], 25)
    proxy = b.intercept(mode, allow=["killed by signal 9"])
    proxy.settle()
    workers = proxy.wait_children("worker", 2)
    idle = {pid: lib.fd_count(pid) for pid in workers}
    clients = []
    # Which worker a session goes to is the parent's choice: until each has
    # one, and a few more.
    while len(clients) < 8 or any(lib.fd_count(pid) <= idle[pid]
                                  for pid in workers):
        check(len(clients) < 200, "a worker without a session")
        c = b.connect(*server.at)
        c.greet()
        c.envelope()
        clients.append(c)
    lib.kill_pid(workers[0])
    line = proxy.wait_for_log(r"worker\[\d\]: \d+ sessions lost")
    left = len(clients) - int(re.search(r"(\d+) sessions lost",
                                        line).group(1))
    check(0 < left < len(clients), line)
    lib.wait_until(lambda: len(server.open_conns()) == left, 10,
                   "the sessions of one worker to end")
    alive = [c for c in clients if not c.readable()]
    check_equal(len(alive), left, "sessions left")
    for c in alive:
        c.data(lib.make_message())
        c.quit()
    check_equal(len(server.messages), left, "messages")
    for _ in range(4):
        deliver(b.connect(*server.at))
    check_equal({x.peer[0] for x in server.conns}, {CLIENT[4]}, "addresses")
    proxy.wait_children("worker", 2)


# Three namespaces for each test: too much for the runs that are short.
for name, function in list(globals().items()):
    if name.startswith("test_"):
        lib.long(function)

if __name__ == "__main__":
    lib.main()
