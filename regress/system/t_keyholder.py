#!/usr/bin/python3
"""The keyholder: the one process that has private keys.  Nothing of a key is
in any other's memory, its files are nobody else's to read, and its death or
its silence costs handshakes and no session."""

import os
import pwd
import re
import signal
import subprocess
import threading
import time

import lib
import lib_tls
from lib import ScriptedServer, check, check_equal, check_match
from lib_tls import certificate, connect, deliver, implicit, session
from t_privileges import descriptors, limits, status

# Memory is read and processes are looked at, of which a checker's build has
# others.
LONG = True

KILLED = "killed by signal 9"
KINDS = ["rsa", "p256", "ed25519"]


def all_kinds():
    return {kind: certificate(kind=kind) for kind in KINDS}


def started(server, listen="smtps pki mx", **kw):
    kw.setdefault("allow", [KILLED])
    proxy = lib_tls.proxy(server, listen=listen, **kw).start()
    proxy.wait_children("worker", 2)
    proxy.settle()
    return proxy


def keyholder(proxy, without=()):
    return proxy.wait_children("keyholder", 1, without=without)[0]


# --- What it has given up ---------------------------------------------------

def test_privileges():
    with ScriptedServer() as server:
        proxy = started(server, env={"SECRET_OF_THE_ADMIN": "hunter2"})
        pid = keyholder(proxy)
        user = pwd.getpwnam("_smtpproxyk")
        s = status(pid)
        check_equal(s["Uid"], [str(user.pw_uid)] * 4, "uid")
        check_equal(s["Gid"], [str(user.pw_gid)] * 4, "gid")
        check_equal(s["Groups"], [str(user.pw_gid)], "groups")
        check(user.pw_uid != pwd.getpwnam("_smtpproxyd").pw_uid, "users")
        check_equal(os.readlink("/proc/%d/root" % pid), "/var/empty", "root")
        check_equal(os.readlink("/proc/%d/cwd" % pid), "/var/empty", "cwd")
        lib.wait_until(lambda: status(pid)["Seccomp"] == ["2"], 2, "seccomp")
        s = status(pid)
        check_equal(s["NoNewPrivs"], ["1"], "NoNewPrivs")
        for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
            check_equal(int(s[name][0], 16), 0, name)
        have = limits(pid)
        check_equal(have["Max core file size"], ("0", "0"), "core")
        check_equal(have["Max processes"], ("0", "0"), "processes")
        held = os.stat("/proc/%d/mem" % pid)
        check_equal((held.st_uid, held.st_gid), (0, 0), "owner in /proc")
        with open("/proc/%d/environ" % pid, "rb") as f:
            check(b"hunter2" not in f.read(), "environment")
        have = descriptors(pid)
        for n in range(3):
            check_equal(have.pop(n), "/dev/null", "descriptor %d" % n)
        # Parent, logger and each worker, and no file of a key.
        for n, what in have.items():
            check(re.match(r"socket:\[|anon_inode:\[eventpoll\]", what),
                  "descriptor %d is %s" % (n, what))
        check_equal(sum(w[:7] == "socket:" for w in have.values()), 4)


def test_none_without_pki():
    with ScriptedServer() as server, lib.Proxy.to(server) as proxy:
        proxy.settle()
        check_equal(proxy.children("keyholder"), [], "keyholder")


def test_keycheck_is_gone():
    with ScriptedServer() as server:
        proxy = started(server)
        check_equal(set(proxy.roles().values()),
                    {"worker", "logger", "keyholder"}, "roles")


# --- Files ------------------------------------------------------------------

def refused(cert, want, extra=""):
    """The configuration with this pki is no good, with -n and without."""
    proxy = lib_tls.proxy(("127.0.0.1", 1), listen="tls pki mx",
                          pki={"mx": cert}, extra=extra)
    for args in (("-n",), ("-d",)):
        code, out, err = proxy.run(*args)
        check_equal(code, 1, "exit of %s" % args)
        check_match(r"smtpproxyd\.conf:\d+: ", err)
        check_match(want, err)
    return err


@lib.cases("mode", ["0644", "0640", "0604", "0620", "0601"])
def test_key_file_modes(mode):
    cert = certificate()
    at_first = os.stat(cert.key).st_mode & 0o777
    lib.at_exit(lambda: os.chmod(cert.key, at_first))
    os.chmod(cert.key, int(mode, 8))
    err = refused(cert, "%s.*mode %s" % (re.escape(cert.key), mode))
    check_match("pki mx key", err)


def test_key_files():
    good = certificate()
    copy = lib_tls.new_file(open(good.key).read())
    os.chmod(copy, 0o600)
    os.chown(copy, pwd.getpwnam("nobody").pw_uid, 0)
    refused(good._replace(key=copy), "belongs to user")
    missing = os.path.join(lib_tls.folder(), "missing.pem")
    refused(good._replace(key=missing), "No such file")
    refused(good._replace(cert=missing), "No such file")
    refused(good._replace(key=certificate(kind="rsa").key),
            "don't belong together")
    empty = lib_tls.new_file("")
    os.chmod(empty, 0o600)
    refused(good._replace(key=empty), "empty")
    text = lib_tls.new_file("this is no key\n")
    os.chmod(text, 0o600)
    refused(good._replace(key=text), "key")
    refused(good._replace(cert=lib_tls.new_file("no certificate\n")), "cert")
    refused(good._replace(key=lib_tls.folder()), "regular")


# --- Memory -----------------------------------------------------------------

def der_values(data):
    """(tag, octets) of all primitive values in DER, those inside octet
    strings too."""
    at = 0
    while at < len(data):
        tag, n = data[at], data[at + 1]
        at += 2
        if n & 0x80:
            k = n & 0x7f
            n = int.from_bytes(data[at:at + k], "big")
            at += k
        value = data[at:at + n]
        at += n
        if tag & 0x20:
            yield from der_values(value)
        elif tag == 4 and value[:1] in (b"\x30", b"\x04"):
            yield from der_values(value)
        else:
            yield tag, value


def secrets(kind, key):
    """{name: octets} of what is secret in this file."""
    values = list(der_values(lib_tls.openssl(
        "pkey", "-in", key, "-outform", "DER")))
    if kind == "rsa":
        numbers = [v.lstrip(b"\0") for tag, v in values if tag == 2]
        numbers = [v for v in numbers if len(v) >= 100]
        check_equal(len(numbers), 7, "numbers of an RSA key")
        return dict(zip(("d", "p", "q", "dp", "dq", "qinv"), numbers[1:]))
    found = [v for tag, v in values if tag == 4 and len(v) == 32]
    check_equal(len(found), 1, "scalars of a key")
    return {"scalar": found[0]}


def needles(kind, key):
    """{octets: what they are}: pieces of 16 octets of each secret, as the
    file has them and the other way round, as numbers lie in memory; and
    lines of the file."""
    found = {}
    for name, value in secrets(kind, key).items():
        for way, octets in (("", value), (" turned", value[::-1])):
            for n in range(0, len(octets) - 15, 16):
                found[octets[n:n + 16]] = "%s %s%s" % (kind, name, way)
    with open(key, "rb") as f:
        for line in f.read().splitlines():
            if len(line) >= 32 and b"---" not in line:
                found[line[:32]] = kind + " PEM"
    return found


def memory(pid):
    """The contents of its mappings, but for those that are a file's and
    can't be written to."""
    with open("/proc/%d/maps" % pid) as maps, \
            open("/proc/%d/mem" % pid, "rb", 0) as mem:
        for line in maps:
            m = re.match(r"([0-9a-f]+)-([0-9a-f]+) (..)", line)
            if m.group(3)[0] != "r" or "[v" in line or \
                    (m.group(3) == "r-" and "/" in line):
                continue
            start, end = (int(m.group(k), 16) for k in (1, 2))
            try:
                mem.seek(start)
                data = b""
                while len(data) < end - start:
                    more = mem.read(end - start - len(data))
                    if not more:
                        break
                    data += more
            except OSError:
                continue
            yield line.rstrip("\n"), data


def found_in(pid, wanted):
    """{what: where} of the needles that are there."""
    return {name: where for where, data in memory(pid)
            for octets, name in wanted.items() if octets in data}


@lib.timeout(180)
def test_no_key_in_any_other_memory():
    """After handshakes with every type of key, and once more after keys
    were handed out again."""
    pki = all_kinds()
    wanted = {}
    for kind, cert in pki.items():
        wanted.update(needles(kind, cert.key))
    listen = ["smtps pki " + kind for kind in KINDS]
    with ScriptedServer() as server:
        proxy = started(server, listen, pki=pki)

        def look(what):
            holder = keyholder(proxy)
            for n in range(len(KINDS)):
                for version in ("1.2", "1.3"):
                    implicit(proxy, n, lib_tls.client_context(version)
                             ).quit()
            for pid in proxy.pids():
                found = found_in(pid, wanted)
                if pid == holder:
                    kinds = {name.split()[0] for name in found}
                    check_equal(kinds, set(KINDS), "the keyholder's keys")
                else:
                    check_equal(found, {}, "%s: memory of %s" % (
                        what, proxy.roles().get(pid, "parent")))
        look("at first")
        old = keyholder(proxy)
        lib.kill_pid(old)
        keyholder(proxy, without=[old])
        proxy.settle()
        serving(proxy)
        look("with another keyholder")


def serving(proxy, n=0):
    """Handshakes succeed (again)."""
    def works():
        try:
            implicit(proxy, n).quit()
            return True
        except (OSError, lib.Failure):
            return False
    lib.wait_until(works, 15, lambda: "a handshake:\n" + proxy.log_tail())


# --- Its death --------------------------------------------------------------

class Shakers:
    """Threads that shake hands all the time."""

    def __init__(self, proxy, n=4):
        self.proxy = proxy
        self.done = 0
        self.failed = []
        self.ends = threading.Event()
        self.lock = threading.Lock()
        self.threads = [threading.Thread(target=self.run) for _ in range(n)]
        for t in self.threads:
            t.start()
        lib.at_exit(self.stop)

    def run(self):
        context = lib_tls.client_context()
        while not self.ends.is_set():
            try:
                implicit(self.proxy, context=context, timeout=20).quit()
                with self.lock:
                    self.done += 1
            except (OSError, lib.Failure) as e:
                with self.lock:
                    self.failed.append(str(e))

    def stop(self):
        self.ends.set()
        for t in self.threads:
            t.join()

    def wait(self, n):
        """Until n more have succeeded."""
        want = self.done + n
        lib.wait_until(lambda: self.done >= want, 30, lambda:
                       "handshakes: %d, failed %r" % (self.done,
                                                      self.failed[-3:]))


@lib.timeout(120)
def test_killed_under_load():
    """Handshakes in flight may fail; running sessions go on; new ones
    succeed with the next keyholder."""
    with ScriptedServer() as server:
        proxy = started(server)
        workers = proxy.children("worker")
        running = [implicit(proxy) for _ in range(4)]
        for c in running:
            c.envelope()
            c.cmd("DATA", 354)
            c.send(b"Subject: running\r\n\r\nbegun\r\n")
        shakers = Shakers(proxy)
        shakers.wait(20)
        for _ in range(3):
            old = keyholder(proxy)
            lib.kill_pid(old)
            keyholder(proxy, without=[old])
            proxy.settle()
            shakers.wait(20)
        shakers.stop()
        for c in running:
            c.send(b"ended\r\n.\r\n")
            c.expect(250)
            c.quit()
        check_equal(len(server.messages), 4, "messages")
        check_equal(proxy.children("worker"), workers, "the same workers")
        proxy.wait_for_log("keyholder.*killed by signal 9", count=3)
        # Those that failed are in the log with their reason.
        for record in proxy.records(reason="TLS handshake failed"):
            check_match("keyholder: no signature|connection reset|closed "
                        "during", record["tls_error"], "why")
        serving(proxy)


def test_killed_while_nobody_asks():
    with ScriptedServer() as server:
        proxy = started(server)
        old = keyholder(proxy)
        lib.kill_pid(old)
        serving(proxy)
        check(keyholder(proxy) != old, "the old one")


def test_key_file_lost():
    """Killed while its file can't be read: that is said, plain sessions go
    on, and it is read again with the next one."""
    cert = certificate(names=("lost.test.example", lib_tls.NAME))
    with ScriptedServer() as server:
        proxy = started(server, ["smtps pki mx", ""], pki={"mx": cert})
        os.rename(cert.key, cert.key + ".away")
        old = keyholder(proxy)
        lib.kill_pid(old)
        second = keyholder(proxy, without=[old])
        proxy.wait_for_log("pki mx has no key: .*No such file")
        c = connect(proxy, 1)
        c.greet()
        c.quit()
        try:
            implicit(proxy)
            raise lib.Failure("a handshake without a key")
        except OSError:
            pass
        session(proxy, tls_error="keyholder: no signature")
        os.rename(cert.key + ".away", cert.key)
        lib.kill_pid(second)
        keyholder(proxy, without=[second])
        serving(proxy)


@lib.timeout(120)
@lib.slow
def test_stopped():
    """One that answers no more: running sessions go on, handshakes fail in
    their time, and the parent replaces it."""
    with ScriptedServer() as server:
        proxy = started(server, ["smtps pki mx", ""],
                        extra="timeout tls 3")
        running = implicit(proxy)
        old = keyholder(proxy)
        began = time.monotonic()
        os.kill(old, signal.SIGSTOP)
        after = proxy.mark()
        c = connect(proxy)
        try:
            c.handshake()
            raise lib.Failure("a handshake without a keyholder")
        except OSError:
            pass
        record = session(proxy, after)
        check_match("timeout", record["reason"], "reason")
        check(int(record["duration_ms"]) < 8000, record["duration_ms"])
        deliver(running)
        c = connect(proxy, 1)
        c.greet()
        deliver(c)
        c.quit()
        keyholder_now = proxy.wait_children("keyholder", 1, timeout=60,
                                            without=[old])
        check(keyholder_now != [old], "the old one")
        check(15 < time.monotonic() - began < 45 * lib.SLOW, "the time")
        serving(proxy)
        deliver(running)
        running.quit()


def test_stopped_for_a_moment():
    """Handshakes wait for it; nobody else does."""
    with ScriptedServer() as server:
        proxy = started(server, ["smtps pki mx", ""])
        running = implicit(proxy)
        holder = keyholder(proxy)
        os.kill(holder, signal.SIGSTOP)
        results = []
        waiting = [threading.Thread(target=lambda: results.append(
            implicit(proxy).quit())) for _ in range(20)]
        for t in waiting:
            t.start()
        # Each has said its hello: its worker has asked for a signature.
        lib.wait_until(lambda: queued(holder), 10, "questions")
        deliver(running)
        c = connect(proxy, 1)
        c.greet()
        c.quit()
        check_equal(results, [], "handshakes without a keyholder")
        os.kill(holder, signal.SIGCONT)
        for t in waiting:
            t.join(20)
        check_equal(len(results), 20, "handshakes")
        running.quit()


def queued(pid):
    """Whether the process has something to read: it is stopped, so its
    unix sockets are asked in ss(8)'s way, by their receive queues."""
    text = subprocess.run(["ss", "-xpn"], stdout=subprocess.PIPE,
                          text=True).stdout
    return any(int(line.split()[2]) > 0 for line in text.splitlines()
               if "pid=%d," % pid in line)


def test_stop_with_paused_handshakes():
    """An orderly end does not wait for signatures."""
    with ScriptedServer() as server:
        proxy = started(server, extra="timeout tls 60")
        holder = keyholder(proxy)
        os.kill(holder, signal.SIGSTOP)
        clients = []
        for _ in range(3):
            c = connect(proxy)
            c.send(lib_tls.hello())
            clients.append(c)
        lib.wait_until(lambda: queued(holder), 10, "questions")
        proxy.signal(signal.SIGTERM)
        for c in clients:
            check(b"220" not in c.read_all(), "a greeting")
        os.kill(holder, signal.SIGCONT)
        proxy.wait_exit()


if __name__ == "__main__":
    lib.main()
