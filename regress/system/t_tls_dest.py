#!/usr/bin/python3
"""TLS towards destinations, and on both legs: what certificate is taken, what
is refused and why, and what starttls terminate makes of a session that was
meant for somebody else."""

import re

import lib
import lib_gateway
import lib_tls
from lib import Close, Drip, Hang, check, check_equal, check_match, \
    check_octets
from lib_gateway import CLIENT, SERVER
from lib_tls import NAME, TlsClient, TlsServer, ca, certificate, \
    client_context, connect, deliver, implicit, session, starttls

OTHER_NAMES = ("a.test.example", "b.test.example")
KINDS = ["rsa", "p256", "ed25519"]
VERSIONS = ["1.2", "1.3"]


def turned_away(proxy, n=0):
    """421 in the place of a greeting."""
    c = connect(proxy, n)
    got = c.expect(421)
    c.expect_eof()
    c.close()
    return got


def good_session(proxy, size=0):
    c = connect(proxy)
    c.greet()
    content = deliver(c, size)
    c.quit()
    return content


# --- forward to ... tls -----------------------------------------------------

@lib.long
@lib.cases("way", [("%s TLS %s" % (k, v), k, v)
                   for k in KINDS for v in VERSIONS])
def test_verified(way, kind, version):
    with TlsServer(certificate(kind=kind), version=version) as server, \
            lib_tls.proxy((NAME, server.port),
                          forward="tls " + ca()) as proxy:
        content = good_session(proxy)
        check_octets(server.messages[0].content, content, "content")
        conn = server.conns[0]
        check_equal((conn.tls, conn.sni), ("TLSv" + version, NAME), "TLS")
        check_equal([c[:8].split()[0] for c in conn.in_clear],
                    [b"EHLO", b"STARTTLS"], "in clear")
        check_equal(conn.in_tls[0], b"EHLO client.example", "in TLS")
        record = session(proxy, dest_tls="TLSv" + version, delivered="1")
        check_equal(record["dest_verify"], "ok", "dest_verify")
        check("tls" not in record, "TLS of the client")


def test_smtps():
    cert = certificate()
    with TlsServer(cert, implicit=True) as server, lib_tls.proxy(
            (NAME, server.port), forward="smtps " + ca()) as proxy:
        content = good_session(proxy, 100000)
        check_octets(server.messages[0].content, content, "content")
        conn = server.conns[0]
        check_equal((conn.in_clear, conn.sni), ([], NAME), "TLS")
        session(proxy, dest_verify="ok")


FAULTS = {
    "expired": (lambda: certificate(fault="expired"),
                "certificate has expired"),
    "self-signed": (lambda: certificate(fault="self-signed"),
                    "self-signed certificate"),
    "wrong name": (lib_tls.wrong_name, "host name does not match"),
    "no intermediate": (lambda: certificate(fault="no intermediate"),
                        "unable to get local issuer certificate"),
    "foreign": (lambda: certificate(ca="Foreign Root"),
                "unable to get local issuer certificate|self-signed"),
    "for clients": (lambda: certificate(use="client"),
                    "unsuitable certificate purpose"),
}


@lib.cases("case", [("%s, %s" % (f, w), f, w) for f in FAULTS
                    for w in ("tls", "smtps")])
def test_not_verified(case, fault, way):
    """421, after the next one was tried; the log says why."""
    make, want = FAULTS[fault]
    with TlsServer(make(), implicit=way == "smtps") as server, \
            lib_tls.proxy((NAME, server.port),
                          forward="%s %s" % (way, ca())) as proxy:
        check_match(rb"^421 4\.[47]\.\d ", turned_away(proxy))
        record = session(proxy)
        check_match("verify: (%s)" % want, record["dest_tls_error"], "why")
        check_match("TLS handshake with destination failed",
                    record["_line"])
        server.conns[0].wait_closed()
        check_equal(server.conns[0].in_tls, [], "commands")
        check_match("alert|EOF|reset", server.conns[0].tls_error, "alert")
    # Without verification each will do, and the log says what it is worth.
    with TlsServer(make(), implicit=way == "smtps") as server, \
            lib_tls.proxy((NAME, server.port),
                          forward=way + " no-verify") as proxy:
        content = good_session(proxy)
        check_octets(server.messages[0].content, content, "content")
        record = session(proxy, delivered="1")
        check_equal(record["dest_verify"], "not checked", "dest_verify")


def test_next_choice():
    """A destination without a valid certificate is passed over."""
    port = lib.free_port()
    bad = TlsServer(certificate(names=("else.test.example",)), port=port,
                    address=lib_tls.HOSTS["a.test.example"]).start()
    plain = TlsServer(starttls=False, port=port,
                      address=lib_tls.HOSTS[NAME]).start()
    good = TlsServer(certificate(names=("b.test.example",)), port=port,
                     address=lib_tls.HOSTS["b.test.example"]).start()
    with lib_tls.proxy(("{ a.test.example %s b.test.example }" % NAME, port),
                       forward="tls " + ca(), workers=1) as proxy:
        content = good_session(proxy)
        check_octets(good.messages[0].content, content, "content")
        check_equal(good.conns[0].sni, "b.test.example", "SNI")
        check_equal([len(s.conns) for s in (bad, plain)], [1, 1], "tried")
        check_equal(bad.commands()[2:] + plain.commands()[1:], [], "told")
        # What failed is not tried again for a while; the first one is
        # connected to by the parent, who does not know.
        good_session(proxy)
        check_equal([len(s.conns) for s in (plain, good)], [1, 2], "again")
        check_equal([c.commands for c in bad.conns[1:]], [[]], "told again")


@lib.long
def test_addresses():
    """One that is given by its address must have a certificate for it."""
    lib_tls.hosts()
    for address in ("127.0.0.11", "::1"):
        for names, is_good in (((address,), True), ((NAME,), False)):
            with TlsServer(certificate(names=names), address=address
                           ) as server, lib_tls.proxy(
                               server, forward="tls " + ca()) as proxy:
                if is_good:
                    good_session(proxy)
                    check_equal(server.conns[0].sni, None, "SNI")
                    session(proxy, dest_verify="ok")
                else:
                    turned_away(proxy)
                    session(proxy, dest_tls_error=re.compile(
                        "^verify: address does not match"))


def test_ca_of_the_system():
    """Without `ca` it is the system's, which does not know ours."""
    with TlsServer() as server, lib_tls.proxy(
            (NAME, server.port), forward="tls") as proxy:
        if proxy.run("-n")[0] != 0:
            raise lib.Skip("no ca-certificates.crt: make test-deps")
        turned_away(proxy)
        session(proxy, dest_tls_error=re.compile("^verify: "))


@lib.cases("forward", ["tls no-verify", "tls opportunistic"])
def test_no_starttls_offered(forward):
    with TlsServer(starttls=False) as server, lib_tls.proxy(
            (NAME, server.port), forward=forward) as proxy:
        if forward == "tls opportunistic":
            good_session(proxy)
            check("dest_tls" not in session(proxy, delivered="1"), "TLS")
            check(b"STARTTLS" not in server.commands(), "STARTTLS")
        else:
            turned_away(proxy)
            session(proxy, reason=re.compile(
                "destination offers no STARTTLS"))
            check_equal(server.conns[0].commands[1:], [], "told")


@lib.cases("forward", ["tls no-verify", "tls opportunistic"])
def test_starttls_refused(forward):
    with TlsServer(replies={"STARTTLS": "454 4.7.0 not now"}) as server, \
            lib_tls.proxy((NAME, server.port), forward=forward) as proxy:
        if forward == "tls opportunistic":
            good_session(proxy)
            check("dest_tls" not in session(proxy, delivered="1"), "TLS")
        else:
            turned_away(proxy)
            session(proxy, reason=re.compile("destination refused STARTTLS"))


def test_opportunistic_takes_what_is_offered():
    with TlsServer(certificate(fault="self-signed")) as server, \
            lib_tls.proxy((NAME, server.port),
                          forward="tls opportunistic") as proxy:
        good_session(proxy)
        check_equal(server.conns[0].in_clear[1:], [b"STARTTLS"], "in clear")
        session(proxy, dest_tls="TLSv1.3", dest_verify="not checked")


def test_ehlo_in_tls_counts():
    """What was offered in clear is forgotten."""
    with TlsServer(ehlo=["PIPELINING", "SIZE 1000", "CHUNKING", "STARTTLS",
                         "AUTH PLAIN"],
                   ehlo_tls=["8BITMIME", "SIZE 2000", "DSN"]) as server, \
            lib_tls.proxy((NAME, server.port), forward="tls no-verify"
                          ) as proxy:
        c = connect(proxy)
        words = c.greet()
        check_equal(dict(words), {"8BITMIME": "", "SIZE": "2000",
                                  "DSN": ""}, "EHLO")
        c.send(b"MAIL FROM:<a@client.example>\r\nRCPT TO:<b@x.example>\r\n"
               b"RSET\r\nQUIT\r\n")
        for code in (250, 250, 250, 221):
            c.expect(code)
        check_equal(server.conns[0].early, [], "without PIPELINING")


def test_injection_by_the_destination():
    """Octets behind its 220 are not taken for replies inside TLS."""
    for extra in (b"250 injected\r\n", b"x", b"250-server\r\n250 AUTH\r\n"):
        with TlsServer(replies={"STARTTLS": b"220 go ahead\r\n" + extra}
                       ) as server, lib_tls.proxy(
                           (NAME, server.port),
                           forward="tls no-verify") as proxy:
            turned_away(proxy)
            check_match("starttls injection", session(proxy)["_line"])
            check_equal(server.conns[0].in_tls, [], "commands")


def test_no_handshake():
    """What is no TLS, an alert, and an end, behind its 220."""
    for reply, want in (
            (["220 go", Close()], "closed during the handshake|reset"),
            (["220 go", lambda conn: conn.read_octets(20),
              b"250 this is text, which is no TLS\r\n", Close()], "not TLS"),
            (["220 go", lambda conn: conn.read_octets(20),
              b"\x15\x03\x03\x00\x02\x02\x28", Close()],
             "alert received: handshake failure")):
        with TlsServer(replies={"STARTTLS": reply}) as server, \
                lib_tls.proxy((NAME, server.port),
                              forward="tls no-verify") as proxy:
            turned_away(proxy)
            check_match(want, session(proxy)["dest_tls_error"], "why")


@lib.long
@lib.cases("way", ["tls", "smtps"])
def test_handshake_that_stalls(way):
    """`timeout tls`, then the next one."""
    if way == "tls":
        stalled = TlsServer(replies={"STARTTLS": ["220 go", Hang()]})
    else:
        stalled = lib.ScriptedServer(replies={"connect": Hang()})
    stalled.start()
    with TlsServer(implicit=way == "smtps", port=stalled.port,
                   address=lib_tls.HOSTS["b.test.example"]) as server, \
            lib_tls.proxy(("{ %s b.test.example }" % NAME, stalled.port),
                          forward=way + " no-verify",
                          extra="timeout tls 1") as proxy:
        good_session(proxy)
        check(900 <= int(session(proxy)["connect_ms"]) < 8000, "time")
        check_equal(len(server.messages), 1, "messages")
    with lib_tls.proxy(stalled, forward=way + " no-verify",
                       extra="timeout tls 1") as proxy:
        turned_away(proxy)
        session(proxy, reason="timeout of TLS handshake with destination")


def test_protocols_and_ciphers():
    with TlsServer(version="1.2") as server:
        with lib_tls.proxy((NAME, server.port), forward="tls no-verify",
                           extra="tls-protocols { TLSv1.3 }") as proxy:
            turned_away(proxy)
            check_match("version", session(proxy)["dest_tls_error"])
        with lib_tls.proxy((NAME, server.port), forward="tls no-verify",
                           extra='tls-ciphers "ECDHE-ECDSA-'
                           'CHACHA20-POLY1305"') as proxy:
            good_session(proxy)
            session(proxy, dest_cipher="ECDHE-ECDSA-CHACHA20-POLY1305")


# --- TLS on both legs -------------------------------------------------------

@lib.cases("way", [("starttls", "tls pki mx", "tls ", False),
                   ("smtps", "smtps pki mx", "smtps ", True)])
def test_both_legs(way, listen, forward, is_implicit):
    """Messages of several sizes come through as they were sent."""
    with TlsServer(certificate(kind="rsa"), implicit=is_implicit
                   ) as server, lib_tls.proxy(
                       (NAME, server.port), listen=listen,
                       forward=forward + ca()) as proxy:
        for version in VERSIONS:
            begin = implicit if is_implicit else starttls
            c = begin(proxy, context=client_context(version))
            for size in (0, 5000, 16384, 200000, 1 << 20):
                content = deliver(c, size)
                check_octets(server.messages[-1].content, content, "content")
            c.quit()
            record = session(proxy, tls="TLSv" + version)
            check_equal((record["dest_tls"], record["dest_verify"],
                         record["delivered"]), ("TLSv1.3", "ok", "5"))


def test_slow_reader_in_tls():
    """Neither side runs ahead of the other."""
    with TlsServer(rcvbuf=4096, read_size=2000) as server, lib_tls.proxy(
            (NAME, server.port), listen="smtps pki mx",
            forward="tls no-verify") as proxy:
        c = implicit(proxy)
        content = deliver(c, 1 << 20)
        check_octets(server.messages[0].content, content, "content")
        c.quit()


def test_replies_in_pieces():
    with TlsServer(replies={"MAIL": Drip(b"250-one\r\n250 two\r\n"),
                            "dot": Drip(b"250 2.0.0 at last\r\n")}
                   ) as server, lib_tls.proxy(
                       (NAME, server.port), listen="tls pki mx",
                       forward="tls no-verify") as proxy:
        c = starttls(proxy)
        deliver(c)
        c.quit()
        check_equal(len(server.messages), 1, "messages")


@lib.cases("stage", ["MAIL", "dot"])
def test_destination_ends(stage):
    """Its end inside TLS, without close_notify, is an end."""
    with TlsServer(replies={stage: Close()}) as server, lib_tls.proxy(
            (NAME, server.port), listen="smtps pki mx",
            forward="tls no-verify") as proxy:
        c = implicit(proxy)
        c.line("MAIL FROM:<a@client.example>")
        if stage == "dot":
            c.expect(250)
            c.cmd("RCPT TO:<b@test.example>")
            c.cmd("DATA", 354)
            c.send(b"a: b\r\n\r\nc\r\n.\r\n")
        c.expect(421)
        c.expect_eof()
        c.close()


# --- starttls terminate -----------------------------------------------------

def terminating(server_kw=None, words="", mode="redirect", pki=None,
                how="", **kw):
    """(networks, destination, proxy) of a gateway that reads STARTTLS."""
    b = lib_gateway.bed()
    b.rules(mode)
    pki = pki or {"mx": certificate()}
    with b.server:
        server = TlsServer(address=SERVER[4], port=25,
                           **(server_kw or {})).start()
    conf = lib_tls.pki_conf(pki) + lib_gateway.relay(
        mode, "starttls terminate %s %s" % (
            " ".join("pki " + n for n in pki), words), how)
    with b.gateway:
        proxy = lib.Proxy("workers 2\n" + conf, **kw).start()
    return b, server, proxy


def meet(b):
    with b.client:
        return TlsClient(SERVER[4], 25)


@lib.cases("mode", ["redirect", "tproxy"])
def test_terminate(mode):
    """The client's TLS ends with our certificate, the destination's is
    checked for the name that the client asked for."""
    ours = certificate(kind="rsa")
    b, server, proxy = terminating({"cert": certificate()}, ca(), mode,
                                   {"mx": ours})
    c = meet(b)
    check("STARTTLS" in c.greet(), "STARTTLS")
    c.starttls()
    check_octets(c.sock.getpeercert(True), lib_tls.leaf_der(ours), "ours")
    words = c.ehlo("inside.example")
    check("STARTTLS" not in words, "STARTTLS in TLS")
    for size in (0, 1 << 20):
        check_octets(deliver(c, size), server.messages[-1].content)
    c.quit()
    conn = server.conns[0]
    check_equal((conn.peer[0], conn.sni, conn.in_clear[-1], conn.in_tls[0]),
                (CLIENT[4], NAME, b"STARTTLS", b"EHLO inside.example"))
    record = session(proxy, tls="TLSv1.3", dest_tls="TLSv1.3")
    check_equal((record["dest_verify"], record["sni"], record["delivered"]),
                ("ok", NAME, "2"))
    # One that does not ask for TLS is served as it is.
    c = meet(b)
    c.greet()
    deliver(c)
    c.quit()
    check_equal(server.conns[1].in_tls, [], "in TLS")


def test_terminate_without_a_name():
    """No SNI: the chain is checked, since no name is known."""
    b, server, proxy = terminating({"cert": certificate()}, ca())
    c = meet(b)
    c.greet()
    c.starttls(client_context(verify=False), sni=None)
    c.ehlo()
    deliver(c)
    c.quit()
    check_equal(server.conns[0].sni, None, "SNI")
    check_equal(session(proxy)["dest_verify"], "ok", "dest_verify")


def test_terminate_not_offered():
    b, server, proxy = terminating({"starttls": False}, ca())
    c = meet(b)
    check("STARTTLS" not in c.greet(), "STARTTLS")
    c.cmd("STARTTLS", 502)
    deliver(c)
    c.quit()
    check(b"STARTTLS" not in server.commands(), "STARTTLS")


BAD_LEGS = {
    "expired": ({"cert": FAULTS["expired"][0]}, "certificate has expired"),
    "wrong name": ({"cert": FAULTS["wrong name"][0]},
                   "host name does not match"),
    "self-signed": ({"cert": FAULTS["self-signed"][0]},
                    "self-signed certificate"),
    "refused": ({"replies": {"STARTTLS": "454 4.7.0 no"}}, None),
    "injection": ({"replies": {"STARTTLS": b"220 go\r\n250 x\r\n"}}, None),
    "text": ({"replies": {"STARTTLS": [
        "220 go", lambda conn: conn.read_octets(20), b"no TLS at all\r\n",
        Close()]}}, "not TLS"),
}
REASONS = {"refused": "destination refused STARTTLS",
           "injection": "starttls injection"}


@lib.cases("fault", list(BAD_LEGS))
def test_terminate_is_never_downgraded(fault):
    """The client has TLS and the destination can't: 421."""
    kw, want = BAD_LEGS[fault]
    kw = {k: v() if callable(v) else v for k, v in kw.items()}
    b, server, proxy = terminating(kw, ca())
    c = meet(b)
    c.greet()
    c.starttls()
    c.line("EHLO inside.example")
    check_match(rb"^421 4\.7\.0 ", c.expect(421))
    c.expect_eof()
    c.close()
    record = session(proxy)
    check_equal(record["tls"], "TLSv1.3", "the client's")
    if want is not None:
        check_match(want, record["dest_tls_error"], "why")
    check_match(REASONS.get(fault, "handshake"), record["reason"], "reason")
    check_equal([x[:4] for x in server.commands()],
                [b"EHLO", b"STAR"], "commands")


def test_terminate_no_verify():
    b, server, proxy = terminating(
        {"cert": certificate(fault="self-signed")}, "no-verify")
    c = meet(b)
    c.greet()
    c.starttls()
    c.ehlo()
    deliver(c)
    c.quit()
    session(proxy, dest_tls="TLSv1.3", dest_verify="not checked")


def test_terminate_injection_by_the_client():
    b, server, proxy = terminating({"cert": certificate()}, ca())
    c = meet(b)
    c.greet()
    c.send(b"STARTTLS\r\nMAIL FROM:<evil@client.example>\r\n")
    check_match(rb"^503 [^\r]*\r\n421 [^\r]*\r\n$", c.read_all())
    c.close()
    check_match("pipelin|injection", session(proxy)["reason"], "reason")
    check_equal([x for x in server.commands() if x != b"QUIT"],
                [b"EHLO client.example"], "commands")


def test_terminate_pki_by_name():
    one, two = (certificate(names=(n,)) for n in OTHER_NAMES)
    b, server, proxy = terminating(
        {"cert": certificate(names=OTHER_NAMES)}, ca(),
        pki={"one": one, "two": two})
    for sni, want in zip(OTHER_NAMES + ("else.example",), (one, two, one)):
        c = meet(b)
        c.greet()
        c.starttls(client_context(verify=False), sni=sni)
        check_octets(c.sock.getpeercert(True), lib_tls.leaf_der(want), sni)
        c.line("EHLO inside.example")
        # The third asks for a name that the destination is not.
        c.expect(421 if sni == "else.example" else 250)
        c.close()


if __name__ == "__main__":
    lib.main()
