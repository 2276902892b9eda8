#!/usr/bin/python3
"""Destinations that are not there, keep silent or vanish, and clients that
vanish: what each side is told, and that nothing is lost, invented, or
delivered in part."""

import re
import socket
import threading
import time

import lib
from lib import Proxy, RawClient, ScriptedServer, Close, Reset, Never, \
    Wait, Seq, check, check_equal, check_octets


def client(proxy, **kw):
    return RawClient(proxy.address, proxy.port, **kw)


def expect_421(c, enhanced, code=421):
    got = c.expect(code)
    check(got[4:].startswith(enhanced), "reply %r" % got)
    return got


# No destination.

def test_nobody_listens():
    with Proxy.to(("127.0.0.1", lib.free_port())) as proxy:
        for _ in range(3):
            c = client(proxy)
            expect_421(c, b"4.4.1 ")
            c.expect_eof()
            c.close()
        record = proxy.wait_for_record(_kind="session")
        check_equal(record["reason"], "Connection refused")


@lib.cases("destination", ["198.51.100.1", "2001:db8:ffff::1"])
def test_no_route(destination):
    """connect(2) fails at once, in the parent."""
    with Proxy.to((destination, 25), top="workers 1") as proxy:
        for _ in range(3):
            c = client(proxy)
            expect_421(c, b"4.4.1 ")
            c.expect_eof()
            c.close()
        record = proxy.wait_for_record(_kind="session")
        lib.check_match("unreachable|assign", record["reason"])


def test_destination_comes_back():
    """Service is there as soon as the destination is, though it was noted
    as failed."""
    with ScriptedServer() as server:
        server.refuse()
        with Proxy.to(server, top="workers 1") as proxy:
            c = client(proxy)
            expect_421(c, b"4.4.1 ")
            c.close()
            server.listen()
            c = client(proxy)
            c.greet()
            c.quit()


def silent_host(address):
    """A host whose listener has no room: SYNs are not answered."""
    s = socket.socket(lib.family(address), socket.SOCK_STREAM)
    s.bind((address, 0))
    s.listen(0)
    full = []
    lib.at_exit(s.close)
    for _ in range(3):
        f = socket.socket(lib.family(address), socket.SOCK_STREAM)
        f.setblocking(False)
        f.connect_ex(s.getsockname())
        lib.at_exit(f.close)
        full.append(f)
    return s.getsockname()[:2]


def test_timeout_connect():
    with Proxy.to(silent_host("127.0.0.1"),
                  extra="timeout connect 1") as proxy:
        began = time.monotonic()
        c = client(proxy)
        expect_421(c, b"4.4.1 ")
        check(time.monotonic() - began >= 0.9, "too early")
        c.expect_eof()
        c.close()
        record = proxy.wait_for_record(_kind="session")
        check_equal(record["reason"], "timeout connect")


def test_timeout_connect_then_the_next():
    with ScriptedServer("127.0.0.2") as server:
        with Proxy.to(silent_host("127.0.0.1"), server,
                      extra="timeout connect 1", top="workers 1") as proxy:
            began = time.monotonic()
            c = client(proxy)
            c.greet()
            check(time.monotonic() - began >= 0.9, "too early")
            c.quit()
            # It is passed over from now on.
            began = time.monotonic()
            c = client(proxy)
            c.greet()
            check(time.monotonic() - began < 0.9, "tried again")
            c.quit()


# Silent at a stage.

def test_timeout_greeting():
    with ScriptedServer(replies={"connect": Never()}) as server, \
            Proxy.to(server, extra="timeout greeting 1") as proxy:
        c = client(proxy)
        expect_421(c, b"4.4.1 ")
        c.expect_eof()
        c.close()
        record = proxy.wait_for_record(_kind="session")
        lib.check_match("greeting", record["reason"])
        server.conns[0].wait_closed()


TIMEOUTS = [("EHLO", "helo"), ("MAIL", "mail"), ("RCPT", "rcpt"),
            ("DATA", "data"), ("dot", "dot"), ("LAST", "dot"),
            ("NOOP", "command")]


@lib.cases("stage", TIMEOUTS)
def test_timeout_of_destination(stage, name):
    """451 for the command, then 421, and both connections are closed."""
    # Which of the two is for NOOP and its like is not told apart here.
    extra = "timeout mail 1\ntimeout command 1" if name == "command" \
        else "timeout %s 1" % name
    with ScriptedServer(replies={stage: Never()}) as server, \
            Proxy.to(server, extra=extra) as proxy:
        c = client(proxy)
        lib.drive_to(c, stage)
        began = time.monotonic()
        lib.check_match(rb"^451 4\.4\.2 ", c.expect(451))
        check(time.monotonic() - began >= 0.8, "too early")
        c.expect(421)
        c.expect_eof()
        c.close()
        server.conns[0].wait_closed()
        record = proxy.wait_for_record(_kind="session")
        lib.check_match("timeout", record["reason"])
        if stage in ("dot", "LAST"):
            record = proxy.wait_for_record(_kind="message")
            check_equal(record["delivered"], "no")


def test_timeout_of_client():
    with ScriptedServer() as server, \
            Proxy.to(server, extra="timeout command 1") as proxy:
        c = client(proxy)
        c.greet()
        began = time.monotonic()
        expect_421(c, b"4.4.2 ")
        check(time.monotonic() - began >= 0.8, "too early")
        c.expect_eof()
        c.close()
        server.conns[0].wait_closed()


def test_timeout_of_client_in_data():
    with ScriptedServer() as server, \
            Proxy.to(server, extra="timeout block 1") as proxy:
        c = client(proxy)
        c.greet()
        c.envelope()
        c.cmd("DATA", 354)
        c.send(b"Subject: x\r\n\r\nbegun")
        expect_421(c, b"4.4.2 ")
        c.expect_eof()
        c.close()
        server.conns[0].wait_closed()
        check_equal(server.offered, [], "messages with an end")


def test_progress_counts():
    """A slow client is not cut off as long as something moves."""
    with ScriptedServer() as server, \
            Proxy.to(server, extra="timeout block 1") as proxy:
        c = client(proxy)
        c.greet()
        c.envelope()
        c.cmd("DATA", 354)
        for _ in range(5):
            c.send(b"line\r\n")
            c.silent(0.4)
        c.send(b".\r\n")
        c.expect(250)
        c.quit()


def test_timeout_session():
    with ScriptedServer() as server, \
            Proxy.to(server, extra="timeout session 1") as proxy:
        c = client(proxy)
        c.greet()
        for _ in range(100):
            c.line("NOOP")
            code, raw = c.read_reply()
            if code != 250:
                break
            time.sleep(0.05)
        check_equal(raw[:3], b"421", "reply %r" % raw)
        c.expect_eof()
        c.close()


def test_timeout_message():
    with ScriptedServer() as server, \
            Proxy.to(server, extra="timeout message 1") as proxy:
        c = client(proxy)
        c.greet()
        c.envelope()
        c.cmd("DATA", 354)
        try:
            for _ in range(100):
                c.send(b"line\r\n")
                if c.readable(0.05):
                    break
        except OSError:
            pass
        got = c.read_all()
        check(re.match(rb"4[25]1 ", got), "reply %r" % got)
        c.close()
        server.conns[0].wait_closed()
        check_equal(server.offered, [], "messages with an end")


# Choices.

def two(*addresses, **kw):
    """Scripted servers of one port on these addresses."""
    servers = []
    port = lib.free_port()
    for a in addresses:
        servers.append(ScriptedServer(a, port, **kw).start())
    return servers


def test_next_choice_when_refused():
    a, b = two("127.0.0.1", "127.0.0.2")
    a.refuse()
    with Proxy.to(a, b, top="workers 1") as proxy:
        c = client(proxy)
        c.greet()
        c.envelope()
        c.data(lib.make_message())
        c.quit()
        check_equal(len(b.messages), 1)
        record = proxy.wait_for_record(_kind="message")
        check_equal(record["destination"], "127.0.0.2:%d" % b.port)
        # The first is passed over for 30 seconds, though it is back.
        a.listen()
        c = client(proxy)
        c.greet()
        c.quit()
        # The parent does connect to it; the worker says nothing there.
        check_equal(a.commands(), [], "commands at the first")
        check_equal(len(b.conns), 2, "sessions of the second")


@lib.cases("how", [("close", Close()), ("reset", Reset()),
                   ("garbage", b"hello\r\n"), ("code", b"999 what\r\n")])
def test_next_choice_when_greeted_badly(how, greeting):
    a, b = two("127.0.0.1", "127.0.0.2")
    a.replies["connect"] = greeting
    with Proxy.to(a, b, top="workers 1") as proxy:
        c = client(proxy)
        c.greet()
        c.quit()
        check_equal(len(b.conns), 1, "sessions of the second")


@lib.cases("code", [421, 450, 554])
def test_refusing_greeting_is_passed_on(code):
    """It is an answer, and no reason to try another."""
    a, b = two("127.0.0.1", "127.0.0.2")
    text = b"%d-go away\r\n%d 5.7.1 please\r\n" % (code, code)
    a.replies["connect"] = text
    with Proxy.to(a, b) as proxy:
        c = client(proxy)
        check_octets(c.read_reply()[1], text, "greeting")
        c.expect_eof()
        c.close()
        check_equal(b.conns, [])


def test_all_refuse():
    """All noted as failed are tried all the same, in order."""
    servers = two("127.0.0.1", "127.0.0.2", "127.0.0.3")
    for s in servers:
        s.refuse()
    with Proxy.to(*servers, top="workers 1") as proxy:
        for _ in range(2):
            c = client(proxy)
            expect_421(c, b"4.4.1 ")
            c.close()
        servers[2].listen()
        c = client(proxy)
        c.greet()
        c.quit()
        check_equal(len(servers[2].conns), 1)


@lib.slow
def test_failed_choice_is_tried_after_30_seconds():
    a, b = two("127.0.0.1", "127.0.0.2")
    a.refuse()
    with Proxy.to(a, b, top="workers 1") as proxy:
        c = client(proxy)
        c.greet()
        c.quit()
        a.listen()
        began = time.monotonic()

        def is_first_used():
            with client(proxy) as c:
                c.greet()
                c.quit()
            return b"QUIT" in a.commands()
        lib.wait_until(is_first_used, 40, "the first", interval=0.5)
        check(time.monotonic() - began >= 28, "too early")


def test_half_of_a_greeting_is_no_greeting():
    """What has begun is not shown; the next choice greets."""
    a, b = two("127.0.0.1", "127.0.0.2")
    a.replies["connect"] = [b"220-half\r\n", Close()]
    with Proxy.to(a, b, top="workers 1") as proxy:
        c = client(proxy)
        got = c.expect(220)
        check(b"half" not in got, "greeting %r" % got)
        c.close()


# The destination vanishes.

STAGES = ["EHLO", "NOOP", "MAIL", "RCPT", "DATA", "dot", "LAST"]
WAYS = [("close", Close()), ("reset", Reset()),
        ("half a reply", [b"250-begun\r\n25", Close()])]


@lib.cases("stage", STAGES)
def test_destination_vanishes(stage):
    """The oldest command gets 421 or 451, never what was half said."""
    for name, way in WAYS:
        with ScriptedServer(replies={stage: way}) as server, \
                Proxy.to(server) as proxy:
            c = client(proxy)
            lib.drive_to(c, stage)
            got = c.read_all()
            c.close()
            check(re.match(rb"4[25]1 ", got), "%s: reply %r" % (name, got))
            check(b"begun" not in got, "%s: reply %r" % (name, got))
            record = proxy.wait_for_record(_kind="session")
            check_equal(record["delivered"], "0", record["_line"])


def test_destination_vanishes_while_idle():
    with ScriptedServer() as server, Proxy.to(server) as proxy:
        c = client(proxy)
        c.greet()
        server.vanish()
        expect_421(c, b"4.")
        c.expect_eof()
        c.close()


@lib.cases("way", ["close", "reset"])
def test_destination_vanishes_within_content(way):
    def read_a_little(conn, arg):
        conn.write("354 go ahead")
        conn.read_octets(1000)
        return Close() if way == "close" else Reset()
    with ScriptedServer(replies={"DATA": read_a_little}) as server, \
            Proxy.to(server) as proxy:
        c = client(proxy)
        c.greet()
        c.envelope()
        c.cmd("DATA", 354)
        try:
            for _ in range(1000):
                c.sock.sendall(b"x" * 998 + b"\r\n")
            c.sock.sendall(b".\r\n")
        except OSError:
            pass
        got = c.read_all()
        check(re.match(rb"4[25]1 ", got), "reply %r" % got)
        c.close()
        record = proxy.wait_for_record(_kind="message")
        check_equal(record["delivered"], "no")


def test_destination_refuses_within_content():
    """552 and a close while the client still sends: it hears the 552."""
    def read_a_little(conn, arg):
        conn.write("354 go ahead")
        conn.read_octets(1000)
        conn.write("552 5.3.4 far too much")
        return Close()
    with ScriptedServer(replies={"DATA": read_a_little}) as server, \
            Proxy.to(server) as proxy:
        c = client(proxy)
        c.greet()
        c.envelope()
        c.cmd("DATA", 354)
        for _ in range(300):
            c.sock.sendall(b"x" * 998 + b"\r\n")
        c.sock.sendall(b".\r\n")
        check_equal(c.expect(552), b"552 5.3.4 far too much\r\n")
        c.close()


def test_destination_vanishes_under_pipelining():
    """One reply for the oldest, none for the rest, then the end."""
    with ScriptedServer(replies={"RCPT": Seq(None, Close())}) as server, \
            Proxy.to(server) as proxy:
        c = client(proxy)
        c.greet()
        c.send("MAIL FROM:<a@b.example>\r\n" +
               "RCPT TO:<c@d.example>\r\n" * 4 + "DATA\r\n")
        c.expect(250)
        c.expect(250)
        got = c.read_all()
        c.close()
        check(re.match(rb"4[25]1 [^\r\n]*\r\n(421 [^\r\n]*\r\n)?\Z", got),
              "replies %r" % got)


# The client vanishes.

CLIENT_STAGES = ["connect", "EHLO", "MAIL", "RCPT", "DATA", "content",
                 "dot sent in part", "chunk", "chunk not last"]


def client_to(c, stage):
    if stage == "connect":
        return
    c.expect(220)
    c.ehlo()
    if stage == "EHLO":
        return
    c.cmd("MAIL FROM:<a@client.example>")
    if stage == "MAIL":
        return
    c.cmd("RCPT TO:<b@test.example>")
    if stage == "RCPT":
        return
    if stage == "chunk":
        c.send(b"BDAT 100 LAST\r\n" + b"x" * 99)
        return
    if stage == "chunk not last":
        c.send(b"BDAT 5\r\nxxx\r\n")
        c.expect(250)
        return
    c.cmd("DATA", 354)
    if stage == "content":
        c.send(b"Subject: x\r\n\r\nline\r\n" * 100)
    elif stage == "dot sent in part":
        c.send(b"Subject: x\r\n\r\nline\r\n.\r")


@lib.cases("stage", CLIENT_STAGES)
def test_client_vanishes(stage):
    """No end of data reaches the destination, whose connection ends too."""
    with ScriptedServer() as server, Proxy.to(server) as proxy:
        for n, way in enumerate(("close", "reset", "half_close")):
            c = client(proxy)
            client_to(c, stage)
            conn = server.wait_for_conn(n + 1)
            if stage == "content":
                lib.wait_until(lambda: b"line" in conn.received, 5, "it")
            getattr(c, way)()
            conn.wait_closed()
            check_equal(conn.ends, 0, "%s: ends of data" % way)
            check(b"QUIT" not in conn.commands, "QUIT was invented")
            proxy.wait_for_record(_kind="session", count=n + 1)
            c.close()
        check_equal(server.offered, [], "messages")
        for record in proxy.records(_kind="message"):
            check_equal(record["delivered"], "no", record["_line"])


@lib.cases("end", [("dot", b"DATA\r\n", b"x\r\n.\r\n"),
                   ("LAST", b"", b"BDAT 3 LAST\r\nx\r\n")])
def test_half_closed_client_gets_its_reply(end, before, after):
    event = threading.Event()
    with ScriptedServer(replies={end: [Wait(event),
                                       "250 2.0.0 taken"]}) as server, \
            Proxy.to(server) as proxy:
        c = client(proxy)
        c.greet()
        c.envelope()
        if before:
            c.send(before)
            c.expect(354)
        c.send(after)
        c.half_close()
        server.wait_for_offered()
        c.silent(0.2)
        event.set()
        c.expect(b"250 2.0.0 taken\r\n")
        c.expect_eof()
        c.close()
        record = proxy.wait_for_record(_kind="message")
        check_equal(record["delivered"], "yes")
        check("undelivered" not in record, record["_line"])
        proxy.wait_for_record(_kind="session")


def test_half_closed_client_gets_all_replies():
    with ScriptedServer() as server, Proxy.to(server) as proxy:
        c = client(proxy)
        c.greet()
        c.send("RSET\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\n"
               "RSET\r\n")
        c.half_close()
        for _ in range(4):
            c.expect(250)
        c.expect_eof()
        c.close()


@lib.cases("way", ["reset", "close"])
def test_reply_that_nobody_takes(way):
    """The message was accepted and the client can't be told: that is said
    in the log, for it may come again."""
    event = threading.Event()
    with ScriptedServer(replies={"dot": [Wait(event),
                                         "250 2.0.0 taken"]}) as server, \
            Proxy.to(server) as proxy:
        c = client(proxy)
        c.greet()
        c.envelope()
        c.cmd("DATA", 354)
        c.send(b"x\r\n.\r\n")
        server.wait_for_offered()
        getattr(c, way)()
        if way == "close":
            # A FIN alone does not tell that nobody listens any more.
            event.set()
            proxy.wait_for_record(_kind="message", delivered="yes")
            return
        lib.stays(lambda: not server.conns[0].closed.is_set(), 0.2,
                  "the destination's connection")
        event.set()
        record = proxy.wait_for_record(_kind="message")
        check_equal(record["delivered"], "yes", "delivered")
        check_equal(record["undelivered"], "yes", "undelivered")
        check_equal(len(server.messages), 1)


def test_one_session_breaks_alone():
    """Others of the same worker go on."""
    with ScriptedServer() as server, \
            Proxy.to(server, top="workers 1") as proxy:
        keep = client(proxy)
        keep.greet()
        keep.envelope()
        for n in range(20):
            c = client(proxy)
            c.greet()
            if n % 2:
                c.send(b"\xff\0\r\n\n\n")
            c.reset()
        keep.data(lib.make_message())
        keep.quit()
        check_equal(len(server.messages), 1)


if __name__ == "__main__":
    lib.main()
