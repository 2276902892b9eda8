#!/usr/bin/python3
"""The configuration as an admin meets it: what is said, where it points to,
and the exit status."""

import os
import pwd
import re
import socket
import subprocess

import lib
from lib import Proxy, RawClient, ScriptedServer, Skip, check, check_equal

SMALLEST = """relay "r" {
	listen on 127.0.0.1 port 2525
	forward to 127.0.0.1 port 2526
}
"""


def run(conf, *args):
    """(exit, lines of standard error) of a run that must end by itself."""
    code, out, err = Proxy(conf).run(*args)
    check_equal(out, "", "standard output")
    return code, err.splitlines()


def check_errors(conf, *patterns, args=("-n",)):
    """Exit 1 and exactly these lines, each FILE:LINE: TEXT."""
    proxy = Proxy(conf)
    code, out, err = proxy.run(*args)
    lines = err.splitlines()
    check_equal(code, 1, "exit; %r" % err)
    check_equal(len(lines), len(patterns), "lines %r" % lines)
    for (number, pattern), line in zip(patterns, lines):
        want = re.escape("%s:%d: " % (proxy.conf_path, number))
        lib.check_match("^" + want, line)
        lib.check_match(pattern, line)


@lib.cases("option", ["-n", "-nv", "-vn"])
def test_good(option):
    code, lines = run(SMALLEST, option)
    check_equal(code, 0, "exit")
    check_equal(lines[-1], "configuration OK", "lines %r" % lines)
    if "v" in option:
        lib.check_match(r"^smtpproxyd \S+, build \S+, sandbox", lines[0])


def test_smallest_serves():
    with ScriptedServer() as server, Proxy.to(server) as proxy:
        c = RawClient(proxy.address, proxy.port)
        c.greet()
        c.envelope()
        c.data(lib.make_message())
        c.quit()


def test_all_errors_in_one_go():
    check_errors('max-sessions many\n'
                 'relay "a" {\n'
                 '\tlisten on 127.0.0.1 port 99999\n'
                 '\tforward to 127.0.0.1 port 2526\n'
                 '}\n'
                 'nonsense here\n'
                 'relay "b" {\n'
                 '\tlisten on 127.0.0.1 port 2525\n'
                 '\ttimeout lunch 5\n'
                 '\tforward to 127.0.0.1 port 2526\n'
                 '}\n',
                 (1, "many.*expected"), (3, "99999.*expected"),
                 (6, "nonsense"), (9, "lunch.*expected"))


INTERCEPT = """table <inside> { 10.0.0.0/8 fd00::/8 192.0.2.1 }
relay "outbound" {
	listen on 127.0.0.1 port 8025
	transparent forward to nat lookup except <inside>
	bypass from <inside>
	starttls hide
	on-failure reset
	mark 1
}
relay "outbound-divert" {
	listen on 127.0.0.1 port 8026 divert
	transparent forward to destination only <inside>
}
relay "inbound" {
	listen on 127.0.0.1 port 8027 divert
	transparent forward to 198.51.100.10 port smtp
	starttls pass
}
"""


def test_good_intercept():
    code, lines = run(INTERCEPT, "-n")
    check_equal((code, lines), (0, ["configuration OK"]))


def test_all_errors_of_interception_in_one_go():
    check_errors('table <names> { 10.0.0.1\n'
                 '\tmx.example.org }\n'
                 'table <none> { }\n'
                 'relay "a" {\n'
                 '\tlisten on 127.0.0.1 port 8025 divert\n'
                 '\tforward to nat lookup only <names> except <none>\n'
                 '\tforward to 127.0.0.1 port 25\n'
                 '\tbypass from <nowhere>\n'
                 '\tmark 4294967296\n'
                 '\tstarttls terminate\n'
                 '}\n'
                 'relay "b" {\n'
                 '\tlisten on 127.0.0.1 port 8026\n'
                 '\ttransparent forward to 192.0.2.1 port 25\n'
                 '\tforward to 192.0.2.2 port 25\n'
                 '}\n',
                 (7, "forwards at .*:6 already.*expected"),
                 (9, "4294967296.*expected 1 to 4294967295"),
                 (10, "end of line, expected .*terminate pki NAME"),
                 (15, "line at .*:14 is transparent.*expected"),
                 (5, "nat lookup, expected .* without divert"),
                 (2, "mx.example.org.*relay .a..*expected addresses"),
                 (6, "<none> is empty, expected"),
                 (8, "<nowhere> is not there, expected"))


ERRORS = [
    ("no divert", INTERCEPT.replace(" divert\n\ttransparent forward to dest",
                                    "\n\ttransparent forward to dest"), 11,
     "destination, expected .* divert$"),
    ("pass at the beginning", "pass from any\n" + SMALLEST, 1,
     "pass: not supported"),
    ("mark twice", INTERCEPT.replace("mark 1", "mark 1\n\tmark 1"), 9,
     "mark is set already"),
    ("outside", "transparent\n" + SMALLEST, 1, "outside a relay"),
    ("no relay", "workers 2\n", 1, "no relay.*expected"),
    ("no listener", 'relay "r" {\n\tforward to 127.0.0.1 port 25\n}\n', 1,
     "listener.*expected"),
    ("no destination", 'relay "r" {\n\tlisten on 127.0.0.1 port 2525\n}\n',
     1, "destination.*expected"),
    ("no table", 'relay "r" {\n\tlisten on 127.0.0.1 port 2525\n'
     '\tforward to <mx> port 25\n}\n', 3, "table <mx>"),
    ("loop", SMALLEST.replace("2526", "2525"), 3, "listener of relay"),
    ("macro", SMALLEST.replace("2526", "$nothing"), 3, "nothing"),
    ("later keyword", 'socket "/var/run/x"\n' + SMALLEST, 1,
     "socket.*not supported"),
    ("half a pki", 'pki a cert "/a.crt"\n' + SMALLEST, 1,
     'pki a has no key, expected pki a key "FILE"'),
    ("no pki", SMALLEST.replace("2525", "2525 tls pki a"), 2,
     "pki a is not there, expected pki a cert"),
    ("ca without verify", SMALLEST.replace("2526",
                                           "2526 tls no-verify ca /x"), 3,
     "ca where no certificate is checked.*expected"),
    ("identity of what is intercepted", INTERCEPT.replace(
        "mark 1", "identity xclient"), 8, "identity.*fixed destinations"),
    ("include of nothing", 'include "/nonexistent"\n' + SMALLEST, 1,
     "/nonexistent.*No such file"),
    ("twice", "workers 2\nworkers 3\n" + SMALLEST, 2, "workers"),
    ("workers", "workers 65\n" + SMALLEST, 1, "65.*expected"),
    ("quote", 'user "abc\n' + SMALLEST, 1, "quote"),
]


@lib.cases("what", ERRORS)
def test_error(what, conf, line, pattern):
    check_errors(conf, (line, pattern))


def test_error_at_the_start():
    """Without -n the same, and nothing is started."""
    check_errors(SMALLEST.replace("2526", "none"), (3, "none.*expected"),
                 args=("-d",))


def test_hostile_text_in_an_error():
    """An error message has no control octets of the file."""
    proxy = Proxy("bad \x1b[31m\x07line\n" + SMALLEST)
    code, _, err = proxy.run("-n")
    check_equal(code, 1)
    check("\x1b" not in err and "\x07" not in err, "%r" % err)


def test_macro_of_the_command_line():
    conf = 'here = 2525\n' + SMALLEST.replace("port 2525", "port $here")
    check_equal(run(conf, "-n")[0], 0)
    code, lines = run(conf, "-n", "-D", "here=99999")
    check_equal(code, 1)
    lib.check_match(":3: .*99999", lines[0])
    # The last one given wins.
    code, _ = run(conf, "-n", "-D", "here=99999", "-D", "here=2528")
    check_equal(code, 0, "exit")
    code, lines = run(conf, "-n", "-D", "here")
    check_equal((code, len(lines)), (1, 1), "%r" % lines)
    lib.check_match("name=value", lines[0])


def test_macro_serves():
    port = lib.free_port()
    with ScriptedServer() as server:
        conf = Proxy.conf_to(server).replace(
            "port %d\n\tforward" % (port + 1), "port 1\n\tforward")
        conf = re.sub(r"(listen on 127.0.0.1 port) \d+", r"\1 $p", conf)
        proxy = Proxy(conf, args=["-D", "p=%d" % port])
        proxy.listeners = [("127.0.0.1", port)]
        with proxy:
            RawClient("127.0.0.1", port).greet()


def test_include():
    folder = lib.mkdtemp("include")
    with open(os.path.join(folder, "part"), "w") as f:
        f.write("workers 2\nmax-errors none\n")
    os.chmod(os.path.join(folder, "part"), 0o600)
    conf = 'include "%s/part"\n' % folder + SMALLEST
    code, lines = run(conf, "-n")
    check_equal((code, len(lines)), (1, 1), "%r" % lines)
    lib.check_match("^%s/part:2: .*none" % re.escape(folder), lines[0])


def test_include_of_itself():
    proxy = Proxy(SMALLEST)
    proxy.write_conf()
    code, _, err = Proxy('include "%s"\n' % proxy.conf_path +
                         SMALLEST.replace('"r"', '"s"').replace("2525",
                                                                "2527")
                         ).run("-n")
    check_equal(code, 0, err)
    proxy.write_conf('include "%s"\n' % proxy.conf_path + SMALLEST)
    code, _, err = proxy.run("-n")
    check_equal(code, 1, "exit")
    lib.check_match("include", err)


# The file itself.

def one_line(args, pattern, code=1, **kw):
    got = subprocess.run(Proxy(SMALLEST).command + list(args), cwd=lib.ROOT,
                         stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                         stderr=subprocess.PIPE, text=True, timeout=20, **kw)
    check_equal(got.returncode, code, "exit; %r" % got.stderr)
    check_equal(len(got.stderr.splitlines()), 1, "lines %r" % got.stderr)
    lib.check_match(pattern, got.stderr)


def test_file_that_is_not_there():
    one_line(["-n", "-f", "/nonexistent/x.conf"],
             "/nonexistent/x.conf.*No such file")


def test_file_that_is_a_folder():
    one_line(["-n", "-f", "/etc"], "/etc")


@lib.cases("mode", ["620", "602", "666"])
def test_file_that_others_can_write(mode):
    mode = int(mode, 8)
    proxy = Proxy(SMALLEST)
    proxy.write_conf()
    os.chmod(proxy.conf_path, mode)
    one_line(["-n", "-f", proxy.conf_path], "written by others")


def test_file_of_another_owner():
    proxy = Proxy(SMALLEST)
    proxy.write_conf()
    os.chown(proxy.conf_path, pwd.getpwnam("nobody").pw_uid, -1)
    one_line(["-n", "-f", proxy.conf_path], "belongs to user")


def setpriv():
    if not os.access("/usr/bin/setpriv", os.X_OK):
        raise Skip("no setpriv(1)")
    return ["/usr/bin/setpriv", "--reuid=nobody", "--regid=nogroup",
            "--clear-groups"]


def as_nobody(conf, *args):
    proxy = Proxy(conf)
    proxy.write_conf()
    os.chmod(proxy.conf_path, 0o644)
    os.chown(proxy.conf_path, pwd.getpwnam("nobody").pw_uid, -1)
    got = subprocess.run(
        setpriv() + proxy.command + ["-f", proxy.conf_path] + list(args),
        cwd=lib.ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, timeout=20)
    return proxy, got


@lib.long
def test_check_without_root():
    _, got = as_nobody(SMALLEST, "-n")
    check_equal((got.returncode, got.stderr), (0, "configuration OK\n"))


@lib.long
def test_check_without_root_and_names():
    """The child that looks names up has no user to change to."""
    _, got = as_nobody(SMALLEST.replace("to 127.0.0.1", "to localhost"),
                       "-n")
    check_equal((got.returncode, got.stderr), (0, "configuration OK\n"))


@lib.long
def test_unreadable_without_root():
    proxy = Proxy(SMALLEST)
    proxy.write_conf()
    got = subprocess.run(
        setpriv() + proxy.command + ["-n", "-f", proxy.conf_path],
        cwd=lib.ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, timeout=20)
    check_equal(got.returncode, 1, "exit")
    check_equal(len(got.stderr.splitlines()), 1, "lines %r" % got.stderr)
    lib.check_match("Permission denied", got.stderr)


@lib.long
@lib.cases("port", [2525, 25])
def test_start_without_root(port):
    _, got = as_nobody(SMALLEST.replace("2525", str(port)), "-d")
    check_equal(got.returncode, 1, "exit")
    check_equal(len(got.stderr.splitlines()), 1, "lines %r" % got.stderr)
    lib.check_match("root", got.stderr)


# What the machine does not have.

def check_start(conf, pattern):
    """The start fails: exit 1, one line."""
    code, lines = run(conf, "-d")
    check_equal(code, 1, "exit; %r" % lines)
    check_equal(len(lines), 1, "lines %r" % lines)
    lib.check_match(pattern, lines[0])


def test_unknown_user():
    check_start('user "no-such-user"\n' + SMALLEST, "no-such-user")


def test_user_root():
    check_start('user "root"\n' + SMALLEST, "root")


def test_port_in_use():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen()
        port = s.getsockname()[1]
        check_start(SMALLEST.replace("2525", str(port)),
                    r"conf:2: .*%d.*Address already in use" % port)


def test_address_that_is_not_ours():
    check_start(SMALLEST.replace("on 127.0.0.1", "on 198.51.100.77"),
                "conf:2: .*198.51.100.77.*assign")


def folder(mode=0o755, owner=0, inside=()):
    path = lib.mkdtemp("chroot")
    for name in inside:
        open(os.path.join(path, name), "w").close()
    os.chown(path, owner, -1)
    os.chmod(path, mode)
    return path


@lib.cases("what", [
    ("not there", lambda: "/nonexistent/empty", "No such file"),
    ("not empty", lambda: folder(inside=["x"]), "not empty"),
    ("hidden file", lambda: folder(inside=[".x"]), "not empty"),
    ("owner", lambda: folder(owner=pwd.getpwnam("nobody").pw_uid), "own"),
    ("group", lambda: folder(mode=0o775), "writable"),
    ("world", lambda: folder(mode=0o757), "writable"),
])
def test_chroot(what, make, pattern):
    """Said once, before anything serves."""
    path = make()
    check_start('chroot "%s"\n' % path + SMALLEST,
                re.escape(path) + ".*" + pattern)
    check(not lib.listening("127.0.0.1", 2525), "it listens")


def test_chroot_that_is_a_link():
    path = os.path.join(lib.mkdtemp("link"), "empty")
    os.symlink("/var/empty", path)
    check_start('chroot "%s"\n' % path + SMALLEST, re.escape(path))


@lib.long
@lib.cases("capability", [("sys_chroot", "chroot /var/empty"),
                          ("setuid", "user"), ("setgid", "group")])
def test_children_that_cannot_drop(capability, what):
    """What only a child can find out ends the start too: here root lacks
    the capability that it takes."""
    path = setpriv()[0]
    proxy = Proxy(SMALLEST)
    proxy.write_conf()
    got = subprocess.run(
        [path, "--bounding-set", "-" + capability, "--inh-caps",
         "-" + capability] + proxy.command + ["-d", "-f", proxy.conf_path],
        cwd=lib.ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, timeout=20)
    check_equal(got.returncode, 1, "exit; %r" % got.stderr)
    lib.check_match(r"(logger|worker\[\d\]) pid \d+: .*" + what, got.stderr)
    lib.check_match("Operation not permitted", got.stderr)
    check(not lib.listening("127.0.0.1", 2525), "it listens")


# Names.

@lib.long
def test_host_name():
    with ScriptedServer() as server:
        conf = Proxy.conf_to(server).replace("to 127.0.0.1", "to localhost")
        with Proxy(conf) as proxy:
            c = RawClient(proxy.address, proxy.port)
            c.greet()
            c.quit()
            record = proxy.wait_for_record(_kind="session")
            check_equal(record["destination"], "127.0.0.1:%d" % server.port)
            check_equal(sorted(set(proxy.roles().values())),
                        ["logger", "worker"], "the process that looked it up")


@lib.long
def test_host_name_that_is_none():
    check_errors(SMALLEST.replace("to 127.0.0.1", "to no.such.host.invalid"),
                 (3, "no.such.host.invalid.*does not resolve"))


@lib.long
def test_host_name_in_a_table():
    check_errors("table <mx> { localhost\n no.such.host.invalid }\n" +
                 SMALLEST.replace("to 127.0.0.1", "to <mx>"),
                 (2, "no.such.host.invalid.*does not resolve"))


@lib.cases("args", [("-x",), ("-f",), ("word",), ("-n", "word")])
def test_usage(*args):
    got = subprocess.run(Proxy(SMALLEST).command + list(args), cwd=lib.ROOT,
                         stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                         stderr=subprocess.PIPE, text=True, timeout=20)
    check_equal(got.returncode, 1, "exit")
    lib.check_match("usage: smtpproxyd", got.stderr)


if __name__ == "__main__":
    lib.main()
