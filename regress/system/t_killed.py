#!/usr/bin/python3
"""Each process is killed at each stage of a session: what the client was
told is what the destination took, the other sessions live on, and service is
back at once."""

import os
import re
import signal
import threading
import time

import lib
from lib import Proxy, RawClient, ScriptedServer, Wait, check, check_equal

# Stages at which processes die, which a checker's build is slow at.
LONG = True

STAGES = ["greeting", "EHLO", "MAIL", "RCPT", "354", "content", "dot",
          "reply", "chunk", "AUTH"]
BACK_S = 2


class Scene:
    """A session that has come to a stage, and one beside it that may not
    notice what happens to the first."""

    def __init__(self, stage):
        self.stage = stage
        self.event = threading.Event()
        self.mark = lib.marker()
        self.told = None
        self.server = ScriptedServer(auth={"LOGIN": 2}).start()
        # Those that still wait for the event must not hold the end up.
        lib.at_exit(self.event.set)
        self.proxy = Proxy.to(self.server, top="workers 2",
                              allow=["killed by signal 9", "fatal"]).start()
        self.proxy.wait_children("worker", 2)
        self.proxy.settle()
        self.beside = self.client()
        self.beside.greet()
        self.beside.envelope()
        self.beside.cmd("DATA", 354)
        self.beside.send(b"Subject: beside\r\n\r\nbegun\r\n")
        if stage == "greeting":
            self.hold("connect", "220 late")
        self.c = self.client()
        self.come()
        lib.wait_until(lambda: self.worker() not in (None, self.other()), 5,
                       "each in a worker of its own")

    def client(self):
        return RawClient(self.proxy.address, self.proxy.port)

    def worker(self):
        return self.proxy.worker_of(self.c.name[1])

    def other(self):
        return self.proxy.worker_of(self.beside.name[1])

    def hold(self, stage, reply):
        self.server.replies[stage] = [Wait(self.event), reply]

    def come(self):
        """Up to the stage."""
        c, server = self.c, self.server
        if self.stage == "greeting":
            server.wait_for_conn(2)
            return
        c.greet()
        if self.stage == "EHLO":
            return
        if self.stage == "AUTH":
            c.cmd("AUTH LOGIN", 334)
            return
        c.cmd("MAIL FROM:<a@client.example>")
        if self.stage == "MAIL":
            return
        c.cmd("RCPT TO:<b@test.example>")
        if self.stage == "RCPT":
            return
        content = lib.make_message(self.mark)
        if self.stage == "chunk":
            c.send(b"BDAT %d LAST\r\n" % len(content) + content[:50])
            self.seen(content[:50])
            return
        if self.stage == "354":
            self.hold("DATA", "354 late")
            c.line("DATA")
            self.seen(b"DATA\r\n")
            return
        c.cmd("DATA", 354)
        if self.stage == "content":
            c.send(content)
            self.seen(content)
            return
        if self.stage == "dot":
            self.hold("dot", "250 late")
        c.send(lib.stuff(content) + b".\r\n")
        server.wait_for_offered()
        if self.stage == "reply":
            self.told = c.read_reply()[0]

    def seen(self, octets):
        """The destination has these."""
        lib.wait_until(lambda: any(octets in bytes(x.received)
                                   for x in list(self.server.conns)), 5,
                       "%r at the destination" % octets[:60])

    def let_go(self):
        self.server.replies.clear()
        self.event.set()

    def finish(self):
        """The session goes on from its stage to its end."""
        c = self.c
        self.let_go()
        content = lib.make_message(self.mark)
        if self.stage == "AUTH":
            c.cmd("dXNlcg==", 334)
            c.cmd("cGFzcw==", 235)
        if self.stage == "greeting":
            c.greet()
        if self.stage in ("greeting", "EHLO", "AUTH"):
            c.cmd("MAIL FROM:<a@client.example>")
        if self.stage in ("greeting", "EHLO", "AUTH", "MAIL"):
            c.cmd("RCPT TO:<b@test.example>")
        if self.stage in ("greeting", "EHLO", "AUTH", "MAIL", "RCPT"):
            c.line("DATA")
        if self.stage in ("greeting", "EHLO", "AUTH", "MAIL", "RCPT", "354"):
            c.expect(354)
            c.send(lib.stuff(content))
        if self.stage == "chunk":
            c.send(content[50:])
        elif self.stage not in ("dot", "reply"):
            c.send(b".\r\n")
        if self.stage != "reply":
            self.told = c.read_reply()[0]
        check_equal(self.told, 250, "told")
        c.quit()

    def taken(self):
        return sum(self.mark in m.content for m in self.server.messages)

    def check_lost(self):
        """The client hears no success that it has not heard already."""
        got = self.c.read_all()
        check(re.match(rb"(4\d\d [^\r\n]*\r\n)*\Z", got), "told %r" % got)
        self.c.close()
        conn = next((x for x in self.server.conns
                     if self.mark in bytes(x.received)), None)
        self.let_go()
        if conn is not None:
            conn.wait_closed()
        whole = self.stage in ("dot", "reply")
        check_equal(len([m for m in self.server.offered
                         if self.mark in m.content]), int(whole), "ends")
        check_equal(self.taken(), int(whole), "taken")

    def finish_beside(self):
        self.let_go()
        self.beside.send(b".\r\n")
        self.beside.expect(250)
        self.beside.quit()

    def check_service(self, began, proxy=None):
        proxy = proxy or self.proxy
        while True:
            c = RawClient(proxy.address, proxy.port)
            # Who was given to the dead one before that is known hears 421.
            if c.expect((220, 421))[:3] == b"220":
                break
            c.close()
            check(time.monotonic() - began < BACK_S * lib.SLOW, "421 still")
        with c:
            c.ehlo()
            c.envelope()
            c.data(lib.make_message())
            c.quit()
        took = time.monotonic() - began
        check(took < BACK_S * lib.SLOW, "back after %.1fs" % took)


@lib.cases("stage", STAGES)
def test_its_worker(stage):
    s = Scene(stage)
    victim, other = s.worker(), s.other()
    began = time.monotonic()
    lib.kill_pid(victim)
    s.check_lost()
    s.check_service(began)
    s.finish_beside()
    s.proxy.wait_children("worker", 1, without=[victim, other])
    check_equal(len(s.proxy.wait_for_log("killed by signal 9.*replaced")
                    .split("\n")), 1)
    s.proxy.wait_for_log("1 sessions lost")


def test_what_a_worker_did_not_take():
    """A worker reads no messages, and is killed: sessions that waited to be
    handed over are another worker's, and those that were are over."""
    most = 1200
    sink = lib.Sink()
    with Proxy.to(sink, top="workers 2\nmax-sessions %d" % most,
                  allow=["killed by signal 9"]) as proxy:
        stuck, other = proxy.wait_children("worker", 2)
        proxy.settle()
        os.kill(stuck, signal.SIGSTOP)
        clients, waiting = [], []
        while True:
            more = [RawClient(proxy.address, proxy.port) for _ in range(80)]
            clients += more
            try:
                # Its channel is full when the other worker gets them all.
                lib.wait_until(lambda: all(c.readable() for c in more), 0.5)
                break
            except lib.Failure:
                waiting = [c for c in clients if not c.readable()]
                check(len(clients) < most, "its channel never fills up")
        waiting = [c for c in waiting if not c.readable()]
        lib.kill_pid(stuck)
        lib.wait_until(lambda: all(c.readable() for c in waiting), 5,
                       "a word to each")
        moved = [c for c in waiting if c.sock.recv(4096)[:4] == b"220 "]
        check(len(moved) > 0, "none of %d was moved" % len(waiting))
        check_equal({proxy.worker_of(c.name[1]) for c in moved}, {other})
        proxy.wait_for_log(": %d sessions lost" % (
            len(waiting) - len(moved)))
        for c in moved:
            c.cmd("QUIT", 221)
        for c in clients:
            c.close()
        proxy.wait_children("worker", 2, without=[stuck])
        # None of them counts any more.
        held = []

        def one_more():
            c = RawClient(proxy.address, proxy.port)
            if c.read_reply()[0] == 220:
                held.append(c)
            else:
                c.close()
            return len(held) == most
        lib.wait_until(one_more, 20, lambda: "%d sessions: %d" % (
            most, len(held)), interval=0)


@lib.cases("stage", STAGES)
def test_others(stage):
    """The other worker and the logger: the session does not notice."""
    s = Scene(stage)
    logger = s.proxy.children("logger")[0]
    began = time.monotonic()
    lib.kill_pid(s.other())
    lib.kill_pid(logger)
    s.beside.expect_eof()
    s.finish()
    check_equal(s.taken(), 1, "taken")
    s.check_service(began)
    s.proxy.wait_children("logger", 1, without=[logger])
    s.proxy.wait_for_log("logger pid %d killed by signal 9" % logger)
    with s.client() as c:
        c.greet("after.example")
        c.quit()
    # What the dead logger had not read yet is gone with it; no more is.
    s.proxy.wait_for_record(_kind="session", helo="after.example")


@lib.cases("stage", STAGES)
def test_parent(stage):
    """All ends with it, and nothing stands in the way of the next start."""
    s = Scene(stage)
    pids = s.proxy.pids()
    began = time.monotonic()
    os.kill(pids[0], 9)
    s.check_lost()
    lib.wait_until(lambda: not any(lib.alive(p) for p in pids[1:]), 2,
                   "the children's end")
    s.proxy.kill()
    new = Proxy(s.proxy.conf).start()
    s.check_service(began, new)


if __name__ == "__main__":
    lib.main()
