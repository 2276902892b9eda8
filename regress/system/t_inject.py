#!/usr/bin/python3
"""Calls that fail, one after the other: every place of the daemon that calls
the system or asks for memory is told each error that the call can give, while
messages pass.  No client may be told a success that the destination did not
give, no message may come twice, no process may die of it.

It needs a build with FAULTS=yes (regress/tools/faults.c) in build/faults, so
that run.py leaves it out; `regress.sh faults` makes one and runs it.

INJECT_LIST=1 prints each place, and whose fault left an outcome unknown;
INJECT_SEED=n repeats the choices of a run under load."""

import errno
import mmap
import os
import random
import re
import shutil
import signal
import socket
import struct
import subprocess
import threading
import time

import lib
from lib import Proxy, RawClient, ScriptedServer, Wait, check, check_equal

BINARY = os.environ.get("SMTPPROXYD") or os.path.join(
    lib.ROOT, "build/faults/smtpproxyd/smtpproxyd")

# struct faults of regress/tools/faults.c.
MAGIC = 0x544c4146
PLANS, PLAN, PLANS_AT = 8, 64, 64
SITES, SITE, SITES_AT = 2048, 64, 64 + 8 * 64
SIZE = SITES_AT + SITES * SITE
SHORT = 9999
ROLES = {1: "parent", 2: "worker", 3: "logger", 4: "other"}
START, SERVICE, STOP = 0, 1, 2
FOREVER = 1 << 30


class Site:
    """A place that calls something that can fail."""

    def __init__(self, key, symbol):
        self.key = key
        self.symbol = symbol
        self.role = ROLES[key >> 56]
        self.phase = key >> 48 & 0xff
        self.offset = key & 0xffffffffffff
        self.function = self.place = "?"

    @property
    def file(self):
        return self.place.partition(":")[0]

    def __str__(self):
        return "%s%s %s %s() %s" % (self.role, " start" * (
            self.phase == START), self.place, self.function, self.symbol)


class Faults:
    """A copy of the program in a folder of its own, and its plans."""

    def __init__(self):
        self.binary = os.path.join(lib.mkdtemp("faults"), "smtpproxyd")
        shutil.copy2(os.path.join(lib.ROOT, BINARY), self.binary)
        with open(self.binary + ".faults", "w+b") as f:
            f.truncate(SIZE)
            self.map = mmap.mmap(f.fileno(), SIZE)
        struct.pack_into("I", self.map, 0, MAGIC)
        lib.at_exit(self.map.close)

    def arm(self, key, error, nth=1, times=1, slot=0):
        at = PLANS_AT + slot * PLAN
        self.disarm(slot)
        struct.pack_into("iQIIII", self.map, at + 4, error, 0, 0, 0, 0, 0)
        struct.pack_into("Q", self.map, at + 8, key)
        struct.pack_into("IIII", self.map, at + 16, nth, times, 0, 0)
        struct.pack_into("I", self.map, at, 1)

    def disarm(self, slot=None):
        for n in range(PLANS) if slot is None else [slot]:
            struct.pack_into("I", self.map, PLANS_AT + n * PLAN, 0)

    def done(self, slot=0):
        """How often it happened."""
        return struct.unpack_from("I", self.map,
                                  PLANS_AT + slot * PLAN + 28)[0]

    def step(self, monotonic_s=0, real_s=0):
        """Clocks that step, for all processes at once."""
        for at, s in ((8, real_s), (16, monotonic_s)):
            now, = struct.unpack_from("q", self.map, at)
            struct.pack_into("q", self.map, at, now + int(s * 1000))

    def sites(self):
        """{key: (symbol, calls)}"""
        found = {}
        for key, calls, _, symbol in struct.iter_unpack(
                "QQQ16s24x", self.map[SITES_AT:]):
            if key:
                found[key] = symbol.rstrip(b"\0").decode(), calls
        return found

    def name(self, sites):
        """Look up where they are."""
        got = subprocess.run(
            ["addr2line", "-f", "-s", "-e", self.binary] +
            ["0x%x" % (s.offset - 1) for s in sites],
            stdout=subprocess.PIPE, text=True, check=True).stdout.split("\n")
        for n, s in enumerate(sites):
            s.function, s.place = got[2 * n], got[2 * n + 1].split(" ")[0]


# The daemon that it is all tried on, and what its clients do.

CONF = """workers 2
relay "test" {
	listen on 127.0.0.1 port %(first)d
	timeout connect 2
	forward to { 127.0.0.1 127.0.0.2 } port %(port)d
}
relay "reset" {
	listen on 127.0.0.1 port %(second)d
	forward to { 127.0.0.1 127.0.0.2 } port %(port)d
	on-failure reset
}
relay "one" {
	listen on 127.0.0.1 port %(third)d
	forward to 127.0.0.2 port %(port)d
	max-sessions-per-client 1
}
relay "seen" {
	listen on 127.0.0.1 port %(fourth)d
	transparent forward to 127.0.0.2 port %(port)d
	mark 7
	starttls pass
}
"""


# The beginning of one: nothing else passes unread.
HANDSHAKE = bytes.fromhex("1603011388010013840303") + b"x" * 4990


class Attempt:
    """One client's session: what it was told of its messages."""

    def __init__(self, name):
        self.name = name
        self.error = None       # how it went wrong
        self.hung = False
        self.port = 0
        self.told = {}          # {marker: code or None}


class Bench:
    """Destination, daemon, clients."""

    def __init__(self):
        self.faults = Faults()
        self.server = ScriptedServer(
            "127.0.0.2", auth={"PLAIN": 1, "LOGIN": 2},
            replies={"RCPT": self.recipient, "STARTTLS": self.opaque},
            ehlo=lib.GOOD_EHLO + ("STARTTLS",)).start()
        self.ports = [lib.free_port() for _ in range(4)]
        self.proxy = Proxy(CONF % {
            "first": self.ports[0], "second": self.ports[1],
            "third": self.ports[2], "fourth": self.ports[3],
            "port": self.server.port},
            binary=self.faults.binary, allow=["killed by signal", "fatal"])
        self.idle = {}

    def start(self):
        self.proxy.start()
        self.proxy.settle()
        self.wait_kids()
        for _ in range(3):
            self.mail()
            self.faults.step(70)
        self.measure()
        return self

    @staticmethod
    def recipient(conn, detail):
        return "550 5.1.1 nobody" if b"nobody@" in detail else None

    @staticmethod
    def opaque(conn, detail):
        """What follows is not SMTP: it comes back, and ends."""
        conn.write("220 2.0.0 go ahead")
        conn.write(conn.read_octets(len(HANDSHAKE)))
        return lib.HalfClose()

    # Its processes.

    def kids(self):
        """{pid: role}, with no more work than it needs."""
        parent = self.proxy.proc.pid
        found = {}
        try:
            with open("/proc/%d/task/%d/children" % (parent, parent)) as f:
                pids = [int(x) for x in f.read().split()]
        except OSError:
            return {}
        for pid in pids:
            try:
                with open("/proc/%d/cmdline" % pid, "rb") as f:
                    m = re.match(rb"smtpproxyd: (\w+)", f.read())
            except OSError:
                continue
            if m and lib.alive(pid) and lib._has_dropped(pid):
                found[pid] = m.group(1).decode()
        return found

    def wait_kids(self, without=(), timeout=5):
        """All are there, ready, and none is one of these."""
        def there():
            kids = self.kids()
            if sorted(kids.values()) == ["logger", "worker", "worker"] and \
                    not set(kids) & set(without):
                return kids
            return None
        return lib.wait_until(there, timeout, lambda: "the children: %r\n%s"
                              % (self.kids(), self.proxy.log_tail()))

    def descriptors(self):
        got = {"parent": [lib.fd_count(self.proxy.proc.pid)]}
        for pid, role in self.kids().items():
            got.setdefault(role, []).append(lib.fd_count(pid))
        return got

    def measure(self):
        """What each holds when nothing goes on."""
        last = None
        for _ in range(100):
            now = self.descriptors()
            if now == last:
                break
            last = now
            time.sleep(0.03)
        self.idle = {role: max(n) for role, n in last.items()}

    def is_idle(self):
        try:
            now = self.descriptors()
        except OSError:
            return False
        return all(max(n) <= self.idle[role] for role, n in now.items())

    # Its clients.

    def attempt(self, name, work, port=None):
        a = Attempt(name)
        try:
            with RawClient("127.0.0.1", port or self.ports[0],
                           timeout=6) as c:
                a.port = c.name[1]
                work(c, a)
        except (lib.Failure, OSError) as e:
            a.error = str(e).split("\n")[0]
            a.hung = isinstance(e, socket.timeout) or \
                " within " in a.error
        finally:
            lib._cleanups.pop()         # it is closed; there are thousands
        return a

    def final(self, c, a, mark):
        code, raw = c.read_reply("the reply to a message")
        a.told[mark] = code
        check(code == 250, "told %r" % raw)

    def message(self, c, a, size=0):
        mark = lib.marker()
        a.told[mark] = None
        c.envelope()
        c.cmd("DATA", 354)
        c.send(lib.stuff(lib.make_message(mark, size)) + b".\r\n")
        self.final(c, a, mark)

    def plain(self, c, a):
        c.greet()
        self.message(c, a)
        c.quit()

    def large(self, c, a):
        c.greet()
        self.message(c, a, 200000)
        self.message(c, a)
        c.quit()

    def pipelined(self, c, a):
        marks = [lib.marker(), lib.marker()]
        a.told.update((m, None) for m in marks)
        c.greet()
        for n, mark in enumerate(marks):
            c.send("MAIL FROM:<a@client.example>\r\nNOOP\r\n" +
                   "RCPT TO:<b@test.example>\r\n" * 3 +
                   "RCPT TO:<nobody@test.example>\r\nDATA\r\n")
            for code in (250, 250, 250, 250, 250, 550, 354):
                c.expect(code)
            c.send(lib.stuff(lib.make_message(mark)) + b".\r\n" +
                   b"QUIT\r\n" * n)
            self.final(c, a, mark)
        c.expect(221)

    def chunks(self, c, a):
        mark = lib.marker()
        a.told[mark] = None
        c.greet()
        c.envelope()
        content = lib.make_message(mark, 3000)
        c.send(b"BDAT 1000\r\n" + content[:1000])
        c.expect(250)
        c.send(b"BDAT %d LAST\r\n" % (len(content) - 1000) + content[1000:])
        self.final(c, a, mark)
        c.quit()

    def group(self, c, a):
        """Chunks in one group with all that is in front of them, the first
        one empty: what has no memory for it has none in the middle."""
        mark = lib.marker()
        a.told[mark] = None
        content = lib.make_message(mark)
        c.greet()
        c.send(b"MAIL FROM:<a@client.example>\r\n" +
               b"RCPT TO:<b@test.example>\r\n" * 3 + b"BDAT 0\r\n" +
               b"BDAT %d LAST\r\n" % len(content) + content)
        for _ in range(5):
            c.expect(250)
        self.final(c, a, mark)
        c.quit()

    def auth(self, c, a):
        c.greet()
        c.cmd("AUTH LOGIN", 334)
        c.cmd("dXNlcg==", 334)
        c.cmd("cGFzcw==", 235)
        self.message(c, a)
        c.quit()

    def refused(self, c, a):
        """Content that is not passed on: never taken, whatever is told."""
        mark = lib.marker()
        c.greet()
        c.envelope()
        c.cmd("DATA", 354)
        c.send(lib.make_message(mark) + b"bare\nline\r\n.\r\n")
        a.told[mark] = -1
        c.expect(554)

    def aborted(self, c, a):
        mark = lib.marker()
        c.greet()
        c.envelope()
        c.cmd("DATA", 354)
        a.told[mark] = -1
        c.send(lib.make_message(mark))

    def interrupted(self, c, a):
        """Quiet for a while, so that it is parked; others go on."""
        c.greet()
        self.faults.step(3)
        a.inner = self.attempt("inner", self.plain)
        self.message(c, a)
        c.quit()

    def unread(self, c, a):
        """STARTTLS, and what passes unread behind it."""
        c.greet()
        c.cmd("STARTTLS", 220)
        c.send(HANDSHAKE)
        c.read_octets(len(HANDSHAKE))
        c.half_close()
        c.expect_eof()

    def crowded(self, c, a):
        """The second session of one that may have one."""
        c.greet()
        with RawClient("127.0.0.1", self.ports[2], timeout=6) as d:
            d.expect(421)
        lib._cleanups.pop()
        self.message(c, a)
        c.quit()

    def mail(self):
        """One of each."""
        done = [
            self.attempt("plain", self.plain),
            self.attempt("pipelined", self.pipelined),
            self.attempt("large", self.large),
            self.attempt("chunks", self.chunks),
            self.attempt("group", self.group),
            self.attempt("auth", self.auth),
            self.attempt("refused", self.refused),
            self.attempt("aborted", self.aborted),
            self.attempt("interrupted", self.interrupted),
            self.attempt("crowded", self.crowded, self.ports[2]),
            self.attempt("reset", self.plain, self.ports[1]),
            self.attempt("seen", self.plain, self.ports[3]),
            self.attempt("unread", self.unread, self.ports[3])]
        return done + [a.inner for a in done if hasattr(a, "inner")]

    def few(self):
        return [self.attempt("plain", self.plain),
                self.attempt("chunks", self.chunks)]

    def kill_worker(self):
        """One is killed with a session, another takes its place."""
        return self.kill_role("worker")

    def kill_logger(self):
        return self.kill_role("logger")

    def kill_role(self, role):
        victim = [p for p, r in self.kids().items() if r == role][0]
        lib.kill_pid(victim)
        done = self.few()
        try:
            self.wait_kids([victim])
        except lib.Failure as e:
            done.append(Attempt("children"))
            done[-1].error, done[-1].hung = str(e), True
        return done + self.few()

    def fresh(self):
        """Workers that have kept no memory yet, and more sessions at once
        than their tables were made for."""
        kids = self.kids()
        old = [p for p, r in kids.items() if r == "worker"]
        for pid in old:
            lib.kill_pid(pid)
        self.wait_kids(old)
        done = self.mail()
        held = []
        workers = [p for p, r in self.kids().items() if r == "worker"]
        try:
            for _ in range(90):
                c = RawClient("127.0.0.1", self.ports[0],
                              timeout=6)
                lib._cleanups.pop()
                held.append(c)
                c.expect((220, 421))
        except (lib.Failure, OSError) as e:
            a = Attempt("one of many")
            a.error, a.hung = str(e).split("\n")[0], " within " in str(e)
            a.port = c.name[1]
            done.append(a)
        # All of them end within one pass.
        for pid in workers:
            os.kill(pid, signal.SIGSTOP)
        for c in held:
            c.close()
        for pid in workers:
            lib.kill_pid(pid, signal.SIGCONT)
        return done + self.few()

    def starved(self):
        """Channels take nothing for a while: messages are queued."""
        for slot, key in enumerate(self.channels, 1):
            self.faults.arm(key, errno.ENOBUFS, 2, 4, slot)
        done = self.few() + self.few()
        for slot, _ in enumerate(self.channels, 1):
            self.faults.disarm(slot)
        return done


# What a call can really give, where it is called.

MEMORY = ("malloc", "calloc", "reallocarray", "recallocarray")
GIVES = {
    "recv": ["ECONNRESET", "ETIMEDOUT", "EINTR", "EAGAIN", "ENOBUFS",
             "ENOMEM", SHORT],
    "recvmmsg": ["EINTR", "EAGAIN", "ENOBUFS", "ENOMEM"],
    "recvmsg": ["EINTR", "EAGAIN"],
    "send": ["EAGAIN", "EPIPE", "ECONNRESET", "ENOBUFS"],
    "accept4": ["EMFILE", "ENFILE", "ENOBUFS", "ENOMEM", "ECONNABORTED",
                "EINTR", "EPROTO"],
    "socket": ["EMFILE", "ENFILE", "ENOBUFS", "ENOMEM"],
    "connect": ["EADDRNOTAVAIL", "ENETUNREACH", "ECONNREFUSED", "ENOBUFS",
                "EPERM"],
    "bind": ["EADDRINUSE", "EACCES"],
    "listen": ["EADDRINUSE"],
    "getsockname": ["ENOBUFS"],
    "getsockopt": ["ENOBUFS"],
    "setsockopt": ["ENOBUFS", "ENOMEM"],
    "shutdown": ["ENOTCONN"],
    "poll": ["EINTR", "ENOMEM"],
    "epoll_create1": ["EMFILE", "ENFILE", "ENOMEM"],
    "epoll_ctl": ["ENOMEM", "ENOSPC"],
    "epoll_wait": ["EINTR"],
    "socketpair": ["EMFILE", "ENFILE", "ENOBUFS"],
    "fork": ["EAGAIN", "ENOMEM"],
    "fcntl": ["EMFILE"],
    "open": ["EMFILE", "ENFILE"],
    "dup": ["EMFILE"],
    "dup2": ["EMFILE"],
    "pipe2": ["EMFILE", "ENFILE"],
    "read": ["EINTR"],
    "write": ["EAGAIN", "EPIPE", "EINTR", SHORT],
    "writev": ["EAGAIN", "EPIPE", "EINTR"],
    "close_range": ["ENOSYS"],
}
for _symbol in MEMORY:
    GIVES[_symbol] = ["ENOMEM"]
# A channel's other end lives: these are for one that has no room.
CHANNEL = ["ENOBUFS", "ETOOMANYREFS", "EMFILE", "EAGAIN", "EINTR", "ENOMEM"]
# By write(2), writev(2) or send(2), as it comes.
SESSION = ["EPIPE", "ECONNRESET", "ENOBUFS", "EAGAIN", "EINTR", "ENOMEM",
           "EHOSTUNREACH", SHORT]

# What cannot fail at these places, or is meant to end the process.
NEVER = {
    "port_park_del",            # a broken invariant of our own
    "loop_unregister",
    "reap_catch",               # a pipe that is full has been heard
    "parent_catch",
}


def errors_of(site):
    if site.function in NEVER:
        return []
    if site.symbol == "sendmsg" and site.file == "chan_out.c":
        return CHANNEL
    if site.symbol == "sendmmsg":
        return CHANNEL + [SHORT]
    if site.function in ("io_send_clear", "bio_write"):
        return SESSION
    return GIVES.get(site.symbol, [])


def number(error):
    return error if error == SHORT else getattr(errno, error)


class Plan:
    """What is to be tried: found once, by looking who calls what."""

    sites = None                # {key: Site}
    calls = {}                  # {workload: {key: calls}}


WORKLOADS = ["mail", "fresh", "kill_worker", "kill_logger", "starved"]


def discover(b):
    """Run each workload without a fault and see which sites it touches."""
    if Plan.sites is not None:
        b.channels = Plan.channels
        return
    b.channels = []
    # The way of a message to a child, or of a child's to its parent.
    everything = b.faults.sites()
    sites = [Site(k, s) for k, (s, _) in everything.items()]
    b.faults.name(sites)
    b.channels = [s.key for s in sites if s.symbol == "sendmmsg" and
                  s.phase == SERVICE and s.role in ("parent", "worker")]
    check_equal(len(b.channels), 2, "places that send on channels")
    for name in WORKLOADS:
        before = b.faults.sites()
        b.faults.step(70)
        for a in getattr(b, name)():
            check(name != "mail" or a.error is None,
                  "%s: %s: %s" % (name, a.name, a.error))
        b.wait_kids()
        after = b.faults.sites()
        Plan.calls[name] = {
            k: n - before.get(k, ("", 0))[1] for k, (s, n) in after.items()
            if n > before.get(k, ("", 0))[1]}
    sites = [Site(k, s) for k, (s, _) in b.faults.sites().items()]
    b.faults.name(sites)
    Plan.sites = {s.key: s for s in sites}
    Plan.channels = b.channels


def workload_of(site):
    """The first that touches it."""
    if site.function == "buf_chunk_get":
        return "fresh"          # later they keep what they had
    for name in WORKLOADS:
        if name == "fresh" and (site.role, site.phase) != (
                "worker", SERVICE):
            continue
        if Plan.calls[name].get(site.key):
            return name
    return None


def calls_of(site):
    """Which of its calls fail."""
    if site.function in ("io_recv", "io_send_clear"):
        return 1, 2, 3, 5, 8, 12, 18, 25, 40, 60, 80
    # After that, the parent takes no one for a second.
    return (1, 5) if site.symbol == "accept4" else (1, 2, 5, 12)


def cases_of(role, workload):
    """(site, error, nth, times)"""
    found = []
    for site in sorted(Plan.sites.values(), key=lambda s: s.key):
        if site.role != role or workload_of(site) != workload or \
                site.phase == STOP or \
                (site.role == "parent" and site.phase == START):
            continue
        n = Plan.calls[workload][site.key]
        errors = errors_of(site)
        if site.phase == START:
            errors = errors[:1]
        for error in errors:
            for nth in calls_of(site):
                if nth <= n and (nth < 5 or site.phase == SERVICE):
                    found.append((site, error, nth, 1))
            if n > 1 and site.phase == SERVICE and site.symbol in MEMORY + (
                    "socket", "connect", "getsockname"):
                found.append((site, error, 1, FOREVER))
    return found


# A client's own connection breaks there.
OWN_END = ("io_recv", "io_send_clear", "parent_refuse")

REASON = re.compile(
    r"\b(lost|could not|cannot|paused|refused|killed by|ended with|failed|"
    r"no channel|out of memory|violation|dropped|Cannot|No buffer|Too many)")


class Case:
    def __init__(self, bench, site, error, nth, times):
        self.b = bench
        self.site, self.error = site, error
        self.nth, self.times = nth, times
        self.problems = []
        self.unknown = 0        # told 4xx or nothing, and taken

    def __str__(self):
        return "%s %s %s" % (self.site, "short" if self.error == SHORT else
                             self.error, "always" if self.times > 1 else
                             "call %d" % self.nth)

    def run(self, workload):
        """Returns whether it happened."""
        b = self.b
        mark = b.proxy.mark()
        before = b.kids()
        b.server.messages.clear()
        b.faults.step(70)
        b.faults.arm(self.site.key, number(self.error), self.nth, self.times)
        attempts = getattr(b, workload)()
        b.faults.disarm()
        done = b.faults.done()
        if not done:
            return False
        self.check_alive(before, workload, mark)
        self.check_service()
        self.check_told(attempts)
        self.check_log(attempts, mark)
        self.check_idle()
        return True

    def bad(self, text):
        self.problems.append(text)

    def check_alive(self, before, workload, mark):
        b = self.b
        if b.proxy.proc.poll() is not None:
            raise lib.Failure("the parent ended with %d:\n%s" % (
                b.proxy.proc.returncode, b.proxy.log_tail(6)))
        b.wait_kids()
        died = b.proxy.find_log(r"^parent .* (killed by signal|ended with "
                                r"status|could not be executed)", mark)
        self.may_die = workload.startswith("kill")
        may = {"fresh": 2, "kill_worker": 1, "kill_logger": 1}.get(
            workload, 0)
        # What fails before it serves may end it, and so may what fails
        # between fork and exec.
        if self.site.phase == START or self.site.function == "spawn_exec":
            may += 1
        if len(died) > may:
            self.bad("processes died: %s" % " | ".join(b.proxy.find_log(
                r"fatal|killed by|ended with|: [a-z ]+: \w+$", mark)))

    def check_service(self):
        """A new message passes at once, or as soon as what was short may
        be had again."""
        end = time.monotonic() + 4 * lib.SLOW
        for n in (0, 1):
            while True:
                a = self.b.attempt("probe", self.b.plain, self.b.ports[n])
                if a.error is None:
                    break
                if time.monotonic() > end:
                    self.bad("no service: %s" % a.error)
                    return

    def check_told(self, attempts):
        taken = {}
        for m in list(self.b.server.messages):
            mark = re.search(rb"^X-Marker: (\S+?)\r", m.content, re.M)
            taken[mark.group(1)] = taken.get(mark.group(1), 0) + 1
        for a in attempts:
            if a.hung:
                self.bad("%s hung: %s" % (a.name, a.error))
            for mark, code in a.told.items():
                n = taken.get(mark, 0)
                if n > 1:
                    self.bad("%s: taken %d times" % (a.name, n))
                if code == 250 and n == 0:
                    self.bad("%s: told 250 and not taken" % a.name)
                if n == 1 and code != 250:
                    self.unknown += 1
                if code == -1 and n > 0:
                    self.bad("%s: taken, and never ended" % a.name)
                if code is not None and code >= 500 and n > 0:
                    self.bad("%s: told %d and taken" % (a.name, code))

    def check_log(self, attempts, mark):
        """Who was harmed finds a reason in the log."""
        def has_reason(a):
            for line in self.b.proxy.lines[mark:]:
                if a.port and "client=127.0.0.1:%d " % a.port in line:
                    m = re.search(r" reason=(\S+)", line)
                    if m and m.group(1) != "quit":
                        return True
                elif REASON.search(line):
                    return True
            return False
        for a in attempts:
            if a.error is None or a.hung:
                continue
            if re.match("closed|reset", a.error) and a.name != "reset" and \
                    self.site.function not in OWN_END and \
                    not self.may_die:
                self.bad("%s: %s" % (a.name, a.error))
            try:
                lib.wait_until(lambda: has_reason(a), 2)
            except lib.Failure:
                self.bad("%s: %s; nothing in the log:\n%s" % (
                    a.name, a.error, self.b.proxy.log_text(mark)))

    def check_idle(self):
        try:
            lib.wait_until(self.b.is_idle, 4)
        except lib.Failure:
            self.bad("descriptors %r, idle were %r" % (
                self.b.descriptors(), self.b.idle))


def run_cases(role, workload):
    b = Bench().start()
    discover(b)
    cases = cases_of(role, workload)
    if not cases:
        return
    hit = missed = unknown = 0
    problems = []
    for site, error, nth, times in cases:
        case = Case(b, site, error, nth, times)
        try:
            if case.run(workload):
                hit += 1
            else:
                missed += 1
        except lib.Failure as e:
            case.bad(str(e))
            hit += 1
            b.faults.disarm()
            b.proxy.kill()
            b.proxy.start()
            b.proxy.settle()
            b.wait_kids()
        problems += ["%s: %s" % (case, p) for p in case.problems]
        unknown += case.unknown
        if case.unknown and os.environ.get("INJECT_LIST"):
            print("#     unknown outcome: %s" % case)
    if os.environ.get("INJECT_LIST"):
        for s in sorted({str(c[0]) for c in cases}):
            print("#    ", s)
    print("# %s, %s: %d sites, %d faults, %d not reached; outcome of "
          "%d messages unknown" % (role, workload, len(
              {c[0].key for c in cases}), hit, missed, unknown),
        flush=True)
    check(not problems, "%d problems:\n  %s" % (
        len(problems), "\n  ".join(problems)))


@lib.timeout(150)
@lib.cases("where", [(r + " " + w, r, w) for w in WORKLOADS
                     for r in ("worker", "parent", "logger")])
def test_call_fails(where, role, workload):
    run_cases(role, workload)


# All of it at once.

FOR_LOAD_S = 6


@lib.timeout(60)
def test_calls_fail_under_load():
    """Anything, at any time, again and again, while mail goes through."""
    b = Bench().start()
    discover(b)
    seed = int(os.environ.get("INJECT_SEED") or os.getpid() +
               time.time_ns() // 1000)
    lib.on_failure(lambda: "INJECT_SEED=%d" % seed)
    random.seed(seed)
    b.server.messages.clear()
    sites = [s for s in Plan.sites.values() if s.phase == SERVICE and
             s.symbol != "accept4" and s.role != "other" and errors_of(s)]
    kids = b.kids()
    mark = b.proxy.mark()
    stop = threading.Event()
    done = []

    def client():
        kinds = [b.plain, b.pipelined, b.large, b.chunks, b.group,
                 b.auth]
        while not stop.is_set():
            a = Attempt("under load")
            try:
                with RawClient("127.0.0.1", b.ports[0], timeout=8) as c:
                    random.choice(kinds)(c, a)
            except (lib.Failure, OSError) as e:
                a.error = str(e).split("\n")[0]
                a.hung = " within " in a.error
            done.append(a)

    threads = [threading.Thread(target=client, daemon=True)
               for _ in range(6)]
    for t in threads:
        t.start()
    nfaults = 0
    end = time.monotonic() + FOR_LOAD_S * lib.SLOW
    while time.monotonic() < end:
        site = random.choice(sites)
        b.faults.arm(site.key, number(random.choice(errors_of(site))),
                     random.choice((1, 3, 10, 30)),
                     random.choice((1, 1, 2, 5)))
        time.sleep(0.015)
        nfaults += b.faults.done()
        b.faults.disarm()
    stop.set()
    for t in threads:
        t.join(30)
    taken = {}
    for m in list(b.server.messages):
        x = re.search(rb"^X-Marker: (\S+?)\r", m.content, re.M).group(1)
        taken[x] = taken.get(x, 0) + 1
    told = [m for a in done for m, code in a.told.items() if code == 250]
    print("# under load: %d faults, %d sessions, %d of them harmed, %d "
          "messages told, %d taken" % (
              nfaults, len(done), sum(a.error is not None for a in done),
              len(told), len(taken)), flush=True)
    check(nfaults > 50 and len(told) > 50, "faults, messages")
    check_equal([m for m in told if m not in taken], [], "told, not taken")
    check_equal([m for m in taken if taken[m] > 1], [], "taken twice")
    check_equal([a.error for a in done if a.hung], [], "hung")
    for a in b.few():
        check_equal(a.error, None, a.name)
    lib.wait_until(b.is_idle, 8, lambda: "descriptors %r, idle were %r" % (
        b.descriptors(), b.idle))
    check_equal(b.kids(), kids, "processes:\n" + "\n".join(
        b.proxy.find_log("killed by|ended with|fatal", mark)))


# The parent before it serves.

def start_with(b, site, error):
    """Returns a problem or None."""
    b.faults.arm(site.key, number(error))
    b.proxy.start(wait=False)
    wait = lib.wait_until
    wait(lambda: b.proxy.proc.poll() is not None or all(
        lib.listening(*at) for at in b.proxy.listeners), 10)
    code = b.proxy.proc.poll()
    if code is None:
        # One that can't serve may find out a little later.
        try:
            wait(lambda: b.proxy.proc.poll() is not None or b.attempt(
                "first", b.plain, b.ports[3]).error is None, 5)
        except lib.Failure:
            return "serves nobody:\n%s" % b.proxy.log_tail(5)
        code = b.proxy.proc.poll()
    b.faults.disarm()
    if code is None:
        b.proxy.stop()
        return None
    for t in b.proxy._threads:
        t.join(5)
    b.proxy.kill()
    if code <= 0:
        return "ended with %d" % code
    if not b.proxy.lines:
        return "ended with %d and without a word" % code
    return None


@lib.timeout(120)
def test_start_fails():
    """It serves, or says why not and ends with all that it started."""
    b = Bench().start()
    discover(b)
    b.proxy.stop()
    sites = [s for s in Plan.sites.values()
             if s.role == "parent" and s.phase == START and errors_of(s)]
    problems = []
    ended = 0
    for site in sites:
        b.proxy.lines.clear()
        b.proxy._checked = 0
        got = start_with(b, site, errors_of(site)[0])
        ended += b.proxy.find_log(r"started, \d") == []
        if got is not None:
            problems.append("%s: %s" % (site, got))
    print("# parent, start: %d sites, %d of which it can't start without"
          % (len(sites), ended), flush=True)
    check(len(sites) > 20, "%d sites" % len(sites))
    check(not problems, "%d problems:\n  %s" % (
        len(problems), "\n  ".join(problems)))


# The end.

def stop_once(b):
    """With a session that is idle and one inside a message."""
    b.proxy.lines.clear()
    b.proxy._checked = 0
    b.proxy.start()
    b.proxy.settle()
    b.wait_kids()
    idle = RawClient("127.0.0.1", b.ports[3])
    idle.greet()
    busy = RawClient("127.0.0.1", b.ports[3])
    busy.greet()
    mark = lib.marker()
    busy.envelope()
    busy.cmd("DATA", 354)
    return idle, busy, mark


def stop_and_end(b, idle, busy, mark):
    """Returns a problem or None."""
    proc, pids = b.proxy.proc, b.proxy.pids()
    proc.send_signal(signal.SIGTERM)
    # Not by its log line, which may be what is lost.
    lib.wait_until(lambda: not lib.listening("127.0.0.1", b.ports[3]), 10,
                   "the end of its listeners")
    told = None
    try:
        busy.send(lib.make_message(mark) + b".\r\n")
        told = busy.read_reply()[0]
        idle.read_all()
    except (lib.Failure, OSError):
        pass
    idle.close()
    busy.close()
    try:
        code = proc.wait(15 * lib.SLOW)
        lib.wait_until(lambda: not any(lib.alive(p) for p in pids), 3,
                       "the children's end")
    except (lib.Failure, subprocess.TimeoutExpired) as e:
        return str(e)
    finally:
        b.proxy.kill()
    taken = sum(mark in m.content for m in b.server.messages)
    if taken > 1 or (told == 250 and taken == 0):
        return "told %r, taken %d times" % (told, taken)
    return None if code == 0 else "ended with %d" % code


@lib.timeout(150)
def test_stop_fails():
    """It ends all the same, in time and with nothing left behind."""
    b = Bench().start()
    discover(b)
    b.proxy.stop()
    scene = stop_once(b)
    before = b.faults.sites()
    check_equal(stop_and_end(b, *scene), None, "without a fault")
    sites = [Site(k, s) for k, (s, n) in b.faults.sites().items()
             if n > before.get(k, ("", 0))[1]]
    b.faults.name(sites)
    problems = []
    tried = 0
    for site in sites:
        for error in errors_of(site)[:2]:
            scene = stop_once(b)
            b.faults.arm(site.key, number(error))
            got = stop_and_end(b, *scene)
            tried += b.faults.done()
            b.faults.disarm()
            if got is not None:
                problems.append("%s %s: %s\n%s" % (
                    site, error, got, b.proxy.log_tail(8)))
    print("# stop: %d sites, %d faults" % (len(sites), tried), flush=True)
    check(not problems, "%d problems:\n  %s" % (
        len(problems), "\n  ".join(problems)))


# Channels that take nothing.

def test_parent_takes_no_messages():
    """What workers have to say waits for it, and no session for that."""
    b = Bench().start()
    discover(b)
    mark = b.proxy.mark()
    key, = [k for k in b.channels if Plan.sites[k].role == "worker"]
    b.faults.arm(key, errno.ENOBUFS, 1, FOREVER)
    done = [b.attempt("one", b.plain, b.ports[3]) for _ in range(600)]
    wrong = [a.error for a in done if a.error]
    check_equal(wrong, [], "sessions")
    b.faults.disarm()
    # A queue that is full has no room for a question either: 421 till then.
    lib.wait_until(lambda: all(b.attempt("one", b.plain).error is None
                               for _ in range(4)), 2, "service")
    lib.wait_until(b.is_idle, 5, lambda: "%r" % b.descriptors())
    b.faults.step(10)
    time.sleep(1.2)
    b.proxy.stop()
    b.proxy.wait_for_log("stopping on signal 15, 0 sessions open")
    check_equal(b.proxy.find_log("killed by|fatal", mark), [],
                "ends")


def test_workers_take_no_messages():
    """Clients wait in the listener's queue, and are served afterwards."""
    b = Bench().start()
    discover(b)
    mark = b.proxy.mark()
    key, = [k for k in b.channels if Plan.sites[k].role == "parent"]
    b.faults.arm(key, errno.ENOBUFS, 1, FOREVER)
    waiting = [RawClient("127.0.0.1", b.ports[0]) for _ in range(20)]
    time.sleep(0.5)
    check(not any(c.readable() for c in waiting), "one was served")
    b.faults.disarm()
    for c in waiting:
        c.greet()
        c.envelope()
        c.data(lib.make_message())
        c.quit()
    lib.wait_until(b.is_idle, 5, lambda: "%r" % b.descriptors())
    check_equal(b.proxy.find_log("killed by|fatal", mark), [],
                "ends")


# Lines that standard error does not take at once.

@lib.cases("what", [("EINTR", "EINTR"), ("short", SHORT)])
def test_log_is_whole(what, error):
    b = Bench().start()
    discover(b)
    key, = [k for k, s in Plan.sites.items() if s.role == "logger" and
            s.phase == SERVICE and s.symbol == "write"]
    mark = b.proxy.mark()
    b.faults.arm(key, number(error), 1, 20)
    for _ in range(40):
        check_equal(b.attempt("one", b.plain).error, None)
    lib.wait_until(lambda: len(b.proxy.find_log(
        r"^worker\S* \d+: session .* reason=quit$", mark)) == 40, 5,
        lambda: "40 records:\n" + b.proxy.log_text(mark))
    check(b.faults.done() >= 1, "no fault")
    b.faults.disarm()
    check_equal(b.proxy.find_log("lost", mark), [])


# Clocks.

DAY = 86400


def test_wall_clock_steps():
    """It has no say in anything."""
    b = Bench().start()
    kids = b.kids()
    mark = b.proxy.mark()
    with RawClient("127.0.0.1", b.ports[0]) as c:
        c.greet()
        for real_s in (DAY, -2 * DAY, DAY, -20000 * DAY, 20000 * DAY):
            b.faults.step(real_s=real_s)
            c.envelope()
            c.cmd("DATA", 354)
            b.faults.step(real_s=-real_s)
            c.send(lib.make_message())
            b.faults.step(real_s=real_s)
            c.send(b".\r\n")
            c.expect(250)
            for a in b.few():
                check_equal(a.error, None, a.name)
        c.quit()
    check_equal(b.kids(), kids, "processes")
    for r in b.proxy.records(mark, _kind="session"):
        check(int(r["duration_ms"]) < 20000, r["_line"])


@lib.cases("hours", [1, 24, 24 * 365])
def test_machine_was_suspended(hours):
    """Time was over for all: each is told, none is harmed for good."""
    event = threading.Event()
    b = Bench().start()
    kids = b.kids()
    b.server.replies["dot"] = lambda conn, message: \
        Wait(event) if b"wait" in message.content else None
    b.server.replies["VRFY"] = lambda conn, detail: Wait(event)
    mark = b.proxy.mark()
    waiting = []
    for stage in ("EHLO", "MAIL", "content", "dot", "VRFY"):
        c = RawClient("127.0.0.1", b.ports[0])
        waiting.append((stage, c))
        c.greet()
        if stage in ("MAIL", "content", "dot"):
            c.envelope()
        if stage in ("content", "dot"):
            c.cmd("DATA", 354)
            c.send(b"Subject: wait\r\n\r\nbegun")
        if stage == "dot":
            c.send(b"\r\n.\r\n")
            b.server.wait_for_offered(1)
        if stage == "VRFY":
            c.line("VRFY x")
            lib.wait_until(lambda: b"VRFY x" in b.server.commands(), 5)
    offered = len(b.server.offered)
    b.server.messages.clear()
    b.faults.step(monotonic_s=hours * 3600)
    for stage, c in waiting:
        # Each worker looks at the clock when something wakes it.
        lib.wait_until(lambda: c.readable(0.05) or b.attempt(
            "other", b.plain).told is None, 10, stage)
        got = c.read_all()
        lib.check_match(rb"\A4[25]1 4\.4\.2 ", got, stage)
        c.close()
    check_equal(len([m for m in b.server.offered[offered:]
                     if b"wait" in m.content]), 0, "ends of data")
    event.set()
    for a in b.few():
        check_equal(a.error, None, a.name)
    b.faults.step(monotonic_s=hours * 3600)
    time.sleep(1.2)             # a tick of the parent's
    for a in b.few():
        check_equal(a.error, None, a.name)
    check_equal(b.kids(), kids, "processes")
    check_equal(b.proxy.find_log("killed by|fatal|violation", mark), [])


if __name__ == "__main__":
    lib.main()
