#!/usr/bin/python3
"""Log lines: what they say, what hostile text becomes in them, that nothing
of AUTH is in them, and that nobody waits for whoever reads them."""

import base64
import ctypes
import os
import re
import signal
import socket
import subprocess
import threading
import time

import lib
from lib import Proxy, RawClient, ScriptedServer, Sink, Skip, check, \
    check_equal

LINE = re.compile(r"(parent|logger|worker\[\d+\]) \d+: [\x20-\x7e]+")
PAIRS = re.compile(r'( [a-z_]+=("(?:[^"\\]|\\["\\]|\\x[0-9a-f]{2})*"'
                   r'|[^ "=\\]+))+')


def client(proxy, **kw):
    return RawClient(proxy.address, proxy.port, **kw)


def check_form(proxy):
    """Each line is printable; each record parses to its last octet."""
    for line in proxy.lines:
        check(LINE.fullmatch(line), "line %r" % line)
        m = re.match(r"\S+ \d+: (message|session|refused)(?= )", line)
        if m and "sess=" in line:
            check(PAIRS.fullmatch(line[m.end():]), "record %r" % line)


def test_records():
    with ScriptedServer() as server:
        proxy = Proxy.to(server).start().settle()
        c = client(proxy)
        port = c.name[1]
        c.greet("client.example")
        c.envelope(recipients=["a@test.example", "b@test.example"])
        c.data(b"0123456789\r\n")
        c.envelope(sender="")
        c.data(b"x\r\n")
        c.quit()
        proxy.stop()
        one, two = proxy.records(_kind="message")
        end, = proxy.records(_kind="session")
        for record in (one, two, end):
            check_equal(record["client"], "127.0.0.1:%d" % port)
            check_equal(record["destination"], "127.0.0.1:%d" % server.port)
            check_equal(record["relay"], "test")
            check_equal(record["helo"], "client.example")
            check_equal(record["sess"], end["sess"])
            int(record["duration_ms"])
        lib.check_match("^[0-9a-f]{16}$", end["sess"])
        check_equal([one["msg"], two["msg"]], [end["sess"] + ".1",
                                              end["sess"] + ".2"])
        check_equal((one["from"], one["nrcpt"], one["size"],
                     one["delivered"]),
                    ("sender@client.example", "2", "12", "yes"))
        lib.check_match("^250 2.0.0 queued", one["reply"])
        check_equal(two["from"], "")
        check_equal((end["messages"], end["delivered"], end["reason"]),
                    ("2", "2", "quit"))
        check_form(proxy)


def test_sessions_are_never_the_same():
    with ScriptedServer() as server:
        seen = set()
        for _ in range(2):
            proxy = Proxy.to(server).start()
            proxy.settle()      # else its last words may find no logger
            for _ in range(5):
                c = client(proxy)
                c.greet()
                c.quit()
            proxy.stop()
            seen |= {r["sess"] for r in proxy.records(_kind="session")}
            time.sleep(1)       # the start's second is part of it
        check_equal(len(seen), 10)


HOSTILE = [
    ("newline", b"a\rb"), ("escape", b"\x1b[2J\x07"), ("quote", b'a" b="c'),
    ("backslash", b"a\\x41\\"), ("equals", b"x reply=250"),
    ("latin", b"caf\xe9"), ("utf-8", "caf\u00e9 \u202e".encode()),
    ("C1", b"\xc2\x9b31m"), ("delete", b"\x7f\x08\x08"),
    ("long", b"x" * 400), ("percent", b"%s%n%x"), ("tab", b"a\tb"),
]


@lib.cases("text", HOSTILE)
def test_hostile_text(name, text):
    """In HELO, in MAIL, and in replies: one line, and no other key."""
    def reply(conn, arg):
        # A destination may say what it likes, but for a line's end.
        conn.write(b"550 5.1.1 " + text.replace(b"\r", b"") + b"\r\n")
        return []
    with ScriptedServer(replies={"dot": reply}) as server:
        proxy = Proxy.to(server).start()
        for what in ("helo", "mail", "reply"):
            c = client(proxy)
            c.expect(220)
            c.send(b"HELO " + (text if what == "helo" else b"h") + b"\r\n")
            c.read_reply()
            if what == "mail":
                c.send(b'MAIL FROM:<"' + text + b'"@client.example>\r\n')
                c.read_reply()
            elif what == "reply":
                c.envelope()
                c.cmd("DATA", 354)
                c.send(b"x\r\n.\r\n")
                c.read_reply()
            c.close()
            proxy.wait_for_record(_kind="session", count=1)
        proxy.stop()
        check_form(proxy)
        for record in proxy.records(_kind="session"):
            check_equal(record["relay"], "test", record["_line"])
            check("b" not in record, record["_line"])
        check_equal(len(proxy.records(_kind="session")), 3, "sessions")


SECRET = "s3cr3t-Passw0rd"
SECRET64 = base64.b64encode(("\0user\0" + SECRET).encode()).decode()
WORD64 = base64.b64encode(SECRET.encode()).decode()


def no_secret(proxy, conns=()):
    text = proxy.log_text()
    for word in (SECRET, SECRET64, WORD64, SECRET64[:12], WORD64[:12]):
        check(word not in text, "%r in the log:\n%s" % (word,
                                                        proxy.log_tail()))


AUTH = [
    ("PLAIN", ["AUTH PLAIN " + SECRET64]),
    ("PLAIN in two", ["AUTH PLAIN", SECRET64]),
    ("LOGIN", ["AUTH LOGIN", "dXNlcg==", WORD64]),
    ("case and tab", ["aUtH\tPLAIN " + SECRET64]),
    ("no blank", ["AUTHX " + SECRET64]),
    ("glued", ["AUTH=PLAIN " + SECRET64]),
    ("unknown mechanism", ["AUTH NONE " + SECRET64]),
    ("words", ["AUTH PLAIN " + SECRET64 + " more " + WORD64]),
    ("leading blank", [" AUTH PLAIN " + SECRET64]),
    ("octets", ["AUTH PLAIN \x01" + SECRET64]),
    ("bare LF", ["AUTH PLAIN\n" + SECRET64]),
    ("too long", ["AUTH PLAIN " + SECRET64 * 500]),
]


@lib.cases("how", AUTH)
def test_auth_is_never_logged(how, lines):
    """Accepted, refused or not understood, and with -v."""
    for done in ("235 2.7.0 welcome", "535 5.7.8 no"):
        with ScriptedServer(auth={"PLAIN": 1, "LOGIN": 2},
                            replies={"AUTH done": done}) as server:
            proxy = Proxy.to(server, args=["-v"]).start().settle()
            c = client(proxy)
            c.greet()
            for line in lines:
                c.line(line)
                code, _ = c.read_reply()
                if code not in (235, 334, 535):
                    break
            c.close()
            proxy.wait_for_record(_kind="session")
            proxy.stop()
            no_secret(proxy)


@lib.cases("reply", ["421 4.7.0 no: " + SECRET64 + "\r\n",
                     "334 x\r\n334 " + SECRET64 + "\r\n",
                     "535 5.7.8 no: " + SECRET64 + "\r\n"])
def test_destination_that_quotes_a_credential(reply):
    with ScriptedServer(replies={"AUTH": reply.encode()}) as server:
        proxy = Proxy.to(server, args=["-v"]).start().settle()
        c = client(proxy)
        c.greet()
        c.line("AUTH PLAIN " + SECRET64)
        c.read_reply()
        c.close()
        proxy.wait_for_record(_kind="session")
        proxy.stop()
        no_secret(proxy)


@lib.cases("way", ["close", "reset"])
def test_auth_cut_off_is_not_logged(way):
    with ScriptedServer(auth={"PLAIN": 1}) as server:
        proxy = Proxy.to(server, args=["-v"]).start().settle()
        c = client(proxy)
        c.greet()
        c.cmd("AUTH PLAIN", 334)
        c.send(SECRET64)
        getattr(c, way)()
        proxy.wait_for_record(_kind="session")
        proxy.stop()
        no_secret(proxy)


@lib.long
def test_auth_is_wiped():
    """It is not in the worker's memory afterwards either."""
    with ScriptedServer(auth={"PLAIN": 1, "LOGIN": 2}) as server:
        with Proxy.to(server, top="workers 1") as proxy:
            c = client(proxy)
            c.greet()
            c.cmd("AUTH PLAIN " + SECRET64, 235)
            c.cmd("NOOP")
            d = client(proxy)
            d.greet()
            d.cmd("AUTH LOGIN", 334)
            d.cmd("dXNlcg==", 334)
            d.cmd(WORD64, 235)
            d.cmd("NOOP")
            for pid in proxy.pids():
                for word in (SECRET64.encode(), WORD64.encode()):
                    check(word not in memory(pid),
                          "%r in process %d" % (word, pid))
            check(b"client.example" in memory(proxy.children("worker")[0]),
                  "memory could not be searched")
            c.close()
            d.close()


def memory(pid):
    """All that a process can write to."""
    found = b""
    with open("/proc/%d/maps" % pid) as f:
        ranges = [line.split() for line in f]
    with open("/proc/%d/mem" % pid, "rb", 0) as f:
        for place, mode, *_ in ranges:
            if mode[:2] != "rw":
                continue
            low, high = (int(x, 16) for x in place.split("-"))
            f.seek(low)
            try:
                found += f.read(high - low)
            except OSError:
                pass
    return found


def test_verbose_says_more_but_no_content():
    with ScriptedServer() as server:
        proxy = Proxy.to(server, args=["-v"]).start().settle()
        c = client(proxy)
        c.greet()
        c.envelope()
        c.data(b"Subject: private-matter\r\n\r\nprivate-matter\r\n")
        c.quit()
        proxy.stop()
        check("private-matter" not in proxy.log_text(), proxy.log_tail())


# Nobody waits.

@lib.long
def test_blocked_sink_blocks_nobody():
    """Standard error is a pipe that nobody reads: sessions go on, and when it
    is read again the lost ones are counted."""
    sink = Sink()
    read_end, write_end = os.pipe()
    proxy = Proxy.to(sink, top="workers 2")
    proxy.write_conf()
    daemon = subprocess.Popen(
        proxy.command + ["-d", "-f", proxy.conf_path], cwd=lib.ROOT,
        stdin=subprocess.DEVNULL, stderr=write_end)
    lib.at_exit(daemon.kill)
    os.close(write_end)
    lib.wait_until(lambda: lib.listening(proxy.address, proxy.port), 10,
                   "start")
    got = lib.load(proxy.address, proxy.port, sessions=300, concurrency=10,
                   messages=10, size=300)
    check_equal((got["ok"], got["failed"]), (3000, 0), "load")
    text = b""
    os.set_blocking(read_end, False)

    def is_counted():
        nonlocal text
        try:
            text += os.read(read_end, 65536)
        except BlockingIOError:
            pass
        return b"records lost: the sink did not take them" in text
    lib.wait_until(is_counted, 10, "the count")
    check(len(text) >= 4096, "%d octets" % len(text))
    daemon.send_signal(signal.SIGTERM)
    check_equal(daemon.wait(20), 0, "exit")
    for line in text.decode().splitlines()[:-1]:
        check(LINE.fullmatch(line), "line %r" % line)
    os.close(read_end)


@lib.long
def test_sink_that_is_gone():
    """The reader of standard error has ended: the daemon goes on."""
    sink = Sink()
    read_end, write_end = os.pipe()
    proxy = Proxy.to(sink, top="workers 2")
    proxy.write_conf()
    daemon = subprocess.Popen(
        proxy.command + ["-d", "-f", proxy.conf_path], cwd=lib.ROOT,
        stdin=subprocess.DEVNULL, stderr=write_end)
    lib.at_exit(daemon.kill)
    os.close(write_end)
    lib.wait_until(lambda: lib.listening(proxy.address, proxy.port), 10,
                   "start")
    os.close(read_end)
    got = lib.load(proxy.address, proxy.port, sessions=30, concurrency=5)
    check_equal((got["ok"], got["failed"]), (30, 0), "load")
    check_equal(len(lib.descendants_of(daemon.pid)), 3, "children")
    daemon.send_signal(signal.SIGTERM)
    check_equal(daemon.wait(20), 0, "exit")


# syslog.

class Syslogd:
    """/dev/log, in a /dev that only this file's namespace sees."""

    def __init__(self):
        self.records = []
        self.listen()

    def listen(self):
        if os.path.exists("/dev/log"):
            os.unlink("/dev/log")
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.sock.bind("/dev/log")
        os.chmod("/dev/log", 0o666)
        self.thread = threading.Thread(target=self.read, args=(self.sock,),
                                       daemon=True)
        self.thread.start()

    def read(self, sock):
        sock.settimeout(0.1)
        while sock.fileno() != -1:
            try:
                self.records.append(sock.recv(65536))
            except TimeoutError:
                continue
            except OSError:
                return

    def close(self):
        self.sock.close()
        self.thread.join(5)
        os.unlink("/dev/log")

    def wait_for(self, pattern, after=0, timeout=10):
        return lib.wait_until(
            lambda: next((r for r in self.records[after:]
                          if re.search(pattern, r)), None), timeout,
            lambda: "%r in %r" % (pattern, self.records[-10:]))


def private_dev():
    """A /dev of our own with what a process needs."""
    if os.path.exists("/dev/.of-the-test"):
        return
    libc = ctypes.CDLL(None, use_errno=True)
    old = lib.mkdtemp("dev")

    def mount(source, target, kind, flags):
        if libc.mount(source.encode(), target.encode(), kind, flags,
                      None) != 0:
            raise Skip("mount: %s" % os.strerror(ctypes.get_errno()))
    mount("/dev", old, None, 0x1000 | 0x4000)           # MS_BIND | MS_REC
    mount("tmpfs", "/dev", b"tmpfs", 0)
    for name in ("null", "zero", "urandom", "random"):
        open("/dev/" + name, "w").close()
        mount(old + "/" + name, "/dev/" + name, None, 0x1000)
    open("/dev/.of-the-test", "w").close()


class Daemon:
    """smtpproxyd without -d."""

    def __init__(self, proxy, before=()):
        self.proxy = proxy
        proxy.write_conf()
        got = subprocess.run(
            list(before) + proxy.command + ["-f", proxy.conf_path],
            cwd=lib.ROOT,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True, timeout=20)
        self.stderr = got.stderr
        check_equal(got.returncode, 0, "exit; %r" % got.stderr)
        lib.at_exit(self.kill)
        self.pid = lib.wait_until(self.find, 10, "the parent")
        lib.wait_until(lambda: lib.listening(proxy.address, proxy.port), 10,
                       "start")

    def find(self):
        for pid, (_, state, args) in lib.process_table().items():
            if state not in "ZX" and "smtpproxyd: parent" in " ".join(args):
                return pid
        return None

    def stop(self):
        pids = [self.pid] + lib.descendants_of(self.pid)
        os.kill(self.pid, signal.SIGTERM)
        lib.wait_until(lambda: not any(lib.alive(p) for p in pids), 20,
                       "the end")

    def kill(self):
        for pid in [self.pid] + lib.descendants_of(self.pid):
            if lib.alive(pid):
                lib.kill_pid(pid)
        lib.wait_until(lambda: not lib.alive(self.pid), 5, "the end")


def one_session(proxy, name):
    with client(proxy) as c:
        c.greet(name)
        c.quit()


@lib.long
def test_syslog():
    private_dev()
    log = Syslogd()
    with ScriptedServer() as server:
        proxy = Proxy.to(server, top="workers 2")
        daemon = Daemon(proxy)
        one_session(proxy, "one.example")
        got = log.wait_for(rb"helo=one\.example")
        # Facility mail, priority info; the parent's pid behind the tag.
        lib.check_match(rb"^<22>smtpproxyd(\[\d+\])?: worker\[\d\] \d+: "
                        rb"session sess=", got)
        check(b"\n" not in got and b"\0" not in got, "%r" % got)
        log.wait_for(rb"parent %d: smtpproxyd .* started" % daemon.pid)
        daemon.stop()
        log.wait_for(rb"parent %d: stopping" % daemon.pid)
    log.close()


@lib.long
def test_syslogd_starts_again():
    """Its socket is another one then: records flow again by themselves."""
    private_dev()
    log = Syslogd()
    with ScriptedServer() as server:
        proxy = Proxy.to(server, top="workers 2")
        daemon = Daemon(proxy)
        one_session(proxy, "one.example")
        log.wait_for(rb"helo=one\.example")
        log.close()
        for _ in range(5):
            one_session(proxy, "lost.example")
        log.listen()

        def flows():
            one_session(proxy, "again.example")
            return any(b"again.example" in r for r in log.records)
        lib.wait_until(flows, 10, "records", interval=0.1)
        log.wait_for(rb"\d+ records lost")
        daemon.stop()
    log.close()


@lib.long
def test_syslogd_comes_late():
    """No /dev/log at the start is no reason not to start."""
    private_dev()
    with ScriptedServer() as server:
        proxy = Proxy.to(server, top="workers 2")
        daemon = Daemon(proxy)
        one_session(proxy, "nobody-hears.example")
        log = Syslogd()

        def flows():
            one_session(proxy, "late.example")
            return any(b"late.example" in r for r in log.records)
        lib.wait_until(flows, 10, "records", interval=0.1)
        daemon.stop()
    log.close()


@lib.long
def test_syslogd_that_does_not_read():
    """Its queue is full: nobody waits."""
    private_dev()
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    sock.bind("/dev/log")
    sink = Sink()
    proxy = Proxy.to(sink, top="workers 2")
    daemon = Daemon(proxy)
    got = lib.load(proxy.address, proxy.port, sessions=200, concurrency=10,
                   messages=5, size=300)
    check_equal((got["ok"], got["failed"]), (1000, 0), "load")
    sock.setblocking(False)

    def is_counted():
        try:
            while True:
                if b"records lost" in sock.recv(65536):
                    return True
        except BlockingIOError:
            return False
    lib.wait_until(is_counted, 10, "the count")
    daemon.stop()
    sock.close()
    os.unlink("/dev/log")


@lib.long
def test_daemon_leaves_the_terminal():
    private_dev()
    log = Syslogd()
    with ScriptedServer() as server:
        proxy = Proxy.to(server, top="workers 2")
        daemon = Daemon(proxy)
        for n in range(3):
            check_equal(os.readlink("/proc/%d/fd/%d" % (daemon.pid, n)),
                        "/dev/null", "descriptor %d" % n)
        check_equal(os.readlink("/proc/%d/cwd" % daemon.pid), "/", "cwd")
        check_equal(os.getsid(daemon.pid) == os.getsid(0), False, "session")
        log.wait_for(rb"started")
        daemon.stop()
    log.close()


@lib.long
def test_started_without_descriptors():
    """No listener ends where daemon(3) puts /dev/null."""
    private_dev()
    with ScriptedServer() as server:
        proxy = Proxy.to(server, top="workers 2")
        daemon = Daemon(proxy, ["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh"])
        for n in range(3):
            check_equal(os.readlink("/proc/%d/fd/%d" % (daemon.pid, n)),
                        "/dev/null", "descriptor %d" % n)
        one_session(proxy, "client.example")
        daemon.stop()


if __name__ == "__main__":
    lib.main()
