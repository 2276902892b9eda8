"""The proxies that are measured, and the case without one.

    Peer(workers, keys, pin)        runs, before a sink of its own
    .ports["plain"], .ports[key]    its listeners; keys are those with TLS
    .sink, .stop()

Each is one tree of processes, started from its release binary as an admin
would, with everything it needs in a folder of its own.
"""

import functools
import glob
import json
import os
import re
import resource
import select
import signal
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))), "system"))

import lib  # noqa: E402

HOST = "127.0.0.1"
DEADLINE = 120                  # seconds, for whatever is waited for
SESSIONS_MAX = 12000            # at the same time

KEYS = {
    "rsa": ["-newkey", "rsa:2048"],
    "p256": ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"],
}

NGINX = """
daemon off;
user nobody nogroup;
worker_processes %(workers)d;
pid %(dir)s/pid;
error_log %(dir)s/log error;
load_module %(tree)s/usr/lib/nginx/modules/ngx_mail_module.so;
events { worker_connections %(connections)d; }
http {
	access_log off;
	client_body_temp_path %(dir)s/body;
	proxy_temp_path %(dir)s/proxy;
	fastcgi_temp_path %(dir)s/fastcgi;
	uwsgi_temp_path %(dir)s/uwsgi;
	scgi_temp_path %(dir)s/scgi;
	server {
		listen %(host)s:%(auth)d backlog=1024;
		location / {
			add_header Auth-Status OK;
			add_header Auth-Server %(host)s;
			add_header Auth-Port %(sink)d;
			return 204;
		}
	}
}
mail {
	server_name gw.example;
	auth_http %(host)s:%(auth)d/;
	smtp_auth none;
	xclient off;
	timeout 600s;
	smtp_capabilities PIPELINING 8BITMIME SMTPUTF8 "SIZE 1073741824"
	    CHUNKING DSN ENHANCEDSTATUSCODES;
	ssl_protocols TLSv1.2 TLSv1.3;
	ssl_session_tickets on;
%(servers)s}
"""
NGINX_SERVER = ("\tserver {\n\t\tlisten %s:%d backlog=1024;\n"
                "\t\tprotocol smtp;\n%s\t}\n")
NGINX_TLS = ("\t\tstarttls on;\n\t\tssl_certificate %s;\n"
             "\t\tssl_certificate_key %s;\n")

HAPROXY = """global
    nbthread %(workers)d
    maxconn %(connections)d
defaults
    mode tcp
    timeout connect 10s
    timeout client 600s
    timeout server 600s
listen smtp
    bind %(host)s:%(port)d
    server sink %(host)s:%(sink)d
"""


def fail(text):
    sys.exit("%s: %s" % (os.path.basename(sys.argv[0]), text))


def make_keys(folder):
    """{name: (certificate, key)}; files for root only, as keys must be."""
    files = {}
    for name, options in KEYS.items():
        cert, key = (os.path.join(folder, name + ext)
                     for ext in (".crt", ".key"))
        subprocess.run(
            ["openssl", "req", "-x509", "-nodes", "-days", "2", "-sha256",
             "-subj", "/CN=gw.example", "-addext",
             "subjectAltName=DNS:gw.example", "-keyout", key, "-out", cert]
            + options, check=True, stderr=subprocess.DEVNULL)
        os.chmod(key, 0o600)
        files[name] = (cert, key)
    return files


def raise_limits():
    """Descriptors, for this process and all that it starts; returns how
    many.  In some containers even root can't have more than he was given."""
    want = 4 * SESSIONS_MAX
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < want:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (want, want))
            return want
        except (OSError, ValueError):
            pass
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def connections():
    """Those that a proxy may be told it has: it has other descriptors, too."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return min(limit - 100, 2 * SESSIONS_MAX)


def prepare_network():
    """Sessions that are over keep their ports for a minute: let there be
    more of them.  Those below are for listeners."""
    with open("/proc/sys/net/ipv4/ip_local_port_range", "w") as f:
        f.write("20000 65535")


def pinned(cpus):
    """For subprocess: what a child does first, to run on these alone."""
    if cpus is None:
        return None
    return functools.partial(os.sched_setaffinity, 0, cpus)


def read_line(stream, what):
    """The next line that a tool says; it is unbuffered, and JSON."""
    if not select.select([stream], [], [], DEADLINE)[0]:
        fail("%s does not say anything" % what)
    line = stream.readline()
    if not line:
        fail("%s ended" % what)
    return json.loads(line)


class Sink:
    """Where the mail goes: it takes all of it, and knows what it had."""

    def __init__(self, cpus=None, quickack=False):
        self.port = lib.free_port()
        self.proc = subprocess.Popen(
            [lib.build_tool("sink"), "-c", "-l", HOST,
             "-p", str(self.port)] + ["-q"] * quickack,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            preexec_fn=pinned(cpus))
        lib.wait_until(lambda: self.proc.poll() is not None or
                       lib.listening(HOST, self.port), DEADLINE, "the sink")

    def totals(self):
        self.proc.send_signal(signal.SIGUSR1)
        return read_line(self.proc.stdout, "the sink")

    def stop(self):
        self.proc.terminate()
        self.proc.wait(DEADLINE)
        self.proc.stdout.close()


class Peer:
    """A proxy that runs, with a listener for each key and one without.

    pin   (CPUs of the proxy, CPUs of client and destination), or None
    """

    tls = True                  # it can do STARTTLS
    quickack = False            # client and destination acknowledge at once
    env = None

    def __init__(self, workers, keys, pin=None):
        own, other = pin or (None, None)
        self.sink = Sink(other, self.quickack)
        self.load_cpus = other
        self.dir = lib.mkdtemp(self.name)
        keys = keys if self.tls else {}
        self.ports = {key: lib.free_port() for key in ["plain", *keys]}
        self.log = open(os.path.join(self.dir, "said"), "wb")
        self.proc = subprocess.Popen(
            self.command(workers, self.sink.port, keys),
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log,
            cwd=lib.ROOT, env=self.env, preexec_fn=pinned(own))
        for port in self.ports.values():
            lib.wait_until(lambda: self.proc.poll() is not None or
                           lib.listening(HOST, port), DEADLINE, "a listener")
        if self.proc.poll() is not None:
            fail("%s ended: %s" % (self.name, self.said()))

    def said(self):
        with open(self.log.name, errors="replace") as f:
            return f.read()[-2000:]

    def file(self, name, text):
        path = os.path.join(self.dir, name)
        with open(path, "w") as f:
            f.write(text)
        os.chmod(path, 0o600)
        return path

    def pids(self):
        return [self.proc.pid] + lib.descendants_of(self.proc.pid)

    def stop(self):
        self.proc.terminate()
        self.proc.wait(DEADLINE)
        self.log.close()
        self.sink.stop()


class Smtpproxyd(Peer):
    name = "smtpproxyd"
    binary = os.environ.get("SMTPPROXYD") or \
        os.path.join(lib.ROOT, "smtpproxyd", "smtpproxyd")

    def command(self, workers, sink_port, keys):
        lines = ["workers %d" % workers, 'hostname "gw.example"']
        for name, (cert, key) in keys.items():
            lines += ['pki %s cert "%s"' % (name, cert),
                      'pki %s key "%s"' % (name, key)]
        for name, port in self.ports.items():
            tls = " tls pki " + name if name in keys else ""
            lines += ['relay "%s" {' % name,
                      "\tlisten on %s port %d%s" % (HOST, port, tls),
                      "\tforward to %s port %d" % (HOST, sink_port), "}"]
        return [self.binary, "-d", "-f",
                self.file("conf", "\n".join(lines) + "\n")]

    @classmethod
    def version(cls):
        if not os.path.exists(cls.binary):
            fail("no %s: make all tools" % cls.binary)
        with open(os.path.join(lib.ROOT, "smtpproxyd", "version.h")) as f:
            version = re.search(r'VERSION\s+"(.*)"', f.read()).group(1)
        commit = subprocess.run(
            ["git", "-C", lib.ROOT, "describe", "--always", "--dirty"],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        return "smtpproxyd/%s %s" % (version, commit.stdout.strip())


class Nginx(Peer):
    name = "nginx"
    # It leaves Nagle's algorithm on and writes in pieces: else it would wait
    # 40 ms for an acknowledgement in each message.
    quickack = True
    tree = os.path.join(lib.mta_dir(), "nginx")
    binary = os.path.join(tree, "usr", "sbin", "nginx")

    def command(self, workers, sink_port, keys):
        servers = ""
        for name, port in self.ports.items():
            tls = NGINX_TLS % keys[name] if name in keys else ""
            servers += NGINX_SERVER % (HOST, port, tls)
        os.chmod(self.dir, 0o755)
        conf = self.file("conf", NGINX % {
            "workers": workers, "dir": self.dir, "tree": self.tree,
            "host": HOST, "auth": lib.free_port(), "sink": sink_port,
            "servers": servers, "connections": connections()})
        return [self.binary, "-p", self.dir, "-e", self.dir + "/log",
                "-c", conf]

    @classmethod
    def version(cls):
        if not os.path.exists(cls.binary):
            return None
        got = subprocess.run([cls.binary, "-v"], stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT, text=True)
        return got.stdout.strip().replace("nginx version: ", "")


class HAProxy(Peer):
    name = "haproxy"
    tls = False
    tree = os.path.join(lib.mta_dir(), "haproxy")
    binary = os.path.join(tree, "usr", "sbin", "haproxy")
    env = dict(os.environ, LD_LIBRARY_PATH=":".join(
        glob.glob(os.path.join(tree, "usr/lib/*-linux-gnu*"))))

    def command(self, workers, sink_port, keys):
        conf = self.file("conf", HAPROXY % {
            "workers": workers, "host": HOST, "port": self.ports["plain"],
            "sink": sink_port, "connections": connections() // 2})
        return [self.binary, "-db", "-f", conf]

    @classmethod
    def version(cls):
        if not os.path.exists(cls.binary):
            return None
        got = subprocess.run([cls.binary, "-v"], stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT, text=True, env=cls.env)
        return re.sub(r"^HAProxy version (\S+).*", r"haproxy/\1",
                      got.stdout.partition("\n")[0])


class Direct:
    """The client talks to the destination itself: what the machine, the
    load and the sink can do, and how steady the machine is."""

    name = "direct"
    tls = False
    quickack = False

    def __init__(self, workers, keys, pin=None):
        self.load_cpus = pin[1] if pin else None
        self.sink = Sink(self.load_cpus)
        self.ports = {"plain": self.sink.port}

    def pids(self):
        return []

    def stop(self):
        self.sink.stop()

    @classmethod
    def version(cls):
        return ""


PEERS = {peer.name: peer for peer in (Smtpproxyd, HAProxy, Nginx, Direct)}
