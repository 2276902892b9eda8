#!/usr/bin/python3
"""What each process has given up, seen from outside: user, groups, root
directory, system calls, capabilities, descriptors, limits, environment."""

import os
import pwd
import re

import lib
from lib import Proxy, RawClient, ScriptedServer, Skip, check, check_equal

# A build for sanitizers or valgrind has no sandbox.
LONG = True

ROLES = ["worker", "logger"]


def status(pid):
    """/proc/PID/status as {key: [words]}."""
    with open("/proc/%d/status" % pid) as f:
        return {k: v.split() for k, v in
                (line.rstrip("\n").split(":", 1) for line in f)}


def limits(pid):
    """{name: (soft, hard)}"""
    found = {}
    with open("/proc/%d/limits" % pid) as f:
        for line in f.readlines()[1:]:
            m = re.match(r"(Max .*?)\s{2,}(\S+)\s+(\S+)", line)
            found[m.group(1)] = (m.group(2), m.group(3))
    return found


def descriptors(pid):
    """{number: what it is}"""
    folder = "/proc/%d/fd" % pid
    return {int(n): os.readlink(os.path.join(folder, n))
            for n in os.listdir(folder)}


def started(conf_top="workers 2"):
    server = ScriptedServer().start()
    proxy = Proxy.to(server, top=conf_top).start()
    proxy.wait_children("worker", 2)
    proxy.wait_children("logger", 1)
    proxy.wait_for_log("started")
    return server, proxy.settle()


@lib.cases("role", ROLES)
def test_user_and_groups(role):
    _, proxy = started()
    user = pwd.getpwnam("_smtpproxyd")
    for pid in proxy.children(role):
        s = status(pid)
        check_equal(s["Uid"], [str(user.pw_uid)] * 4, "uid")
        check_equal(s["Gid"], [str(user.pw_gid)] * 4, "gid")
        check_equal(s["Groups"], [str(user.pw_gid)], "groups")
    check_equal(status(proxy.proc.pid)["Uid"], ["0"] * 4, "parent's uid")


def test_another_user_and_root():
    folder = lib.mkdtemp("root")
    user = pwd.getpwnam("nobody")
    _, proxy = started('workers 2\nuser "nobody"\nchroot "%s"' % folder)
    for role in ROLES:
        for pid in proxy.children(role):
            check_equal(status(pid)["Uid"], [str(user.pw_uid)] * 4, "uid")
            check_equal(os.readlink("/proc/%d/root" % pid), folder, "root")


@lib.cases("role", ROLES)
def test_root_is_an_empty_folder(role):
    _, proxy = started()
    for pid in proxy.children(role):
        root = "/proc/%d/root" % pid
        check_equal(os.readlink(root), "/var/empty", "root")
        check_equal(os.listdir(root + "/"), [], "what is in it")
        check_equal(os.readlink("/proc/%d/cwd" % pid), "/var/empty", "cwd")
        held = os.stat(root + "/")
        check_equal((held.st_uid, held.st_mode & 0o022), (0, 0), "its owner")
    check_equal(os.readlink("/proc/%d/root" % proxy.proc.pid), "/", "parent")


@lib.cases("role", ROLES)
def test_sandbox(role):
    _, proxy = started()
    for pid in proxy.children(role):
        s = status(pid)
        lib.wait_until(lambda: status(pid)["Seccomp"] == ["2"], 2,
                       "seccomp, which is the last step")
        check_equal(s["NoNewPrivs"], ["1"], "NoNewPrivs")
        for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
            check_equal(int(s[name][0], 16), 0, name)


@lib.cases("role", ROLES)
def test_not_dumpable(role):
    """The kernel gives the files of such a process to root, and lets nobody
    of its own user trace it or read its memory."""
    _, proxy = started()
    for pid in proxy.children(role):
        held = os.stat("/proc/%d/mem" % pid)
        check_equal((held.st_uid, held.st_gid), (0, 0), "owner in /proc")
        child = os.fork()
        if child == 0:
            os.setgroups([])
            user = pwd.getpwnam("_smtpproxyd")
            os.setresgid(*[user.pw_gid] * 3)
            os.setresuid(*[user.pw_uid] * 3)
            try:
                os.close(os.open("/proc/%d/mem" % pid, os.O_RDONLY))
            except PermissionError:
                os._exit(0)
            os._exit(1)
        check_equal(os.waitpid(child, 0)[1], 0, "a brother that reads it")


@lib.cases("role", ROLES)
def test_limits(role):
    _, proxy = started()
    for pid in proxy.children(role):
        have = limits(pid)
        check_equal(have["Max core file size"], ("0", "0"), "core")
        check_equal(have["Max processes"], ("0", "0"), "processes")


@lib.cases("role", ROLES)
def test_environment_is_empty(role):
    server = ScriptedServer().start()
    proxy = Proxy.to(server, top="workers 2",
                     env={"SECRET_OF_THE_ADMIN": "hunter2"}).start()
    proxy.wait_children("worker", 2)
    for pid in proxy.wait_children(role, 2 if role == "worker" else 1):
        # The title is written where argv and environment were.
        with open("/proc/%d/environ" % pid, "rb") as f:
            got = f.read()
        check(b"SECRET_OF_THE_ADMIN" not in got and b"hunter2" not in got
              and b"PATH=" not in got, "environment %r" % got)


@lib.cases("role", ROLES)
def test_descriptors(role):
    server, proxy = started()
    c = RawClient(proxy.address, proxy.port)
    c.greet()
    for pid in proxy.children(role):
        have = descriptors(pid)
        for n in range(3):
            check_equal(have.pop(n), "/dev/null", "descriptor %d" % n)
        if role == "logger":
            # The parent's standard error, by message, because of -d.
            pipes = [n for n in have if have[n].startswith("pipe:")]
            check_equal(len(pipes), 1, "pipes in %r" % have)
            have.pop(pipes[0])
        for n, what in have.items():
            check(re.match(r"socket:\[|anon_inode:\[eventpoll\]", what),
                  "descriptor %d of %s is %s" % (n, role, what))
    c.quit()


def test_idle_worker_holds_few_descriptors():
    """Nothing of its brother's or of the parent's came with the exec."""
    server, proxy = started()
    for pid in proxy.children("worker"):
        have = descriptors(pid)
        sockets = [n for n, what in have.items() if what[:7] == "socket:"]
        # One channel to the parent, one to the logger.
        check_equal(len(sockets), 2, "sockets in %r" % have)
    inodes = [set(w for w in descriptors(p).values() if w[:7] == "socket:")
              for p in proxy.pids()]
    for n, a in enumerate(inodes):
        for b in inodes[n + 1:]:
            check_equal(a & b, set(), "sockets of two processes")


def test_replacement_gives_up_the_same():
    server, proxy = started()
    proxy.allow.append("killed by signal 9")
    for role in ROLES:
        old = proxy.children(role)
        lib.kill_pid(old[0])
        for pid in proxy.wait_children(role, 1, without=old):
            lib.wait_until(lambda: status(pid)["Seccomp"] == ["2"], 10,
                           "the sandbox of the new %s" % role)
            s = status(pid)
            check_equal(s["Uid"][0], str(pwd.getpwnam("_smtpproxyd").pw_uid))
            check_equal(int(s["CapBnd"][0], 16), 0, "capabilities")
            check_equal(os.readlink("/proc/%d/root" % pid), "/var/empty")
            check_equal(descriptors(pid)[0], "/dev/null", "descriptor 0")


def test_needs_root():
    """Without root there is one clear line and no traceless half of it."""
    server = ScriptedServer().start()
    proxy = Proxy.to(server)
    proxy.write_conf()
    os.chmod(proxy.conf_path, 0o644)
    if not os.access("/usr/bin/setpriv", os.X_OK):
        raise Skip("no setpriv(1)")
    proxy.command = ["/usr/bin/setpriv", "--reuid=nobody", "--regid=nogroup",
                     "--clear-groups"] + proxy.command
    got = lib.subprocess.run(
        proxy.command + ["-d", "-f", proxy.conf_path], cwd=lib.ROOT,
        stdin=lib.subprocess.DEVNULL, stdout=lib.subprocess.PIPE,
        stderr=lib.subprocess.PIPE, text=True, timeout=20)
    check_equal(got.returncode, 1, "exit")
    check_equal(len(got.stderr.splitlines()), 1, "lines %r" % got.stderr)
    lib.check_match("root", got.stderr)


if __name__ == "__main__":
    lib.main()
