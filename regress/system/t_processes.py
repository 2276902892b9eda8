#!/usr/bin/python3
"""The tree of processes, and what the death of one costs: a log line, its own
sessions, and nothing that a client was told."""

import os
import re
import signal
import threading
import time

import lib
from lib import Proxy, RawClient, ScriptedServer, Sink, Wait, check, \
    check_equal

# The tests look at processes, which a checker's build has others of.
LONG = True

KILLED = "killed by signal 9"


def started(server, workers=2, **kw):
    kw.setdefault("allow", [KILLED])
    proxy = Proxy.to(server, top="workers %d" % workers, **kw).start()
    proxy.wait_children("worker", workers)
    return proxy.settle()


def serving(proxy):
    """Sessions pass."""
    c = RawClient(proxy.address, proxy.port)
    c.greet()
    c.quit()


def titles(pids):
    table = lib.process_table()
    # Where the old arguments were longer, libbsd leaves a dot behind.
    return sorted(" ".join(table[p][2]).rstrip("\0 .") for p in pids)


def test_tree():
    with ScriptedServer() as server:
        proxy = started(server, workers=3)
        parent = proxy.proc.pid
        serving(proxy)
        table = lib.process_table()
        children = {p: a for p, (pp, _, a) in table.items() if pp == parent}
        check_equal(sorted(proxy.children("worker") +
                           proxy.children("logger")), sorted(children),
                    "children")
        want = ["smtpproxyd: logger", "smtpproxyd: worker[0]",
                "smtpproxyd: worker[1]", "smtpproxyd: worker[2]"]
        lib.wait_until(lambda: titles(children) == want, 10,
                       lambda: "titles: %r" % titles(children))
        check_equal(titles([parent]), ["smtpproxyd: parent"])
        check_equal(len(proxy.pids()), 5, "processes")


def maps_of(pid):
    """Where the program's own image lies."""
    with open("/proc/%d/maps" % pid) as f:
        return f.readline().split("-")[0]


def test_each_is_executed_anew():
    """Fork alone would give all of them one address space layout."""
    with ScriptedServer() as server:
        proxy = started(server, workers=3)
        places = [maps_of(p) for p in proxy.pids()]
        check_equal(len(set(places)), len(places), "layouts %r" % places)
        for pid in proxy.pids():
            check(os.readlink("/proc/%d/exe" % pid).endswith("smtpproxyd"),
                  "another image")


def hold(proxy, n):
    """n clients with a session each, by the worker that serves them."""
    held = {}
    for _ in range(n):
        c = RawClient(proxy.address, proxy.port)
        c.greet()
        held.setdefault(proxy.worker_of(c.name[1]), []).append(c)
    check(None not in held, "a session without a worker")
    return held


def release(held):
    """Those that stay open would each be waited for when it stops."""
    for clients in held.values():
        for c in clients:
            c.close()


def test_load_is_spread():
    with ScriptedServer() as server:
        proxy = started(server)
        held = hold(proxy, 10)
        check_equal(sorted(len(v) for v in held.values()), [5, 5])
        release(held)


def test_worker_is_killed():
    with ScriptedServer() as server:
        proxy = started(server)
        held = hold(proxy, 6)
        victim, other = held
        mark = proxy.mark()
        began = time.monotonic()
        lib.kill_pid(victim)
        line = proxy.wait_for_log(r"worker\[\d\] pid %d killed by signal 9"
                                  % victim, after=mark)
        lib.check_match(r"^parent \d+: ", line)
        check(re.search("Killed.*replaced", line), line)
        for c in held[victim]:
            c.expect_eof()
        new = proxy.wait_children("worker", 1, without=(victim, other))
        check(time.monotonic() - began < 1.0 * lib.SLOW, "took %.2fs" % (
            time.monotonic() - began))
        for c in held[other]:
            c.envelope()
            c.data(lib.make_message())
        check_equal(len(server.messages), 3, "messages of the other worker")
        # The new one serves, once it is ready: it has the fewest sessions.
        more = hold(proxy, 3)
        lib.wait_until(lambda: new[0] in more or more.update(
            hold(proxy, 1)), 5, "the new worker to serve")
        proxy.wait_for_log("3 sessions lost", after=mark)
        release(held)
        release(more)
        check_equal(len(proxy.find_log(KILLED, mark)), 1, "lines")


def test_destination_sees_no_end_when_a_worker_dies():
    """The content that had come through stays without its end."""
    with ScriptedServer() as server:
        proxy = started(server)
        c = RawClient(proxy.address, proxy.port)
        c.greet()
        c.envelope()
        c.cmd("DATA", 354)
        c.send(b"Subject: x\r\n\r\n" + b"line\r\n" * 100)
        conn = server.wait_for_conn()
        lib.wait_until(lambda: b"line" in conn.received, 10, "content")
        lib.kill_pid(proxy.worker_of(c.name[1]))
        conn.wait_closed()
        check_equal(conn.ends, 0, "ends of data")
        check_equal(server.offered, [], "messages")
        c.expect_eof()


def test_delay_grows():
    """A worker that dies again at once is started later each time; the log
    line's place in time is taken from the process table."""
    with ScriptedServer() as server:
        proxy = started(server, workers=2)
        keep = proxy.children("worker")[0]
        gaps = []
        for _ in range(5):
            pids = [p for p in proxy.wait_children("worker", 2)
                    if p != keep]
            began = time.monotonic()
            lib.kill_pid(pids[0])
            proxy.wait_children("worker", 1, without=[keep] + pids)
            gaps.append(time.monotonic() - began)
            serving(proxy)          # one live worker is enough
        # 0.1, 0.2, 0.4, 0.8, 1.6: what it takes to start comes on top.
        for gap, least in zip(gaps, (0.1, 0.2, 0.4, 0.8, 1.6)):
            check(gap >= least * 0.9, "gaps %r" % gaps)
        check(gaps[0] < 1.0 * lib.SLOW, "gaps %r" % gaps)
        check(keep in proxy.children("worker"), "the other worker")


def test_all_workers_killed():
    """New clients wait in the queue of the listener and are served."""
    with ScriptedServer() as server:
        proxy = started(server)
        old = proxy.children("worker")
        for pid in old:
            lib.kill_pid(pid)
        proxy.wait_for_log(KILLED, count=2)
        c = RawClient(proxy.address, proxy.port)
        c.greet()
        c.quit()
        check(not set(old) & set(proxy.children("worker")), "old workers")


def test_nobody_is_cut_off_in_silence():
    """Clients that are accepted before the parent knows of the death of its
    workers: each is served by another, or told 421."""
    with ScriptedServer() as server:
        proxy = started(server)
        os.kill(proxy.proc.pid, signal.SIGSTOP)
        old = proxy.children("worker")
        for pid in old:
            lib.kill_pid(pid)
        lib.wait_until(lambda: not any(lib.alive(p) for p in old), 5, "death")
        clients = [RawClient(proxy.address, proxy.port) for _ in range(8)]
        os.kill(proxy.proc.pid, signal.SIGCONT)
        for c in clients:
            if c.expect((220, 421))[:3] == b"220":
                c.ehlo()
            else:
                c.expect_eof()
            c.close()
        proxy.wait_children("worker", 2)


class Mailer(threading.Thread):
    """Sends one message after the other, whatever happens to the sessions,
    and keeps the markers of those that it was told were accepted."""

    def __init__(self, proxy, stop):
        super().__init__(daemon=True)
        self.at = (proxy.address, proxy.port)
        self.stop = stop
        self.acknowledged = []
        self.sent = set()
        self.broken = 0
        self.errors = []

    def run(self):
        while not self.stop.is_set():
            try:
                self.session()
            except (lib.Failure, OSError):
                self.broken += 1
            except Exception as e:
                self.errors.append(e)
                return

    def session(self):
        with RawClient(*self.at, timeout=20) as c:
            c.greet()
            for _ in range(5):
                mark = lib.marker()
                self.sent.add(mark)
                c.envelope()
                c.cmd("DATA", 354)
                c.send(lib.make_message(mark, size=4000) + b".\r\n")
                c.expect(250)
                self.acknowledged.append(mark)
            c.line("QUIT")


def taken(folder):
    """
    {marker: how often} of what a sink stored; what it is still reading, for
    the load that was cut off, is a ".part" until it is taken or removed.
    """
    found = {}
    for name in os.listdir(folder):
        if name.endswith(".part"):
            continue
        with open(os.path.join(folder, name), "rb") as f:
            m = re.search(rb"^X-Marker: (\S+)", f.read(), re.M)
        if m:
            found[m.group(1)] = found.get(m.group(1), 0) + 1
    return found


class Traffic:
    """Mailers and the load tool, through the proxy into a sink."""

    def __init__(self, proxy, sink, folder, mailers=6):
        self.proxy, self.sink, self.folder = proxy, sink, folder
        self.stop = threading.Event()
        self.mailers = [Mailer(proxy, self.stop) for _ in range(mailers)]
        self.load = lib.Program(
            lib.build_tool("load"), "-c", proxy.address, "-p", proxy.port,
            "-n", 100000, "-C", 8, "-m", 3, "-s", 2000, "-t", 20)
        for m in self.mailers:
            m.start()
        self.wait(20)

    def count(self):
        return sum(len(m.acknowledged) for m in self.mailers)

    def wait(self, more):
        want = self.count() + more
        lib.wait_until(lambda: self.count() >= want, 30,
                       lambda: "%d more messages, there are %d; %r" % (
                           more, self.count(),
                           [m.errors for m in self.mailers]))

    def end(self):
        """Stop; check that all that was acknowledged is there, once."""
        self.stop.set()
        for m in self.mailers:
            m.join(30)
            check(not m.is_alive() and not m.errors, "mailer: %r" % m.errors)
        self.load.kill()
        lib.wait_until(lambda: not lib.alive(self.load.proc.pid), 5, "load")
        have = taken(self.folder)
        told = [x for m in self.mailers for x in m.acknowledged]
        lost = [x for x in told if x not in have]
        check_equal(lost, [], "acknowledged and not taken")
        twice = [x for x in have if have[x] > 1]
        check_equal(twice, [], "taken twice")
        return len(told), sum(m.broken for m in self.mailers)


def test_workers_killed_under_load():
    folder = lib.mkdtemp("sink")
    sink = Sink(directory=folder)
    proxy = started(sink)
    traffic = Traffic(proxy, sink, folder)
    mark = proxy.mark()
    for n in range(3):
        victim = proxy.wait_children("worker", 2)[n % 2]
        lib.kill_pid(victim)
        proxy.wait_for_log("pid %d %s" % (victim, KILLED), after=mark)
        proxy.wait_children("worker", 2, without=[victim])
        traffic.wait(100)
    told, broken = traffic.end()
    check(told > 300 and broken > 0, "told %d, broken %d" % (told, broken))
    check_equal(len(proxy.find_log(KILLED, mark)), 3, "lines")
    proxy.stop()


def test_logger_killed_under_load():
    folder = lib.mkdtemp("sink")
    sink = Sink(directory=folder)
    proxy = started(sink)
    traffic = Traffic(proxy, sink, folder)
    workers = sorted(proxy.children("worker"))
    for _ in range(2):
        mark = proxy.mark()
        victim = proxy.wait_children("logger", 1)[0]
        began = time.monotonic()
        lib.kill_pid(victim)
        # That line, too, is written by the logger that follows.
        proxy.wait_for_log(r"logger pid %d %s.*replaced" % (victim, KILLED),
                           after=mark)
        check(time.monotonic() - began < 1.5 * lib.SLOW, "took %.2fs" % (
            time.monotonic() - began))
        mark = proxy.mark()
        proxy.wait_for_log(r"^worker\[0\] \d+: session .*reason=quit",
                           after=mark)
        proxy.wait_for_log(r"^worker\[1\] \d+: session .*reason=quit",
                           after=mark)
        traffic.wait(50)
    told, broken = traffic.end()
    check_equal(broken, 0, "sessions that broke")
    check_equal(sorted(proxy.children("worker")), workers, "workers")
    proxy.stop()


def test_no_log_line_is_lost_with_the_logger():
    """Records wait for the new one, where there are not too many."""
    with ScriptedServer() as server:
        proxy = started(server)
        logger = proxy.children("logger")
        os.kill(logger[0], signal.SIGSTOP)
        for n in range(10):
            with RawClient(proxy.address, proxy.port) as c:
                c.greet("host%d.example" % n)
                c.quit()
        lib.kill_pid(logger[0])
        proxy.wait_children("logger", 1, without=logger)
        with RawClient(proxy.address, proxy.port) as c:
            c.greet("after.example")
            c.quit()
        proxy.wait_for_record(helo="after.example")
        # What was in the dead logger's channel is gone with it; what the
        # parent kept is not.
        proxy.wait_for_log("logger pid %d %s" % (logger[0], KILLED))


def test_logger_stopped_blocks_nobody():
    """20,000 records that nobody takes: sessions go on, memory stays."""
    sink = Sink()
    proxy = started(sink)
    logger = proxy.children("logger")[0]
    lib.load(proxy.address, proxy.port, sessions=50, concurrency=10)
    before = {p: lib.rss_kib(p) for p in proxy.pids()}
    os.kill(logger, signal.SIGSTOP)
    try:
        got = lib.load(proxy.address, proxy.port, sessions=1000,
                       concurrency=10, messages=10, size=300)
        check_equal((got["ok"], got["failed"]), (10000, 0), "load")
        for pid, kib in before.items():
            check(lib.rss_kib(pid) < kib + 4096, "process %d grew from %d "
                  "to %d KiB" % (pid, kib, lib.rss_kib(pid)))
    finally:
        os.kill(logger, signal.SIGCONT)
    # Each worker says how many it had to drop, be it idle from now on.
    proxy.wait_for_log(r"^worker\[0\] \d+: \d+ log records dropped")
    proxy.wait_for_log(r"^worker\[1\] \d+: \d+ log records dropped")
    with RawClient(proxy.address, proxy.port) as c:
        c.greet("after.example")
        c.quit()
    proxy.wait_for_record(helo="after.example")


@lib.slow
def test_hung_worker_is_replaced():
    """SIGSTOP: after 20 seconds without an answer it is killed; meanwhile
    the other one serves."""
    with ScriptedServer() as server:
        proxy = started(server)
        victim, other = sorted(proxy.children("worker"))
        held = hold(proxy, 2)
        os.kill(victim, signal.SIGSTOP)
        began = time.monotonic()
        mark = proxy.mark()
        while not proxy.find_log("pid %d killed" % victim, mark):
            serving_other(proxy, victim)
            check(time.monotonic() - began < 35, "not replaced")
            time.sleep(0.05)
        line = proxy.find_log("pid %d killed" % victim, mark)[0]
        check(re.search("does not answer|takes no messages", line), line)
        check(time.monotonic() - began >= 19, "too early: %s" % line)
        proxy.wait_children("worker", 1, without=[victim, other])
        held[other][0].cmd("NOOP")
        held[victim][0].expect_eof()


def serving_other(proxy, hung):
    """A session that the hung worker did not get ends well.  One that it
    got before anybody could know is left alone: it has both sockets, but in
    its channel still, where nobody sees them."""
    c = RawClient(proxy.address, proxy.port)
    held = lib.wait_until(lambda: proxy.worker_of(c.name[1]) or
                          lib.listening(proxy.address, proxy.port), 5, "it")
    if held is not True and held != hung and c.readable(1):
        c.greet()
        c.quit()
    c.close()


@lib.slow
def test_hung_logger_is_replaced():
    with ScriptedServer() as server:
        proxy = started(server)
        victim = proxy.children("logger")[0]
        os.kill(victim, signal.SIGSTOP)
        proxy.wait_for_log("pid %d killed.*(does not answer|takes no)"
                           % victim, timeout=35)
        mark = proxy.mark()
        serving(proxy)
        proxy.wait_for_log("session .*reason=quit", after=mark)


@lib.slow
def test_slow_reply_does_not_count_as_hung():
    """A session that waits is no reason to take its worker for dead."""
    event = threading.Event()
    with ScriptedServer(replies={"dot": Wait(event)}) as server:
        proxy = started(server, workers=1)
        c = RawClient(proxy.address, proxy.port)
        c.greet()
        c.envelope()
        c.cmd("DATA", 354)
        c.send(b"x\r\n.\r\n")
        server.wait_for_offered()
        lib.stays(lambda: not proxy.find_log("killed"), 23, "its life")
        server.replies["dot"] = None
        event.set()
        c.close()


def test_binary_replaced_on_disk():
    """A file that took the binary's name is no use: children come from the
    parent's own image."""
    folder = lib.mkdtemp("bin")
    path = os.path.join(folder, "smtpproxyd")
    lib.shutil.copy2(os.path.join(lib.ROOT, "smtpproxyd/smtpproxyd"), path)
    with ScriptedServer() as server:
        proxy = started(server, binary=path)
        os.unlink(path)
        with open(path, "w") as f:
            f.write("#!/bin/sh\nexit 7\n")
        os.chmod(path, 0o755)
        old = proxy.children("worker")
        lib.kill_pid(old[0])
        proxy.wait_children("worker", 2, without=[old[0]])
        held = hold(proxy, 4)
        check_equal(len(held), 2, "workers that serve")
        release(held)


def test_started_by_a_relative_path():
    """The daemon changes to / before it starts its children again."""
    with ScriptedServer() as server:
        proxy = started(server, binary="./smtpproxyd/../smtpproxyd/"
                        "smtpproxyd")
        old = proxy.children("worker")
        lib.kill_pid(old[0])
        proxy.wait_children("worker", 2, without=[old[0]])
        serving(proxy)


if __name__ == "__main__":
    lib.main()
