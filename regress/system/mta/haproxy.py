"""HAProxy 2.6 (Debian 12), passing TCP through: in front of the daemon it
sends PROXY headers, behind it it takes them.

    Front(bind, server)   one port: words of its "bind" line behind address
                          and port, and of its "server" line
    HAProxy(fronts).start()

It needs no file system of its own, so it runs from its unpacked package as
it is.  A line is logged for each connection at its end:
    front=<address>:<port> client=<address>:<port> authority=<name>
with the addresses as HAProxy knows them, behind a PROXY header taken.
"""

import glob
import os

import lib

CONFIG = """global
    log stdout format raw local0
    maxconn 1000
defaults
    mode tcp
    log global
    log-format "front=%fi:%fp client=%ci:%cp authority=%[fc_pp_authority]"
    option log-health-checks
    timeout connect 10s
    timeout client 60s
    timeout server 60s
"""

FRONT = """
listen f{port}
    bind {bind} {words}
    {more}
    server s {server}
"""


def _hostport(address, port):
    return "%s:%d" % ("[%s]" % address if lib.is_v6(address) else address,
                      port)


class Front:
    """A port of HAProxy.

    to       (address, port) that connections are passed on to
    bind     further words of the bind line, such as accept-proxy
    server   and of the server line, such as send-proxy-v2
    more     further lines
    """

    def __init__(self, to, bind="", server="", more="", address="127.0.0.1"):
        self.address, self.port = address, lib.free_port()
        self.to = to
        self.bind, self.server, self.more = bind, server, more

    @property
    def at(self):
        return self.address, self.port

    def text(self):
        return FRONT.format(
            port=self.port, bind=_hostport(self.address, self.port),
            words=self.bind, more=self.more,
            server=_hostport(*self.to) + " " + self.server)


class HAProxy:
    def __init__(self, *fronts):
        self.fronts = fronts
        self.program = None

    def __enter__(self):
        return self.start()

    def __exit__(self, *exc):
        self.stop()

    def start(self):
        tree = os.path.join(lib.mta_dir(), "haproxy")
        if not os.path.isdir(tree):
            raise lib.Skip("no haproxy: run `make test-deps`")
        path = os.path.join(lib.mkdtemp("haproxy"), "haproxy.cfg")
        with open(path, "w") as f:
            f.write(CONFIG + "".join(front.text() for front in self.fronts))
        env = dict(os.environ)
        env["LD_LIBRARY_PATH"] = ":".join(
            glob.glob(os.path.join(tree, "usr/lib/*-linux-gnu*")))
        self.program = lib.Program(os.path.join(tree, "usr/sbin/haproxy"),
                                   "-db", "-f", path, env=env)
        lib.on_failure(lambda: "log of haproxy:\n" + self.log_text()[-2000:])
        lib.wait_until(
            lambda: all(lib.listening(*front.at) for front in self.fronts),
            10, lambda: "haproxy to listen:\n" + self.log_text())
        return self

    def stop(self):
        if self.program is not None:
            self.program.kill()

    def log_text(self):
        return self.program.text

    def wait_for_log(self, text, timeout=10):
        """Wait until it has logged this."""
        lib.wait_until(lambda: text in self.log_text(), timeout,
                       lambda: "%r in the log of haproxy:\n%s" % (
                           text, self.log_text()))
