"""What every system test of smtpproxyd is written with.

A test file t_NAME.py looks like this:

    #!/usr/bin/python3
    import lib
    from lib import Proxy, RawClient, ScriptedServer, check_equal

    def test_reply_text_passes():
        with ScriptedServer(replies={"RCPT": "550 5.7.1 not you"}) as server:
            with Proxy.to(server) as proxy:
                c = RawClient(proxy.address, proxy.port)
                ...

    if __name__ == "__main__":
        lib.main()

main() starts the file again as root in network, mount and process namespaces
of its own, brings the loopback up there, lays a tmpfs over build/tmp, and
runs the functions named test_* in their order.  Where that cannot be had the
file is skipped (exit 77), never passed.  Nothing a test does there reaches
the machine's network, and every process ends with the namespace.

A test waits for conditions, with wait_until() or the wait_* methods, never
for a time.  All deadlines are multiplied by TEST_SLOW (for valgrind).
"""

import argparse
import base64
import collections
import ctypes
import faulthandler
import fcntl
import inspect
import os
import re
import select
import shlex
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import traceback

sys.dont_write_bytecode = True

# A file run as a script is module __main__; the modules in mta/ and this
# one must share one copy of the state below.
HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
BUILD = os.path.join(ROOT, os.environ.get("TEST_BUILD", "build"))
TMP = os.path.join(BUILD, "tmp")
SLOW = float(os.environ.get("TEST_SLOW", "1"))
INSIDE = "SMTPPROXYD_TEST_INSIDE"
SKIP_EXIT = 77


class Failure(Exception):
    """A test's expectation that did not hold."""


class Skip(Exception):
    """Something that the test needs and this machine does not have."""


class TestTimeout(BaseException):
    """A test ran over its time; not an Exception, so that none eats it."""


# Expectations.

def check(condition, what="check"):
    if not condition:
        raise Failure(what() if callable(what) else what)


def check_equal(got, want, what="value"):
    if got != want:
        raise Failure("%s: got %s, want %s" % (what, short(got), short(want)))


def check_octets(got, want, what="octets"):
    """Compare octet strings and say where they part."""
    if got == want:
        return
    n = 0
    for n, (a, b) in enumerate(zip(got, want)):
        if a != b:
            break
    else:
        n = min(len(got), len(want))
    low = max(0, n - 20)
    raise Failure("%s: %d octets instead of %d, first difference at %d: "
                  "got %r, want %r" % (what, len(got), len(want), n,
                                       bytes(got[low:n + 40]),
                                       bytes(want[low:n + 40])))


def check_match(pattern, text, what="text"):
    if isinstance(text, (bytes, bytearray)) and isinstance(pattern, str):
        pattern = pattern.encode()
    if not re.search(pattern, text):
        raise Failure("%s: %s does not match %r" % (what, short(text),
                                                    pattern))


def short(value, limit=600):
    text = repr(value)
    if len(text) <= limit:
        return text
    return "%s... (%d characters)" % (text[:limit], len(text))


def wait_until(predicate, timeout=10, what="a condition", interval=0.01):
    """Return the first true value of predicate(), or fail after timeout.

    what   says what was waited for; called for its text when callable
    """
    deadline = time.monotonic() + timeout * SLOW
    while True:
        value = predicate()
        if value:
            return value
        if time.monotonic() > deadline:
            text = what() if callable(what) else what
            raise Failure("waited %gs for %s" % (timeout * SLOW, text))
        time.sleep(interval)


def stays(predicate, seconds, what="a condition", interval=0.02):
    """Fail as soon as predicate() is no longer true within this time.

    For what must NOT happen, where there is no condition to wait for; to be
    kept short.
    """
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if not predicate():
            raise Failure("%s did not last" % (
                what() if callable(what) else what))
        time.sleep(interval)


def can_do(sock, events, seconds=0):
    """Whether these poll(2) events come within a time; select(2) knows no
    descriptor above 1023."""
    poll = select.poll()
    poll.register(sock, events)
    return bool(poll.poll(seconds * 1000))


# What has to be undone, and checked, when a test ends.

_cleanups = []
_finishers = []
_reporters = []
_shared = {}            # (class, settings): (object, its clean-ups)


def at_exit(func):
    """Run func when the test ends, however it ends; last one first."""
    _cleanups.append(func)


def at_success(func):
    """Run func when the test's own code has passed; it may fail the test."""
    _finishers.append(func)


def on_failure(func):
    """Show the text that func returns when the test fails."""
    _reporters.append(func)


def shared(cls, **settings):
    """The object cls(**settings), started by the first test of the file that
    asks for it and ended with the file: for mail servers, which take a
    second to start.  Tests tell their messages apart by their markers."""
    global _cleanups, _finishers, _reporters
    key = (cls, tuple(sorted(settings.items())))
    if key not in _shared:
        mine = (_cleanups, _finishers, _reporters)
        _cleanups, _finishers, _reporters = [], [], []
        obj = cls(**settings)
        try:
            obj.start()
            _shared[key] = (obj, _cleanups)
        except BaseException:
            mine[0].extend(_cleanups)
            raise
        finally:
            _cleanups, _finishers, _reporters = mine
    return _shared[key][0]


# Files.

def mta_dir():
    """Where fetch-mta.sh unpacked the mail servers."""
    return os.environ.get("TEST_MTA") or os.path.join(BUILD, "mta")


def mkdtemp(name="t"):
    """A folder that is gone with the test file's namespace."""
    path = tempfile.mkdtemp(prefix=name + ".", dir=TMP)
    os.chmod(path, 0o755)
    return path


_tools = {}


def build_tool(name):
    """Path of a program of regress/tools, compiled if make did not."""
    if name not in _tools:
        _tools[name] = _build_tool(name)
    return _tools[name]


def _build_tool(name):
    folder = os.path.join(ROOT, "regress", "tools")
    made = os.path.join(folder, name)
    # What has an underscore in its name is a part of one, or of all.
    sources = [made + ".c"] + [
        os.path.join(folder, f) for f in sorted(os.listdir(folder))
        if re.match(r"(tool|%s)_\w+\.c$" % name, f)]
    if os.path.exists(made) and os.path.getmtime(made) >= max(
            os.path.getmtime(source) for source in sources):
        return made
    library = os.path.join(ROOT, "build", "libsmtpproxyd.a")
    check(os.path.exists(library), "no %s: make all tools" % library)
    out = os.path.join(mkdtemp("cc"), name)
    flags = subprocess.run(
        ["pkg-config", "--cflags", "--libs", "libbsd-overlay", "libseccomp",
         "libcap-ng", "openssl"],
        stdout=subprocess.PIPE, text=True).stdout.split()
    got = subprocess.run(
        [os.environ.get("CC", "cc"), "-std=c11", "-D_GNU_SOURCE", "-O2",
         "-o", out, *sources, library] + flags,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    check(got.returncode == 0, "cannot compile %s:\n%s" % (name, got.stdout))
    return out


# Processes.

def alive(pid):
    """The process exists and is no zombie."""
    try:
        with open("/proc/%d/stat" % pid) as f:
            return f.read().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def process_table():
    """{pid: (parent's pid, state, command line as a list)}"""
    table = {}
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            with open("/proc/%s/stat" % entry) as f:
                rest = f.read().rpartition(")")[2].split()
            with open("/proc/%s/cmdline" % entry, "rb") as f:
                args = f.read().rstrip(b"\0").decode(
                    "utf-8", "surrogateescape").split("\0")
        except OSError:
            continue
        table[int(entry)] = (int(rest[1]), rest[0], args)
    return table


def children_of(pid):
    return [p for p, (ppid, state, _) in process_table().items()
            if ppid == pid and state not in "ZX"]


def descendants_of(pid):
    table = process_table()
    found, new = [], [pid]
    while new:
        new = [p for p, (ppid, state, _) in table.items()
               if ppid in new and state not in "ZX"]
        found += new
    return found


def kill_pid(pid, sig=signal.SIGKILL):
    """Signal one process; it may be gone already."""
    try:
        os.kill(pid, sig)
    except ProcessLookupError:
        pass


def fd_count(pid):
    return len(os.listdir("/proc/%d/fd" % pid))


def rss_kib(pid):
    """Resident memory of a process in KiB."""
    with open("/proc/%d/status" % pid) as f:
        return int(re.search(r"VmRSS:\s+(\d+)", f.read()).group(1))


def cpu_seconds(pid):
    """Processor time that a process has used."""
    with open("/proc/%d/stat" % pid) as f:
        fields = f.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


# The network of the namespace.

_next_port = [10025]


def free_port():
    """A port that nobody in this namespace was told before."""
    _next_port[0] += 1
    return _next_port[0]


def is_v6(address):
    return ":" in address


def family(address):
    return socket.AF_INET6 if is_v6(address) else socket.AF_INET


def listening(address, port):
    """Whether a socket listens there, without connecting to it."""
    want = "%04X" % port
    raw = socket.inet_pton(family(address), address)
    # The kernel prints addresses as 32-bit words of the host's order.
    words = struct.unpack("=%dI" % (len(raw) // 4), raw)
    hexa = "".join("%08X" % w for w in words)
    path = "/proc/net/tcp6" if is_v6(address) else "/proc/net/tcp"
    with open(path) as f:
        f.readline()
        for line in f:
            fields = line.split()
            local, state = fields[1], fields[3]
            if state != "0A":
                # Those that listen come first; of others there may be many.
                return False
            host, _, p = local.partition(":")
            if p == want and host in (hexa, "0" * len(hexa)):
                return True
    return False


def add_address(address):
    """Give the namespace's loopback another address, to be a host of it."""
    ip = shutil.which("ip")
    if ip is None:
        raise Skip("no ip(8): install iproute2")
    bits = "128" if is_v6(address) else "32"
    cmd = [ip, "addr", "replace", "%s/%s" % (address, bits), "dev", "lo"]
    if is_v6(address):
        cmd.append("nodad")
    subprocess.run(cmd, check=True)
    return address


def _loopback_up():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        # struct ifreq: name, then flags IFF_UP | IFF_RUNNING.
        request = struct.pack("16sH22x", b"lo", 0x41)
        fcntl.ioctl(s, 0x8914, request)         # SIOCSIFFLAGS
    wait_until(_v6_ready, 5, "::1 on the loopback")


def _v6_ready():
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as s:
            s.bind(("::1", 0))
        return True
    except OSError:
        return False


# Messages.

def crlf(text):
    """Octets with CRLF line ends from text or octets with LF ones."""
    if isinstance(text, str):
        text = text.encode("utf-8", "surrogateescape")
    return text.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


def stuff(content):
    """Message content as DATA carries it, without the final dot."""
    if content.startswith(b"."):
        content = b"." + content
    return content.replace(b"\r\n.", b"\r\n..")


def unstuff(wire):
    """The reverse of stuff()."""
    if wire.startswith(b"."):
        wire = wire[1:]
    return wire.replace(b"\r\n.", b"\r\n")


_marker = [0]


def marker():
    """Octets that no other message of this run holds."""
    _marker[0] += 1
    return b"marker-%d-%d-%s" % (os.getpid(), _marker[0],
                                 os.urandom(6).hex().encode())


def make_message(mark=None, size=0, body=None):
    """A message with CRLF line ends: a few headers, then body, or as many
    lines of printable octets as make up size.  It has every header that a
    mail server would add where it is missing."""
    mark = mark or marker()
    head = (b"From: <sender@client.example>\r\n"
            b"To: <user@test.example>\r\n"
            b"Date: Thu, 01 Jan 2026 12:00:00 +0000\r\n"
            b"Message-Id: <" + mark + b"@client.example>\r\n"
            b"Subject: test\r\nX-Marker: " + mark + b"\r\n\r\n")
    if body is None:
        line = bytes(33 + n % 94 for n in range(76)) + b"\r\n"
        body = line * (max(size - len(head), 0) // len(line) + 1)
        body = b"first line\r\n" + body
    return head + body


# Clients.

class RawClient:
    """An SMTP client that says exactly the octets it is told to.

    Every operation has a deadline (timeout seconds).  transcript holds
    ("C" or "S", octets) in their order.
    """

    def __init__(self, address, port, timeout=15, source=None, rcvbuf=None,
                 connect=True):
        self.timeout = timeout * SLOW
        self.transcript = []
        self._in = bytearray()
        self.sock = socket.socket(family(address), socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if rcvbuf is not None:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
        if source is not None:
            self.sock.bind((source, 0))
        at_exit(self.close)
        self._was_reset = False
        if connect:
            try:
                self.sock.connect((address, port))
            except ConnectionResetError:
                # Accepted and reset before connect() looked: to be found
                # by the first read, as when the reset comes later.
                self._was_reset = True

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    @property
    def name(self):
        """Our own address and port as the other side sees them."""
        return self.sock.getsockname()[:2]

    # Out.

    def send(self, data):
        """Send these octets; a str is sent as UTF-8, nothing is added."""
        if isinstance(data, str):
            data = data.encode("utf-8", "surrogateescape")
        self.transcript.append(("C", bytes(data)))
        self.sock.sendall(data)

    def line(self, text):
        """Send a command with its CRLF."""
        if isinstance(text, str):
            text = text.encode("utf-8", "surrogateescape")
        self.send(text + b"\r\n")

    def send_slowly(self, data, step=1, interval=0.001):
        """Send in pieces of step octets, each a segment of its own."""
        if isinstance(data, str):
            data = data.encode("utf-8", "surrogateescape")
        for at in range(0, len(data), step):
            self.send(data[at:at + step])
            time.sleep(interval)

    def send_until_blocked(self, data, limit=1 << 30, quiet=0.5):
        """Send data over and over until the other side takes no more for
        quiet seconds, or limit octets are out; returns how many went."""
        sent = 0
        self.sock.setblocking(False)
        try:
            while sent < limit:
                if not can_do(self.sock, select.POLLOUT, quiet):
                    break
                sent += self.sock.send(data)
        finally:
            self.sock.settimeout(self.timeout)
        self.transcript.append(("C", b"(%d octets)" % sent))
        return sent

    def half_close(self):
        """FIN: no more from us, but we still read."""
        self.sock.shutdown(socket.SHUT_WR)

    def reset(self):
        """RST."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                             struct.pack("ii", 1, 0))
        self.sock.close()

    def close(self):
        self.sock.close()

    # In.

    def _recv(self):
        if self._was_reset:
            raise ConnectionResetError()
        return self.sock.recv(65536)

    def _more(self, what):
        try:
            got = self._recv()
        except socket.timeout:
            raise Failure("no %s within %gs; the dialogue so far:\n%s" % (
                what, self.timeout, self.dialogue())) from None
        except ConnectionResetError:
            self.transcript.append(("S", b"(reset)"))
            raise Failure("reset while waiting for %s; the dialogue:\n%s" % (
                what, self.dialogue())) from None
        if got:
            self.transcript.append(("S", got))
            self._in += got
        return got

    def read_line(self, what="line"):
        """One line with its end, whatever ends it (LF)."""
        while b"\n" not in self._in:
            if not self._more(what):
                raise Failure("closed while waiting for %s, have %r; the "
                              "dialogue:\n%s" % (what, bytes(self._in),
                                                 self.dialogue()))
        at = self._in.index(b"\n") + 1
        line = bytes(self._in[:at])
        del self._in[:at]
        return line

    def read_reply(self, what="reply"):
        """(code, octets) of one whole reply."""
        raw = b""
        while True:
            line = self.read_line(what)
            raw += line
            if not re.match(rb"[0-9]{3}[ \-\r\n]", line):
                raise Failure("%r is no reply; the dialogue:\n%s" % (
                    line, self.dialogue()))
            if line[3:4] != b"-":
                return int(raw[:3]), raw

    def read_octets(self, n):
        while len(self._in) < n:
            check(self._more("%d octets" % n), "closed before %d octets" % n)
        data = bytes(self._in[:n])
        del self._in[:n]
        return data

    def expect(self, want, what="reply"):
        """Read a reply; want is a code, several, or a pattern of codes such
        as '4..'; octets mean the exact reply.  Returns its octets."""
        code, raw = self.read_reply(what)
        if isinstance(want, bytes):
            good = raw == want
        elif isinstance(want, str):
            good = re.fullmatch(want, "%03d" % code) is not None
        elif isinstance(want, int):
            good = code == want
        else:
            good = code in want
        if not good:
            raise Failure("%s: got %r, want %r; the dialogue:\n%s" % (
                what, raw, want, self.dialogue()))
        return raw

    def expect_eof(self):
        """Nothing more comes but the end; returns True if it was a reset."""
        try:
            got = self._in or self._recv()
        except ConnectionResetError:
            return True
        except socket.timeout:
            raise Failure("not closed within %gs; the dialogue:\n%s" % (
                self.timeout, self.dialogue())) from None
        if got:
            raise Failure("%r where the end was due; the dialogue:\n%s" % (
                bytes(got), self.dialogue()))
        return False

    def read_all(self):
        """Everything up to the end or a reset."""
        try:
            while self._more("the end"):
                pass
        except Failure:
            if self.transcript[-1] != ("S", b"(reset)"):
                raise
        data = bytes(self._in)
        self._in.clear()
        return data

    def readable(self, seconds=0):
        """Whether something (or the end) is there to read."""
        return bool(self._in) or can_do(self.sock, select.POLLIN, seconds)

    def silent(self, seconds=0.3):
        """Fail if anything comes within this short time."""
        check(not self.readable(seconds), lambda: "unexpected %r" % bytes(
            self._in or self.sock.recv(65536)))

    # Common pieces of a dialogue.

    def cmd(self, text, want=250):
        """Send one command line and expect its reply."""
        self.line(text)
        return self.expect(want, "reply to %r" % (text,))

    def greet(self, name="client.example", helo=False):
        """Read the greeting, say EHLO, return {KEYWORD: parameters}."""
        self.expect(220, "greeting")
        if helo:
            self.cmd("HELO " + name)
            return {}
        return self.ehlo(name)

    def ehlo(self, name="client.example"):
        raw = self.cmd("EHLO " + name)
        words = collections.OrderedDict()
        for line in raw.decode("latin-1").split("\r\n")[1:-1]:
            key, _, rest = line[4:].partition(" ")
            words[key.upper()] = rest
        return words

    def envelope(self, sender="sender@client.example",
                 recipients=("user@test.example",), params=""):
        if params:
            params = " " + params
        self.cmd("MAIL FROM:<%s>%s" % (sender, params))
        for r in recipients:
            self.cmd("RCPT TO:<%s>" % r, (250, 251))

    def data(self, content, want=250):
        """DATA with content (CRLF line ends), returns the final reply."""
        self.cmd("DATA", 354)
        if not content.endswith(b"\r\n"):
            content += b"\r\n"
        self.send(stuff(content) + b".\r\n")
        return self.expect(want, "reply to the final dot")

    def bdat(self, content, want=250, chunk=None):
        """BDAT in chunks of chunk octets (one when None)."""
        chunk = chunk or max(len(content), 1)
        pieces = [content[n:n + chunk]
                  for n in range(0, len(content), chunk)] or [b""]
        for n, piece in enumerate(pieces):
            last = n == len(pieces) - 1
            self.send(b"BDAT %d%s\r\n" % (len(piece),
                                          b" LAST" if last else b"") + piece)
            raw = self.expect(want if last else 250, "reply to BDAT")
        return raw

    def quit(self):
        self.cmd("QUIT", 221)
        self.expect_eof()
        self.close()

    def dialogue(self, limit=3000):
        text = "\n".join("    %s: %r" % (who, data)
                         for who, data in self.transcript)
        if len(text) > limit:
            text = "    ...\n" + text[-limit:]
        return text


def drive_to(c, stage):
    """Up to a stage, whose command is out and whose reply is not read."""
    if stage == "connect":
        return
    c.expect(220)
    if stage == "EHLO":
        c.line("EHLO client.example")
        return
    c.ehlo()
    if stage == "AUTH":
        c.line("AUTH PLAIN AGEAYg==")
        return
    if stage in ("NOOP", "RSET", "HELP", "VRFY", "QUIT"):
        c.line(stage)
        return
    c.line("MAIL FROM:<a@client.example>")
    if stage == "MAIL":
        return
    c.expect(250)
    c.line("RCPT TO:<b@test.example>")
    if stage == "RCPT":
        return
    c.expect(250)
    if stage == "BDAT":
        c.send(b"BDAT 3\r\nx\r\n")
        return
    if stage == "LAST":
        c.send(b"BDAT 3 LAST\r\nx\r\n")
        return
    c.line("DATA")
    if stage == "DATA":
        return
    c.expect(354)
    c.send(b"x\r\n.\r\n")


# The scripted server.  What a reply may be:

class Step:
    """One thing that a scripted server does in the place of a reply."""


class Close(Step):
    """Close the connection in good order."""


class Reset(Step):
    """Reset the connection."""


class HalfClose(Step):
    """FIN, and go on reading."""


class Never(Step):
    """Give no reply, go on reading commands."""


class Hang(Step):
    """Give no reply and read nothing more until the server is stopped."""


class Wait(Step):
    """Read and write nothing until event (a threading.Event) is set."""

    def __init__(self, event):
        self.event = event


class Drip(Step):
    """Write data octet by octet."""

    def __init__(self, data, interval=0.002):
        self.data = data
        self.interval = interval


class Seq:
    """A reply for the first time, one for the second, ... and the last one
    for ever after.  None stands for what a good server says.  Counted over
    all connections of the server."""

    def __init__(self, *replies):
        self.replies = list(replies)

    def next(self):
        if len(self.replies) > 1:
            return self.replies.pop(0)
        return self.replies[0]


class _Gone(Exception):
    """The connection of a scripted server is over."""


class Message:
    """What a scripted server received for one end of data.

    mail        argument of MAIL, octets ("FROM:<a@b> SIZE=1")
    rcpts       arguments of each accepted RCPT
    sender      address in mail; recipients: addresses in rcpts
    wire        octets between DATA's 354 and the final dot, dots stuffed
                (BDAT: the same as content)
    content     the same, dots taken out
    chunks      BDAT chunks one by one, or None
    reply       the octets that it was answered with
    conn        the connection it came by
    """

    def __init__(self, conn, wire, content, chunks=None):
        self.conn = conn
        self.mail = conn.mail
        self.rcpts = list(conn.rcpts)
        self.wire = wire
        self.content = content
        self.chunks = chunks
        self.reply = b""

    @staticmethod
    def _address(arg):
        m = re.search(rb"<([^>]*)>", arg or b"")
        return m.group(1).decode("utf-8", "surrogateescape") if m else None

    @property
    def sender(self):
        return self._address(self.mail)

    @property
    def recipients(self):
        return [self._address(r) for r in self.rcpts]


class Conn:
    """One connection of a scripted server.

    peer        (address, port) of the client as the server sees it
    received    every octet that came, exactly
    sent        every octet that went out
    commands    command lines without their line ends, AUTH continuations
                too
    transcript  ("C" or "S", octets) in their order
    early       commands that were there before the reply to the one in
                front of them had been written: what a client may do only
                where PIPELINING was offered
    ends        complete ends of data seen (final dots and LASTs)
    end         how the client ended it: "fin", "reset" or None
    auth        [(mechanism, [responses])]
    """

    def __init__(self, server, sock, peer, number):
        self.server = server
        self.sock = sock
        self.peer = peer[:2]
        self.number = number
        self.received = bytearray()
        self.sent = bytearray()
        self.commands = []
        self.transcript = []
        self.early = []
        self.ends = 0
        self.end = None
        self.auth = []
        self.closed = threading.Event()
        self.helo = None
        self.mail = None
        self.rcpts = []
        self.chunks = []
        self.error = None
        self._in = bytearray()
        self._accepted = threading.Event()

    # Reading.  These are for replies that are functions, too.

    def _more(self):
        try:
            got = self.sock.recv(self.server.read_size)
        except ConnectionResetError:
            self.end = "reset"
            raise _Gone() from None
        except OSError:
            raise _Gone() from None
        if got == b"":
            self.end = "fin"
            raise _Gone()
        self.received += got
        self.transcript.append(("C", got))
        self._in += got

    def read_line(self):
        """One line without its end."""
        end = b"\n" if self.server.lenient else b"\r\n"
        start = 0
        while True:
            at = self._in.find(end, start)
            if at >= 0:
                break
            start = max(len(self._in) - 1, 0)
            self._more()
        line = bytes(self._in[:at])
        del self._in[:at + len(end)]
        if self.server.lenient:
            line = line.rstrip(b"\r")
        return line

    def read_octets(self, n):
        while len(self._in) < n:
            self._more()
        data = bytes(self._in[:n])
        del self._in[:n]
        return data

    def read_data(self):
        """Octets up to the final dot, which is taken off."""
        if self.server.lenient:
            ends = re.compile(rb"(?:^|\n)(\.\r?\n)")
        else:
            ends = re.compile(rb"(?:^|\r\n)(\.\r\n)")
        start = 0
        while True:
            # "^" must match at the content's first octet only, and the
            # search must not begin anew at octet 0 for each segment.
            m = ends.match(self._in) or ends.search(self._in, start)
            if m is not None and (m.start() == 0 or m.group(0)[:1] in
                                  b"\r\n"):
                break
            start = max(len(self._in) - 5, 1)
            self._more()
        wire = bytes(self._in[:m.start(1)])
        del self._in[:m.end(1)]
        return wire

    def pending(self):
        """Whether the client has sent more than was read."""
        if self._in:
            return True
        if not can_do(self.sock, select.POLLIN):
            return False
        try:
            return self.sock.recv(1, socket.MSG_PEEK) != b""
        except OSError:
            return False

    # Writing.

    def write(self, data):
        if isinstance(data, str):
            data = data.encode("utf-8", "surrogateescape")
            if not data.endswith(b"\n"):
                data += b"\r\n"
        # Recorded before it is sent: a test that saw the effect on the
        # other side must find the cause here.
        self.sent += data
        self.transcript.append(("S", bytes(data)))
        try:
            self.sock.sendall(data)
        except OSError:
            raise _Gone() from None

    def close(self):
        self.sock.close()
        raise _Gone()

    def reset(self):
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                             struct.pack("ii", 1, 0))
        self.sock.close()
        raise _Gone()

    # The dialogue.

    def answer(self, stage, default, detail=b""):
        """Do what the script says at this stage; returns the first octet
        of what was said ("2" for success), or "" when nothing was."""
        reply = self.server.reply_for(stage, self, detail)
        if reply is None:
            reply = default
        start = len(self.sent)
        steps = reply if isinstance(reply, (list, tuple)) else [reply]
        if self.server.delay and stage != "connect":
            self.server.stopping.wait(self.server.delay)
        for step in steps:
            self._do(step)
        return self.sent[start:start + 1].decode("latin-1")

    def _do(self, step):
        if isinstance(step, (bytes, bytearray, str)):
            self.write(step)
        elif isinstance(step, Close):
            self.close()
        elif isinstance(step, Reset):
            self.reset()
        elif isinstance(step, HalfClose):
            self.sock.shutdown(socket.SHUT_WR)
        elif isinstance(step, Never):
            pass
        elif isinstance(step, Hang):
            self.server.stopping.wait()
            raise _Gone()
        elif isinstance(step, Wait):
            while not step.event.wait(0.05):
                if self.server.stopping.is_set():
                    raise _Gone()
        elif isinstance(step, Drip):
            data = step.data
            if isinstance(data, str):
                data = data.encode() + b"\r\n"
            for n in range(len(data)):
                self.write(data[n:n + 1])
                time.sleep(step.interval)
        elif callable(step):
            step(self)
        else:
            raise TypeError("no reply: %r" % (step,))

    def serve(self):
        try:
            self._greet()
            while True:
                self._command()
        except _Gone:
            pass
        except Exception as e:      # shown when the test ends
            self.error = "".join(traceback.format_exception(e))
        finally:
            self.sock.close()
            self.closed.set()

    def _greet(self):
        self.answer("connect", "220 %s ESMTP ready" % self.server.name)

    def _command(self):
        line = self.read_line()
        self.commands.append(line)
        word = re.match(rb"[^\s:]*", line).group(0).upper()
        verb = word.decode("latin-1")
        handler = getattr(self, "_do_" + verb.lower(), None) \
            if verb.isalpha() else None
        if verb not in ("DATA", "BDAT", "AUTH") and self.pending():
            self._note_early()
        arg = line[len(word):].strip()
        if handler is None:
            handler = self._unknown
        handler(arg, verb)

    def _note_early(self):
        self.early.append(bytes(self.commands[-1]))

    def _unknown(self, arg, verb):
        self.answer(verb, "500 5.5.1 command not known", arg)

    def _simple(self, arg, verb):
        text = {"VRFY": "252 2.0.0 send some mail, I'll try",
                "EXPN": "502 5.5.1 no lists here",
                "HELP": "214 2.0.0 see RFC 5321",
                "NOOP": "250 2.0.0 fine",
                "ETRN": "250 2.0.0 queue run started"}[verb]
        self.answer(verb, text, arg)

    _do_vrfy = _do_expn = _do_help = _do_noop = _do_etrn = _simple

    def _forget(self):
        self.mail = None
        self.rcpts = []
        self.chunks = []

    def ehlo_words(self):
        """What EHLO is answered with behind our name."""
        return list(self.server.ehlo)

    def _do_ehlo(self, arg, verb):
        lines = [self.server.name] + self.ehlo_words()
        text = b""
        for n, line in enumerate(lines):
            if isinstance(line, str):
                line = line.encode("utf-8", "surrogateescape")
            text += b"250" + (b" " if n == len(lines) - 1 else b"-") + \
                line + b"\r\n"
        if self.answer(verb, text, arg) == "2":
            self.helo = arg
            self._forget()

    def _do_helo(self, arg, verb):
        if self.answer(verb, "250 " + self.server.name, arg) == "2":
            self.helo = arg
            self._forget()

    def _do_mail(self, arg, verb):
        if self.mail is not None:
            self.answer(verb, "503 5.5.1 one sender is enough", arg)
        elif self.answer(verb, "250 2.1.0 sender fine", arg) == "2":
            self.mail = arg

    def _do_rcpt(self, arg, verb):
        if self.mail is None:
            self.answer(verb, "503 5.5.1 MAIL first", arg)
        elif self.answer(verb, "250 2.1.5 recipient fine", arg) == "2":
            self.rcpts.append(arg)

    def _do_rset(self, arg, verb):
        if self.answer(verb, "250 2.0.0 forgotten", arg) == "2":
            self._forget()

    def _do_data(self, arg, verb):
        good = self.mail is not None and self.rcpts
        text = "354 go ahead" if good else "503 5.5.1 no recipients"
        if self.pending():
            self._note_early()
        if self.answer(verb, text, arg) != "3":
            return
        wire = self.read_data()
        self.ends += 1
        content = unstuff(wire)
        if self.server.lenient:
            content = re.sub(rb"(^|\n)\.", rb"\1", wire)
        self._final("dot", Message(self, wire, content))
        self._forget()

    def _do_bdat(self, arg, verb):
        m = re.fullmatch(rb"(\d+)(\s+LAST)?", arg, re.I)
        if m is None:
            self.answer(verb, "501 5.5.4 no size", arg)
            return
        chunk = self.read_octets(int(m.group(1)))
        good = self.mail is not None and self.rcpts
        if good:
            self.chunks.append(chunk)
        if m.group(2) is None or not good:
            text = "250 2.0.0 %d octets" % len(chunk) if good \
                else "503 5.5.1 no recipients"
            self.answer(verb, text, arg)
            return
        self.ends += 1
        whole = b"".join(self.chunks)
        self._final("LAST", Message(self, whole, whole, self.chunks))
        self._forget()

    def _final(self, stage, message):
        server = self.server
        with server.lock:
            server.offered.append(message)
            number = len(server.offered)
        start = len(self.sent)
        # A message counts as accepted once the reply began to be written:
        # it may be on the client's side before we get on.
        reply = server.reply_for(stage, self, message)
        if reply is None:
            reply = "250 2.0.0 queued as %s-%d" % (server.tag, number)
        steps = reply if isinstance(reply, (list, tuple)) else [reply]
        for step in steps:
            text = getattr(step, "data", step)
            if isinstance(text, (str, bytes)) and len(self.sent) == start \
                    and text[:1] in ("2", b"2"):
                with server.lock:
                    server.messages.append(message)
            self._do(step)
            message.reply = bytes(self.sent[start:])

    def _do_auth(self, arg, verb):
        words = arg.split()
        mech = words[0].upper().decode("latin-1") if words else ""
        got = words[1:2]
        if mech not in self.server.auth:
            self.answer(verb, "504 5.5.4 mechanism not known", arg)
            return
        if self.pending():
            self._note_early()
        first = self.server.reply_for("AUTH", self, arg)
        if first is not None:
            steps = first if isinstance(first, (list, tuple)) else [first]
            for step in steps:
                self._do(step)
            if not self.sent.endswith(b"\n") or \
                    not re.search(rb"(?:^|\n)334[^\n]*\n\Z", self.sent):
                return
            got.append(self.read_line())
            self.commands.append(got[-1])
        while len(got) < self.server.auth[mech]:
            if len(got) == 0 and mech == "PLAIN":
                challenge = b""
            elif mech == "LOGIN":
                challenge = (b"Username:", b"Password:")[len(got)]
            else:
                challenge = b"challenge %d" % len(got)
            self.write(b"334 " + base64.b64encode(challenge) + b"\r\n")
            line = self.read_line()
            self.commands.append(line)
            if line == b"*":
                self.auth.append((mech, None))
                self.answer("AUTH*", "501 5.7.0 given up")
                return
            got.append(line)
        self.auth.append((mech, got))
        self.answer("AUTH done", "235 2.7.0 welcome")

    def _do_starttls(self, arg, verb):
        self.answer(verb, "502 5.5.1 no TLS here", arg)

    def _do_quit(self, arg, verb):
        self.answer(verb, "221 2.0.0 bye", arg)
        self.close()

    # For tests.

    def wait_closed(self, timeout=10):
        """Wait until the connection is over; returns how the client ended
        it: "fin", "reset", or None when the server did."""
        wait_until(self.closed.is_set, timeout, lambda: "the end of "
                   "connection %d:\n%s" % (self.number, self.dialogue()))
        return self.end

    def wait_command(self, pattern, timeout=10):
        """Wait for a command that matches; returns it."""
        if isinstance(pattern, str):
            pattern = pattern.encode()
        return wait_until(
            lambda: next((c for c in list(self.commands)
                          if re.match(pattern, c)), None),
            timeout, lambda: "command %r:\n%s" % (pattern, self.dialogue()))

    def dialogue(self, limit=3000):
        text = "\n".join("    %s: %r" % (who, bytes(data))
                         for who, data in list(self.transcript))
        return text if len(text) <= limit else "    ...\n" + text[-limit:]


GOOD_EHLO = ("PIPELINING", "SIZE 104857600", "8BITMIME", "SMTPUTF8",
             "CHUNKING", "BINARYMIME", "DSN", "ENHANCEDSTATUSCODES", "HELP")


class ScriptedServer:
    """An SMTP server, good unless told otherwise.

    ehlo      the keywords of its EHLO reply, in order
    replies   {stage: reply}.  A stage is a verb in capitals ("MAIL", also
              verbs it does not know), or "connect" (the greeting), "dot"
              (after DATA's content), "LAST" (after the last BDAT chunk),
              "AUTH" (in the place of the first reply), "AUTH done", "AUTH*"
              (after a cancel).
              A reply is a str (CRLF added) or octets (as they are), a Step
              (Close, Reset, HalfClose, Never, Hang, Wait, Drip), a list of
              these, a Seq of them, or a function (conn, detail) that returns
              one of them or None for the default; detail is the command's
              argument, or the Message.  A function inside a list is called
              with the conn alone.
              May be changed while the server runs.
    auth      {mechanism: number of responses}, initial response included
    lenient   take LF for a line end, and LF.LF for an end of data
    delay     seconds before every reply but the greeting
    rcvbuf    SO_RCVBUF, to be a slow reader
    accept    False: connections are never accepted, the kernel's backlog
              takes them and nobody ever greets

    conns, messages (accepted), offered (whole messages, whatever the reply)
    grow as things happen; wait_for_* wait for them.
    """

    conn_class = Conn

    def __init__(self, address="127.0.0.1", port=0, ehlo=GOOD_EHLO,
                 replies=None, name="server.test.example", auth=None,
                 lenient=False, delay=0, rcvbuf=None, accept=True,
                 backlog=512, read_size=65536):
        self.address = address
        self.port = port or free_port()
        self.ehlo = list(ehlo)
        self.auth = auth or {}
        if self.auth and not any(
                isinstance(k, str) and k.startswith("AUTH") for k in ehlo):
            self.ehlo.append("AUTH " + " ".join(self.auth))
        self.replies = replies if replies is not None else {}
        self.name = name
        self.lenient = lenient
        self.delay = delay
        self.rcvbuf = rcvbuf
        self.accept = accept
        self.backlog = backlog
        self.read_size = read_size
        self.tag = os.urandom(3).hex()
        self.conns = []
        self.messages = []
        self.offered = []
        self.lock = threading.Lock()
        self.stopping = threading.Event()
        self._listener = None
        self._threads = []
        self._wake = None

    def __enter__(self):
        return self.start()

    def __exit__(self, *exc):
        self.stop()
        if exc[0] is None:
            self.check_errors()

    @property
    def at(self):
        """(address, port)"""
        return self.address, self.port

    def start(self):
        at_exit(self.stop)
        at_success(self.check_errors)
        on_failure(self.report)
        self.listen()
        return self

    def listen(self):
        """Take connections (again, after refuse())."""
        s = socket.socket(family(self.address), socket.SOCK_STREAM)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if is_v6(self.address):
            s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if self.rcvbuf is not None:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self.rcvbuf)
        s.bind((self.address, self.port))
        s.listen(self.backlog)
        self._listener = s
        if self.accept:
            t = threading.Thread(target=self._accept_loop, args=(s,),
                                 daemon=True)
            t.start()
            self._threads.append(t)

    def refuse(self):
        """Stop listening: new connections are refused, old ones go on."""
        if self._listener is not None:
            s, self._listener = self._listener, None
            try:
                s.shutdown(socket.SHUT_RDWR)    # wakes accept()
            except OSError:
                pass
            s.close()

    def stop(self):
        """Close everything."""
        self.stopping.set()
        self.refuse()
        for conn in list(self.conns):
            try:
                conn.sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        for t in self._threads:
            t.join(5)
        for conn in list(self.conns):
            conn.closed.wait(5)

    def vanish(self):
        """Reset every connection and refuse new ones, as a crash would."""
        self.refuse()
        for conn in list(self.conns):
            try:
                conn.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                     struct.pack("ii", 1, 0))
                # A thread blocked in recv() keeps the socket: end it first.
                conn.sock.shutdown(socket.SHUT_RD)
                conn.sock.close()
            except OSError:
                pass

    def _accept_loop(self, listener):
        while True:
            try:
                sock, peer = listener.accept()
            except OSError:
                return
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self.lock:
                conn = self.conn_class(self, sock, peer,
                                       len(self.conns) + 1)
                self.conns.append(conn)
            threading.Thread(target=conn.serve, daemon=True).start()

    def reply_for(self, stage, conn, detail):
        """What the script says at this stage, or None."""
        with self.lock:
            reply = self.replies.get(stage)
            if isinstance(reply, Seq):
                reply = reply.next()
        if callable(reply) and not isinstance(reply, Step):
            reply = reply(conn, detail)
        return reply

    # For tests.

    def wait_for_conn(self, n=1, timeout=10):
        """Wait for the n-th connection and return it."""
        wait_until(lambda: len(self.conns) >= n, timeout, lambda: "connection "
                   "%d, there are %d" % (n, len(self.conns)))
        return self.conns[n - 1]

    def wait_for_messages(self, n=1, timeout=10):
        """Wait for n accepted messages and return all there are."""
        wait_until(lambda: len(self.messages) >= n, timeout, lambda: "%d "
                   "accepted messages, there are %d" % (n,
                                                        len(self.messages)))
        return list(self.messages)

    def wait_for_offered(self, n=1, timeout=10):
        """Wait for n whole messages, whatever they were answered."""
        wait_until(lambda: len(self.offered) >= n, timeout,
                   lambda: "%d messages, there are %d" % (n,
                                                          len(self.offered)))
        return list(self.offered)

    def wait_idle(self, timeout=10):
        """Wait until no connection is open."""
        wait_until(lambda: all(c.closed.is_set() for c in list(self.conns)),
                   timeout, lambda: "all connections to end:\n" +
                   self.report())

    def open_conns(self):
        return [c for c in list(self.conns) if not c.closed.is_set()]

    def commands(self):
        """The command lines of all connections, in the order of conns."""
        return [c for conn in list(self.conns) for c in conn.commands]

    def check_errors(self):
        for conn in list(self.conns):
            check(conn.error is None, conn.error)

    def report(self):
        parts = []
        for conn in list(self.conns)[-4:]:
            parts.append("server %s port %d, connection %d, client ended "
                         "it: %s\n%s" % (self.address, self.port, conn.number,
                                         conn.end, conn.dialogue(1500)))
        return "\n".join(parts)


# The proxy.

_KEY_VALUE = re.compile(
    r'(?:^|\s)([A-Za-z_][A-Za-z0-9_.-]*)=("(?:[^"\\]|\\.)*"|[^\s,]*)')


def parse_record(line):
    """The key=value pairs of a log line; quotes and escapes taken off."""
    record = {}
    for key, value in _KEY_VALUE.findall(line):
        if value.startswith('"'):
            value = _unescape(value[1:-1])
        record[key] = value
    return record


def _unescape(text):
    def octet(m):
        if m.group(1) is None:
            return b"\\"
        return bytes([int(m.group(1), 16)])
    raw = re.sub(rb"\\(?:x([0-9a-fA-F]{2})|\\)", octet,
                 text.encode("utf-8", "surrogateescape"))
    return raw.decode("utf-8", "surrogateescape")


def hostport(address, port):
    return "%s port %d" % (address, port)


class Proxy:
    """A running smtpproxyd -d.

    conf        text of its configuration file
    args        further arguments
    binary      command, else $SMTPPROXYD (may be several words, such as
                valgrind's), else smtpproxyd/smtpproxyd
    allow       patterns of log lines that would otherwise fail the test
    nofile      RLIMIT_NOFILE for the parent

    It must end with exit 0 and a clean log: stop() checks it, and is called
    for every proxy still running when the test has passed.

    address, port   the first listener
    lines           log lines so far
    """

    BAD = (r"AddressSanitizer|LeakSanitizer|MemorySanitizer|runtime error:"
           r"|ERROR SUMMARY: [1-9]|\bfatal\b|Assertion|terminated by signal"
           r"|killed by signal")

    def __init__(self, conf, args=(), binary=None, allow=(), env=None,
                 nofile=None):
        self.conf = conf
        self.args = list(args)
        binary = binary or os.environ.get("SMTPPROXYD") or \
            "smtpproxyd/smtpproxyd"
        self.command = shlex.split(binary)
        self.allow = list(allow)
        self.env = env
        self.nofile = nofile
        self.lines = []
        self.stdout = b""
        self.proc = None
        self.dir = None
        self._threads = []
        self._cond = threading.Condition()
        self._checked = 0
        self.listeners = [
            (m.group(1), int(m.group(2))) for m in re.finditer(
                r"listen\s+on\s+([0-9A-Fa-f.:]+)\s+port\s+(\d+)", conf)]
        if self.listeners:
            self.address, self.port = self.listeners[0]

    @classmethod
    def to(cls, *servers, listen=None, extra="", top="", **kw):
        """A proxy with one relay in front of these servers.

        servers   objects with address(es) and port, or (address, port)
        listen    list of (address, port); default: one on 127.0.0.1
        extra     lines inside the relay; top: lines in front of it
        """
        return cls(cls.conf_to(*servers, listen=listen, extra=extra,
                               top=top), **kw)

    @staticmethod
    def conf_to(*servers, listen=None, extra="", top="", name="test"):
        listen = listen or [("127.0.0.1", free_port())]
        hosts = []
        for s in servers:
            if isinstance(s, tuple):
                hosts.append(s)
            elif hasattr(s, "address"):
                hosts.append((s.address, s.port))
            else:
                hosts.append((s.addresses[0], s.port))
        ports = {p for _, p in hosts}
        text = top + ("\n" if top else "")
        text += 'relay "%s" {\n' % name
        for a, p in listen:
            text += "\tlisten on %s port %d\n" % (a, p)
        if len(ports) == 1 and len(hosts) > 1:
            text += "\tforward to { %s } port %d\n" % (
                " ".join(a for a, _ in hosts), ports.pop())
        else:
            for a, p in hosts:
                text += "\tforward to %s port %d\n" % (a, p)
        for line in extra.splitlines():
            text += "\t%s\n" % line
        return text + "}\n"

    def __enter__(self):
        return self.start()

    def __exit__(self, *exc):
        if exc[0] is None:
            if self.proc is not None:
                self.stop()
        else:
            self.kill()

    # Life.

    def _check_binary(self):
        path = os.path.join(ROOT, self.command[-1])
        if not os.path.exists(path) and not shutil.which(self.command[-1]):
            raise Skip("no %s: run `make`" % self.command[-1])

    def write_conf(self, conf=None):
        """Write the configuration file (anew)."""
        if conf is not None:
            self.conf = conf
        if self.dir is None:
            self.dir = mkdtemp("proxy")
        self.conf_path = os.path.join(self.dir, "smtpproxyd.conf")
        with open(self.conf_path, "w") as f:
            f.write(self.conf)
        os.chmod(self.conf_path, 0o600)
        return self.conf_path

    def run(self, *args, timeout=20):
        """Run to its end, as with -n: (exit code, stdout, stderr) as text.
        """
        self._check_binary()
        self.write_conf()
        got = subprocess.run(
            self.command + ["-f", self.conf_path] + list(args), cwd=ROOT,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True, errors="surrogateescape",
            timeout=timeout * SLOW, env=self._environment())
        return got.returncode, got.stdout, got.stderr

    def _environment(self):
        env = dict(os.environ)
        env.update(self.env or {})
        return env

    def _limits(self):
        import resource
        if self.nofile is not None:
            resource.setrlimit(resource.RLIMIT_NOFILE,
                               (self.nofile, self.nofile))

    def start(self, wait=True, timeout=15):
        """Start; with wait, return when every listener listens."""
        self._check_binary()
        self.write_conf()
        self.proc = subprocess.Popen(
            self.command + ["-d", "-f", self.conf_path] + self.args,
            cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, env=self._environment(),
            preexec_fn=self._limits if self.nofile else None)
        at_exit(self.kill)
        at_success(self._finish)
        on_failure(self.report)
        self._threads = [
            threading.Thread(target=self._read_log,
                             args=(self.proc.stderr,), daemon=True),
            threading.Thread(target=self._read_out,
                             args=(self.proc.stdout,), daemon=True)]
        for t in self._threads:
            t.start()
        if wait:
            self.wait_ready(timeout)
        return self

    def wait_ready(self, timeout=15):
        """Wait until every listener of the configuration listens."""
        def ready():
            if self.proc.poll() is not None:
                for t in self._threads:
                    t.join(5)
                raise Failure("smtpproxyd ended with %d:\n%s" % (
                    self.proc.returncode, self.log_tail()))
            return all(listening(a, p) for a, p in self.listeners)
        wait_until(ready, timeout, lambda: "smtpproxyd to listen on %r:\n%s"
                   % (self.listeners, self.log_tail()))

    def stop(self, timeout=30, code=0, sig=signal.SIGTERM):
        """SIGTERM; it must exit with code, leave no process and a clean
        log."""
        pids = self.pids()
        self.proc.send_signal(sig)
        self.wait_exit(timeout, code)
        wait_until(lambda: not [p for p in pids if alive(p)], 5,
                   lambda: "the children to end: %r are left" % [
                       (p, process_table().get(p)) for p in pids
                       if alive(p)])

    def wait_exit(self, timeout=30, code=0):
        """Wait for its end, check exit code and log."""
        try:
            got = self.proc.wait(timeout * SLOW)
        except subprocess.TimeoutExpired:
            raise Failure("smtpproxyd did not end within %gs:\n%s" % (
                timeout * SLOW, self.log_tail())) from None
        for t in self._threads:
            t.join(5)
        self.proc.stdout.close()
        self.proc.stderr.close()
        self.proc = None
        check(got == code, lambda: "smtpproxyd exited with %d, not %d:\n%s"
              % (got, code, self.log_tail()))
        self.check_log()

    def _finish(self):
        if self.proc is not None:
            self.stop()

    def kill(self):
        """End it by force, with all its children."""
        if self.proc is None:
            return
        pids = descendants_of(self.proc.pid)
        self.proc.kill()
        self.proc.wait()
        for pid in pids:
            kill_pid(pid)
        wait_until(lambda: not any(alive(p) for p in pids), 5,
                   "killed children to end")
        for t in self._threads:
            t.join(5)
        self.proc.stdout.close()
        self.proc.stderr.close()
        self.proc = None

    def signal(self, sig):
        self.proc.send_signal(sig)

    # Its processes.

    def pids(self):
        """All of them, the parent first."""
        return [self.proc.pid] + descendants_of(self.proc.pid)

    def roles(self):
        """{pid: role} of the children, from `-P role` or the title."""
        table = process_table()
        roles = {}
        for pid in descendants_of(self.proc.pid):
            args = table.get(pid, (0, "", []))[2]
            text = " ".join(args)
            m = re.search(r"-P\s*([A-Za-z]+)", text) or \
                re.search(r"smtpproxyd: ([A-Za-z]+)", text)
            roles[pid] = m.group(1) if m else text
        return roles

    def children(self, role):
        """Pids of the children with this role."""
        return [p for p, r in self.roles().items() if r == role]

    def wait_children(self, role, n, timeout=10, without=()):
        """Wait until n children (none of them in without) have the role."""
        def there():
            pids = [p for p in self.children(role) if p not in without]
            return pids if len(pids) == n else None
        return wait_until(there, timeout, lambda: "%d children %s, there "
                          "are %r:\n%s" % (n, role, self.roles(),
                                           self.log_tail()))

    def settle(self, timeout=10):
        """Wait until every child has made its set-up: listening begins
        before, and what is logged or killed then meets another state."""
        want = {"logger", "worker"}
        if re.search(r"^\s*pki\b", self.conf, re.M):
            want.add("keyholder")

        def is_settled():
            roles = self.roles()
            if set(roles.values()) != want:
                return False
            return all(_has_dropped(pid) for pid in roles)
        wait_until(is_settled, timeout, lambda: "the children: %r\n%s" % (
            self.roles(), self.log_tail()))
        return self

    def worker_of(self, port):
        """Pid of the worker that holds a socket with this port of a client
        (client.name[1]) at its other end."""
        inodes = set()
        for path in ("/proc/net/tcp", "/proc/net/tcp6"):
            with open(path) as f:
                for line in f.readlines()[1:]:
                    fields = line.split()
                    if int(fields[2].rpartition(":")[2], 16) == port:
                        inodes.add("socket:[%s]" % fields[9])
        for pid in self.children("worker"):
            try:
                for fd in os.listdir("/proc/%d/fd" % pid):
                    if os.readlink("/proc/%d/fd/%s" % (pid, fd)) in inodes:
                        return pid
            except OSError:
                continue
        return None

    # Its log.

    def _read_log(self, pipe):
        for line in iter(pipe.readline, b""):
            text = line.decode("utf-8", "surrogateescape").rstrip("\n")
            with self._cond:
                self.lines.append(text)
                self._cond.notify_all()

    def _read_out(self, pipe):
        for line in iter(pipe.readline, b""):
            self.stdout += line

    def mark(self):
        """A place in the log, for after=."""
        return len(self.lines)

    def log_tail(self, n=25):
        return "\n".join("    | " + line for line in self.lines[-n:])

    def log_text(self, after=0):
        return "\n".join(self.lines[after:])

    def find_log(self, pattern, after=0):
        """Log lines that match."""
        return [x for x in self.lines[after:] if re.search(pattern, x)]

    def wait_for_log(self, pattern, timeout=10, after=0, count=1):
        """Wait for a line (or the count-th) that matches; returns it."""
        deadline = time.monotonic() + timeout * SLOW
        with self._cond:
            while True:
                found = self.find_log(pattern, after)
                if len(found) >= count:
                    return found[count - 1]
                left = deadline - time.monotonic()
                if left <= 0:
                    raise Failure("waited %gs for %r in the log:\n%s" % (
                        timeout * SLOW, pattern, self.log_tail()))
                self._cond.wait(left)

    def records(self, after=0, **fields):
        """The key=value records that have these fields; a value that is a
        compiled pattern is searched for.  Beside the keys of the line each
        has _line, and _role, _pid and _kind ("message", "session") from what
        stands in front of them."""
        found = []
        for line in self.lines[after:]:
            record = parse_record(line)
            if not record:
                continue
            record["_line"] = line
            m = re.match(r"(\w+(?:\[\d+\])?) (\d+): ([\w -]+?) \w+=", line)
            if m:
                record["_role"], record["_pid"], record["_kind"] = m.groups()
            if _has_fields(record, fields):
                found.append(record)
        return found

    def wait_for_record(self, timeout=10, after=0, count=1, **fields):
        """Wait for a record with these fields; returns it as a dict."""
        return wait_until(
            lambda: (self.records(after, **fields)[count - 1:] or [None])[0],
            timeout, lambda: "a record with %r in the log:\n%s" % (
                fields, self.log_tail()))

    def check_log(self):
        """Fail if the log holds what it never should."""
        for line in self.lines[self._checked:]:
            if re.search(self.BAD, line) and \
                    not any(re.search(p, line) for p in self.allow):
                raise Failure("in the log of smtpproxyd: %s\n%s" % (
                    line, self.log_tail(40)))
        self._checked = len(self.lines)

    def report(self):
        return "log of smtpproxyd:\n" + self.log_tail(40)


def _has_dropped(pid):
    """It has given up root, which is the end of a child's set-up."""
    try:
        with open("/proc/%d/status" % pid) as f:
            text = f.read()
    except OSError:
        return False
    return re.search(r"^NoNewPrivs:\s+1$", text, re.M) is not None and \
        re.search(r"^Uid:\s+0\s", text, re.M) is None


def _has_fields(record, fields):
    for key, want in fields.items():
        got = record.get(key)
        if got is None:
            return False
        if hasattr(want, "search"):
            if not want.search(got):
                return False
        elif got != str(want):
            return False
    return True


# Programs that run beside the test.

class Program:
    """A process whose output is collected; ended with the test."""

    def __init__(self, *argv, env=None, cwd=None):
        self.argv = [str(a) for a in argv]
        self.output = b""
        self.proc = subprocess.Popen(
            self.argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, env=env, cwd=cwd)
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()
        at_exit(self.kill)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.kill()

    def _read(self):
        for line in iter(self.proc.stdout.readline, b""):
            self.output += line

    @property
    def text(self):
        return self.output.decode("utf-8", "surrogateescape")

    def wait(self, timeout=60, code=0):
        """Wait for its end and return its output as text."""
        try:
            got = self.proc.wait(timeout * SLOW)
        except subprocess.TimeoutExpired:
            raise Failure("%s did not end within %gs:\n%s" % (
                self.argv[0], timeout * SLOW, self.text[-2000:])) from None
        self._thread.join(10)
        check(code is None or got == code, lambda: "%s exited with %d:\n%s"
              % (" ".join(self.argv), got, self.text[-2000:]))
        return self.text

    def terminate(self, timeout=10, code=0):
        """SIGTERM, then as wait()."""
        self.proc.send_signal(signal.SIGTERM)
        return self.wait(timeout, code)

    def kill(self):
        if self.proc.poll() is None:
            self.proc.kill()
            self.proc.wait()
        self._thread.join(5)
        self.proc.stdout.close()


class Sink(Program):
    """regress/tools/sink on an address and port of its own."""

    def __init__(self, address="127.0.0.1", port=None, directory=None):
        self.address, self.port = address, port or free_port()
        argv = [build_tool("sink"), "-l", self.address, "-p", self.port]
        if directory is not None:
            argv += ["-d", directory]
        super().__init__(*argv)
        wait_until(lambda: listening(self.address, self.port), 10,
                   lambda: "sink to listen: " + self.text)

    def totals(self):
        """Stop it; {word: number} of what it counted."""
        text = self.terminate()
        return {k: int(v) for k, v in re.findall(r"(\w+)=(\d+)", text)}


def load(address, port, sessions=1, concurrency=1, messages=1, size=1000,
         recipients=1, pipeline=False, bdat=False, timeout=120, code=0,
         more=()):
    """Run regress/tools/load; returns {word: number} of what it printed."""
    argv = [build_tool("load"), "-c", address, "-p", port, "-n", sessions,
            "-C", concurrency, "-m", messages, "-s", size, "-r", recipients]
    argv += ["-P"] * pipeline + ["-b"] * bdat + list(more)
    text = Program(*argv).wait(timeout, code)
    return {k: float(v) if "." in v else int(v)
            for k, v in re.findall(r"(\w+)=(\d+(?:\.\d+)?)", text)}


# Running the tests of a file.

def timeout(seconds):
    """Decorator: a test's own time limit (default 90 seconds)."""
    def mark_it(func):
        func.time_limit = seconds
        return func
    return mark_it


def long(func):
    """Decorator: a test left out of short runs (sanitizers, valgrind).  A
    whole file is left out when it says LONG = True."""
    func.long = True
    return func


def slow(func):
    """Decorator: a test that has to wait long; only regress-full runs it."""
    func.slow = True
    return func


def cases(name, rows):
    """Make a test of each row: used as

        @lib.cases("code", [450, 550])
        def test_rcpt(code): ...

    gives test_rcpt[450] and test_rcpt[550].  A row that is a tuple becomes
    several arguments, named by its first element.
    """
    def mark_it(func):
        func.rows = list(rows)
        func.row_name = name
        return func
    return mark_it


def _collect(module):
    tests = []
    for name, func in list(vars(module).items()):
        if not name.startswith("test_") or not callable(func):
            continue
        rows = getattr(func, "rows", None)
        if rows is None:
            tests.append((name, func, ()))
            continue
        for row in rows:
            args = row if isinstance(row, tuple) else (row,)
            label = re.sub(r"\s+", "_", str(getattr(
                args[0], "__name__", args[0])))
            tests.append(("%s[%s]" % (name, label), func, args))
    return tests


def _can_have_namespaces():
    """None, or the reason why the tests can't run here."""
    if os.geteuid() != 0:
        return "not root"
    if shutil.which("unshare") is None:
        return "no unshare(1): install util-linux"
    got = subprocess.run(_UNSHARE + ["true"], stdout=subprocess.PIPE,
                         stderr=subprocess.STDOUT, text=True)
    if got.returncode != 0:
        return "no namespaces: %s" % (got.stdout.strip() or "unshare failed")
    return None


_UNSHARE = ["unshare", "--net", "--mount", "--pid", "--fork",
            "--kill-child", "--mount-proc"]


def _skip_file(reason):
    name = os.path.basename(sys.argv[0])
    print("skip %s: %s" % (name, reason))
    print("# totals passed=0 failed=0 skipped=1", flush=True)
    sys.exit(SKIP_EXIT)


def enter():
    """Start this file again inside the namespaces, or set them up."""
    if os.environ.pop(INSIDE, None) is None:
        reason = _can_have_namespaces()
        if reason is not None:
            _skip_file(reason)
        os.makedirs(TMP, exist_ok=True)
        os.environ[INSIDE] = "1"
        os.execvp("unshare", _UNSHARE + [sys.executable, "-B"] + sys.argv)
    _loopback_up()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(b"tmpfs", TMP.encode(), b"tmpfs", 0, b"mode=0755") != 0:
        _skip_file("cannot mount a tmpfs: %s"
                   % os.strerror(ctypes.get_errno()))


def _on_alarm(signum, frame):
    raise TestTimeout()


def _run_one(func, args):
    """Run one test and what it left to do; returns a list of errors."""
    errors = []
    limit = getattr(func, "time_limit", 90) * SLOW
    signal.signal(signal.SIGALRM, _on_alarm)
    try:
        signal.setitimer(signal.ITIMER_REAL, limit)
        func(*args)
        while _finishers:
            _finishers.pop()()
    except Skip:
        raise
    except TestTimeout:
        errors.append("over its time of %gs, at:\n%s" % (limit, _where()))
    except Failure as e:
        errors.append("%s\n%s" % (e, _where()))
    except Exception as e:
        errors.append("%s: %s\n%s" % (type(e).__name__, e,
                                      traceback.format_exc()))
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        if errors:
            for reporter in _reporters:
                try:
                    errors.append(reporter())
                except Exception:
                    pass
        errors += _clean_up()
    return errors


def _where():
    """The lines of the test file that the present exception went through.
    """
    frames = traceback.extract_tb(sys.exc_info()[2])
    mine = [f for f in frames if not f.filename.endswith("/lib.py")]
    return "\n".join("  at %s:%d: %s" % (os.path.basename(f.filename),
                                         f.lineno, f.line)
                     for f in (mine or frames))


def _clean_up():
    errors = []
    while _cleanups:
        try:
            _cleanups.pop()()
        except Exception as e:
            errors.append("while cleaning up: %s" % e)
    del _finishers[:], _reporters[:]
    # Every process of this namespace but us was started by the test.
    known = {os.getpid()}
    for obj, _ in _shared.values():
        if getattr(obj, "proc", None) is not None:
            known.add(obj.proc.pid)
            known.update(descendants_of(obj.proc.pid))
    left = {p: a for p, (pp, state, a) in process_table().items()
            if p not in known and state not in "ZX"}
    if left:
        errors.append("processes left behind: %r" % left)
        for pid in left:
            kill_pid(pid)
        wait_until(lambda: not any(alive(p) for p in left), 5,
                   "leftover processes to end")
    return errors


def main():
    """Run the tests of the file that calls."""
    parser = argparse.ArgumentParser()
    parser.add_argument("-k", metavar="PATTERN", default="",
                        help="only tests whose name matches")
    parser.add_argument("-l", action="store_true", help="list the tests")
    parser.add_argument("--short", action="store_true",
                        help="leave out what is long")
    parser.add_argument("--slow", action="store_true",
                        help="only what is slow, which is else left out")
    opts = parser.parse_args()
    module = sys.modules["__main__"]
    tests = [t for t in _collect(module) if re.search(opts.k, t[0])]
    if not opts.l:
        tests = [t for t in tests
                 if getattr(t[1], "slow", False) == opts.slow]
    if opts.short:
        whole = getattr(module, "LONG", False)
        tests = [t for t in tests
                 if not whole and not getattr(t[1], "long", False)]
    if opts.l:
        for name, _, _ in tests:
            print(name)
        return
    if not tests:
        print("# totals passed=0 failed=0 skipped=0", flush=True)
        return
    enter()
    faulthandler.enable()
    passed = failed = skipped = 0
    for name, func, args in tests:
        began = time.monotonic()
        try:
            errors = _run_one(func, args)
        except Skip as e:
            print("skip %s: %s" % (name, e), flush=True)
            skipped += 1
            continue
        took = time.monotonic() - began
        if errors:
            failed += 1
            print("FAIL %s: %s" % (name, "\n".join(errors)), flush=True)
        else:
            passed += 1
            print("ok %s (%.2fs)" % (name, took), flush=True)
    for obj, cleanups in list(_shared.values()):
        _cleanups.extend(cleanups)
    _shared.clear()
    for error in _clean_up():
        failed += 1
        print("FAIL at the end: %s" % error, flush=True)
    print("# totals passed=%d failed=%d skipped=%d"
          % (passed, failed, skipped), flush=True)
    # Threads that still block must not hold the exit up.
    sys.stdout.flush()
    if failed:
        os._exit(1)
    os._exit(SKIP_EXIT if skipped and not passed else 0)
