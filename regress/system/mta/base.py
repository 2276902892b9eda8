"""What the mail servers have in common.

Each runs from its unpacked package, chrooted into an overlay of its tree over
the root file system, in mount, host name and process namespaces of its own.
So it finds its compiled-in paths and users, touches nothing of the machine,
two of a kind can run side by side, and killing the namespace's first process
ends every process it ever started.

The network namespace is the test's: a server listens on the test's loopback.

Below self.work (in the test's own tmpfs):
    tree, upper, overlay   the layers; root: where they come together
    share                  seen as /srv by the server
    share/mail             the maildir that every accepted message ends in
    share/devlog           its /dev/log
    log                    all it says: syslog, standard output and error
"""

import os
import re
import shutil
import signal
import socket
import subprocess
import threading
import time

import lib

BOX_UID = 2000      # the user who owns every mailbox
TLS_CERT = "/etc/tls.pem"
TLS_KEY = "/etc/tls.key"

PASSWD = """root:x:0:0:root:/root:/bin/sh
daemon:x:1:1:daemon:/:/bin/false
mail:x:8:8:mail:/var/mail:/bin/false
postfix:x:901:901::/var/spool/postfix:/bin/false
Debian-exim:x:902:902::/var/spool/exim4:/bin/false
opensmtpd:x:903:903::/var/lib/opensmtpd/empty:/bin/false
opensmtpq:x:904:904::/var/lib/opensmtpd/empty:/bin/false
smmta:x:905:905::/var/lib/sendmail:/bin/false
smmsp:x:906:906::/var/lib/sendmail:/bin/false
box:x:2000:2000:mailbox:/srv/mail:/bin/sh
nobody:x:65534:65534:nobody:/nonexistent:/bin/false
"""

GROUP = """root:x:0:
daemon:x:1:
tty:x:5:
mail:x:8:
postfix:x:901:
Debian-exim:x:902:
opensmtpd:x:903:
opensmtpq:x:904:
smmta:x:905:
smmsp:x:906:
postdrop:x:907:
box:x:2000:
nogroup:x:65534:
"""

# The first process of the namespaces.  It stays, since not every server can
# be process 1, and passes on the one signal that asks for an orderly end.
SETUP = r"""
set -eu
cd "$WORK"
mount -t overlay overlay \
    -o "lowerdir=tree:/,upperdir=upper,workdir=overlay" root
mount -t tmpfs -o mode=755 tmpfs root/dev
for d in null zero full random urandom tty; do
	cp -a /dev/$d root/dev/$d
done
ln -s /srv/devlog root/dev/log
ln -s /proc/self/fd root/dev/fd
ln -s /proc/self/fd/1 root/dev/stdout
ln -s /proc/self/fd/2 root/dev/stderr
mkdir root/dev/shm
mount -t tmpfs tmpfs root/dev/shm
mount -t proc proc root/proc
mount -t tmpfs -o mode=755 tmpfs root/run
mount -t tmpfs -o mode=1777 tmpfs root/tmp
mkdir -p root/srv root/var/spool root/var/lib root/var/empty
mount --bind share root/srv
cp etc/* root/etc/
hostname "$NAME"
# Postfix and Sendmail close every descriptor there might be: seconds, where
# a million is allowed.
ulimit -n 8192
pid=
trap 'kill -TERM $pid' TERM
chroot root /bin/sh /srv/start &
pid=$!
rc=0
wait $pid || rc=$?
if [ $rc -eq 143 ]; then
	wait $pid || :
fi
"""


class Delivery:
    """One message in a mailbox, as the server wrote it (LF line ends).

    raw         every octet of the file
    sender      envelope sender, without angle brackets
    recipient   envelope recipient
    added       the header lines that the server put in front
    content     what follows them, LF line ends
    """

    def __init__(self, raw, mta):
        self.raw = raw
        self.sender = self.recipient = None
        rest = raw
        added = []
        for name in mta.adds:
            line, rest = self._take(rest, name)
            if line is None:
                continue
            added.append(line)
            value = line.split(b":", 1)[1].strip()
            text = value.decode("utf-8", "surrogateescape")
            if name == "Return-Path":
                self.sender = text.strip("<>")
            elif name in ("Delivered-To", "Envelope-To"):
                self.recipient = text.strip("<>")
        self.added = b"".join(added)
        self.content = rest

    @staticmethod
    def _take(raw, name):
        """Split the header line called name off the front, or None."""
        if not raw.lower().startswith(name.lower().encode() + b":"):
            return None, raw
        m = re.match(rb"[^\n]*\n(?:[ \t][^\n]*\n)*", raw)
        return m.group(0), raw[m.end():]

    @property
    def crlf(self):
        """The content with the line ends it had on the wire."""
        return self.content.replace(b"\n", b"\r\n")

    @property
    def body(self):
        """What follows the first empty line, with CRLF line ends."""
        return self.crlf.partition(b"\r\n\r\n")[2]


class Mta:
    """A mail server that takes mail for any user at one domain.

    port        TCP port, on every one of addresses
    addresses   addresses of the test's network namespace (v4 and v6 mixed)
    domain      the domain it accepts mail for
    hostname    the name it greets with
    extra       lines for its main configuration file, in its own language
    max_size    largest message it takes, in octets
    tls         (certificates, key) in PEM: STARTTLS is offered with them
    etc         further files of its file system: (path, text) pairs

    Use as a context manager, or start() and stop().
    """

    name = None         # folder below build/mta
    adds = ()           # header lines put in front, in this order
    accepted = None     # log pattern: one match for each message accepted

    def __init__(self, port=25, addresses=("127.0.0.1", "::1"),
                 domain="test.example", hostname=None, extra="",
                 max_size=64 * 1024 * 1024, tls=None, etc=()):
        self.port = port
        self.addresses = tuple(addresses)
        self.domain = domain
        self.hostname = hostname or "%s.%s" % (self.name, domain)
        self.extra = extra
        self.max_size = max_size
        self.tls = tls
        self.etc = dict(etc)
        self.work = None
        self.proc = None
        self._devlog = None
        self._log_thread = None

    # What the servers define.

    def files(self):
        """Path below the root to text, for each configuration file."""
        raise NotImplementedError

    def command(self):
        """Shell lines that end in exec of the server in the foreground."""
        raise NotImplementedError

    @property
    def at(self):
        """(address, port)"""
        return self.addresses[0], self.port

    # Life.

    def start(self, timeout=30):
        """Start and return when every address has greeted."""
        tree = os.path.join(lib.mta_dir(), self.name)
        if not os.path.isdir(tree):
            raise lib.Skip("no %s: run `make test-deps`" % self.name)
        if self.work is None:
            self._lay_out(tree)
        self._open_devlog()
        env = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C",
               "WORK": self.work, "NAME": self.hostname}
        with open(self.log_path, "ab") as log:
            self.proc = subprocess.Popen(
                ["unshare", "-m", "-u", "-p", "-f", "--kill-child",
                 "/bin/sh", "-c", SETUP],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=env)
        lib.at_exit(self.kill)
        for address in self.addresses:
            lib.wait_until(lambda: self._greets(address), timeout,
                           lambda: "%s to greet on %s; its log:\n%s"
                           % (self.name, address, self.log_tail()))
        return self

    def stop(self, timeout=10):
        """End it in good order, or by force when it does not listen."""
        if self.proc is None:
            return
        for pid in lib.children_of(self.proc.pid):
            lib.kill_pid(pid, signal.SIGTERM)
        try:
            self.proc.wait(timeout)
        except subprocess.TimeoutExpired:
            pass
        self.kill()

    def kill(self):
        """End every process of it at once."""
        if self.proc is None:
            return
        # unshare's death takes the namespace's first process with it, and
        # that one's death all others.
        inner = lib.children_of(self.proc.pid)
        for pid in inner:
            lib.kill_pid(pid, signal.SIGKILL)
        self.proc.kill()
        self.proc.wait()
        for pid in inner:
            lib.wait_until(lambda: not lib.alive(pid), 10,
                           "%s to end" % self.name)
        self.proc = None
        self._close_devlog()

    def __enter__(self):
        return self.start()

    def __exit__(self, *exc):
        self.kill()

    def processes(self):
        """Every process of it, as pids of the test's namespace."""
        if self.proc is None:
            return []
        return lib.descendants_of(self.proc.pid)

    def pause(self):
        """Freeze it: connections stay, nothing is answered."""
        for pid in self.processes():
            lib.kill_pid(pid, signal.SIGSTOP)

    def resume(self):
        for pid in self.processes():
            lib.kill_pid(pid, signal.SIGCONT)

    # What it received.

    def messages(self):
        """Every delivery so far, oldest first (one per recipient)."""
        folder = os.path.join(self.work, "share/mail/new")
        found = []
        for entry in os.scandir(folder):
            found.append((entry.stat().st_mtime_ns, entry.name))
        result = []
        for _, name in sorted(found):
            with open(os.path.join(folder, name), "rb") as f:
                result.append(Delivery(f.read(), self))
        return result

    def count(self):
        """Number of deliveries so far, without reading them."""
        return len(os.listdir(os.path.join(self.work, "share/mail/new")))

    mail_received = messages

    def wait_for_mail(self, n=1, timeout=30):
        """Wait for n deliveries and return all there are."""
        lib.wait_until(lambda: self.count() >= n, timeout,
                       lambda: "%d deliveries by %s, there are %d; its "
                       "log:\n%s" % (n, self.name, self.count(),
                                     self.log_tail()))
        return self.messages()

    def messages_accepted(self):
        """How many messages it took responsibility for, by its log, which
        may come a moment behind the mail."""
        return len(re.findall(self.accepted, self.log_text(), re.M))

    def wait_for_accepted(self, n, timeout=15):
        """Wait until it has accepted n messages, and fail if it were more."""
        got = lib.wait_until(
            lambda: self.messages_accepted() >= n and
            self.messages_accepted(), timeout,
            lambda: "%d messages accepted by %s; its log:\n%s"
            % (n, self.name, self.log_tail()))
        lib.check_equal(got, n, "messages accepted by " + self.name)

    def find(self, marker, timeout=30):
        """The deliveries with these octets in them, once there is one."""
        if isinstance(marker, str):
            marker = marker.encode()

        def matching():
            return [d for d in self.messages() if marker in d.raw]
        return lib.wait_until(matching, timeout,
                              lambda: "%r in a mailbox of %s; its log:\n%s"
                              % (marker, self.name, self.log_tail()))

    def clear(self):
        """Forget the deliveries so far."""
        folder = os.path.join(self.work, "share/mail/new")
        for name in os.listdir(folder):
            os.unlink(os.path.join(folder, name))

    # What it said.

    @property
    def log_path(self):
        return os.path.join(self.work, "log")

    def log_text(self):
        with open(self.log_path, "r", errors="surrogateescape") as f:
            return f.read()

    def log_tail(self, lines=15):
        return "\n".join(self.log_text().splitlines()[-lines:])

    def wait_for_log(self, pattern, timeout=15):
        """The first match of pattern in its log."""
        return lib.wait_until(
            lambda: re.search(pattern, self.log_text(), re.M), timeout,
            lambda: "%r in the log of %s:\n%s"
            % (pattern, self.name, self.log_tail()))

    # The rest is plumbing.

    def _greets(self, address):
        if self.proc.poll() is not None:
            raise lib.Failure("%s ended with %d; its log:\n%s" % (
                self.name, self.proc.returncode, self.log_tail()))
        try:
            with socket.create_connection((address, self.port), 5) as s:
                s.settimeout(5)
                seen = b""
                while not seen.endswith(b"\n"):
                    got = s.recv(512)
                    if got == b"":
                        return False
                    seen += got
                s.sendall(b"QUIT\r\n")
                return seen.startswith(b"220")
        except OSError:
            return False

    def _lay_out(self, tree):
        self.work = lib.mkdtemp(self.name)
        # Copied: a lower layer that lies below the other one, as the build
        # folder does below /, is refused as a loop.
        shutil.copytree(tree, os.path.join(self.work, "tree"), symlinks=True)
        self._keep_owner(tree, os.path.join(self.work, "tree"))
        for sub in ("upper", "overlay", "root", "share", "etc"):
            os.mkdir(os.path.join(self.work, sub), 0o755)
        for sub in ("mail", "mail/new", "mail/cur", "mail/tmp"):
            path = os.path.join(self.work, "share", sub)
            os.mkdir(path, 0o755)
            os.chown(path, BOX_UID, BOX_UID)
        hosts = "127.0.0.1 %s %s localhost\n::1 %s %s localhost\n" % (
            (self.hostname, self.hostname.split(".")[0]) * 2)
        self._write("etc/passwd", PASSWD)
        self._write("etc/group", GROUP)
        self._write("etc/hosts", hosts)
        self._write("etc/resolv.conf", "")
        self._write("etc/nsswitch.conf",
                    "passwd: files\ngroup: files\nshadow: files\n"
                    "hosts: files\nservices: files\n")
        self._write("etc/mailname", self.hostname + "\n")
        self._write("share/start", self.command())
        files = {**self.files(), **self.etc}
        if self.tls is not None:
            files[TLS_CERT], files[TLS_KEY] = self.tls
        for path, text in files.items():
            self._write("tree/" + path.lstrip("/"), text)
        open(self.log_path, "ab").close()

    @staticmethod
    def _keep_owner(src, dst):
        """copytree keeps modes but not owners, and some are set-id."""
        for folder, dirs, files in os.walk(src):
            for name in dirs + files:
                a = os.path.join(folder, name)
                b = os.path.join(dst, os.path.relpath(a, src))
                st = os.lstat(a)
                os.lchown(b, st.st_uid, st.st_gid)
                if not os.path.islink(a):
                    os.chmod(b, st.st_mode & 0o7777)

    def _write(self, path, text):
        path = os.path.join(self.work, path)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        if os.path.lexists(path):
            os.unlink(path)
        with open(path, "w") as f:
            f.write(text)
        os.chmod(path, 0o755 if text.startswith("#!") else
                 0o600 if "PRIVATE KEY" in text else 0o644)
        # Postfix waits for a file that was changed just now to settle.
        past = time.time() - 3600
        os.utime(path, (past, past))

    def _open_devlog(self):
        share = os.path.join(self.work, "share")
        path = os.path.join(share, "devlog")
        if os.path.lexists(path):
            os.unlink(path)
        self._devlog = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        # A socket's path is at most 107 octets: go by the descriptor.
        folder = os.open(share, os.O_RDONLY | os.O_DIRECTORY)
        try:
            self._devlog.bind("/proc/self/fd/%d/devlog" % folder)
        finally:
            os.close(folder)
        os.chmod(path, 0o666)
        self._log_thread = threading.Thread(
            target=self._read_devlog, args=(self._devlog,), daemon=True)
        self._log_thread.start()

    def _read_devlog(self, sock):
        with open(self.log_path, "ab", buffering=0) as log:
            while True:
                record = sock.recv(65536)
                if record == b"":
                    return
                text = re.sub(rb"^<\d+>", b"", record).rstrip(b"\n\0")
                log.write(text + b"\n")

    def _close_devlog(self):
        if self._devlog is None:
            return
        self._devlog.shutdown(socket.SHUT_RDWR)
        self._log_thread.join(5)
        self._devlog.close()
        self._devlog = None
