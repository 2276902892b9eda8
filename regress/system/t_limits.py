#!/usr/bin/python3
"""Limits: those of the configuration, and those of memory and descriptors,
whatever either side does."""

import os
import re
import socket
import threading
import time

import lib
from lib import Proxy, RawClient, ScriptedServer, Sink, Seq, check, \
    check_equal, check_octets

REFUSED = b"421 4.7.0 too many connections\r\n"


def client(proxy, **kw):
    return RawClient(proxy.address, proxy.port, **kw)


def greeted(proxy, **kw):
    c = client(proxy, **kw)
    c.greet()
    return c


def refused(proxy, **kw):
    with client(proxy, **kw) as c:
        c.expect(REFUSED)
        c.expect_eof()


def accepted_again(proxy, **kw):
    """Wait until a session is given again; the parent hears of an end from
    the worker."""
    def attempt():
        c = client(proxy, **kw)
        code, _ = c.read_reply()
        if code == 220:
            return c
        c.close()
    return lib.wait_until(attempt, 5, "a session", interval=0.05)


# Sessions.

def test_max_sessions():
    with ScriptedServer() as server, \
            Proxy.to(server, top="workers 2\nmax-sessions 4") as proxy:
        clients = [greeted(proxy) for _ in range(4)]
        for _ in range(3):
            refused(proxy)
        clients.pop().quit()
        clients.append(accepted_again(proxy))
        refused(proxy)
        check_equal(len(server.conns), 5, "connections of the destination")
        for c in clients:
            c.close()


def test_max_sessions_of_a_relay():
    with ScriptedServer() as server:
        ports = [lib.free_port(), lib.free_port()]
        conf = "workers 2\nmax-sessions 5\n"
        for n, port in enumerate(ports):
            conf += Proxy.conf_to(server, listen=[("127.0.0.1", port)],
                                  name="r%d" % n,
                                  extra="max-sessions %d" % (2 + 2 * n))
        with Proxy(conf) as proxy:
            def at(n):
                return RawClient("127.0.0.1", ports[n])
            clients = [at(0), at(0)]
            for c in clients:
                c.greet()
            at(0).expect(REFUSED)
            for _ in range(3):          # 5 in all
                clients.append(at(1))
                clients[-1].greet()
            at(1).expect(REFUSED)       # the global one: r1 may have 4
            clients.pop(0).quit()
            lib.wait_until(lambda: len(server.open_conns()) == 4, 5, "4")
            # One place is free for either, but not two.
            got = sorted(lib.wait_until(lambda: replies(at, (0, 0)), 5,
                                        "a free place"))
            check_equal(got, [220, 421], "replies")
            for c in clients:
                c.close()


def replies(at, relays):
    """Codes of new clients, or None while the place is not free yet."""
    clients = [at(n) for n in relays]
    codes = [c.read_reply()[0] for c in clients]
    for c in clients:
        c.close()
    return codes if 220 in codes else None


def test_max_sessions_per_client():
    for n in (1, 2):
        lib.add_address("192.0.2.%d" % n)
    with ScriptedServer() as server, \
            Proxy.to(server, top="max-sessions-per-client 2",
                     listen=[("0.0.0.0", lib.free_port())]) as proxy:
        proxy.address = "192.0.2.1"
        one = [greeted(proxy, source="192.0.2.1") for _ in range(2)]
        refused(proxy, source="192.0.2.1")
        two = [greeted(proxy, source="192.0.2.2") for _ in range(2)]
        refused(proxy, source="192.0.2.2")
        one.pop().quit()
        one.append(accepted_again(proxy, source="192.0.2.1"))
        refused(proxy, source="192.0.2.1")
        for c in one + two:
            c.close()


def test_max_sessions_per_client_v6():
    """A network of 64 bits is one client."""
    for a in ("2001:db8:0:1::1", "2001:db8:0:1::2", "2001:db8:0:2::1"):
        lib.add_address(a)
    with ScriptedServer() as server, \
            Proxy.to(server, top="max-sessions-per-client 1",
                     listen=[("::", lib.free_port())]) as proxy:
        proxy.address = "2001:db8:0:1::1"
        a = greeted(proxy, source="2001:db8:0:1::1")
        refused(proxy, source="2001:db8:0:1::2")
        b = greeted(proxy, source="2001:db8:0:2::1")
        a.quit()
        c = accepted_again(proxy, source="2001:db8:0:1::2")
        b.close()
        c.close()


def test_max_sessions_per_client_of_a_relay():
    with ScriptedServer() as server:
        ports = [lib.free_port(), lib.free_port()]
        conf = "max-sessions-per-client 3\n"
        for n, port in enumerate(ports):
            conf += Proxy.conf_to(server, listen=[("127.0.0.1", port)],
                                  name="r%d" % n,
                                  extra="max-sessions-per-client 2")
        with Proxy(conf) as proxy:
            clients = []
            for port, want in ((0, 220), (0, 220), (0, 421), (1, 220),
                               (1, 421)):
                c = RawClient("127.0.0.1", ports[port])
                c.expect(want)
                clients.append(c)
            for c in clients:
                c.close()


@lib.long
def test_limits_end_with_a_worker():
    """A worker that dies takes its sessions out of all counts."""
    with ScriptedServer() as server, \
            Proxy.to(server, top="workers 2\nmax-sessions 4\n"
                     "max-sessions-per-client 4",
                     allow=["killed by signal 9"]) as proxy:
        clients = [greeted(proxy) for _ in range(4)]
        refused(proxy)
        for pid in proxy.wait_children("worker", 2):
            lib.kill_pid(pid)
        proxy.wait_for_log("killed by signal 9", count=2)
        for c in clients:
            c.close()
        clients = [accepted_again(proxy) for _ in range(4)]
        refused(proxy)
        for c in clients:
            c.close()


def test_refusals_are_summed():
    """One line for many, when ten seconds are over or the daemon stops."""
    with ScriptedServer() as server:
        proxy = Proxy.to(server, top="max-sessions-per-client 1").start()
        c = greeted(proxy)
        for _ in range(25):
            refused(proxy)
        lib.stays(lambda: not proxy.find_log("refused"), 0.3, "silence")
        c.quit()
        proxy.stop()
        lines = proxy.find_log(" refused ")
        check_equal(len(lines), 1, "lines")
        record = lib.parse_record(lines[0])
        check_equal((record["relay"], record["client"], record["count"],
                     record["reason"]), ("test", "127.0.0.1", "25",
                                         "max-sessions-per-client"))


@lib.slow
def test_refusals_after_ten_seconds():
    with ScriptedServer() as server, \
            Proxy.to(server, top="max-sessions 1") as proxy:
        c = greeted(proxy)
        refused(proxy)
        record = proxy.wait_for_record(count=1, reason="max-sessions",
                                       timeout=15)
        check_equal(record["client"], "127.0.0.1", "client")
        c.quit()


def test_refused_client_that_reads_nothing():
    """The parent does not wait for it."""
    with ScriptedServer() as server, \
            Proxy.to(server, top="max-sessions 1") as proxy:
        c = greeted(proxy)
        others = [client(proxy, rcvbuf=1) for _ in range(50)]
        c.cmd("NOOP")
        refused(proxy)
        c.quit()
        accepted_again(proxy).close()
        for other in others:
            other.close()


# Messages.

def test_max_recipients():
    with ScriptedServer() as server, \
            Proxy.to(server, extra="max-recipients 3") as proxy:
        c = greeted(proxy)
        for _ in range(2):              # counted anew for each message
            c.envelope(recipients=["%d@test.example" % n for n in range(3)])
            got = c.cmd("RCPT TO:<more@test.example>", 452)
            lib.check_match(rb"^452 4\.5\.3 ", got)
            c.cmd("RCPT TO:<more@test.example>", 452)
            c.data(lib.make_message())
        c.quit()
        check_equal([len(m.recipients) for m in server.messages], [3, 3])
        check(b"RCPT TO:<more@test.example>" not in server.commands(),
              "forwarded")


def test_refused_recipients_do_not_count():
    """Those that the destination refused leave their place."""
    replies = {"RCPT": lambda conn, arg:
               "550 5.1.1 no" if b"bad" in arg else None}
    with ScriptedServer(replies=replies) as server, \
            Proxy.to(server, extra="max-recipients 2") as proxy:
        c = greeted(proxy)
        c.cmd("MAIL FROM:<a@client.example>")
        for _ in range(5):
            c.cmd("RCPT TO:<bad@test.example>", 550)
        c.cmd("RCPT TO:<1@test.example>")
        c.cmd("RCPT TO:<2@test.example>")
        c.cmd("RCPT TO:<3@test.example>", 452)
        c.quit()


@lib.cases("where", ["global", "relay"])
def test_max_message_size_mail(where):
    setting = {"top" if where == "global" else "extra":
               "max-message-size 10K"}
    with ScriptedServer() as server, Proxy.to(server, **setting) as proxy:
        c = client(proxy)
        check_equal(c.greet()["SIZE"], "10240", "SIZE offered")
        got = c.cmd("MAIL FROM:<a@client.example> SIZE=10241", 552)
        lib.check_match(rb"^552 5\.3\.4 ", got)
        c.cmd("MAIL FROM:<a@client.example> SIZE=10240")
        c.quit()
        check_equal(len([x for x in server.commands() if x[:4] == b"MAIL"]),
                    1, "MAIL commands")


def test_destination_that_takes_less():
    with ScriptedServer(ehlo=["SIZE 5000"]) as server, \
            Proxy.to(server, extra="max-message-size 10K") as proxy:
        c = client(proxy)
        check_equal(c.greet()["SIZE"], "5000", "SIZE offered")
        c.quit()


@lib.cases("way", ["DATA", "BDAT", "BDAT in pieces", "BDAT without octets"])
def test_max_message_size(way):
    """One octet too many: 552, and the destination sees no end of it."""
    with ScriptedServer() as server, \
            Proxy.to(server, extra="max-message-size 10000") as proxy:
        for size, want in ((10000, 250), (10001, 552)):
            content = b"X: y\r\n\r\n" + b"x" * (size - 10) + b"\r\n"
            c = greeted(proxy)
            c.envelope()
            if way == "DATA":
                reply = c.data(content, want)
            elif way == "BDAT":
                reply = c.bdat(content, want)
            elif way == "BDAT in pieces":
                # The refusal comes for the piece that is over the limit.
                c.send(b"BDAT 9999\r\n" + content[:9999])
                c.expect(250)
                c.send(b"BDAT %d LAST\r\n" % (size - 9999) + content[9999:])
                reply = c.expect(want)
            else:
                c.send(b"BDAT %d LAST\r\n" % size)
                c.send(content)
                reply = c.expect(want)
            if want == 552:
                lib.check_match(rb"^552 5\.3\.4 ", reply)
            c.close()
        server.wait_idle()
        check_equal(len(server.offered), 1, "messages with an end")
        check_octets(server.messages[0].content[-3:], b"x\r\n")
        record = proxy.wait_for_record(delivered="no", _kind="message")
        if way == "DATA":
            lib.check_match("^552 5.3.4 ", record["reply"])


def test_max_errors():
    with ScriptedServer() as server, \
            Proxy.to(server, extra="max-errors 5") as proxy:
        c = greeted(proxy)
        for _ in range(4):
            c.cmd("NONSENSE", (500, 502))
        c.cmd("NONSENSE", (500, 502))
        lib.check_match(rb"^421 4\.7\.0 ", c.expect(421))
        c.expect_eof()
        c.close()
        server.wait_idle()
        record = proxy.wait_for_record(_kind="session", errors="5")
        check(record["reason"], record["_line"])


def test_max_errors_of_the_destination():
    """Its 500 to 504 count, its 550 does not."""
    replies = {"VRFY": "501 5.5.4 what", "RCPT": "550 5.1.1 no"}
    with ScriptedServer(replies=replies) as server, \
            Proxy.to(server, extra="max-errors 3") as proxy:
        c = greeted(proxy)
        c.cmd("MAIL FROM:<a@client.example>")
        for _ in range(10):
            c.cmd("RCPT TO:<b@test.example>", 550)
        c.cmd("VRFY x", 501)
        c.cmd("VRFY x", 501)
        c.line("VRFY x")
        c.expect((501, 421))
        c.close()


def test_zero_is_no_limit():
    with ScriptedServer() as server, \
            Proxy.to(server, top="max-sessions 0\nmax-sessions-per-client 0",
                     extra="max-errors 0\nmax-recipients 0\n"
                     "max-message-size 0") as proxy:
        c = greeted(proxy)
        for _ in range(120):
            c.cmd("NONSENSE", (500, 502))
        c.envelope(recipients=["%d@test.example" % n for n in range(200)])
        c.data(lib.make_message(size=200000))
        c.quit()


# Descriptors.

def parent_cpu(proxy):
    return lib.cpu_seconds(proxy.proc.pid)


@lib.long
def test_workers_have_no_descriptors_left():
    """Sessions beyond what the workers can hold wait in the kernel's queue
    and are served when others end; nobody spins, nobody is cut off."""
    with ScriptedServer() as server, \
            Proxy.to(server, top="workers 2", nofile=128) as proxy:
        proxy.settle()
        # (128 - 64) / 2 sessions of each worker.
        clients = []
        for _ in range(64):
            clients.append(greeted(proxy))
        waiting = [client(proxy) for _ in range(10)]
        began, cpu = time.monotonic(), parent_cpu(proxy)
        for c in waiting:
            c.silent(0.05)
        proxy.wait_for_log("accept paused: no descriptors left in the "
                           "workers, 64 sessions")
        clients[0].cmd("NOOP")
        used = parent_cpu(proxy) - cpu
        check(used <= 0.2 * (time.monotonic() - began), "%gs of the parent "
              "while nothing happens" % used)
        for c in clients[:10]:
            c.quit()
        for c in waiting:
            c.greet()
        for c in clients[10:] + waiting:
            c.close()


@lib.long
def test_parent_has_no_descriptors_left():
    """The parent's own limit: accept pauses with a log line, and goes on."""
    import resource
    with ScriptedServer() as server, \
            Proxy.to(server, top="workers 2") as proxy:
        proxy.settle()
        held = greeted(proxy)
        pid = proxy.proc.pid
        soft, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        # Nothing may be opened: descriptors in use are at most this.
        top = max(map(int, os.listdir("/proc/%d/fd" % pid))) + 1
        low = min(n for n in range(top + 1)
                  if not os.path.exists("/proc/%d/fd/%d" % (pid, n)))
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (low, hard))
        c = client(proxy)
        proxy.wait_for_log("accept paused: Too many open files")
        cpu, began = parent_cpu(proxy), time.monotonic()
        held.cmd("NOOP")
        lib.stays(lambda: not c.readable(), 2.2, "waiting")
        used = parent_cpu(proxy) - cpu
        check(used <= 0.1, "%gs of the parent in %gs" % (
            used, time.monotonic() - began))
        check_equal(len(proxy.find_log("accept paused")), 1, "lines")
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (soft, hard))
        c.greet()
        c.quit()
        held.quit()
        proxy.wait_for_log("accept goes on")


@lib.long
def test_parent_has_one_descriptor_left():
    """Enough to accept, but not for the destination: the client is told."""
    import resource
    with ScriptedServer() as server, \
            Proxy.to(server, top="workers 2") as proxy:
        proxy.settle()
        pid = proxy.proc.pid
        greeted(proxy).quit()
        lib.wait_until(lambda: not server.open_conns(), 5, "the end")
        soft, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        low = min(n for n in range(1000)
                  if not os.path.exists("/proc/%d/fd/%d" % (pid, n)))
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (low + 1, hard))
        c = client(proxy)
        c.expect(421)
        c.expect_eof()
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (soft, hard))
        # It was not the destination's fault.
        greeted(proxy).quit()
        check(lib.fd_count(pid) < 30, "descriptors leak")


def set_files(pid, limit):
    """A process's soft limit, set by one of its own user: root may lack the
    capability for those of others."""
    import resource
    child = os.fork()
    if child == 0:
        with open("/proc/%d/status" % pid) as f:
            text = f.read()
        with open("/proc/%d/limits" % pid) as f:
            hard = int(re.search(r"Max open files +\d+ +(\d+)",
                                 f.read()).group(1))
        uid = int(re.search(r"Uid:\s(\d+)", text).group(1))
        gid = int(re.search(r"Gid:\s(\d+)", text).group(1))
        os.setgroups([])
        os.setresgid(gid, gid, gid)
        os.setresuid(uid, uid, uid)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (limit, hard))
        os._exit(0)
    check_equal(os.waitpid(child, 0)[1], 0, "setting a limit")


@lib.long
def test_worker_has_no_descriptors_left():
    """A worker whose limit is below what it was counted with: the session is
    lost with a line, the worker lives."""
    with ScriptedServer() as server, \
            Proxy.to(server, top="workers 1") as proxy:
        proxy.settle()
        held = greeted(proxy)
        pid = proxy.wait_children("worker", 1)[0]
        for room in (0, 1):
            low = max(map(int, os.listdir("/proc/%d/fd" % pid))) + 1
            set_files(pid, low + room)
            mark = proxy.mark()
            c = client(proxy)
            proxy.wait_for_log("sess=[0-9a-f]{16} lost, no descriptors",
                               after=mark)
            c.expect_eof()
        set_files(pid, 500)
        held.cmd("NOOP")
        held.quit()
        greeted(proxy).quit()
        check_equal(proxy.children("worker"), [pid], "worker")
        lib.wait_until(lambda: lib.fd_count(pid) <= 8, 5,
                       lambda: "%d descriptors" % lib.fd_count(pid))


@lib.long
def test_no_descriptor_leaks():
    """Sessions that end in all ways leave none behind."""
    with ScriptedServer() as server, \
            Proxy.to(server, ("127.0.0.1", server.port),
                     top="workers 1") as proxy:
        proxy.settle()
        greeted(proxy).quit()
        proxy.wait_for_record(_kind="session")
        pids = proxy.pids()
        lib.wait_until(lambda: not server.open_conns(), 5, "the end")
        before = [lib.fd_count(p) for p in pids]
        for n in range(40):
            server.replies = {
                "connect": Seq([None, lib.Close(), lib.Reset(),
                                "554 no"][n % 4], None)}
            c = client(proxy)
            if n % 4 == 0:
                c.greet()
            elif n % 4 == 3:
                c.expect(554)
            else:
                c.expect(421)
            if n % 3 == 0:
                c.reset()
            c.close()
        lib.wait_until(lambda: [lib.fd_count(p) for p in pids] == before, 10,
                       lambda: "descriptors: %r, not %r" % (
                           [lib.fd_count(p) for p in pids], before))


# Many.

@lib.long
@lib.timeout(120)
def test_2000_sessions_at_once():
    sink = Sink()
    with Proxy.to(sink, top="workers 2") as proxy:
        got = lib.load(proxy.address, proxy.port, sessions=2000,
                       concurrency=2000, messages=2, size=2000)
        check_equal((got["ok"], got["failed"]), (4000, 0), "load")
        check_equal(sink.totals()["messages"], 4000)


def parked(pid):
    """How many descriptors this process's kernel queues watch for it."""
    n = 0
    for fd in os.listdir("/proc/%d/fd" % pid):
        try:
            if os.readlink("/proc/%d/fd/%s" % (pid, fd)) != \
                    "anon_inode:[eventpoll]":
                continue
            with open("/proc/%d/fdinfo/%s" % (pid, fd)) as f:
                n += sum(line.startswith("tfd:") for line in f)
        except FileNotFoundError:
            pass                # closed meanwhile
    return n


@lib.long
def test_idle_sessions_cost_little():
    """1,000 that wait: no processor time, little memory, both descriptors of
    each in the kernel's queue, and a busy one beside them is not slower."""
    sink = Sink()
    with Proxy.to(sink, top="workers 1") as proxy:
        pid = proxy.wait_children("worker", 1)[0]
        lib.load(proxy.address, proxy.port, sessions=20, concurrency=20)
        alone = lib.load(proxy.address, proxy.port, messages=500)
        before = lib.rss_kib(pid)
        idle = [greeted(proxy) for _ in range(1000)]
        each = (lib.rss_kib(pid) - before) / 1000
        check(each < 8, "%.1f KiB for an idle session" % each)
        lib.wait_until(lambda: parked(pid) >= 2 * len(idle), 5,
                       lambda: "2000 parked descriptors: %d" % parked(pid))
        cpu = lib.cpu_seconds(pid) + parent_cpu(proxy)
        lib.stays(lambda: True, 1)
        used = lib.cpu_seconds(pid) + parent_cpu(proxy) - cpu
        check(used <= 0.05, "%gs of 1s while idle" % used)
        cpu = lib.cpu_seconds(pid)
        busy = lib.load(proxy.address, proxy.port, messages=500)
        check_equal(busy["ok"], 500, "%r, alone %r" % (busy, alone))
        idle[500].cmd("NOOP")
        # Those that go through are parked too, as long as there is a crowd.
        check(parked(pid) >= 2 * len(idle), "%d parked" % parked(pid))
        for c in idle:
            c.close()
        lib.wait_until(lambda: parked(pid) < 16, 5,
                       lambda: "none parked: %d" % parked(pid))


# Memory.  What one side does not take is not read from the other.

MIB = 1024


def grows_less(pid, before, kib, what):
    now = lib.rss_kib(pid)
    check(now - before < kib, "%s: from %d to %d KiB" % (what, before, now))


class Worker:
    """The one worker of a proxy, warmed up, and its memory."""

    def __init__(self, proxy):
        proxy.settle()
        self.pid = proxy.wait_children("worker", 1)[0]
        self.before = lib.rss_kib(self.pid)

    def check(self, what, kib=2 * MIB):
        grows_less(self.pid, self.before, kib, what)


def kernel_holds():
    """Octets that the sockets between client and destination can hold at
    most: both sides of both connections, however far they are tuned, and a
    little for what the worker itself may have read."""
    most = 0
    for name in ("tcp_wmem", "tcp_rmem"):
        with open("/proc/sys/net/ipv4/" + name) as f:
            most += 2 * int(f.read().split()[2])
    return most + 2 * MIB * 1024


@lib.long
@lib.cases("way", ["DATA", "BDAT"])
def test_destination_that_does_not_read(way):
    """A client with more to send than the kernel holds is held up; the
    worker stays small, others are served."""
    most = kernel_holds()
    event = threading.Event()
    with ScriptedServer(rcvbuf=4096) as server, \
            Proxy.to(server, top="workers 1") as proxy:
        greeted(proxy).quit()
        worker = Worker(proxy)
        c = greeted(proxy)
        if way == "DATA":
            c.envelope()
            server.replies["DATA"] = lambda conn, arg: [stop(conn, event)]
            c.cmd("DATA", 354)
        else:
            c.envelope()
            server.replies["NOOP"] = ["250 2.0.0 and now", lib.Wait(event)]
            c.cmd("NOOP")
            c.send(b"BDAT %d LAST\r\n" % (4 * most))
        sent = c.send_until_blocked((b"x" * 998 + b"\r\n") * 64,
                                    limit=3 * most)
        check(sent < most, "%d octets were taken" % sent)
        worker.check("%d octets taken" % sent)
        server.replies.clear()
        greeted(proxy).quit()
        cpu = lib.cpu_seconds(worker.pid)
        lib.stays(lambda: True, 0.5)
        check(lib.cpu_seconds(worker.pid) - cpu <= 0.05, "it spins")
        c.close()
        event.set()


def stop(conn, event):
    """354, then nothing is read until the event."""
    def then(conn):
        conn.write("354 go ahead")
        while not event.wait(0.05):
            if conn.server.stopping.is_set():
                break
        raise lib._Gone()
    return then


@lib.long
def test_200_megabytes_pass():
    """All of it goes through, and the worker stays as it was."""
    with ScriptedServer() as server, \
            Proxy.to(server, top="workers 1") as proxy:
        greeted(proxy).quit()
        worker = Worker(proxy)

        def count(conn, arg):
            conn.write("354 go ahead")
            left = 200000000
            tail = b""
            while not tail.endswith(b"\r\n.\r\n"):
                got = conn.sock.recv(1 << 20)
                if not got:
                    raise lib._Gone()
                left -= len(got)
                tail = (tail + got)[-5:]
            conn.write("250 2.0.0 %d left" % left)
            raise lib._Gone()
        server.replies["DATA"] = count
        c = greeted(proxy, timeout=60)
        c.envelope()
        c.cmd("DATA", 354)
        block = (b"x" * 998 + b"\r\n") * 100
        for _ in range(2000):
            c.sock.sendall(block)
        c.sock.sendall(b".\r\n")
        c.expect(b"250 2.0.0 -3 left\r\n")
        worker.check("200 MB")
        c.close()


@lib.long
def test_client_that_does_not_read():
    """Commands without end, and no reply is read: replies pile up nowhere."""
    with ScriptedServer() as server, \
            Proxy.to(server, top="workers 1") as proxy:
        greeted(proxy).quit()
        worker = Worker(proxy)
        c = greeted(proxy, rcvbuf=2048)
        most = kernel_holds()
        sent = c.send_until_blocked(b"RSET\r\n" * 200, limit=3 * most)
        check(sent < most, "%d octets were taken" % sent)
        worker.check("%d octets of commands" % sent)
        greeted(proxy).quit()
        c.close()


@lib.long
def test_client_that_does_not_read_local_replies():
    """The same with commands that the proxy answers itself."""
    with ScriptedServer() as server, \
            Proxy.to(server, top="workers 1", extra="max-errors 0") as proxy:
        greeted(proxy).quit()
        worker = Worker(proxy)
        c = greeted(proxy, rcvbuf=2048)
        most = kernel_holds()
        sent = c.send_until_blocked(b"XCLIENT A=B\r\n" * 200,
                                    limit=3 * most)
        check(sent < most, "%d octets were taken" % sent)
        worker.check("%d octets of commands" % sent)
        c.close()


def endless(line):
    def send(conn):
        data = line * (65536 // len(line) + 1)
        left = 3 * kernel_holds()
        while left > 0:
            conn.write(data)
            left -= len(data)
        raise lib._Gone()
    return send


ENDLESS = [("reply lines", b"250-and more\r\n"),
           ("one line", b"x" * 1000),
           ("replies", b"250 2.0.0 fine\r\n"),
           ("NUL", b"\0" * 1000)]


@lib.long
@lib.cases("what", ENDLESS)
def test_destination_that_never_ends(what, line):
    """A reply without end is cut: the client is told 4xx, the destination is
    left, the worker stays small."""
    with ScriptedServer() as server, \
            Proxy.to(server, top="workers 1") as proxy:
        greeted(proxy).quit()
        worker = Worker(proxy)
        server.replies["RSET"] = [endless(line)]
        c = greeted(proxy)
        c.line("RSET")
        got = c.read_all()
        c.close()
        check(re.search(rb"(^|\r\n)4[25]1 ", got), "reply %r" % got[:500])
        check(len(got) < 2000, "%d octets" % len(got))
        server.wait_for_conn(2).wait_closed()
        sent = len(server.conns[1].sent)
        check(sent < kernel_holds(), "%d octets were taken" % sent)
        worker.check(what)


@lib.long
@lib.cases("what", ENDLESS)
def test_greeting_that_never_ends(what, line):
    if line.startswith(b"250"):
        line = line.replace(b"250", b"220")
    with ScriptedServer() as server, \
            Proxy.to(server, top="workers 1") as proxy:
        greeted(proxy).quit()
        worker = Worker(proxy)
        server.replies["connect"] = [endless(line)]
        c = client(proxy)
        got = c.read_all()
        c.close()
        if what == "replies":           # a greeting, and too much of it
            check(got.startswith(b"220 ") or got.startswith(b"4"), got[:99])
        else:
            check_equal(got[:2], b"42", "reply %r" % got[:500])
        check(len(got) < 2000, "%d octets" % len(got))
        server.wait_for_conn(2).wait_closed()
        sent = len(server.conns[1].sent)
        check(sent < kernel_holds(), "%d octets were taken" % sent)
        worker.check(what)


def test_line_that_is_too_long():
    """Refused once, its tail is no command, and the session goes on."""
    with ScriptedServer() as server, Proxy.to(server) as proxy:
        c = greeted(proxy)
        c.send(b"x" * 20000 + b"\r\n")
        c.expect(500)
        c.cmd("NOOP")
        c.quit()
        check_equal(server.commands(), [b"EHLO client.example", b"NOOP",
                                        b"QUIT"])


@lib.long
def test_line_without_end():
    """A command of 50 MB: the client is told and left, nothing is kept."""
    with ScriptedServer() as server, \
            Proxy.to(server, top="workers 1") as proxy:
        greeted(proxy).quit()
        worker = Worker(proxy)
        c = greeted(proxy)
        try:
            for _ in range(50):
                c.sock.sendall(b"x" * 1000000)
        except OSError:
            pass
        worker.check("a command of 50 MB")
        got = c.read_all()
        check(re.match(rb"(500 [^\r]*\r\n)?421 ", got) or got == b"",
              "reply %r" % got)
        c.close()
        server.wait_idle()


@lib.long
def test_refused_content_without_end():
    """After a refusal within a message what follows is dropped, but not for
    ever."""
    with ScriptedServer() as server, \
            Proxy.to(server, top="workers 1",
                     extra="max-message-size 100000") as proxy:
        greeted(proxy).quit()
        worker = Worker(proxy)
        c = greeted(proxy)
        c.envelope()
        c.cmd("DATA", 354)
        try:
            for _ in range(100):
                c.sock.sendall((b"x" * 998 + b"\r\n") * 1000)
        except OSError:
            pass
        got = c.read_all()
        c.close()
        check(got == b"" or got[:3] in (b"552", b"421"), "reply %r" % got)
        worker.check("refused content")
        server.wait_idle()
        check_equal(server.offered, [], "messages with an end")


@lib.long
def test_many_that_stall():
    """200 clients, each with as much in flight as it can: a fixed ceiling."""
    event = threading.Event()
    with ScriptedServer(rcvbuf=4096) as server, \
            Proxy.to(server, top="workers 1") as proxy:
        greeted(proxy).quit()
        worker = Worker(proxy)
        server.replies["DATA"] = lambda conn, arg: [stop(conn, event)]
        clients = []
        for _ in range(200):
            c = greeted(proxy)
            c.envelope()
            c.cmd("DATA", 354)
            clients.append(c)
        for c in clients:
            c.send_until_blocked((b"x" * 998 + b"\r\n") * 64,
                                 limit=4000000, quiet=0.005)
        # A large buffer each, and what stands around it.
        worker.check("200 that stall", 200 * 320)
        for c in clients:
            c.close()
        event.set()
        server.wait_idle()


if __name__ == "__main__":
    lib.main()
