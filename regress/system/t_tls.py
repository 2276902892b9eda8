#!/usr/bin/python3
"""TLS towards clients: STARTTLS and smtps, certificates of each type, names,
client certificates, and what must not work."""

import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import threading
import time

import lib
import lib_tls
from lib import ScriptedServer, Skip, check, check_equal, check_match, \
    check_octets
from lib_tls import NAME, certificate, client_context, connect, deliver, \
    implicit, s_client, session, starttls

KINDS = ["rsa", "p256", "ed25519"]
VERSIONS = ["1.2", "1.3"]
WAYS = [("%s TLS %s" % (k, v), k, v) for k in KINDS for v in VERSIONS]
SIGNED_BY = {"rsa": "RSA-PSS", "p256": "ECDSA", "ed25519": "ed25519"}


def fails(func, *args, **kw):
    """func must not get through its handshake; returns why."""
    try:
        func(*args, **kw)
    except (OSError, lib.Failure) as e:
        return str(e)
    raise lib.Failure("TLS, where there should be none")


def last_words(c):
    """Everything that the server still says, until it ends."""
    got = c.read_all()
    c.close()
    return got


# --- STARTTLS -------------------------------------------------------------

@lib.cases("way", WAYS)
def test_starttls_python(way, kind, version):
    cert = certificate(kind=kind)
    with ScriptedServer() as server, lib_tls.proxy(
            server, listen="tls pki mx", pki={"mx": cert}) as proxy:
        c = starttls(proxy, context=client_context(version))
        check_equal(c.sock.version(), "TLSv" + version, "version")
        check_octets(c.sock.getpeercert(True), lib_tls.leaf_der(cert))
        cipher = c.sock.cipher()[0]
        content = deliver(c)
        c.quit()
        check_octets(server.messages[0].content, content, "content")
        record = session(proxy, tls="TLSv" + version, sni=NAME)
        check_equal(record["cipher"], cipher, "cipher")
        check_equal(record["delivered"], "1", "delivered")


@lib.long
@lib.cases("way", WAYS)
def test_starttls_openssl(way, kind, version):
    with ScriptedServer() as server, lib_tls.proxy(
            server, listen="tls pki mx",
            pki={"mx": certificate(kind=kind)}) as proxy:
        text = s_client(proxy.address, proxy.port, "-verify_return_error",
                        "-tls" + version.replace(".", "_"))
        check_match(r"Verify return code: 0 \(ok\)", text)
        check_match("Peer signature type: " + SIGNED_BY[kind], text)
        check_match("Compression: NONE", text)
        if version == "1.2":
            check_match("Secure Renegotiation IS supported", text)
        check_match(r"(?m)^221 ", text)


@lib.long
@lib.cases("way", [("starttls", "tls", "--tls"),
                   ("smtps", "smtps", "--tls-on-connect")])
def test_swaks(way, words, option):
    if shutil.which("swaks") is None:
        raise Skip("no swaks: make test-deps")
    with ScriptedServer() as server, lib_tls.proxy(
            server, listen=words + " pki mx") as proxy:
        text = lib.Program(
            "swaks", "--server", proxy.address, "--port", proxy.port, option,
            "--from", "a@client.example", "--to", "b@test.example",
            "--tls-verify", "--tls-ca-path", lib_tls.root(lib_tls.ROOT).cert,
            "--tls-sni", NAME).wait()
        check_match("TLS started with cipher TLSv1.3", text)
        check_equal(len(server.messages), 1, "messages")
        session(proxy, tls="TLSv1.3", delivered="1")


def test_smtps():
    with ScriptedServer() as server, lib_tls.proxy(
            server, listen="smtps pki mx") as proxy:
        for version in VERSIONS:
            c = implicit(proxy, context=client_context(version))
            check("STARTTLS" not in c.words, "STARTTLS inside TLS")
            c.cmd("STARTTLS", (502, 503))
            content = deliver(c, size=100000)
            c.quit()
            check_octets(server.messages[-1].content, content, version)
        # Nothing is said to one that has not shaken hands.
        c = connect(proxy)
        c.silent(0.2)


def test_ehlo_is_replaced():
    """STARTTLS is ours whether the destination has it or not, and gone once
    TLS is there; AUTH is offered in TLS only."""
    for theirs in (["STARTTLS"], []):
        with ScriptedServer(ehlo=["PIPELINING"] + theirs,
                            auth={"PLAIN": 1}) as server, lib_tls.proxy(
                                server, listen="tls pki mx") as proxy:
            c = connect(proxy)
            words = c.greet()
            check("STARTTLS" in words and "PIPELINING" in words, "%r" % words)
            check("AUTH" not in words, "AUTH in clear")
            c.line("AUTH PLAIN AGEAYg==")
            check_match(rb"^(502|503|530|538) ",
                        c.expect((502, 503, 530, 538)))
            c.starttls()
            words = c.ehlo()
            check("STARTTLS" not in words, "STARTTLS in TLS")
            check_equal(words["AUTH"], "PLAIN", "AUTH")
            c.cmd("STARTTLS", 503)
            c.cmd("AUTH PLAIN AGEAYg==", 235)
            deliver(c)
            c.quit()
            check_equal([a[0] for a in server.conns[0].auth], ["PLAIN"])
            check(b"STARTTLS" not in server.commands(), "STARTTLS passed")


def test_tls_require():
    with ScriptedServer(auth={"PLAIN": 1}) as server, lib_tls.proxy(
            server, listen="tls-require pki mx") as proxy:
        c = connect(proxy)
        check("AUTH" not in c.greet(), "AUTH in clear")
        for line in ("MAIL FROM:<a@client.example>", "RCPT TO:<b@x.example>",
                     "DATA", "VRFY a", "EXPN a", "AUTH PLAIN AGEAYg==",
                     "BDAT 3 LAST\r\nx"):
            got = c.cmd(line, 530)
            check(got.startswith(b"530 5.7.0 "), "%r" % got)
        c.cmd("NOOP")
        c.cmd("RSET")
        c.starttls()
        c.ehlo()
        deliver(c)
        c.quit()
        check_equal([c for c in server.commands()
                     if c[:4] in (b"VRFY", b"EXPN", b"AUTH")], [], "passed")
        check_equal(len(server.messages), 1, "messages")


def test_ehlo_is_forgotten():
    """Nothing of before TLS counts: EHLO is asked for again."""
    with ScriptedServer() as server, lib_tls.proxy(
            server, listen="tls pki mx") as proxy:
        c = connect(proxy)
        c.greet("before.example")
        c.starttls()
        got = c.cmd("MAIL FROM:<a@client.example>", 503)
        check(b"EHLO" in got, "%r" % got)
        c.ehlo("after.example")
        deliver(c)
        c.quit()
        session(proxy, helo="after.example")
        # A transaction does not reach across TLS.
        c = connect(proxy)
        c.greet()
        c.cmd("MAIL FROM:<a@client.example>")
        c.cmd("STARTTLS", 503)
        c.cmd("STARTTLS now", 501)
        c.cmd("RSET")
        c.starttls()
        c.cmd("RCPT TO:<b@test.example>", 503)


# --- Names, and client certificates ----------------------------------------

def test_sni_chooses():
    one, two, many = (certificate(names=n) for n in (
        ("one.test.example",), ("two.test.example",),
        ("*.many.test.example", "third.test.example")))
    pki = {"mx": certificate(), "one.test.example": one, "second": two,
           "rest": many}
    words = "tls " + " ".join("pki " + n for n in pki)
    context = client_context(verify=False)
    with ScriptedServer() as server, lib_tls.proxy(
            server, listen=[words, "smtps" + words[3:]], pki=pki) as proxy:
        for sni, want in (("one.test.example", one),
                          ("ONE.test.example", one),
                          ("two.test.example", two),
                          ("a.many.test.example", many),
                          ("third.test.example", many),
                          ("many.test.example", pki["mx"]),
                          ("unknown.example", pki["mx"]), (NAME, pki["mx"]),
                          (None, pki["mx"])):
            after = proxy.mark()
            for n, begin in enumerate((starttls, implicit)):
                c = begin(proxy, n, context, sni)
                check_octets(c.sock.getpeercert(True),
                             lib_tls.leaf_der(want), "for %s" % sni)
                c.quit()
            record = session(proxy, after, count=2)
            check_equal(record.get("sni"), sni, "the log")


CLIENTS = {
    "good": {"use": "client", "names": (), "subject": "/O=Test/CN=client"},
    "expired": {"use": "client", "names": (), "fault": "expired"},
    "foreign": {"use": "client", "names": (), "ca": "Foreign Root"},
    "for servers": {"use": "server"},
    "none": None,
}
VERDICTS = {"good": "ok", "expired": "certificate has expired",
            "foreign": "unable to get local issuer certificate",
            "for servers": "unsuitable certificate purpose", "none": "none"}


def client_certificate(which):
    how = CLIENTS[which]
    return None if how is None else certificate(**how)


@lib.long
@lib.cases("which", list(CLIENTS))
def test_client_certificate_is_asked_for(which):
    """`verify`: the log has the result, and nothing else comes of it."""
    with ScriptedServer() as server, lib_tls.proxy(
            server, listen=[w + " verify pki mx " + lib_tls.ca()
                            for w in ("tls", "smtps")]) as proxy:
        for version in VERSIONS:
            after = proxy.mark()
            context = client_context(version,
                                     cert=client_certificate(which))
            for n, begin in enumerate((starttls, implicit)):
                c = begin(proxy, n, context)
                deliver(c)
                c.quit()
            record = session(proxy, after, count=2)
            check_match(re.escape(VERDICTS[which]), record["verify"], "log")
            check_equal(record.get("subject"),
                        {"good": "CN=client,O=Test", "none": None,
                         "for servers": "CN=" + NAME}.get(
                             which, "CN=nobody"), "subject")


@lib.cases("which", list(CLIENTS))
@lib.long
def test_client_certificate_is_required(which):
    with ScriptedServer() as server, lib_tls.proxy(
            server, listen=[w + " verify pki mx " + lib_tls.ca() for w in (
                "tls-require", "smtps tls-require")]) as proxy:
        for version in VERSIONS:
            context = client_context(version,
                                     cert=client_certificate(which))
            for n, begin in enumerate((starttls, implicit)):
                after = proxy.mark()
                if which == "good":
                    c = begin(proxy, n, context)
                    deliver(c)
                    c.quit()
                    record = session(proxy, after)
                    check_equal(record["verify"], "ok", "verify")
                    continue
                # TLS 1.3: the client has done its part before it is told.
                fails(begin, proxy, n, context)
                record = session(proxy, after)
                check_match("handshake", record["reason"], "reason")
                want = "no certificate" if which == "none" else \
                    VERDICTS[which]
                check_match("^verify: .*" + re.escape(want),
                            record["tls_error"], "tls_error")
        check_equal(len(server.messages), 4 * (which == "good"), "messages")


# --- What comes in clear where it may not ----------------------------------

@lib.cases("behind", ["EHLO inside.example\r\n",
                      "MAIL FROM:<evil@client.example>\r\n", "x"])
def test_injection_by_the_client(behind):
    """Octets behind STARTTLS before its reply (RFC 3207 6, CVE-2011-0411)
    are no commands inside TLS: the session ends."""
    with ScriptedServer() as server, lib_tls.proxy(
            server, listen="tls pki mx") as proxy:
        c = connect(proxy)
        c.greet()
        c.send("STARTTLS\r\n" + behind)
        got = last_words(c)
        check_match(rb"^503 5\.5\.0 [^\r]*\r\n421 [^\r]*\r\n$", got)
        record = session(proxy)
        check_match("pipelin|injection", record["reason"], "reason")
        check("tls" not in record, "TLS")
        check_equal([x for x in server.commands() if x != b"QUIT"],
                    [b"EHLO client.example"], "commands")


def test_injection_between_reply_and_handshake():
    """The same a moment later: no TLS, and nothing of it is read."""
    with ScriptedServer() as server, lib_tls.proxy(
            server, listen="tls pki mx") as proxy:
        c = connect(proxy)
        c.greet()
        c.cmd("STARTTLS", 220)
        c.send("MAIL FROM:<evil@client.example>\r\n")
        check(b"250" not in last_words(c), "an answer")
        record = session(proxy)
        check_equal(record["tls_error"], "not TLS", "tls_error")
        check_equal(server.commands(), [b"EHLO client.example"], "commands")


@lib.long
@lib.cases("way", ["tls", "smtps"])
def test_no_handshake(way):
    """Plain text, nothing, an end, half a record."""
    with ScriptedServer() as server, lib_tls.proxy(
            server, listen=way + " pki mx",
            extra="timeout tls 1") as proxy:
        record = lib_tls.hello()
        for what, octets, want in (
                ("text", b"EHLO client.example\r\n", "not TLS"),
                ("HTTP", b"GET / HTTP/1.1\r\n\r\n", "not TLS"),
                ("nothing", b"", None), ("a part", record[:50], None),
                ("end", "half", "closed during the handshake"),
                ("reset", "reset", "closed|reset"),
                ("garbage", b"\x16\x03\x01\x00\x05" + b"\xff" * 5, ".")):
            after = proxy.mark()
            c = connect(proxy)
            if way == "tls":
                c.greet()
                c.cmd("STARTTLS", 220)
            if octets == "half":
                c.half_close()
            elif octets == "reset":
                c.reset()
            else:
                c.send(octets)
            if octets != "reset":
                got = last_words(c)
                check(got[:1] in (b"", b"\x15"), "%s: %r" % (what, got))
            found = session(proxy, after)
            if want is None:
                check_match("timeout", found["reason"], what)
                # One second, and some for a busy machine.
                check(900 <= int(found["duration_ms"]) < 5000,
                      "%s: %s ms" % (what, found["duration_ms"]))
            else:
                check_match(want, found["tls_error"], what)
        # Nothing but TLS handshakes ended.
        c = (starttls if way == "tls" else implicit)(proxy)
        c.quit()


class Memory:
    """A client whose records are sent as the test says."""

    def __init__(self, c, context=None):
        self.c = c
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = (context or client_context()).wrap_bio(
            self.incoming, self.outgoing, server_hostname=NAME)

    def hello(self):
        """The first flight alone."""
        try:
            self.tls.do_handshake()
        except ssl.SSLWantReadError:
            self.c.send(self.outgoing.read())

    def finish(self):
        """The rest, and the greeting."""
        self.more()
        self.handshake(self.c.send)
        self.c.send(self.outgoing.read())
        check_match(rb"^220 ", self.read())

    def handshake(self, send, step=16384):
        """send(octets) for each flight but the last, which is kept."""
        while True:
            try:
                return self.tls.do_handshake()
            except ssl.SSLWantReadError:
                send(self.outgoing.read())
                self.more(step)

    def more(self, step=16384):
        got = self.c.sock.recv(step)
        check(got, "closed")
        self.incoming.write(got)

    def read(self):
        while True:
            try:
                return self.tls.read(65536)
            except ssl.SSLWantReadError:
                self.more()


def test_slow_handshake():
    """Octet by octet it works; the limit is for the whole."""
    with ScriptedServer() as server, lib_tls.proxy(
            server, listen="smtps pki mx") as proxy:
        c = connect(proxy)
        m = Memory(c)

        def send(octets):
            for octet in octets:
                c.send(bytes([octet]))
        m.handshake(send, 7)
        send(m.outgoing.read())
        check_match(rb"^220 ", m.read())
        c.close()


@lib.cases("version", VERSIONS)
def test_commands_behind_the_handshake(version):
    """Those that come in one segment with its end are not forgotten."""
    with ScriptedServer() as server, lib_tls.proxy(
            server, listen="tls pki mx") as proxy:
        c = connect(proxy)
        c.greet()
        c.cmd("STARTTLS", 220)
        m = Memory(c, client_context(version))
        m.handshake(c.send)
        m.tls.write(b"EHLO inside.example\r\n")
        c.send(m.outgoing.read())
        check_match(rb"^250-", m.read())
        c.close()


def test_pregreet_in_tls():
    """With smtps too a client waits for the greeting."""
    with ScriptedServer(replies={"connect": lib.Never()}) as server, \
            lib_tls.proxy(server, listen="smtps pki mx") as proxy:
        m = Memory(connect(proxy))
        m.handshake(m.c.send)
        m.tls.write(b"EHLO early.example\r\n")
        m.c.send(m.outgoing.read())
        check_match(rb"^554 ", m.read())
        m.c.close()
        session(proxy, reason="pregreet", tls="TLSv1.3")
        check_equal(server.commands(), [], "commands")


def test_tls_to_a_plain_port():
    with ScriptedServer() as server, lib_tls.proxy(
            server, listen=["", "tls pki mx"]) as proxy:
        for n in range(2):
            c = connect(proxy, n)
            c.expect(220)
            c.send(lib_tls.hello())
            c.expect(502)
            c.expect(421)
            c.expect_eof()
            c.close()
        proxy.wait_for_record(reason="not SMTP: TLS", count=2)
        check_equal(server.commands(), [], "commands")


# --- What testssl would find -----------------------------------------------

PROTOCOL_VERSION = 70
HANDSHAKE_FAILURE = 40
# TLS_RSA, DHE, RC4, 3DES, NULL, EXPORT, anonymous, SEED, IDEA, CAMELLIA.
OLD = {"TLS_RSA": (0x9c, 0x9d, 0x2f, 0x35, 0x3c, 0x3d),
       "RC4": (0x04, 0x05, 0xc011, 0xc007), "3DES": (0x0a, 0x16, 0xc012),
       "NULL": (0x01, 0x02, 0x3b, 0xc006, 0xc010),
       "EXPORT": (0x03, 0x06, 0x08, 0x14),
       "anonymous": (0x18, 0x34, 0x6c, 0xc018, 0xc019),
       "CBC": (0xc009, 0xc00a, 0xc013, 0xc014, 0xc023, 0xc027),
       "DHE CBC": (0x33, 0x39, 0x67, 0x6b)}


@lib.long
def test_old_protocols_are_refused():
    with ScriptedServer() as server, lib_tls.proxy(
            server, listen="smtps pki mx") as proxy:
        for version in (0x0300, 0x0301, 0x0302):
            got = lib_tls.answer_to(connect(proxy), lib_tls.hello(version))
            check(got in (("alert", PROTOCOL_VERSION),
                          ("alert", HANDSHAKE_FAILURE)), "%x: %r" % (version,
                                                                     got))
        session(proxy, tls_error=re.compile("version"),
                count=3)
        # SSLv2's hello is no record.
        check(lib_tls.answer_to(connect(proxy), bytes.fromhex(
            "802e0100020015000000100100800200800300800400800500800600400700c0"
            + "00" * 16)) in (None, ("alert", PROTOCOL_VERSION)), "SSLv2")
        for option in ("-tls1", "-tls1_1"):
            text = s_client(proxy.address, proxy.port, option, "-cipher",
                            "ALL:@SECLEVEL=0", code=None, starttls=False)
            check_match("alert protocol version", text, option)
        check_equal(lib_tls.answer_to(connect(proxy), lib_tls.hello())[:2],
                    ("hello", 0x0303), "TLS 1.2")


@lib.long
@lib.cases("kind", ["rsa", "p256"])
def test_weak_ciphers_are_refused(kind):
    with ScriptedServer() as server, lib_tls.proxy(
            server, listen="smtps pki mx",
            pki={"mx": certificate(kind=kind)}) as proxy:
        for name, ciphers in OLD.items():
            got = lib_tls.answer_to(connect(proxy),
                                    lib_tls.hello(ciphers=ciphers))
            check_equal(got, ("alert", HANDSHAKE_FAILURE), name)
        session(proxy, tls_error="no shared cipher", count=len(OLD))
        # With a good one behind all of them, that is taken.
        good = {"rsa": 0xc02f, "p256": 0xc02b}[kind]
        offer = sum(OLD.values(), ()) + (good,)
        # Compression is not, with whatever it is offered.
        got = lib_tls.answer_to(connect(proxy), lib_tls.hello(
            ciphers=offer, compressions=(1, 64, 0)))
        check_equal(got, ("hello", 0x0303, good, 0), "the good one")


def s_client_command(proxy, version, *say):
    """An openssl s_client that is told these lines, once the greeting is
    there, each with what it is to be answered with; a letter is for the
    program itself.  Returns all its output."""
    with subprocess.Popen(
            ["openssl", "s_client", "-connect", "%s:%d" % proxy.listeners[0],
             version, "-servername", NAME, "-crlf"], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as run:
        out = b""
        while b"220 " not in out:
            out += run.stdout.read1(10000)
        for line, want in say:
            run.stdin.write(line)
            run.stdin.flush()
            before = len(out)
            while want not in out[before:]:
                more = run.stdout.read1(10000)
                if not more:
                    return out
                out += more
        run.stdin.close()
        return out + run.stdout.read()


@lib.long
def test_no_renegotiation():
    with ScriptedServer() as server, lib_tls.proxy(
            server, listen="smtps pki mx") as proxy:
        out = s_client_command(proxy, "-tls1_2", (b"R\n", b"\nRENEG"),
                               (b"NOOP\n", b"250 "))
        check_match(b"RENEGOTIATING", out)
        check_match(b"(?i)no renegotiation", out)


@lib.long
def test_key_update():
    """In TLS 1.3 a client may have new keys, and ask for ours."""
    with ScriptedServer() as server, lib_tls.proxy(
            server, listen="smtps pki mx") as proxy:
        noop = (b"NOOP\n", b"250 ")
        out = s_client_command(proxy, "-tls1_3", (b"K\n", b"KEYUPDATE\n"),
                               noop, (b"k\n", b"KEYUPDATE\n"), noop)
        check_equal(out.count(b"KEYUPDATE"), 2, "key updates")
        check_equal(out.count(b"250 2.0.0"), 2, "replies to NOOP")


@lib.long
def test_no_early_data():
    with ScriptedServer() as server, lib_tls.proxy(
            server, listen="smtps pki mx") as proxy:
        kept = lib_tls.new_file()
        text = s_client(proxy.address, proxy.port, "-tls1_3", "-sess_out",
                        kept, starttls=False)
        check_match("Max Early Data: 0", text)
        text = s_client(proxy.address, proxy.port, "-tls1_3", "-sess_in",
                        kept, "-early_data",
                        lib_tls.new_file("MAIL FROM:<a@b.example>\r\n"),
                        starttls=False, code=None)
        check("Early data was accepted" not in text, text)
        check_equal([x for x in server.commands() if x != b"QUIT"], [],
                    "commands")


def test_tls_protocols():
    with ScriptedServer() as server:
        for version, other in (VERSIONS, VERSIONS[::-1]):
            with lib_tls.proxy(server, listen="smtps pki mx",
                               extra="tls-protocols { TLSv%s }" % version
                               ) as proxy:
                c = implicit(proxy)
                check_equal(c.sock.version(), "TLSv" + version, "version")
                c.quit()
                fails(implicit, proxy, context=client_context(other))
                session(proxy, tls_error="protocol version")


def test_tls_ciphers():
    with ScriptedServer() as server, lib_tls.proxy(
            server, listen="smtps pki mx", top='tls-ciphers '
            '"ECDHE-ECDSA-CHACHA20-POLY1305"') as proxy:
        c = implicit(proxy, context=client_context("1.2"))
        check_equal(c.sock.cipher()[0], "ECDHE-ECDSA-CHACHA20-POLY1305")
        c.quit()
        fails(implicit, proxy, context=client_context(
            "1.2", "ECDHE-ECDSA-AES128-GCM-SHA256"))
        session(proxy, tls_error="no shared cipher")
        # They are TLS 1.2's alone.
        c = implicit(proxy, context=client_context("1.3"))
        c.quit()


# --- How it ends, and how much of it ---------------------------------------

@lib.long
def test_big_messages():
    with ScriptedServer() as server, lib_tls.proxy(
            server, listen="tls pki mx") as proxy:
        for version in VERSIONS:
            c = starttls(proxy, context=client_context(version))
            for size in (0, 16384, 100000, 1 << 20):
                content = lib.make_message(size=size)
                c.envelope()
                (c.bdat if size % 3 else c.data)(content)
                check_octets(server.messages[-1].content, content, "content")
            c.quit()


def test_pipelined_in_tls():
    with ScriptedServer() as server, lib_tls.proxy(
            server, listen="tls pki mx") as proxy:
        c = starttls(proxy)
        body = b"a: b\r\n\r\nc\r\n.\r\n"
        c.send(b"MAIL FROM:<a@client.example>\r\nRCPT TO:<b@x.example>\r\n"
               b"DATA\r\n")
        for code in (250, 250, 354):
            c.expect(code)
        c.send(body + b"MAIL FROM:<a@client.example>\r\n"
               b"RCPT TO:<b@x.example>\r\nDATA\r\n")
        for code in (250, 250, 250, 354):
            c.expect(code)
        c.send(body + b"QUIT\r\n")
        c.expect(250)
        c.expect(221)
        c.expect_eof()
        check_equal(len(server.messages), 2, "messages")


@lib.cases("version", VERSIONS)
def test_quit_in_tls(version):
    """The answer, close_notify and the end are heard, though they come
    together."""
    with ScriptedServer() as server, lib_tls.proxy(
            server, listen="tls pki mx") as proxy:
        c = starttls(proxy, context=client_context(version))
        c.sock.suppress_ragged_eofs = False
        c.line("QUIT")
        c.expect(221)
        c.expect_eof()
        check_equal(server.conns[0].commands[-1], b"QUIT")


@lib.cases("version", VERSIONS)
def test_quit_without_waiting(version):
    """A client that does not wait for the answer to its last words, as
    Postfix does not: the destination hears them all the same."""
    with ScriptedServer() as server, lib_tls.proxy(
            server, listen="tls pki mx") as proxy:
        c = starttls(proxy, context=client_context(version))
        pid = proxy.worker_of(c.name[1])
        os.kill(pid, signal.SIGSTOP)
        c.line("QUIT")
        c.sock.setblocking(False)
        try:
            c.sock.unwrap()
        except (ssl.SSLError, OSError):
            pass
        c.close()
        lib.kill_pid(pid, signal.SIGCONT)
        server.conns[0].wait_closed()
        check_equal(server.conns[0].commands[-1], b"QUIT")


def test_cut_off_inside_a_message():
    """An end without close_notify, and a reset, are no end of data."""
    with ScriptedServer() as server, lib_tls.proxy(
            server, listen="smtps pki mx") as proxy:
        for how in ("fin", "reset", "close_notify"):
            c = implicit(proxy)
            c.envelope()
            c.cmd("DATA", 354)
            c.send(b"a: b\r\n\r\nnot yet\r\n")
            if how == "close_notify":
                c.sock.setblocking(False)
                try:
                    c.sock.unwrap()
                except (ssl.SSLError, OSError):
                    pass
            elif how == "reset":
                c.reset()
            c.close()
            server.conns[-1].wait_closed()
        check_equal(server.offered, [], "messages")


def served_by_all(proxy, begin, **kw):
    """{worker: client}, sessions with as many workers as there are: a
    session stays until the others have theirs."""
    clients = {}

    def all_have_one():
        c = begin(proxy, **kw)
        clients.setdefault(proxy.worker_of(c.name[1]), c)
        return len(clients) == 2
    lib.wait_until(all_have_one, 10, lambda: "both workers: %r" % clients)
    return clients


@lib.long
def test_workers_are_replaced():
    """kill -9 of each worker: the new ones do TLS."""
    with ScriptedServer() as server, lib_tls.proxy(
            server, listen="smtps pki mx",
            allow=["killed by signal 9"]) as proxy:
        proxy.settle()
        old = proxy.children("worker")
        for pid in old:
            lib.kill_pid(pid)
        proxy.wait_children("worker", 2, without=old)
        for pid, c in served_by_all(proxy, implicit).items():
            check(pid not in old, "an old worker")
            c.quit()


@lib.long
@lib.cases("version", VERSIONS)
def test_resumption_across_workers(version):
    """A ticket of one worker is good for the other."""
    context = client_context(version)
    with ScriptedServer() as server, lib_tls.proxy(
            server, listen=["smtps pki mx", "tls pki mx"]) as proxy:
        proxy.settle()
        for n, begin in enumerate((implicit, starttls)):
            c = begin(proxy, n, context)
            check(not c.sock.session_reused, "the first one")
            kept = c.sock.session
            c.quit()
            for c in served_by_all(proxy, begin, listener=n, context=context,
                                   session=kept).values():
                check(c.sock.session_reused, "not resumed")
                c.quit()
        # What was known of the first stands in the log of the others.
        session(proxy, tls="TLSv" + version, sni=NAME, count=6)


def test_ticket_of_another_listener():
    """One that did not ask for a certificate gets nobody past one that
    does."""
    context = client_context("1.3")
    with ScriptedServer() as server, lib_tls.proxy(
            server, listen=["smtps pki mx", "smtps tls-require verify pki mx "
                            + lib_tls.ca()]) as proxy:
        c = implicit(proxy, 0, context)
        kept = c.sock.session
        c.quit()
        fails(implicit, proxy, 1, context, session=kept)
        session(proxy, tls_error="verify: no certificate")
        check_equal(server.commands(), [b"EHLO client.example", b"QUIT"],
                    "commands")


@lib.long
@lib.timeout(120)
def test_thousand_handshakes_at_once():
    """All succeed, and another session is served meanwhile."""
    n, threads = 1000, 8
    context = client_context("1.3", verify=False)
    with ScriptedServer(backlog=2048) as server, lib_tls.proxy(
            server, listen=["smtps pki mx", ""],
            top="max-sessions 3000") as proxy:
        beside = connect(proxy, 1)
        beside.greet()
        waits = []
        done = threading.Event()

        def serve_beside():
            while not done.is_set():
                began = time.monotonic()
                beside.cmd("NOOP")
                waits.append(time.monotonic() - began)
                time.sleep(0.02)
        # All have connected before any says its hello.
        clients = [Memory(connect(proxy, timeout=60), context)
                   for _ in range(n)]
        noop = threading.Thread(target=serve_beside)
        noop.start()
        try:
            for m in clients:
                m.hello()
            lib_tls.in_threads(threads, lambda k: [
                m.finish() for m in clients[k::threads]])
        finally:
            done.set()
            noop.join()
        check(waits and max(waits) < 5, lambda: "NOOP took %r" % max(waits))
        for m in clients:
            m.c.close()
        session(proxy, tls="TLSv1.3")
        beside.quit()


if __name__ == "__main__":
    lib.main()
