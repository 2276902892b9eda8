#!/usr/bin/python3
"""Peers that mean harm, or behave as if they did: what is said at the wrong
point of the dialogue, what has no end, what comes one octet at a time, and
what never comes at all.  regress/THREATS.md says against which attacks."""

import os
import re
import resource
import select
import shutil
import socket
import subprocess
import threading
import time

import lib
from lib import Proxy, RawClient, ScriptedServer, Close, Drip, Hang, \
    HalfClose, Never, Skip, Wait, check, check_equal, check_octets

GW = b"gw.test.example"
UNASKED = b"421 4.3.0 " + GW + b" protocol error of destination\r\n"
MALFORMED = (b"451 4.3.0 " + GW + b" malformed reply from destination\r\n"
             b"421 4.3.0 " + GW + b" closing connection\r\n")
CLOSING = b"421 4.7.0 " + GW + b" closing connection\r\n"
TOO_LONG = b"500 5.5.2 line too long\r\n"
MIB = 1024                      # in KiB


def proxy_to(server, top="", **kw):
    return Proxy.to(server, top='hostname "%s"\nworkers 1\n%s' % (
        GW.decode(), top), **kw)


def client(proxy, **kw):
    return RawClient(proxy.address, proxy.port, **kw)


def greeted(proxy, **kw):
    c = client(proxy, **kw)
    c.greet()
    return c


def hears(c, want, what="what the client hears"):
    """These octets, then the end."""
    check_octets(c.read_all(), want, what)
    c.close()


class Worker:
    """The one worker, after a first session: its memory and its time."""

    def __init__(self, proxy):
        proxy.settle()
        greeted(proxy).quit()
        proxy.wait_for_record(_kind="session")
        self.pid = proxy.wait_children("worker", 1)[0]
        self.rss = lib.rss_kib(self.pid)
        self.fds = lib.fd_count(self.pid)
        self.cpu = lib.cpu_seconds(self.pid)

    def grown(self):
        return lib.rss_kib(self.pid) - self.rss

    def check_memory(self, what, kib=2 * MIB):
        if lib.SLOW > 1:
            return              # a checker has memory of its own
        check(self.grown() < kib, lambda: "%s: the worker has grown by %d "
              "KiB" % (what, self.grown()))

    def wait_descriptors(self, timeout=10):
        lib.wait_until(lambda: lib.fd_count(self.pid) == self.fds, timeout,
                       lambda: "%d descriptors, not %d" % (
                           self.fds, lib.fd_count(self.pid)))


# Points at which both sides must agree whose turn it is.

EARLY = [
    ("one octet", [b"E"]),
    ("a line end", [b"\r\n"]),
    ("a command", [b"EHLO client.example\r\n"]),
    ("a session", [b"EHLO client.example\r\nMAIL FROM:<a@client.example>\r\n"
                   b"RCPT TO:<b@test.example>\r\nDATA\r\nx\r\n.\r\nQUIT\r\n"]),
    ("in pieces", [b"EH", b"LO client.example\r\nNOOP\r\n"]),
    ("a megabyte", [b"x" * 1000000]),
]


def test_talk_before_the_greeting():
    event = threading.Event()
    with ScriptedServer(replies={"connect": [
            Wait(event), "220 server.test.example"]}) as server, \
            proxy_to(server) as proxy:
        for n, (what, pieces) in enumerate(EARLY):
            c = client(proxy)
            server.wait_for_conn(n + 1)
            try:
                for piece in pieces:
                    c.send(piece)
            except OSError:
                pass            # it is told, and closed, meanwhile
            hears(c, b"554 5.5.1 you must wait for the greeting\r\n", what)
            record = proxy.wait_for_record(_kind="session", count=n + 1)
            check_equal(record["reason"], "pregreet", what)
        event.set()
        server.wait_idle()
        for conn in server.conns:
            check_octets(bytes(conn.received), b"", "at the destination")


# What stands behind a reply that is due: the client hears that one, and then
# that the session is over; it is never taken for the reply to what it says
# next.  421 alone is a farewell that nobody has to ask for.
BEHIND = [
    ("connect", b"220 server.test.example\r\n", b"250 2.0.0 and more\r\n"),
    ("EHLO", b"250 server.test.example\r\n", b"250 2.1.0 sender fine\r\n"),
    ("NOOP", b"250 2.0.0 fine\r\n", b"354 go ahead\r\n"),
    ("RSET", b"250 2.0.0 forgotten\r\n", b"554 5.0.0 no\r\n"),
    ("MAIL", b"250 2.1.0 fine\r\n", b"250 2.1.5 recipient fine\r\n"),
    ("RCPT", b"250 2.1.5 fine\r\n", b"354 go ahead\r\n"),
    ("DATA", b"503 5.5.1 no\r\n", b"250 2.0.0 queued\r\n"),
    ("dot", b"250 2.0.0 queued\r\n", b"250 2.0.0 queued once more\r\n"),
    ("LAST", b"250 2.0.0 queued\r\n", b"250 2.0.0 queued once more\r\n"),
    ("BDAT", b"250 2.0.0 3 octets\r\n", b"250 2.0.0 queued\r\n"),
    ("AUTH", b"235 2.7.0 welcome\r\n", b"235 2.7.0 welcome\r\n"),
]


@lib.cases("what", ["another", "421"])
def test_reply_that_nobody_asked_for(what):
    reason = "unasked reply" if what == "another" else "destination closed"
    with ScriptedServer(auth={"PLAIN": 1}) as server, \
            proxy_to(server) as proxy:
        for n, (stage, due, more) in enumerate(BEHIND):
            if what == "421":
                more = b"421 4.3.2 going down\r\n"
            server.replies = {stage: due + more}
            c = client(proxy)
            lib.drive_to(c, stage)
            hears(c, due + (more if what == "421" else UNASKED), stage)
            record = proxy.wait_for_record(_kind="session", count=n + 1)
            delivered = "1" if stage in ("dot", "LAST") else "0"
            check_equal((record["reason"], record["reply"],
                         record["delivered"]),
                        (reason, more[:-2].decode(), delivered), stage)
            # What is unasked costs the destination its connection.
            server.conns[n].wait_closed()


def test_reply_to_an_idle_client():
    """The destination speaks when nobody has said anything."""
    with ScriptedServer() as server, proxy_to(server) as proxy:
        for n, stage in enumerate(["EHLO", "MAIL", "RCPT", "BDAT"]):
            c = client(proxy)
            lib.drive_to(c, stage)
            c.expect(250)
            server.conns[n].sock.sendall(b"250 2.0.0 surprise\r\n")
            hears(c, UNASKED, stage)
            record = proxy.wait_for_record(_kind="session", count=n + 1)
            check_equal((record["reason"], record["reply"]),
                        ("unasked reply", "250 2.0.0 surprise"), stage)


def test_replies_before_their_commands():
    """All replies of a session at once, the acceptance of the message too:
    none of them answers a command that the destination can't have read."""
    everything = (b"250 2.1.0 sender\r\n250 2.1.5 recipient\r\n"
                  b"354 go ahead\r\n250 2.0.0 queued\r\n")
    event = threading.Event()
    with ScriptedServer(replies={"MAIL": [everything, Wait(event)]}) \
            as server, proxy_to(server) as proxy:
        c = greeted(proxy)
        c.send(b"MAIL FROM:<a@client.example>\r\n"
               b"RCPT TO:<b@test.example>\r\nDATA\r\n")
        for want in everything.split(b"\r\n")[:3]:
            c.expect(want + b"\r\n")
        c.send(b"Subject: x\r\n\r\nx\r\n.\r\n")
        c.expect(b"451 4.3.0 malformed reply from destination\r\n")
        event.set()
        c.line("QUIT")
        hears(c, b"221 2.0.0 " + GW + b" closing connection\r\n")
        record = proxy.wait_for_record(_kind="message")
        check_equal((record["delivered"], record["reason"]),
                    ("no", "malformed reply"))
        check_equal(server.conns[0].ends, 0, "ends of data")


@lib.cases("way", [("content", b"DATA\r\n", b"x\r\n", b"more\r\n.\r\n"),
                   ("chunk", b"", b"BDAT 9 LAST\r\nx\r\n", b"more\r\n")])
def test_acceptance_before_the_end(way, before, start, rest):
    """250 while octets of the message are still to come is none: what the
    client sends after it would be lost."""
    def read_a_line(conn, arg):
        if before:
            conn.write("354 go ahead")
        conn.read_octets(3)
        conn.write("250 2.0.0 queued already")
        raise lib._Gone()
    with ScriptedServer() as server, proxy_to(server) as proxy:
        server.replies["DATA"] = read_a_line
        if not before:
            # BDAT reads its chunk before it asks for a reply: answer RCPT
            # and read on by ourselves.
            server.replies["RCPT"] = lambda conn, arg: [
                "250 2.1.5 fine", lambda conn: (
                    conn.read_line(), read_a_line(conn, arg))]
        c = greeted(proxy)
        c.envelope()
        if before:
            c.send(before)
            c.expect(354)
        c.send(start)
        server.conns[0].wait_closed()
        c.send(rest)
        c.expect(b"451 4.3.0 malformed reply from destination\r\n")
        c.close()
        record = proxy.wait_for_record(_kind="message")
        check_equal((record["delivered"], record["reason"]),
                    ("no", "malformed reply"))


# A code that the command can't be answered with, or lines that disagree.
WRONG = [
    ("EHLO", b"354 go ahead\r\n"), ("EHLO", b"250-a\r\n550 b\r\n"),
    ("AUTH", b"354 go ahead\r\n"), ("AUTH", b"334-a\r\n235 b\r\n"),
    ("NOOP", b"334 what\r\n"), ("NOOP", b"354 go ahead\r\n"),
    ("RSET", b"354 go ahead\r\n"), ("HELP", b"354 go ahead\r\n"),
    ("VRFY", b"334 what\r\n"), ("QUIT", b"354 go ahead\r\n"),
    ("MAIL", b"354 go ahead\r\n"), ("MAIL", b"334 what\r\n"),
    ("MAIL", b"250-a\r\n551 b\r\n"), ("MAIL", b"250-a\r\n251 b\r\n"),
    ("RCPT", b"354 go ahead\r\n"), ("RCPT", b"550-a\r\n250 b\r\n"),
    ("DATA", b"250 2.0.0 queued\r\n"), ("DATA", b"334 what\r\n"),
    ("DATA", b"354-a\r\n250 b\r\n"), ("DATA", b"355 go ahead\r\n"),
    ("dot", b"354 go ahead\r\n"), ("dot", b"250-a\r\n450 b\r\n"),
    ("dot", b"250-a\r\n250\tb\r\n"), ("dot", b"2500 b\r\n"),
    ("BDAT", b"354 go ahead\r\n"), ("LAST", b"354 go ahead\r\n"),
    ("LAST", b"250-a\r\n421 b\r\n"),
]


def test_reply_that_can_not_be():
    with ScriptedServer(auth={"PLAIN": 1}) as server, \
            proxy_to(server) as proxy:
        for n, (stage, reply) in enumerate(WRONG):
            server.replies = {stage: reply}
            c = client(proxy)
            lib.drive_to(c, stage)
            hears(c, MALFORMED, "%s: %r" % (stage, reply))
            record = proxy.wait_for_record(_kind="session", count=n + 1)
            check_equal((record["reason"], record["delivered"]),
                        ("malformed reply", "0"), record["_line"])


def test_greeting_that_can_not_be():
    """Nothing was said to the client yet, so it hears only that there is no
    destination."""
    with ScriptedServer() as server, proxy_to(server) as proxy:
        for n, greeting in enumerate([
                b"354 go ahead\r\n", b"334 x\r\n", b"220-a\r\n554 b\r\n",
                b"SSH-2.0-x\r\n", b"HTTP/1.1 200 OK\r\n"]):
            server.replies["connect"] = greeting
            hears(client(proxy),
                  b"421 4.4.1 " + GW + b" destination not available\r\n",
                  repr(greeting))
            record = proxy.wait_for_record(_kind="session", count=n + 1)
            check_equal(record["reason"], "no greeting from destination")


# Bounds.

LIMITS = [("NOOP ", 512), ("EHLO ", 512), ("VRFY ", 512), ("RSET ", 512),
          ("HELP ", 512), ("ETRN ", 512), ("MAIL FROM:<a@b.example> X=", 2048),
          ("RCPT TO:<a@b.example> X=", 2048), ("AUTH PLAIN ", 12288)]


@lib.cases("step", [20000, 500])
def test_command_at_its_limit(step):
    """As long as it may be it goes through octet for octet; with one more it
    is refused, whole or in pieces, and no part of it is a command."""
    with ScriptedServer(auth={"PLAIN": 1}) as server, \
            proxy_to(server) as proxy:
        for start, limit in LIMITS:
            c = greeted(proxy)
            for length in (limit, limit + 1, limit + 2, 20000):
                line = start.encode().ljust(length - 2, b"x")
                seen = len(server.commands())
                c.send_slowly(line + b"\r\n", step)
                if length == limit:
                    check(c.read_reply()[0] in (235, 250, 252, 214, 501, 503),
                          "%d octets" % length)
                    check_octets(server.commands()[seen], line, "command")
                else:
                    c.expect(TOO_LONG, "%d octets" % length)
                    check_equal(len(server.commands()), seen, "commands")
            c.cmd("RSET")
            c.quit()


def test_auth_line_at_its_limit():
    """A line of the exchange has no 500: there the session ends."""
    with ScriptedServer(auth={"LOGIN": 2}) as server, \
            proxy_to(server) as proxy:
        for length in (12288, 12289, 100000):
            c = greeted(proxy)
            c.cmd("AUTH LOGIN", 334)
            c.send(b"x" * (length - 2) + b"\r\n")
            if length == 12288:
                c.expect(334)
                c.close()
            else:
                hears(c, b"421 4.7.0 " + GW + b" bad line in AUTH exchange"
                      b"\r\n")
        lines = [c for c in server.commands() if c[:1] == b"x"]
        check_equal([len(c) for c in lines], [12286], "lines")


BIG = 200 * 1000 * 1000


def pour(c, octets):
    """As many octets without a line end; how many were taken."""
    block = b"x" * (1 << 20)
    sent = 0
    try:
        while sent < octets:
            piece = block[:octets - sent]
            c.sock.sendall(piece)
            sent += len(piece)
    except OSError:
        pass
    return sent


def swallow(conn, octets):
    """Read as many octets and keep none."""
    have = len(conn._in)
    tail = bytes(conn._in[-5:])
    del conn._in[:]
    while have < octets:
        got = conn.sock.recv(1 << 20)
        if not got:
            raise lib._Gone()
        have += len(got)
        tail = (tail + got)[-5:]
    return have, tail


@lib.long
@lib.cases("where", ["command", "content", "refused content", "chunk",
                     "refused chunk"])
def test_200_megabytes_without_a_newline(where):
    """Where a line may be that long it passes, else it is dropped; nothing
    of it is kept."""
    with ScriptedServer() as server, proxy_to(server) as proxy:
        if where == "refused chunk":
            server.ehlo = ["PIPELINING"]
        worker = Worker(proxy)
        got = []
        server.replies["DATA"] = [
            b"354 go ahead\r\n",
            lambda conn: got.append(swallow(conn, BIG + 5)),
            b"250 2.0.0 queued\r\n", Close()]
        if where == "chunk":
            server.replies["RCPT"] = [
                b"250 2.1.5 fine\r\n",
                lambda conn: got.append(swallow(conn, BIG + 21)),
                b"250 2.0.0 queued\r\n", Close()]
        c = greeted(proxy, timeout=60)
        if where == "command":
            # After a megabyte it is told, and read on for a few seconds so
            # that it can hear that; after them a reset may overtake it.
            sent = pour(c, BIG)
            heard = c.read_all()
            check(heard == TOO_LONG + CLOSING or
                  (heard == b"" and sent < BIG), heard)
            record = proxy.wait_for_record(_kind="session", count=2)
            check_equal(record["reason"], "endless line")
            check_equal(len(server.conns[1].commands), 1, "commands")
        else:
            c.envelope()
            if where == "content":
                c.cmd("DATA", 354)
                check_equal(pour(c, BIG), BIG, "octets sent")
                c.send(b"\r\n.\r\n")
                c.expect(b"250 2.0.0 queued\r\n")
            elif where == "refused content":
                server.replies["DATA"] = None
                c.cmd("DATA", 354)
                c.send(b"bare\nLF")
                check_equal(pour(c, BIG), BIG, "octets sent")
                c.send(b"\r\n.\r\n")
                c.expect(b"554 5.6.0 bare LF in message\r\n")
                check_equal(server.conns[1].wait_closed(), "fin")
            elif where == "chunk":
                c.send(b"BDAT %d LAST\r\n" % BIG)
                check_equal(pour(c, BIG), BIG, "octets sent")
                c.expect(b"250 2.0.0 queued\r\n")
            else:
                c.send(b"BDAT %d LAST\r\n" % BIG)
                check_equal(pour(c, BIG), BIG, "octets sent")
                c.expect(b"502 5.5.1 BDAT not offered\r\n")
                c.cmd("RSET")
            c.close()
        if where == "content":
            check_equal(got, [(BIG + 5, b"\r\n.\r\n")], "at the destination")
        if where == "chunk":
            check_equal(got, [(BIG + 21, b"xxxxx")], "at the destination")
        worker.check_memory("200 MB")


def many(c, line, n, batch=500):
    """n command lines in batches; the replies' lines, counted."""
    heard = {}
    for start in range(0, n, batch):
        size = min(batch, n - start)
        c.send(b"".join(line(start + i) for i in range(size)))
        for _ in range(size):
            reply = c.read_reply()[1]
            heard[reply] = heard.get(reply, 0) + 1
    return heard


@lib.long
@lib.cases("limit", [0, 100])
def test_10000_recipients(limit):
    with ScriptedServer() as server, \
            proxy_to(server, extra="max-recipients %d" % limit) as proxy:
        worker = Worker(proxy)
        c = greeted(proxy)
        c.cmd("MAIL FROM:<a@client.example>")
        heard = many(c, lambda n: b"RCPT TO:<%d@test.example>\r\n" % n, 10000)
        taken = limit or 10000
        check_equal(heard.pop(b"250 2.1.5 recipient fine\r\n"), taken)
        if limit:
            (reply, count), = heard.items()
            lib.check_match(rb"^452 4\.5\.3 ", reply)
            check_equal(count, 10000 - limit, "refused")
        worker.check_memory("10,000 recipients", MIB)
        c.data(b"Subject: x\r\n\r\nx\r\n")
        c.quit()
        check_equal(server.messages[0].recipients,
                    ["%d@test.example" % n for n in range(taken)])
        record = proxy.wait_for_record(_kind="message")
        check_equal((record["nrcpt"], record["delivered"]),
                    (str(taken), "yes"))


NONSENSE = b"502 5.5.1 command not implemented\r\n"


def test_thousands_of_bad_commands():
    """A hundred are answered, which is the default of max-errors."""
    with ScriptedServer() as server, proxy_to(server) as proxy:
        worker = Worker(proxy)
        c = greeted(proxy)
        c.send(b"XYZZY\r\n" * 5000)
        hears(c, NONSENSE * 100 +
              b"421 4.7.0 " + GW + b" too many errors\r\n")
        record = proxy.wait_for_record(_kind="session", count=2)
        check_equal((record["reason"], record["errors"]),
                    ("too many errors", "100"))
        check_equal(server.conns[1].commands, [b"EHLO client.example"])
        worker.check_memory("bad commands", MIB)


@lib.long
def test_bad_commands_without_a_limit():
    """Each is answered, and none is kept."""
    with ScriptedServer() as server, \
            proxy_to(server, extra="max-errors 0") as proxy:
        worker = Worker(proxy)
        c = greeted(proxy)
        heard = many(c, lambda n: b"XYZZY %d\r\n" % n, 20000)
        check_equal(heard, {NONSENSE: 20000})
        c.quit()
        check_equal(server.conns[1].commands,
                    [b"EHLO client.example", b"QUIT"])
        worker.check_memory("bad commands", MIB)


SYNTAX = b"501 5.5.4 syntax: BDAT size [LAST]\r\n" + CLOSING
SIZES = ["-1", "-0", "+1", "", "LAST", "x", "0x10", "1e3", "1.0", "5 LAST LAST",
         "5  LAST", "5 LASTLY", "5,LAST", "5\tLAST",
         "9223372036854775808",             # 2^63
         "18446744073709551615",            # 2^64 - 1
         "18446744073709551616",            # 2^64
         "18446744073709551621",            # 2^64 + 5
         "36893488147419103237",            # 2^65 + 5
         "000000000000000000005",           # 21 digits
         "9" * 400]


def test_bdat_size_that_is_none():
    """Nobody knows how many octets follow: the session ends, and neither the
    command nor what stands behind it reaches the destination."""
    with ScriptedServer() as server, proxy_to(server) as proxy:
        for n, size in enumerate(SIZES):
            c = greeted(proxy)
            c.envelope()
            c.send(b"BDAT %s\r\nxxxxxMAIL FROM:<c@d.example>\r\nRSET\r\n"
                   % size.encode())
            hears(c, SYNTAX, "BDAT %s" % size)
            record = proxy.wait_for_record(_kind="session", count=n + 1)
            check_equal(record["reason"], "bad BDAT")
            server.conns[n].wait_closed()
            check_equal([x[:4] for x in server.conns[n].commands],
                        [b"EHLO", b"MAIL", b"RCPT"], "BDAT %s" % size)


def test_bdat_of_nothing():
    with ScriptedServer() as server, proxy_to(server) as proxy:
        c = greeted(proxy)
        c.envelope()
        c.send(b"BDAT 0\r\nBDAT 00000000000000000003\r\nx\r\nBDAT 0\r\n"
               b"BDAT 0 LAST\r\nNOOP\r\n")
        for _ in range(5):
            c.expect(250)
        c.quit()
        check_equal([m.chunks for m in server.messages],
                    [[b"", b"x\r\n", b"", b""]])
        check_equal([x for x in server.commands() if x[:4] == b"BDAT"],
                    [b"BDAT 0", b"BDAT 3", b"BDAT 0", b"BDAT 0 LAST"])


@lib.cases("limit", [0, 1000])
def test_bdat_of_2_to_the_63rd(limit):
    """2^63-1 octets are announced, a megabyte comes, and no end of it."""
    with ScriptedServer() as server, \
            proxy_to(server, extra="max-message-size %d" % limit) as proxy:
        worker = Worker(proxy)
        c = greeted(proxy)
        c.envelope()
        c.send(b"BDAT 9223372036854775807 LAST\r\n")
        check_equal(pour(c, 1000000), 1000000, "octets taken")
        c.half_close()
        c.read_all()
        c.close()
        conn = server.conns[1]
        conn.wait_closed()
        check_equal(conn.ends, 0, "ends of data")
        check_equal(b"BDAT 9223372036854775807 LAST\r\n" in conn.received,
                    limit == 0, "forwarded")
        record = proxy.wait_for_record(_kind="session", count=2)
        check_equal(record["reason"], "client closed inside a message")
        worker.check_memory("a chunk without end", MIB)


def ehlo_of(n, length):
    line = b"250-XTENSION".ljust(length - 2, b"X") + b"\r\n"
    return b"250-server.test.example\r\n" + line * (n - 2) + \
        b"250 PIPELINING\r\n"


# 1,000 lines of 2,048 octets each, and 131,072 octets in all.
LISTS = [("1000 lines", ehlo_of(1000, 20), True),
         ("1001 lines", ehlo_of(1001, 20), False),
         ("100000 lines", ehlo_of(100000, 20), False),
         ("longest line", ehlo_of(3, 2048), True),
         ("too long a line", ehlo_of(3, 2049), False),
         ("most octets", ehlo_of(65, 2048), True),
         ("too many octets", ehlo_of(66, 2048), False)]


def test_ehlo_list():
    with ScriptedServer() as server, proxy_to(server) as proxy:
        worker = Worker(proxy)
        for n, (what, reply, is_good) in enumerate(LISTS):
            server.replies["EHLO"] = reply
            c = client(proxy)
            c.expect(220)
            c.line("EHLO client.example")
            if is_good:
                c.expect(b"250-server.test.example\r\n250 PIPELINING\r\n",
                         what)
                c.quit()
            else:
                hears(c, MALFORMED, what)
            record = proxy.wait_for_record(_kind="session", count=n + 2)
            check_equal(record["reason"], "quit" if is_good else
                        "malformed reply", what)
            worker.check_memory(what, MIB)


# Time.

def set_buffers(**sizes):
    """What the sockets of this namespace hold: in default and at most."""
    for name, size in sizes.items():
        path = "/proc/sys/net/ipv4/tcp_" + name
        with open(path) as f:
            old = f.read()
        write_file(path, "4096 %d %d" % (size, size))
        lib.at_exit(lambda path=path, old=old: write_file(path, old))


def write_file(path, text):
    with open(path, "w") as f:
        f.write(text)


def raise_files(n):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < n:
        raise Skip("no %d open files" % n)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, n), hard))


def connections():
    """{(local port, remote port): (state, octets to send, timer)}"""
    found = {}
    with open("/proc/net/tcp") as f:
        for line in f.readlines()[1:]:
            x = line.split()
            ports = [int(a.rpartition(":")[2], 16) for a in x[1:3]]
            found[tuple(ports)] = (x[3], int(x[4].partition(":")[0], 16),
                                   int(x[5].partition(":")[0], 16))
    return found


ZERO_WINDOW_PROBE = 4


def zero_windows(proxy, clients):
    """How many of them have closed their window for the proxy."""
    table = connections()
    return sum(1 for c in clients if table.get(
        (proxy.port, c.name[1]), (0, 0, 0))[2] == ZERO_WINDOW_PROBE)


class Trickle(threading.Thread):
    """An octet a second to each of many sockets, in rounds."""

    def __init__(self, socks, octet=b"x"):
        super().__init__(daemon=True)
        self.socks = socks
        self.octet = octet
        self.rounds = 0
        self.stopping = threading.Event()

    def run(self):
        while not self.stopping.is_set():
            began = time.monotonic()
            for sock in list(self.socks):
                try:
                    sock.send(self.octet)
                except OSError:
                    pass
            self.rounds += 1
            self.stopping.wait(max(0, 1 - (time.monotonic() - began)))

    def end(self):
        self.stopping.set()
        self.join(5)


def seconds_of_a_message(proxy):
    began = time.monotonic()
    c = greeted(proxy)
    c.envelope()
    c.data(lib.make_message(size=10000))
    c.quit()
    return time.monotonic() - began


# What 900 slow peers may cost, in seconds of the processor a second.
SLOW_CPU = 0.05


@lib.long
def test_slow_peers_cost_nothing_but_a_descriptor():
    """500 clients that send an octet a second, 200 that read nothing, 200
    whose destination answers with an octet a second."""
    raise_files(8192)
    set_buffers(wmem=65536, rmem=65536)
    big = (b"214-" + b"x" * 1000 + b"\r\n") * 60 + b"214 end\r\n"
    dripping = []

    def drip(conn, arg):
        dripping.append(conn.sock)
        return Hang()
    with ScriptedServer(replies={"HELP": big, "VRFY": drip}) as server, \
            proxy_to(server) as proxy:
        worker = Worker(proxy)
        alone = sorted(seconds_of_a_message(proxy) for _ in range(5))[2]
        slow = [greeted(proxy) for _ in range(500)]
        for c in slow:
            c.send(b"NOOP ")
        blocked = [greeted(proxy, rcvbuf=2048) for _ in range(200)]
        for c in blocked:
            c.send(b"HELP\r\n" * 20)
        waiting = [greeted(proxy) for _ in range(200)]
        for c in waiting:
            c.send(b"VRFY x\r\n")
        lib.wait_until(lambda: zero_windows(proxy, blocked) == 200, 30,
                       lambda: "200 zero windows: %d" % zero_windows(
                           proxy, blocked))
        lib.wait_until(lambda: len(dripping) == 200, 10, "200 servers")
        threads = [Trickle([c.sock for c in slow]),
                   Trickle(dripping, b"2")]
        for t in threads:
            t.start()
            lib.at_exit(t.end)
        lib.wait_until(lambda: min(t.rounds for t in threads) >= 1, 10,
                       "a round")
        rounds, cpu = threads[0].rounds, lib.cpu_seconds(worker.pid)
        began = time.monotonic()
        lib.wait_until(lambda: threads[0].rounds >= rounds + 4, 20, "rounds")
        used = lib.cpu_seconds(worker.pid) - cpu
        per_second = used / (time.monotonic() - began)
        check(per_second <= SLOW_CPU, "%.3fs of the processor a second"
              % per_second)
        took = sorted(seconds_of_a_message(proxy) for _ in range(5))[2]
        check(took < 1, "a message takes %.2fs, %.2fs alone" % (took, alone))
        check(lib.fd_count(worker.pid) <= worker.fds + 1800,
              "%d descriptors" % lib.fd_count(worker.pid))
        for t in threads:
            t.end()
        # None of them was cut off, or answered with what is not its own.
        for c in slow:
            c.send(b"\r\n")
        for c in slow:
            c.expect(250)
        for c in slow + blocked:
            c.close()
        for c in waiting:       # a FIN would be waited with for the reply
            c.reset()
        worker.wait_descriptors()


@lib.long
@lib.cases("side", ["client", "destination"])
def test_half_closed_sockets_do_not_spin(side):
    """An end that was read once is not read again and again."""
    event = threading.Event()
    replies = {"VRFY": [Wait(event), "252 2.0.0 perhaps"]}
    with ScriptedServer(replies=replies) as server, \
            proxy_to(server, extra="starttls pass") as proxy:
        worker = Worker(proxy)
        if side == "destination":
            # Passed unread: the directions end one by one.
            server.ehlo = ["STARTTLS"]
            server.replies["STARTTLS"] = [
                "220 2.0.0 go ahead", lambda conn: conn.read_octets(3),
                HalfClose(), Wait(event), Close()]
        clients = [greeted(proxy) for _ in range(100)]
        for c in clients:
            if side == "client":
                c.line("VRFY x")
                c.half_close()
            else:
                c.cmd("STARTTLS", 220)
                c.send(b"\x16\x03\x01")
        for n, c in enumerate(clients):
            if side == "client":
                server.conns[n + 1].wait_command("VRFY")
            else:
                c.expect_eof()
        server.ehlo = []
        cpu, began = lib.cpu_seconds(worker.pid), time.monotonic()
        times = [seconds_of_a_message(proxy) for _ in range(20)]
        check(sorted(times)[10] < 1, "a message takes %r" % times)
        lib.stays(lambda: True, 0.5)
        used = lib.cpu_seconds(worker.pid) - cpu
        check(used <= 0.25 * (time.monotonic() - began), "%gs of the "
              "processor in %gs" % (used, time.monotonic() - began))
        event.set()
        if side == "client":
            for c in clients:
                c.expect(252)
        for c in clients:
            c.close()
        worker.wait_descriptors()


class Wall:
    """A firewall that loses all packets of some ports, without a word."""

    def __init__(self):
        if shutil.which("nft") is None:
            raise Skip("no nft(8): install nftables")
        lib.at_exit(lambda: subprocess.run(
            ["nft", "delete", "table", "ip", "wall"],
            stderr=subprocess.DEVNULL))
        self.nft("""table ip wall {
            set dead { type inet_service; }
            chain out {
                type filter hook output priority 0;
                tcp sport @dead drop
                tcp dport @dead drop
            }
        }""")

    @staticmethod
    def nft(text):
        got = subprocess.run(["nft", "-f", "-"], input=text, text=True,
                             stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT)
        if got.returncode != 0:
            raise Skip("nft: " + got.stdout.strip())

    def lose(self, *ports):
        for port in ports:
            self.nft("add element ip wall dead { %d }" % port)


@lib.long
def test_dead_peers():
    """Peers from which nothing comes any more, no reset either: each wait
    ends with its timeout, the live side is told why, and the descriptors
    come back."""
    wall = Wall()
    set_buffers(wmem=65536, rmem=65536)
    stages = "".join("timeout %s 1\n" % s for s in (
        "helo", "mail", "rcpt", "data", "block", "dot", "command"))
    block = (b"x" * 998 + b"\r\n") * 100
    late = []

    def stalled(conn, message=None):
        """Nothing is read any more, by a host that is gone."""
        wall.lose(conn.peer[1])
        late.append(conn)
        return Hang()
    with ScriptedServer() as server, proxy_to(server, extra=stages) as proxy:
        worker = Worker(proxy)
        dead, live = {}, {}

        def begin(name, kind, stage):
            c = greeted(proxy)
            kind[name] = c
            if stage != "command":
                c.envelope()
            if stage == "content":
                c.cmd("DATA", 354)
                c.send(b"Subject: x\r\n\r\n")
            return c
        # Clients that are gone, and have taken nothing of what is sent.
        for name in ("command", "content"):
            wall.lose(begin(name, dead, name).name[1])
        c = greeted(proxy, rcvbuf=2048)
        dead["reading"] = c
        server.replies["HELP"] = (b"214-" + b"x" * 1000 + b"\r\n") * 60 + \
            b"214 end\r\n"
        c.send(b"HELP\r\n" * 20)
        wall.lose(c.name[1])
        # Destinations that are gone, at a reply, within content, at the dot.
        server.replies["VRFY"] = stalled
        begin("reply", live, "command").line("VRFY x")
        server.replies["dot"] = stalled
        begin("dot", live, "content").send(b"x\r\n.\r\n")
        lib.wait_until(lambda: len(late) == 2, 10, "two destinations")
        server.replies["DATA"] = [b"354 go ahead\r\n", stalled, Hang()]
        c = greeted(proxy)
        live["content"] = c
        c.envelope()
        c.line("DATA")
        c.expect(354)
        c.send_until_blocked(block, limit=len(block) * 40)
        began, cpu = time.monotonic(), lib.cpu_seconds(worker.pid)
        for name in ("reply", "dot"):
            hears(live[name], b"451 4.4.2 " + GW + b" timeout of destination"
                  b"\r\n421 4.4.2 " + GW + b" closing connection\r\n", name)
        # The rest of the content is heard out first.
        c.send(b"\r\n.\r\n")
        c.expect(b"451 4.4.2 timeout: destination takes no data\r\n")
        c.close()
        want = {"timeout of client": 2, "timeout of destination": 3,
                "timeout: client takes no replies": 1}
        lib.wait_until(lambda: len(proxy.records(_kind="session")) == 7, 30,
                       lambda: "all to end:\n" + proxy.log_tail())
        for reason, count in want.items():
            check_equal(len(proxy.records(_kind="session", reason=reason)),
                        count, reason)
        check_equal(proxy.records(delivered="yes"), [], "delivered")
        used = lib.cpu_seconds(worker.pid) - cpu
        check(used <= 0.05 * (time.monotonic() - began) + 0.05,
              "%gs of the processor" % used)
        worker.wait_descriptors(20)
        greeted(proxy).quit()
        server.stopping.set()


@lib.cases("what", [
    ("command", "session", b"", b"NOOP "),
    ("endless commands", "session", b"", None),
    ("content", "message", b"DATA\r\n", b"Subject: x\r\n\r\n"),
    ("chunk", "message", b"", b"BDAT 100000 LAST\r\n"),
    ("auth", "session", b"AUTH LOGIN\r\n", b"")])
def test_octet_by_octet_has_an_end(what, cap, before, start):
    """Something moves all the time, so that no wait ever ends; the time of
    the message or the session does."""
    with ScriptedServer(auth={"LOGIN": 2}) as server, \
            proxy_to(server, extra="timeout %s 1" % cap) as proxy:
        c = greeted(proxy)
        if cap == "message":
            c.envelope()
        if before:
            c.send(before)
            c.expect((334, 354))
        c.send(start or b"")
        began = time.monotonic()
        while not c.readable(0.05) or start is None:
            check(time.monotonic() - began < 15, "it goes on")
            try:
                if start is None:
                    c.line("NOOP")
                    if c.read_reply()[0] == 421:
                        break
                    time.sleep(0.02)
                else:
                    c.send(b"x")
            except OSError:
                break
        took = time.monotonic() - began
        check(took >= 0.8, "after %gs" % took)
        text = {"session": b"session took too long",
                "message": b"message took too long"}[cap]
        if start is not None:
            c.expect(b"421 4.4.2 " + GW + b" " + text + b"\r\n")
        hears(c, b"")
        record = proxy.wait_for_record(_kind="session")
        check_equal(record["reason"], "timeout " + cap)
        server.conns[0].wait_closed()
        check_equal(server.offered, [], "messages with an end")


@lib.cases("stage", ["connect", "EHLO", "VRFY"])
def test_reply_octet_by_octet_has_an_end(stage):
    """A destination that never stops beginning to answer."""
    with ScriptedServer(replies={stage: Drip(
            b"250-" + b"x" * 100000, 0.02)}) as server, \
            proxy_to(server, extra="timeout session 1") as proxy:
        c = client(proxy)
        if stage != "connect":
            c.expect(220)
            c.line("EHLO client.example")
            if stage == "VRFY":
                c.expect(250)
                c.line("VRFY x")
        hears(c, b"421 4.4.2 " + GW + b" session took too long\r\n")
        record = proxy.wait_for_record(_kind="session")
        check_equal(record["reason"], "timeout session")
        server.conns[0].wait_closed()


# Memory.

# What smtpproxyd(8), MEMORY, says that a session can hold at most, and a
# worker beside its sessions; in KiB.
SESSION_MOST = 1280
WORKER_MOST = 16 * MIB

LONGEST_REPLY = (b"250-" + b"x" * 2042 + b"\r\n") * 63 + \
    b"250 " + b"x" * 2042 + b"\r\n"


def fill_replies(server, c):
    """The longest replies that there may be, and no window for them; the
    client sends on all the same."""
    server.replies["RSET"] = LONGEST_REPLY
    c.send(b"RSET\r\n" * 50)
    return b"RSET\r\n" * 1000


def fill_refusals(server, c):
    """Commands that wait for a reply which has come but for its last line,
    refusals of our own among them, and half of the longest line."""
    server.replies["RSET"] = [LONGEST_REPLY[:-2048], Never()]
    c.send(b"RSET\r\n" + b"XCLIENT A=B\r\n" * 50 +
           b"AUTH PLAIN " + b"x" * 12000)
    return b""


def fill_content(server, c):
    """Content that the destination does not take."""
    c.envelope()
    server.replies["DATA"] = ["354 go ahead", Hang()]
    c.cmd("DATA", 354)
    return (b"x" * 998 + b"\r\n") * 64


def fill_unread(server, c):
    """Passed unread: each side sends and does not read."""
    def flood(conn):
        conn.read_octets(3)
        conn.write(b"y" * 4000000)
    server.replies["STARTTLS"] = ["220 2.0.0 go ahead", flood]
    c.cmd("STARTTLS", 220)
    c.send(b"\x16\x03\x01")
    return b"x" * 65536


@lib.long
@lib.cases("how", [("replies", fill_replies, 300),
                   ("refusals", fill_refusals, 100),
                   ("content", fill_content, 10),
                   ("unread", fill_unread, 60)])
def test_memory_of_sessions_at_their_worst(how, fill, least):
    """100 sessions that hold what they can stay below 100 times the ceiling;
    `least` shows that they do hold something."""
    count = 100
    raise_files(4096)
    # Little that can be sent, so that it stays in the worker; much to read.
    set_buffers(wmem=65536, rmem=2000000)
    with ScriptedServer(rcvbuf=2048, auth={"PLAIN": 1}) as server, \
            proxy_to(server, extra="starttls pass") as proxy:
        worker = Worker(proxy)
        server.ehlo += ["STARTTLS"]
        clients = []
        for _ in range(count):
            c = greeted(proxy, rcvbuf=2048)
            clients.append((c, fill(server, c)))

        def is_full():
            before = worker.grown()
            for c, octets in clients:
                if octets:
                    c.send_until_blocked(octets, limit=1000000, quiet=0.001)
            return before == worker.grown() and before >= count * least
        lib.wait_until(is_full, 15, lambda: "%d KiB each, not %d" % (
            worker.grown() / count, least), interval=0.1)
        worker.check_memory("100 sessions", count * SESSION_MOST)
        cpu = lib.cpu_seconds(worker.pid)
        took = sorted(seconds_of_a_message_by_bdat(proxy) for _ in range(5))
        check(took[2] < 1, "a message takes %r" % took)
        check(lib.cpu_seconds(worker.pid) - cpu < 0.2, "it spins")
        for c, _ in clients:
            c.reset()
        # Who is held up is not listened to: the other side's end ends it.
        server.stop()
        worker.wait_descriptors()
        # What the pool keeps for the next ones has its own bound.
        lib.wait_until(lambda: worker.grown() < WORKER_MOST, 10,
                       lambda: "%d KiB when all is over" % worker.grown())


def seconds_of_a_message_by_bdat(proxy):
    """Without the verbs that the tests above have taken."""
    began = time.monotonic()
    c = greeted(proxy)
    c.envelope()
    c.bdat(lib.make_message(size=10000))
    c.quit()
    return time.monotonic() - began


if __name__ == "__main__":
    lib.main()
