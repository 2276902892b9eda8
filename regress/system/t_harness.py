#!/usr/bin/python3
"""The test harness, tested without a proxy: the mail servers take mail and
show its octets, the scripted server and the tools do what they say."""

import json
import os
import select
import signal
import subprocess
import threading

import lib
from lib import RawClient, ScriptedServer, Seq, Close, Reset, Never, Wait, \
    Drip, Hang, check, check_equal, check_octets
from mta.exim import Exim
from mta.opensmtpd import OpenSMTPD
from mta.postfix import Postfix, tool
from mta.sendmail import Sendmail

# Nothing here runs the proxy, so a short run under a checker leaves it out.
LONG = True

MTAS = [Postfix, Exim, OpenSMTPD, Sendmail]

BODY = (b"..two dots\r\n.\r\n.one dot\r\n\r\n"
        b"trailing blanks  \t\r\nhigh \xc3\xa9\xff octets\r\n" +
        b"x" * 5000 + b"\r\n\r\nFrom here\r\n>From there\r\n\r\n\r\n")


@lib.cases("mta", MTAS)
def test_mta_keeps_every_octet(mta_class):
    with mta_class(port=lib.free_port()) as mta:
        for n, address in enumerate(mta.addresses):
            mark = lib.marker()
            content = lib.make_message(mark, body=BODY)
            with RawClient(address, mta.port) as c:
                words = c.greet()
                check("8BITMIME" in words, "no 8BITMIME in %r" % words)
                c.envelope(recipients=["one@test.example",
                                       "two@test.example"],
                           params="BODY=8BITMIME")
                c.data(content)
                c.quit()
            mta.wait_for_mail(2 * n + 2)
            found = mta.find(mark)
            check_equal(sorted(d.recipient for d in found),
                        ["one@test.example", "two@test.example"])
            for d in found:
                check_equal(d.sender, "sender@client.example", "sender")
                check(b"Received:" in d.added, "no Received: %r" % d.added)
                check_octets(d.crlf, content, "content")
            mta.wait_for_accepted(n + 1)


@lib.cases("mta", [Postfix, Exim])
def test_mta_takes_bdat(mta_class):
    with mta_class(port=lib.free_port()) as mta:
        content = lib.make_message(body=BODY)
        c = RawClient("::1", mta.port)
        check("CHUNKING" in c.greet(), "no CHUNKING")
        c.envelope(params="BODY=8BITMIME")
        c.bdat(content, chunk=1000)
        c.quit()
        check_octets(mta.wait_for_mail()[0].crlf, content, "content")


@lib.cases("mta", MTAS)
def test_mta_takes_25_megabytes(mta_class):
    with mta_class(port=lib.free_port()) as mta:
        content = lib.make_message(size=25 * 1000 * 1000)
        c = RawClient("127.0.0.1", mta.port, timeout=60)
        c.greet()
        c.envelope()
        c.data(content)
        c.quit()
        check_octets(mta.wait_for_mail()[0].crlf, content, "content")


@lib.cases("mta", MTAS)
def test_mta_stops_and_starts(mta_class):
    mta = mta_class(port=lib.free_port(), addresses=["127.0.0.1"])
    mta.start()
    pids = mta.processes()
    check(len(pids) >= 2, "processes: %r" % pids)
    mta.stop()
    check(not lib.listening("127.0.0.1", mta.port), "still listens")
    check(not [p for p in pids if lib.alive(p)], "processes left")
    mta.start()
    with RawClient("127.0.0.1", mta.port) as c:
        c.greet()
        c.envelope()
        c.data(lib.make_message())
        c.quit()
    mta.wait_for_mail(1)


def test_mta_paused():
    with Exim(port=lib.free_port(), addresses=["127.0.0.1"]) as mta:
        mta.pause()
        c = RawClient("127.0.0.1", mta.port)
        c.silent(0.2)
        mta.resume()
        c.greet()


def test_two_of_a_kind():
    with Postfix(port=lib.free_port()) as a, \
            Postfix(port=lib.free_port()) as b:
        for mta in (a, b):
            c = RawClient("127.0.0.1", mta.port)
            c.greet()
            c.envelope()
            c.data(lib.make_message())
            c.quit()
            mta.wait_for_mail(1)
            check_equal(mta.count(), 1)


@lib.cases("address", ["127.0.0.1", "::1"])
def test_scripted_is_a_good_server(address):
    with ScriptedServer(address) as server:
        c = RawClient(*server.at)
        words = c.greet()
        check_equal(list(words), [k.split()[0] for k in lib.GOOD_EHLO])
        c.envelope("a@b.example", ["x@y.example", "z@y.example"],
                   "SIZE=100")
        content = lib.make_message(body=BODY)
        raw = c.data(content)
        c.cmd("NOOP")
        c.cmd("VRFY someone", 252)
        c.cmd("XUNKNOWN", 500)
        c.cmd("STARTTLS", 502)
        c.quit()
        message = server.wait_for_messages()[0]
        check_equal(message.sender, "a@b.example")
        check_equal(message.mail, b"FROM:<a@b.example> SIZE=100")
        check_equal(message.recipients, ["x@y.example", "z@y.example"])
        check_octets(message.content, content)
        check_octets(message.wire, lib.stuff(content))
        check_equal(message.reply, raw)
        check_equal(message.chunks, None)
        conn = server.conns[0]
        conn.wait_closed()
        check_equal(conn.commands[0], b"EHLO client.example")
        check_equal(conn.ends, 1)
        check_octets(bytes(conn.received), b"".join(
            d for who, d in c.transcript if who == "C"))
        check_equal(conn.early, [])


def test_scripted_bdat():
    with ScriptedServer() as server:
        c = RawClient(*server.at)
        c.greet()
        c.envelope(params="BODY=BINARYMIME")
        content = bytes(range(256)) * 10 + b"\n.\n\r.\r"
        c.bdat(content, chunk=1000)
        message = server.wait_for_messages()[0]
        check_octets(message.content, content)
        check_equal([len(x) for x in message.chunks], [1000, 1000, 566])
        c.envelope()
        c.send(b"BDAT 0 LAST\r\n")
        c.expect(250)
        check_equal(server.messages[1].content, b"")
        c.send(b"BDAT 3\r\nabc")
        c.expect(503)
        c.quit()


def test_scripted_sees_early_commands():
    with ScriptedServer() as server:
        c = RawClient(*server.at)
        c.greet()
        c.send("MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\n")
        c.expect(250)
        c.expect(250)
        c.expect(354)
        check(server.conns[0].early, "no early commands")
        c.send(b"x\r\n.\r\nRSET\r\n")
        c.expect(250)
        c.expect(250)
        check_octets(server.messages[0].content, b"x\r\n")


def test_scripted_dots():
    with ScriptedServer() as server:
        c = RawClient(*server.at)
        c.greet()
        for content, step in ((b"", 5), (b".\r\n", 1), (b"a\n.\nb\r\n", 1),
                              (b"a\r\n\r\n", 1), (b".x\r\n..\r\n", 2)):
            c.envelope()
            c.cmd("DATA", 354)
            c.send_slowly(lib.stuff(content) + b".\r\n", step=step)
            c.expect(250)
            check_octets(server.messages[-1].content, content)


def test_scripted_lenient():
    with ScriptedServer(lenient=True) as server:
        c = RawClient(*server.at)
        c.expect(220)
        c.send(b"HELO x\n")
        c.expect(250)
        c.envelope()
        c.send(b"DATA\n")
        c.expect(354)
        c.send(b"one\n.\nNOOP\r\n")
        c.expect(250)
        c.expect(250)
        check_octets(server.messages[0].content, b"one\n")


def test_scripted_replies():
    event = threading.Event()
    replies = {
        "connect": b"220-two lines\r\n220 of greeting\r\n",
        "MAIL": Seq("450 4.7.1 later", None),
        "RCPT": lambda conn, arg: "550 5.1.1 no" if b"bad" in arg else None,
        "dot": [Wait(event), Drip("554 5.6.0 we don't like it")],
        "XFANCY": "299 fancy",
    }
    with ScriptedServer(replies=replies) as server:
        c = RawClient(*server.at)
        check_equal(c.expect(220), b"220-two lines\r\n220 of greeting\r\n")
        c.ehlo()
        c.cmd("MAIL FROM:<>", 450)
        c.cmd("MAIL FROM:<>", 250)
        c.cmd("RCPT TO:<bad@x.example>", 550)
        c.cmd("RCPT TO:<good@x.example>", 250)
        c.cmd("xfancy", 299)
        c.cmd("DATA", 354)
        c.send(b"x\r\n.\r\n")
        server.wait_for_offered()
        c.silent(0.1)
        event.set()
        c.expect(b"554 5.6.0 we don't like it\r\n")
        check_equal(server.messages, [])
        check_equal(server.offered[0].recipients, ["good@x.example"])
        replies["NOOP"] = Never()
        c.line("NOOP")
        c.cmd("HELP", 214)
        replies["NOOP"] = [b"250-half a rep", Close()]
        c.line("NOOP")
        check_equal(c.read_all(), b"250-half a rep")
        replies["connect"] = Reset()
        c = RawClient(*server.at)
        check_equal(c.expect_eof(), True)
        replies["connect"] = Close()
        c = RawClient(*server.at)
        check_equal(c.expect_eof(), False)
        replies["connect"] = Hang()
        c = RawClient(*server.at)
        c.silent(0.1)


def test_scripted_auth():
    auth = {"PLAIN": 1, "LOGIN": 2, "X-THREE": 3}
    with ScriptedServer(auth=auth) as server:
        c = RawClient(*server.at)
        check_equal(c.greet()["AUTH"], "PLAIN LOGIN X-THREE")
        c.cmd("AUTH PLAIN AGEAYg==", 235)
        c.cmd("AUTH PLAIN", 334)
        c.cmd("AGEAYg==", 235)
        c.cmd("AUTH LOGIN", 334)
        c.cmd("YQ==", 334)
        c.cmd("Yg==", 235)
        c.cmd("auth x-three", 334)
        c.cmd("*", 501)
        c.cmd("AUTH NONE", 504)
        check_equal(server.conns[0].auth, [
            ("PLAIN", [b"AGEAYg=="]), ("PLAIN", [b"AGEAYg=="]),
            ("LOGIN", [b"YQ==", b"Yg=="]), ("X-THREE", None)])
        server.replies["AUTH done"] = "535 5.7.8 no"
        c.cmd("AUTH PLAIN AGEAYg==", 535)


def test_scripted_goes_and_comes():
    with ScriptedServer() as server:
        c = RawClient(*server.at)
        c.greet()
        server.refuse()
        try:
            RawClient(*server.at)
            raise lib.Failure("connected to nobody")
        except ConnectionRefusedError:
            pass
        c.cmd("NOOP")
        server.listen()
        RawClient(*server.at).greet()
        server.vanish()
        c.expect_eof()
    with ScriptedServer(accept=False) as server:
        RawClient(*server.at).silent(0.1)


def test_how_a_client_ends():
    with ScriptedServer() as server:
        c = RawClient(*server.at)
        c.greet()
        c.half_close()
        check_equal(server.conns[0].wait_closed(), "fin")
        c = RawClient(*server.at)
        c.greet()
        c.reset()
        check_equal(server.conns[1].wait_closed(), "reset")


def test_log_records():
    record = lib.parse_record('worker[1]: a=1 b="two words" c= d=x\\"y')
    check_equal(record["a"], "1")
    check_equal(record["b"], "two words")
    check_equal(record["c"], "")
    record = lib.parse_record(r'f="a\x22b\\c \xc3\xa9" g=1')
    check_equal(record["f"], 'a"b\\c \u00e9')


def test_failures_are_seen():
    for func in (lambda: check_octets(b"ab", b"ac"),
                 lambda: check_octets(b"ab", b"abc"),
                 lambda: check_equal(1, 2),
                 lambda: lib.wait_until(lambda: False, 0.01)):
        try:
            func()
        except lib.Failure:
            continue
        raise lib.Failure("no failure")


def test_other_addresses():
    for address in ("192.0.2.1", "2001:db8::1"):
        lib.add_address(address)
        with ScriptedServer(address) as server:
            check(lib.listening(*server.at), "not seen to listen")
            c = RawClient(*server.at, source=address)
            c.greet()
            check_equal(server.conns[0].peer, c.name)


@lib.cases("address", ["127.0.0.1", "::1"])
def test_sink_and_load_agree(address):
    folder = lib.mkdtemp("sink")
    sink = lib.Sink(address, directory=folder)
    for pipeline in (False, True):
        for bdat in (False, True):
            got = lib.load(address, sink.port, sessions=20, concurrency=5,
                           messages=3, size=3000, recipients=4,
                           pipeline=pipeline, bdat=bdat)
            check_equal((got["ok"], got["failed"]), (60, 0), "load")
    totals = sink.totals()
    check_equal(totals["messages"], 240, "messages")
    check_equal(totals["sessions"], 80, "sessions")
    check_equal(totals["recipients"], 960, "recipients")
    files = os.listdir(folder)
    check_equal(len(files), 240, "files")
    ids = set()
    octets = 0
    for name in files:
        with open(os.path.join(folder, name), "rb") as f:
            content = f.read()
        octets += len(content)
        ids.add(content.split(b"\r\n")[0])
        check_equal(len(content), 3000, "size of a message")
    check_equal(len(ids), 240, "ids")
    check_equal(totals["octets"], octets, "octets")


def load_json(address, port, *options):
    program = lib.Program(lib.build_tool("load"), "-j", "-c", address,
                          "-p", port, *options)
    return json.loads(program.wait(30).strip())


def test_sink_checks_what_load_sent():
    port = lib.free_port()
    sink = lib.Program(lib.build_tool("sink"), "-c", "-p", port)
    lib.wait_until(lambda: lib.listening("127.0.0.1", port), 10, "sink")
    got = load_json("127.0.0.1", port, "-n", 30, "-C", 10, "-m", 2)
    check_equal((got["messages"], got["sessions"]), (60, 30), "load")
    check_equal(got["message_ms"]["count"], 60, "latencies")
    c = RawClient("127.0.0.1", port)
    c.greet()
    head = b"X-Load-Id: 1-1\r\nX-Load-Size: %d\r\n\r\nhere\r\n"
    for content in (head % 41, head % 41, head % 42, b"Subject: x\r\n\r\n"):
        c.envelope()
        c.data(content)
    sink.proc.send_signal(signal.SIGUSR1)
    lib.wait_until(lambda: "\n" in sink.text, 10, "totals")
    totals = json.loads(sink.terminate().splitlines()[0])
    for name, value in (("messages", 64), ("distinct", 61), ("open", 1),
                        ("duplicates", 2), ("wrong_sizes", 1),
                        ("unknown", 1)):
        check_equal(totals[name], value, name)


def test_load_without_messages():
    """QUIT behind the greeting; or EHLO twice, and QUIT."""
    for options, want in ((("-m", 0), ["QUIT"]),
                          (("-m", 0, "-E"), ["EHLO", "EHLO", "QUIT"])):
        with ScriptedServer() as server:
            got = load_json(*server.at, *options)
            check_equal((got["sessions"], got["messages"]), (1, 0), "load")
            verbs = [line.split()[0].decode()
                     for line in server.conns[0].commands]
            check_equal(verbs, want, "commands")


def test_load_holds_sessions():
    """And says QUIT in all of them when it is told to end."""
    sink = lib.Sink()
    load = subprocess.Popen(
        [lib.build_tool("load"), "-j", "-i", "-c", sink.address,
         "-p", str(sink.port), "-n", "50", "-C", "7"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
    lib.at_exit(load.kill)
    check(lib.can_do(load.stdout, select.POLLIN, 10), "no idle sessions")
    check_equal(json.loads(load.stdout.readline()),
                {"idle": 50, "failed": 0}, "idle")
    load.stdin.close()
    check(lib.can_do(load.stdout, select.POLLIN, 10), "no end")
    result = json.loads(load.stdout.readline())
    check_equal((result["sessions"], result["sessions_failed"]), (50, 0),
                "sessions")
    check_equal(load.wait(10), 0, "exit status")
    load.stdout.close()


def test_load_waits():
    """No message is sent before all sessions are open."""
    seen = []
    with ScriptedServer() as server:
        server.replies["MAIL"] = lambda conn, _: seen.append(
            len(server.conns))
        got = load_json(*server.at, "-w", "-n", 20, "-C", 20)
        check_equal((got["sessions"], got["messages"]), (20, 20), "load")
    check_equal(seen, [20] * 20, "connections at each MAIL")


def test_sink_keeps_octets():
    folder = lib.mkdtemp("sink")
    sink = lib.Sink(directory=folder)
    for way in ("data", "bdat", "slow"):
        c = RawClient(sink.address, sink.port)
        check_equal(sorted(c.greet()), [
            "8BITMIME", "CHUNKING", "DSN", "ENHANCEDSTATUSCODES",
            "PIPELINING", "SIZE", "SMTPUTF8"])
        c.envelope()
        content = lib.make_message(body=BODY)
        if way == "bdat":
            c.bdat(content, chunk=999)
        elif way == "data":
            c.data(content)
        else:
            c.cmd("DATA", 354)
            c.send_slowly(lib.stuff(content) + b".\r\n", step=3, interval=0)
            c.expect(250)
        c.cmd("RSET")
        c.cmd("FOO", 500)
        c.cmd("DATA", 503)
        c.quit()
        name = sorted(os.listdir(folder))[-1]
        with open(os.path.join(folder, name), "rb") as f:
            check_octets(f.read(), content, way)
    check_equal(sink.totals()["messages"], 3)


def test_load_sees_failures():
    with ScriptedServer(replies={"dot": "452 4.3.1 full"}) as server:
        got = lib.load(*server.at, sessions=3, concurrency=2, code=1)
        check_equal((got["ok"], got["failed"]), (0, 3))
    with ScriptedServer(replies={"RCPT": Seq(None, Close(), None)}) as server:
        got = lib.load(*server.at, sessions=4, messages=2, code=1)
        check(got["failed"] >= 1, "%r" % got)
        check_equal(got["ok"], len(server.messages))
    got = lib.load("127.0.0.1", lib.free_port(), code=1)
    check_equal((got["ok"], got["failed"]), (0, 1))


@lib.cases("mta", MTAS)
def test_load_into_mta(mta_class):
    with mta_class(port=lib.free_port()) as mta:
        got = lib.load("127.0.0.1", mta.port, sessions=6, concurrency=3,
                       messages=2, size=5000,
                       pipeline=mta_class is not OpenSMTPD)
        check_equal((got["ok"], got["failed"]), (12, 0))
        mta.wait_for_mail(12)
        mta.wait_for_accepted(12)


def test_shared_outlives_its_test():
    mta = lib.shared(Exim, port=10001)
    lib._clean_up()
    check(lib.shared(Exim, port=10001) is mta, "another one")
    RawClient("127.0.0.1", 10001).greet()


def test_smtp_source():
    path, env = tool("smtp-source")
    sink = lib.Sink()
    lib.Program(path, "-s", 5, "-m", 50, "-t", "user@test.example",
                "127.0.0.1:%d" % sink.port, env=env).wait()
    check_equal(sink.totals()["messages"], 50)


def test_nothing_is_left():
    """A process that a test forgot is found and ended."""
    pid = os.fork()
    if pid == 0:
        signal.pause()
        os._exit(0)
    errors = lib._clean_up()
    check(errors and "left behind" in errors[0], "not found: %r" % errors)
    os.waitpid(pid, 0)


if __name__ == "__main__":
    lib.main()
