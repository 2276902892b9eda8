#!/usr/bin/python3
"""The dialogue through the proxy, against a scripted destination: commands,
replies and content pass as they came, and what must not pass is refused."""

import lib
from lib import Proxy, RawClient, ScriptedServer, Close, Reset, Never, Drip, \
    Seq, check, check_equal, check_octets


def client(proxy, **kw):
    return RawClient(proxy.address, proxy.port, **kw)


@lib.cases("address", ["127.0.0.1", "::1"])
def test_message_passes(address):
    with ScriptedServer(address) as server, \
            Proxy.to(server, listen=[(address, lib.free_port())]) as proxy:
        content = lib.make_message(body=b"..x\r\n.y\r\n\xff\x80 high\r\n")
        c = client(proxy)
        name = c.name
        c.greet("client.example")
        c.envelope("a@client.example", ["b@test.example", "c@test.example"],
                   params="BODY=8BITMIME SIZE=1000")
        reply = c.data(content)
        check(b"queued as" in reply, "reply %r" % reply)
        c.quit()
        m = server.messages[0]
        check_octets(m.content, content, "content")
        check_octets(m.wire, lib.stuff(content), "wire")
        check_equal(m.mail,
                    b"FROM:<a@client.example> BODY=8BITMIME SIZE=1000")
        check_equal(m.recipients, ["b@test.example", "c@test.example"])
        record = proxy.wait_for_record(msg=lib.re.compile(r"\.1$"))
        check_equal(record["from"], "a@client.example")
        check_equal(record["nrcpt"], "2")
        check_equal(record["size"], str(len(lib.stuff(content))))
        check_equal(record["delivered"], "yes")
        check_equal(record["helo"], "client.example")
        check_equal(record["client"],
                    ("[%s]:%d" if ":" in name[0] else "%s:%d") % name)
        end = proxy.wait_for_record(reason="quit")
        check_equal(end["sess"], record["sess"])


def test_ehlo_is_filtered():
    offered = ["PIPELINING", "SIZE 1000000", "8BITMIME", "STARTTLS",
               "XCLIENT NAME ADDR", "XFORWARD NAME", "PIPECONNECT", "VERB",
               "REQUIRETLS", "FUTURE-THING 1", "CHUNKING", "BINARYMIME",
               "DSN", "AUTH PLAIN GSSAPI DIGEST-MD5 LOGIN", "SMTPUTF8",
               "DELIVERBY 3600", "ETRN", "ENHANCEDSTATUSCODES",
               "LIMITS RCPTMAX=1000 MAILMAX=5"]
    with ScriptedServer(ehlo=offered) as server, \
            Proxy.to(server, extra="max-message-size 5000\n"
                     "max-recipients 7") as proxy:
        words = client(proxy).greet()
        for gone in ("STARTTLS", "XCLIENT", "XFORWARD", "PIPECONNECT",
                     "VERB", "REQUIRETLS", "FUTURE-THING"):
            check(gone not in words, "%s passed" % gone)
        for kept in ("PIPELINING", "8BITMIME", "CHUNKING", "BINARYMIME",
                     "DSN", "SMTPUTF8", "DELIVERBY", "ETRN",
                     "ENHANCEDSTATUSCODES"):
            check(kept in words, "%s is gone" % kept)
        check_equal(words["SIZE"], "5000")
        check_equal(words["AUTH"], "PLAIN LOGIN")
        check_equal(words["DELIVERBY"], "3600")
        check("RCPTMAX=7" in words["LIMITS"], words["LIMITS"])


@lib.cases("verb", ["XCLIENT ADDR=192.0.2.1", "XFORWARD ADDR=192.0.2.1",
                    "PROXY", "xClient A=B",
                    "STARTTLS", "VERB", "FOO", "ONEX", "BDAT\t1",
                    "AUTH\tPLAIN AGEAYg=="])
def test_never_forwarded(verb):
    with ScriptedServer() as server, Proxy.to(server) as proxy:
        c = client(proxy)
        c.greet()
        c.cmd(verb, (500, 502, 503))
        c.cmd("NOOP")
        c.quit()
        check_equal(server.commands(), [b"EHLO client.example", b"NOOP",
                                        b"QUIT"])


@lib.cases("line", ["HELO x.example", "NOOP", "RSET", "VRFY a", "EXPN b",
                    "HELP", "ETRN c.example"])
def test_plain_commands(line):
    verb = line.split()[0]
    reply = b"250-first line of %s\r\n250 2.0.0 second\r\n" % verb.encode()
    with ScriptedServer(replies={verb: reply}) as server, \
            Proxy.to(server) as proxy:
        c = client(proxy)
        c.greet()
        c.line(line)
        check_octets(c.read_reply()[1], reply, "reply")
        c.quit()
        check(line.encode() in server.commands(), "not forwarded")


STAGES = [("connect", None), ("EHLO", None), ("MAIL", None),
          ("RCPT", None), ("DATA", None), ("dot", None), ("LAST", None),
          ("RSET", None)]


def drive(c, stage):
    """Bring the dialogue to a stage; returns the raw reply there."""
    if stage == "connect":
        return c.read_reply()[1]
    c.expect(220)
    if stage == "EHLO":
        c.line("EHLO client.example")
        return c.read_reply()[1]
    c.ehlo()
    if stage == "RSET":
        c.line("RSET")
        return c.read_reply()[1]
    c.line("MAIL FROM:<a@client.example>")
    if stage == "MAIL":
        return c.read_reply()[1]
    c.expect(250)
    c.line("RCPT TO:<b@test.example>")
    if stage == "RCPT":
        return c.read_reply()[1]
    c.expect(250)
    if stage == "LAST":
        c.send(b"BDAT 9 LAST\r\na: b\r\n\r\nc")
        return c.read_reply()[1]
    c.line("DATA")
    if stage == "DATA":
        return c.read_reply()[1]
    c.expect(354)
    c.send(b"a: b\r\n\r\nc\r\n.\r\n")
    return c.read_reply()[1]


@lib.cases("stage", [s for s, _ in STAGES])
def test_every_code_passes(stage):
    codes = [450, 451, 452, 500, 501, 503, 550, 552, 554, 421]
    for code in codes:
        text = "%d-one\r\n%d 4.7.1 two; text=%d\r\n" % (code, code, code)
        with ScriptedServer(replies={stage: text.encode()}) as server, \
                Proxy.to(server) as proxy:
            c = client(proxy)
            check_octets(drive(c, stage), text.encode(), "reply")
            if code == 421 or stage == "connect":
                c.expect_eof()
            else:
                c.cmd("NOOP")
            c.close()


@lib.cases("stage", [s for s, _ in STAGES])
@lib.timeout(60)
def test_destination_vanishes(stage):
    for step in (Close(), Reset()):
        with ScriptedServer(replies={stage: step}) as server, \
                Proxy.to(server) as proxy:
            c = client(proxy)
            raw = drive(c, stage)
            check(raw[:3] in (b"421", b"451"), "reply %r" % raw)
            c.expect_eof()
            check_equal(len(server.messages), 0)


@lib.cases("stage,timeout", [("connect", "greeting"), ("EHLO", "helo"),
                             ("MAIL", "mail"), ("RCPT", "rcpt"),
                             ("DATA", "data"), ("dot", "dot")])
def test_destination_is_silent(stage, timeout):
    with ScriptedServer(replies={stage: Never()}) as server, \
            Proxy.to(server, extra="timeout %s 1" % timeout) as proxy:
        c = client(proxy)
        raw = drive(c, stage)
        check(raw[:3] in (b"421", b"451"), "reply %r" % raw)
        c.read_all()
        proxy.wait_for_log("timeout|no greeting")


def test_client_is_idle():
    with ScriptedServer() as server, \
            Proxy.to(server, extra="timeout command 1") as proxy:
        c = client(proxy)
        c.greet()
        c.expect(421)
        c.expect_eof()
        check_equal(server.conns[0].wait_closed(), "fin")


@lib.cases("ending", ["fin", "reset"])
def test_client_vanishes_in_content(ending):
    with ScriptedServer() as server, Proxy.to(server) as proxy:
        for start in (b"DATA", b"BDAT"):
            c = client(proxy)
            c.greet()
            c.envelope()
            if start == b"DATA":
                c.cmd("DATA", 354)
                c.send(b"a: b\r\n\r\nhalf a line\r\n.")
            else:
                c.send(b"BDAT 1000 LAST\r\nabc")
            server.wait_for_conn(1 if start == b"DATA" else 2)
            c.close() if ending == "fin" else c.reset()
        lib.wait_until(lambda: not server.open_conns(), 10, "closed")
        for conn in server.conns:
            check_equal(conn.ends, 0, "ends of data")
            check(b"\r\n.\r\n" not in conn.received, "a final dot")
        check_equal(server.offered, [])


def test_half_closed_client_gets_its_reply():
    with ScriptedServer(delay=0.2) as server, Proxy.to(server) as proxy:
        c = client(proxy)
        c.greet()
        c.envelope()
        c.cmd("DATA", 354)
        c.send(b"a: b\r\n\r\nc\r\n.\r\n")
        c.half_close()
        c.expect(250)
        c.expect_eof()
        check_equal(len(server.messages), 1)


BAD = {
    "bare-lf": b"one\ntwo\r\n", "bare-cr": b"one\rtwo\r\n",
    "nul": b"one\0two\r\n", "cr-crlf": b"one\r\r\n",
    "lf-dot-lf": b"one\n.\nMAIL FROM:<x@y.example>\nRCPT TO:<z@y>\n",
    "lf-dot-crlf": b"one\n.\r\nMAIL FROM:<x@y.example>\r\n",
    "crlf-dot-lf": b"one\r\n.\nMAIL FROM:<x@y.example>\r\n",
    "cr-dot-cr": b"one\r.\rMAIL FROM:<x@y.example>\r",
    "crlf-dot-cr": b"one\r\n.\rMAIL FROM:<x@y.example>\r\n",
    "crcrlf-dot": b"one\r\r\n.\r\r\nMAIL FROM:<x@y.example>\r\n",
    "nul-dot": b"one\r\n\0.\r\nMAIL FROM:<x@y.example>\r\n",
    "dot-nul": b"one\r\n.\0\r\nMAIL FROM:<x@y.example>\r\n",
}


def say_bad(proxy, name, step):
    """A client that has sent such content, whole or in pieces."""
    c = client(proxy)
    c.greet()
    c.envelope()
    c.cmd("DATA", 354)
    data = b"a: b\r\n\r\n" + BAD[name] + b"rest\r\n.\r\n"
    if step:
        c.send_slowly(data, step)
    else:
        c.send(data)
    return c


@lib.cases("lenient", [False, True])
def test_content_that_smuggles(lenient):
    with ScriptedServer(lenient=lenient) as server, \
            Proxy.to(server) as proxy:
        for name, step in [(n, s) for n in BAD for s in (None, 1)]:
            c = say_bad(proxy, name, step)
            raw = c.expect(554, name)
            check(b"5.6.0" in raw, "%s: %r" % (name, raw))
            server.conns[-1].wait_closed()
            check_equal(server.conns[-1].ends, 0, name + ": ends of data")
            c.close()
        check_equal(len(server.offered), 0, "messages offered")


NORMAL = {
    "bare-lf": b"one\r\ntwo\r\n", "cr-crlf": b"one\r\n",
    "lf-dot-lf": b"one\r\n..\r\nMAIL FROM:<x@y.example>\r\n"
                 b"RCPT TO:<z@y>\r\n",
    "lf-dot-crlf": b"one\r\n..\r\nMAIL FROM:<x@y.example>\r\n",
    "crlf-dot-lf": b"one\r\n\r\nMAIL FROM:<x@y.example>\r\n",
    "crcrlf-dot": b"one\r\n\r\nMAIL FROM:<x@y.example>\r\n",
}


def test_newlines_are_normalised():
    with ScriptedServer() as server, \
            Proxy.to(server, extra="strict-newlines normalize") as proxy:
        for name, step in [(n, s) for n in BAD for s in (None, 1)]:
            c = say_bad(proxy, name, step)
            if name in NORMAL:
                c.expect(250, name)
                c.quit()
                check_octets(server.messages[-1].wire, b"a: b\r\n\r\n" +
                             NORMAL[name] + b"rest\r\n", name)
            else:
                check(b"5.6.0" in c.expect(554, name), name)
                c.close()
        check_equal(len(server.messages), 2 * len(NORMAL))


@lib.long
def test_long_message_with_bare_lfs():
    """Many lines at once: none is lost between one write and the next."""
    lines = [b"x" * (n % 300) for n in range(20000)]
    with ScriptedServer() as server, \
            Proxy.to(server, extra="strict-newlines normalize") as proxy:
        c = client(proxy)
        c.greet()
        c.envelope()
        c.cmd("DATA", 354)
        c.send(b"\n".join(lines) + b"\r\n.\r\n")
        c.expect(250)
        c.quit()
        check_octets(server.messages[0].wire,
                     b"\r\n".join(lines) + b"\r\n", "wire")


FOREIGN = {
    "HTTP": b"POST / HTTP/1.1\r\nHost: mx.example\r\n\r\n"
            b"MAIL FROM:<a@client.example>\r\n",
    "TLS": b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00",
    "SSH": b"SSH-2.0-OpenSSH_9.6\r\n",
    "PROXY header": b"PROXY TCP4 192.0.2.1 192.0.2.2 4000 25\r\n"
                    b"EHLO client.example\r\n",
}


@lib.cases("what", list(FOREIGN))
def test_other_protocols(what):
    """Told apart, refused, logged, and never forwarded."""
    with ScriptedServer() as server, Proxy.to(server) as proxy:
        c = client(proxy)
        c.expect(220)
        c.send(FOREIGN[what])
        check(b"this is SMTP, not" in c.expect(502), "who we are")
        c.expect(421)
        c.expect_eof()
        proxy.wait_for_record(reason="not SMTP: " + what)
        check_equal(server.commands(), [])
    with ScriptedServer(replies={"connect": Never()}) as server, \
            Proxy.to(server) as proxy:
        c = client(proxy)
        c.send(FOREIGN[what])
        c.expect(554)
        c.expect_eof()
        proxy.wait_for_record(reason="pregreet: " + what)
        check_equal(server.commands(), [])


def test_proxy_protocol_2():
    """Its header begins with two empty lines."""
    head = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c" + bytes(range(12))
    with ScriptedServer() as server, Proxy.to(server) as proxy:
        c = client(proxy)
        c.expect(220)
        c.send(head)
        c.expect(500)
        c.expect(500)
        c.expect(502)
        c.expect(421)
        c.expect_eof()
        proxy.wait_for_record(reason="not SMTP: PROXY header")
        check_equal(server.commands(), [])


def test_bad_octets_in_commands():
    with ScriptedServer() as server, Proxy.to(server) as proxy:
        c = client(proxy)
        c.greet()
        for line in (b"NOOP\nRSET\r\n", b"NOOP\rRSET\r\n", b"NO\0OP\r\n",
                     b"NOOP\r\r\n", b"\r\n", b" NOOP\r\n",
                     b"NOOP " + b"x" * 600 + b"\r\n",
                     b"X" * 100000 + b"\r\n"):
            c.send(line)
            c.expect((500, 502), repr(line[:20]))
        c.quit()
        check_equal(server.commands(), [b"EHLO client.example", b"QUIT"])


def test_pipelined_batches():
    with ScriptedServer(replies={
            "RCPT": Seq("250 2.1.5 one", "550 5.1.1 two", "250 2.1.5 three",
                        "250 2.1.5 four")}) as server, \
            Proxy.to(server) as proxy:
        c = client(proxy)
        c.greet()
        body = b"a: b\r\n\r\nfirst\r\n.\r\n"
        c.send(b"RSET\r\nMAIL FROM:<a@client.example>\r\n"
               b"RCPT TO:<1@test.example>\r\nFOO\r\n"
               b"RCPT TO:<2@test.example>\r\nXCLIENT A=B\r\n"
               b"RCPT TO:<3@test.example>\r\nDATA\r\n")
        for code in (250, 250, 250, 502, 550, 502, 250, 354):
            c.expect(code)
        c.send(body + b"MAIL FROM:<b@client.example>\r\n"
               b"RCPT TO:<4@test.example>\r\nDATA\r\n")
        for code in (250, 250, 250, 354):
            c.expect(code)
        c.send(body + b"QUIT\r\n")
        c.expect(250)
        c.expect(221)
        c.expect_eof()
        check_equal([len(m.rcpts) for m in server.messages], [2, 1])
        check_equal([m.content for m in server.messages],
                    [b"a: b\r\n\r\nfirst\r\n"] * 2)
        check_equal(server.conns[0].received.count(b"FOO"), 0)


def test_no_pipelining_one_at_a_time():
    with ScriptedServer(ehlo=["8BITMIME"]) as server, \
            Proxy.to(server) as proxy:
        c = client(proxy)
        check("PIPELINING" not in c.greet(), "offered")
        c.send(b"MAIL FROM:<a@client.example>\r\n"
               b"RCPT TO:<b@test.example>\r\nNOOP\r\nRSET\r\nQUIT\r\n")
        for code in (250, 250, 250, 250, 221):
            c.expect(code)
        check_equal(server.conns[0].early, [], "sent before the reply")


@lib.cases("what", ["DATA", "AUTH"])
def test_octets_behind(what):
    with ScriptedServer(auth={"PLAIN": 1}) as server, \
            Proxy.to(server) as proxy:
        c = client(proxy)
        c.greet()
        if what == "DATA":
            c.envelope()
            c.send(b"DATA\r\na: b\r\n\r\nc\r\n.\r\n")
        else:
            c.send(b"AUTH PLAIN AGEAYg==\r\nNOOP\r\n")
        c.expect(503)
        c.expect(421)
        c.expect_eof()
        check_equal(len(server.offered), 0)


def test_auth():
    with ScriptedServer(auth={"PLAIN": 1, "LOGIN": 2, "GSSAPI": 1}) as server, \
            Proxy.to(server) as proxy:
        c = client(proxy)
        check_equal(c.greet()["AUTH"], "PLAIN LOGIN")
        c.cmd("AUTH GSSAPI secret1", 504)
        c.cmd("AUTH LOGIN", 334)
        c.line("c2VjcmV0Mg==")
        c.expect(334)
        c.line("*")
        c.expect(501)
        c.cmd("AUTH LOGIN c2VjcmV0Mg==", 334)
        c.line("c2VjcmV0Mw==")
        c.expect(235)
        c.cmd("AUTH PLAIN %s" % ("c2VjcmV0NA==" * 900), 235)
        c.quit()
        check_equal([a[0] for a in server.conns[0].auth],
                    ["LOGIN", "LOGIN", "PLAIN"])
        proxy.wait_for_record(reason="quit")
        for secret in ("secret", "c2VjcmV0"):
            check_equal(proxy.find_log(secret), [], "credentials in the log")


def test_bdat_binary():
    content = bytes(range(256)) * 300 + b"\r\n.\r\n\n\r\0end"
    with ScriptedServer() as server, Proxy.to(server) as proxy:
        for chunk in (None, 1000, 77):
            c = client(proxy)
            c.greet()
            c.envelope(params="BODY=BINARYMIME")
            c.bdat(content, chunk=chunk)
            c.quit()
            check_octets(server.messages[-1].content, content, "content")


def test_bdat_text_only():
    with ScriptedServer() as server, Proxy.to(server) as proxy:
        c = client(proxy)
        c.greet()
        c.envelope()
        c.send(b"BDAT 12 LAST\r\none\ntwo\r\nxyz")
        c.expect(554)
        server.conns[0].wait_closed()
        check_equal(server.offered, [])
        # A CR and its LF may stand in two chunks.
        c = client(proxy)
        c.greet()
        c.envelope()
        c.send(b"BDAT 4\r\none\r")
        c.expect(250)
        c.send(b"BDAT 4 LAST\r\n\ntwo")
        c.expect(250)
        check_octets(server.messages[0].content, b"one\r\ntwo", "content")


def test_bdat_not_offered():
    with ScriptedServer(ehlo=["PIPELINING"]) as server, \
            Proxy.to(server) as proxy:
        c = client(proxy)
        c.greet()
        c.envelope()
        c.send(b"BDAT 10 LAST\r\nRSET\r\nQUITRSET\r\n")
        c.expect(502)
        c.expect(250)
        for size in (b"-1", b"x", b"99999999999999999999", b"1 2", b""):
            c = client(proxy)
            c.greet()
            c.send(b"BDAT " + size + b"\r\n")
            c.expect(501)
            c.expect(421)
            c.expect_eof()


MALFORMED = [b"2500 five digits\r\n", b"hello\r\n", b"25 x\r\n",
             b"250-a\r\n251 b\r\n", b"950 x\r\n", b"050 x\r\n",
             b"250\tx\r\n", b"250 a\0b\r\n", b"250 a\rb\r\n",
             b"354 to MAIL\r\n", b"150 x\r\n", b"250-x\r\n" * 70,
             b"250 " + b"x" * 3000 + b"\r\n"]


@lib.cases("n", range(len(MALFORMED)))
def test_malformed_replies(n):
    with ScriptedServer(replies={"MAIL": MALFORMED[n]}) as server, \
            Proxy.to(server) as proxy:
        c = client(proxy)
        c.greet()
        c.line("MAIL FROM:<a@client.example>")
        c.expect(451)
        c.expect(421)
        c.expect_eof()
        proxy.wait_for_record(reason="malformed reply")


def test_lf_replies_go_out_with_crlf():
    with ScriptedServer(replies={"MAIL": b"250-one\n250 two\n"}) as server, \
            Proxy.to(server) as proxy:
        c = client(proxy)
        c.greet()
        c.line("MAIL FROM:<a@client.example>")
        check_octets(c.read_reply()[1], b"250-one\r\n250 two\r\n", "reply")
        c.close()


def test_replies_octet_by_octet():
    with ScriptedServer(replies={
            "MAIL": Drip(b"250-one\r\n250 two\r\n"),
            "dot": Drip(b"250 2.0.0 at last\r\n")}) as server, \
            Proxy.to(server) as proxy:
        c = client(proxy)
        c.greet()
        c.envelope()
        c.cmd("DATA", 354)
        c.send_slowly(b"a: b\r\n\r\n..c\r\n.\r\n")
        check_octets(c.expect(250), b"250 2.0.0 at last\r\n", "reply")
        check_octets(server.messages[0].content, b"a: b\r\n\r\n.c\r\n", "it")


@lib.cases("early", ["250 2.0.0 not yet", "552 5.3.4 too big",
                     "421 4.3.2 going down"])
def test_reply_inside_content(early):
    def data(conn, detail):
        return ["354 go ahead", lambda conn: conn.write(early + "\r\n")]
    with ScriptedServer(replies={"DATA": data}) as server, \
            Proxy.to(server) as proxy:
        c = client(proxy)
        c.greet()
        c.envelope()
        c.line("DATA")
        c.expect(354)
        c.send(b"a: b\r\n\r\n")
        server.conns[0].wait_closed()
        c.send(b"more\r\n.\r\n")
        want = {"2": 451, "5": 552, "4": 421}[early[0]]
        c.expect(want)
        check_equal(server.messages, [], "accepted")


def test_unasked_replies():
    with ScriptedServer(replies={
            "NOOP": b"250 fine\r\n250 once more\r\n"}) as server, \
            Proxy.to(server) as proxy:
        c = client(proxy)
        c.greet()
        c.cmd("NOOP", 250)
        c.expect(421)
        c.expect_eof()


def test_pregreet():
    with ScriptedServer(replies={"connect": Never()}) as server, \
            Proxy.to(server) as proxy:
        c = client(proxy)
        c.send(b"EHLO early.example\r\n")
        c.expect(554)
        c.expect_eof()
        # Our end stays open: the line does not wait for it (5 seconds).
        record = proxy.wait_for_record(reason="pregreet")
        check(int(record["duration_ms"]) < 4500, record["duration_ms"])
        check_equal(bytes(server.wait_for_conn().received), b"")


def test_pass_verb():
    with ScriptedServer(replies={"XFOO": "250 2.0.0 known"}) as server, \
            Proxy.to(server, extra="pass-verb XFOO") as proxy:
        c = client(proxy)
        c.greet()
        c.send(b"NOOP\r\nXFOO a b\r\nNOOP\r\n")
        c.expect(250)
        check_octets(c.read_reply()[1], b"250 2.0.0 known\r\n", "reply")
        c.expect(250)
        check_equal(server.conns[0].early, [])


@lib.timeout(120)
def test_big_message_both_ways():
    with ScriptedServer() as server, Proxy.to(server) as proxy:
        content = lib.make_message(size=25 * 1000 * 1000)
        for way in ("DATA", "BDAT"):
            c = client(proxy, timeout=60)
            c.greet()
            c.envelope()
            if way == "DATA":
                c.data(content)
            else:
                c.bdat(content, chunk=300000)
            c.quit()
            check_octets(server.messages[-1].content, content, way)


def test_long_lines_and_blanks():
    content = (b"a: b\r\n\r\n" + b"x" * 100000 + b"\r\n" +
               b"trailing \t \r\n\r\n\r\n" + b"." * 5000 + b"\r\n" +
               b"\x01\x02\x1b[0m \x7f\r\n")
    with ScriptedServer() as server, Proxy.to(server) as proxy:
        c = client(proxy)
        c.greet()
        c.envelope()
        c.data(content)
        check_octets(server.messages[0].content, content, "content")
        c.envelope()
        c.cmd("DATA", 354)
        c.send(b".\r\n")
        c.expect(250)
        check_octets(server.messages[1].content, b"", "empty message")


def test_second_destination():
    with ScriptedServer() as server:
        dead = lib.free_port()
        with Proxy.to(("127.0.0.1", dead), server) as proxy:
            for n in range(3):
                c = client(proxy)
                c.greet()
                c.quit()
            check_equal(len(server.conns), 3)


def test_no_destination():
    with Proxy.to(("127.0.0.1", lib.free_port())) as proxy:
        c = client(proxy)
        raw = c.expect(421)
        check(b"4.4.1" in raw, "%r" % raw)
        c.expect_eof()
        proxy.wait_for_record(reason="Connection refused")


def test_both_families_at_once():
    a, b = lib.free_port(), lib.free_port()
    with ScriptedServer("::1") as server, Proxy.to(
            server, listen=[("127.0.0.1", a), ("::1", b)]) as proxy:
        for where in (("127.0.0.1", a), ("::1", b)):
            c = RawClient(*where)
            c.greet()
            c.quit()
        check_equal(len(server.conns), 2)


if __name__ == "__main__":
    lib.main()
