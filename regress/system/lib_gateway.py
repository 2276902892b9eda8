"""Networks for the tests of interception: client, gateway and server, each a
network namespace, joined by veth pairs.

    client 10.1.0.2, fd00:1::2  ----  10.1.0.1, fd00:1::1  gateway
    gateway 10.2.0.1, fd00:2::1 ----  10.2.0.2, .3, .25, fd00:2::2, ::3,
                                       ::25  server

    bed = lib_gateway.bed()
    server = bed.serve("10.2.0.2", 25)
    bed.rules("tproxy")
    proxy = bed.proxy('relay "r" {...}')
    c = bed.connect("10.2.0.2", 25)

A namespace is entered by its thread, with `with bed.gateway:`; sockets and
processes that are made there belong to it, and stay there.
"""

import ctypes
import os
import re
import shutil
import subprocess

import lib
from lib import Proxy, RawClient, ScriptedServer, Skip, check

CLONE_NEWNET = 0x40000000
ETC = os.path.join(lib.ROOT, "etc")
IN_IF = "gc"            # the gateway's interface to the clients
CLIENT = {4: "10.1.0.2", 6: "fd00:1::2"}
GATEWAY_IN = {4: "10.1.0.1", 6: "fd00:1::1"}
GATEWAY_OUT = {4: "10.2.0.1", 6: "fd00:2::1"}
SERVER = {4: "10.2.0.2", 6: "fd00:2::2"}
OTHER = {4: "10.2.0.3", 6: "fd00:2::3"}
MTA = {4: "10.2.0.25", 6: "fd00:2::25"}
NOWHERE = {4: "203.0.113.1", 6: "2001:db8:f::1"}    # no route to there
LISTEN = {"redirect": 8025, "tproxy": 8026}
DIVERT_MARK = "0x53"

_libc = ctypes.CDLL(None, use_errno=True)


def _enter(fd):
    if _libc.setns(fd, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


class Net:
    """A network namespace."""

    def __init__(self, name):
        self.name = name
        self._before = []
        old = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        try:
            if _libc.unshare(CLONE_NEWNET) != 0:
                raise Skip("no network namespace: %s" % os.strerror(
                    ctypes.get_errno()))
            self.fd = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
            _enter(old)
        finally:
            os.close(old)
        self.path = "/proc/%d/fd/%d" % (os.getpid(), self.fd)
        self.ip("link", "set", "lo", "up")

    def __enter__(self):
        self._before.append(os.open("/proc/thread-self/ns/net",
                                    os.O_RDONLY))
        _enter(self.fd)
        return self

    def __exit__(self, *exc):
        fd = self._before.pop()
        _enter(fd)
        os.close(fd)

    def run(self, *argv, code=0, env=None, stdin=None):
        """Run a command here; returns all it said."""
        with self:
            got = subprocess.run(
                [str(a) for a in argv], input=stdin, text=True, env=env,
                stdin=subprocess.DEVNULL if stdin is None else None,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        check(code is None or got.returncode == code, lambda: "in %s: %s: "
              "exit %d:\n%s" % (self.name, " ".join(map(str, argv)),
                                got.returncode, got.stdout))
        return got.stdout

    def ip(self, *argv, code=0):
        return self.run("ip", *argv, code=code)

    def nft(self, text):
        """Load rules."""
        return self.run("nft", "-f", "-", stdin=text)

    def sysctl(self, name, value=None):
        """Read it, or write it."""
        path = "/proc/sys/" + name.replace(".", "/")
        with self, open(path, "r" if value is None else "w") as f:
            if value is None:
                return f.read().strip()
            return f.write(str(value))


def _family(address):
    return 6 if lib.is_v6(address) else 4


class Bed:
    """The three networks; the first thing that needs them makes them, and
    they last as long as the test file."""

    def __init__(self):
        for tool in ("ip", "nft"):
            if shutil.which(tool) is None:
                raise Skip("no %s: make test-deps" % tool)
        self.client = Net("client")
        self.gateway = Net("gateway")
        self.server = Net("server")
        self._join(self.client, "c0", self.gateway, IN_IF)
        self._join(self.server, "s0", self.gateway, "gs")
        for net, name, addresses in (
                (self.client, "c0", CLIENT), (self.gateway, IN_IF,
                                              GATEWAY_IN),
                (self.gateway, "gs", GATEWAY_OUT),
                (self.server, "s0", SERVER), (self.server, "s0", OTHER),
                (self.server, "s0", MTA)):
            for address in addresses.values():
                self.add_address(net, name, address)
        for net, way in ((self.client, GATEWAY_IN),
                         (self.server, GATEWAY_OUT)):
            net.ip("route", "add", "default", "via", way[4])
            net.ip("-6", "route", "add", "default", "via", way[6])
        self.gateway.sysctl("net.ipv4.ip_forward", 1)
        self.gateway.sysctl("net.ipv6.conf.all.forwarding", 1)
        self.rules_before = self.ip_rules()

    @staticmethod
    def _join(a, name_a, b, name_b):
        a.ip("link", "add", name_a, "type", "veth", "peer", "name", name_b,
             "netns", b.path)
        a.ip("link", "set", name_a, "up")
        b.ip("link", "set", name_b, "up")

    @staticmethod
    def add_address(net, name, address):
        """One more address; both nets are /24 and /64."""
        if lib.is_v6(address):
            net.ip("addr", "add", address + "/64", "dev", name, "nodad")
        else:
            net.ip("addr", "add", address + "/24", "dev", name)

    def ip_rules(self):
        return self.gateway.ip("rule") + self.gateway.ip("-6", "rule")

    # What a test may change.

    def change(self, net, name, value):
        """A sysctl, until the test ends."""
        old = net.sysctl(name)
        lib.at_exit(lambda: net.sysctl(name, old))
        net.sysctl(name, value)

    def reset(self):
        """Firewalls and routes as they were at the beginning."""
        for net in (self.client, self.gateway, self.server):
            net.run("nft", "flush", "ruleset")
        for family in ("-4", "-6"):
            self.gateway.ip(family, "rule", "del", "pref", 2525, code=None)
            self.gateway.ip(family, "route", "flush", "table", 2525,
                            code=None)

    # What it is used with.

    def serve(self, address, port, **kw):
        """A scripted server at an address of the server's net."""
        with self.server:
            return ScriptedServer(address, port, **kw).start()

    def connect(self, address, port, net=None, **kw):
        with net or self.client:
            return RawClient(address, port, **kw)

    def client_run(self, *argv, **kw):
        with self.client:
            return lib.Program(*argv, **kw)

    def proxy(self, conf, **kw):
        """smtpproxyd on the gateway."""
        with self.gateway:
            return Proxy("workers 2\n" + conf, **kw).start()

    def intercept(self, mode, extra="", how="", transparent=True, **kw):
        """A proxy that intercepts in this mode; how: words behind the
        forward line."""
        return self.proxy(relay(mode, extra, how, transparent), **kw)

    # Rules, as the examples of etc/ say them.

    def rules(self, mode, tool="nft", ports="25, 2525", routes=True,
              local=False):
        """Load the examples' rules for mode: "redirect", "tproxy".

        routes  with those for transparent forwarding
        local   with those for the gateway's own mail
        """
        try:
            if tool == "nft":
                self.gateway.nft(nft_example(mode, ports, local))
                if routes:
                    self._example_routes()
            else:
                self._iptables(mode, ports)
                if local:
                    self._iptables("local", ports)
        except lib.Failure as e:
            if re.search(r"not supported|No such file or directory|"
                         r"missing kernel module|Table does not exist",
                         str(e)):
                raise Skip("%s %s: %s" % (tool, mode, e)) from None
            raise

    def _example_routes(self):
        """The commands in the comments of nftables.example."""
        with open(os.path.join(ETC, "nftables.example")) as f:
            commands = re.findall(r"^#\t((?:ip|sysctl) .*)$", f.read(), re.M)
        check(len(commands) == 7, "commands in nftables.example")
        for command in commands:
            self.gateway.run(*command.replace("eth1", IN_IF).split())

    def _iptables(self, mode, ports):
        if shutil.which("iptables") is None:
            raise Skip("no iptables: make test-deps")
        with open(os.path.join(ETC, "iptables.example")) as f:
            text = f.read()
        text = _set(text, r"^int_if=\S+", "int_if=" + IN_IF)
        text = _set(text, r"^ports=\S+", "ports=" + ports.replace(" ", ""))
        self.gateway.run("/bin/sh", "-c", text, "iptables.example", mode)

    def script(self, *argv, code=0):
        """etc/linux-tproxy on the gateway, with a state of its own."""
        env = dict(os.environ, STATE=os.path.join(lib.TMP, "tproxy"))
        return self.gateway.run(os.path.join(ETC, "linux-tproxy"), *argv,
                                code=code, env=env)


def _set(text, pattern, new):
    text, n = re.subn(pattern, new, text, flags=re.M)
    check(n == 1, "%r in an example of etc/" % pattern)
    return text


def nft_example(mode, ports, local=False):
    """The part of nftables.example for mode."""
    with open(os.path.join(ETC, "nftables.example")) as f:
        text = f.read()
    text = _set(text, r"^define int_if = .*$", "define int_if = " + IN_IF)
    text = _set(text, r"^define ports = .*$", "define ports = { %s }" % ports)
    defines = "\n".join(re.findall(r"^define .*$", text, re.M))
    tproxy = re.findall(r"^table .*?^}$", text, re.M | re.S)
    others = [re.sub(r"^#", "", part, flags=re.M) for part in
              re.findall(r"^#table .*?^#}$", text, re.M | re.S)]
    check(len(tproxy) == 1 and len(others) == 2, "nftables.example")
    parts = [defines, tproxy[0] if mode == "tproxy" else others[0]]
    return "\n".join(parts + [others[1]] * local) + "\n"


def relay(mode, extra="", how="", transparent=True):
    port = LISTEN[mode]
    lines = ["listen on 0.0.0.0 port %d" % port,
             "listen on :: port %d" % port]
    forward = "forward to nat lookup"
    if mode == "tproxy":
        lines = ["listen on 127.0.0.1 port %d divert" % port,
                 "listen on ::1 port %d divert" % port]
        forward = "forward to destination"
    forward = "transparent " * transparent + forward + " " + how
    lines += [forward.strip()] + extra.splitlines()
    return 'relay "r" {\n' + "".join("\t%s\n" % x for x in lines) + "}\n"


_bed = []


def bed():
    """The file's networks, clean, and clean again when the test ends."""
    if not _bed:
        try:
            _bed.append(Bed())
        except (OSError, lib.Failure) as e:
            raise Skip("no networks of our own: %s" % e) from None
    lib.at_exit(_bed[0].reset)
    _bed[0].reset()
    return _bed[0]
