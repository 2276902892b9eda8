"""TLS for the tests: a small CA, clients, and destinations.

    cert = lib_tls.certificate()            for mx.test.example
    with TlsServer(cert) as server, \\
            lib_tls.proxy(server, listen="tls pki mx", pki={"mx": cert},
                          forward="tls") as proxy:
        c = TlsClient(proxy.address, proxy.port)
        c.greet()
        c.starttls()
        ...

All is made with openssl(1) the first time that it is asked for, and lasts as
long as the test file.
"""

import collections
import ctypes
import functools
import os
import re
import shutil
import ssl
import subprocess
import threading

import lib
from lib import Conn, Failure, Proxy, RawClient, ScriptedServer, Skip, check

NAME = "mx.test.example"
# Hosts of the tests' own /etc/hosts.
HOSTS = {NAME: "127.0.0.1", "a.test.example": "127.0.0.11",
         "b.test.example": "127.0.0.12", "six.test.example": "::1"}
KINDS = {
    "rsa": ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
    "p256": ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
    "ed25519": ["-algorithm", "ED25519"],
}
VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}

# cert: the certificate and what belongs between it and the root; key: its
# private key; both are files.
Certificate = collections.namedtuple("Certificate", "cert key")


# The CA.

def openssl(*argv):
    """Run openssl(1); returns what it printed."""
    if shutil.which("openssl") is None:
        raise Skip("no openssl: make test-deps")
    got = subprocess.run(["openssl"] + [str(a) for a in argv],
                         stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                         stderr=subprocess.PIPE)
    check(got.returncode == 0, lambda: "openssl %s:\n%s" % (
        " ".join(map(str, argv)), got.stderr.decode(errors="replace")))
    return got.stdout


@functools.lru_cache(None)
def folder():
    return lib.mkdtemp("ca")


_number = [0]


def new_file(text=None):
    """The path of a file of the CA's, with this text."""
    _number[0] += 1
    path = os.path.join(folder(), "%d.pem" % _number[0])
    if text is not None:
        with open(path, "w") as f:
            f.write(text)
    return path


def new_key(kind):
    path = new_file()
    openssl("genpkey", *KINDS[kind], "-out", path)
    os.chmod(path, 0o600)
    return path


ROOT = "Test Root"         # the CA that counts; others are foreign


@functools.lru_cache(None)
def root(name):
    key, cert = new_key("p256"), new_file()
    openssl("req", "-x509", "-key", key, "-subj", "/CN=" + name, "-days", 9,
            "-out", cert)
    return Certificate(cert, key)


@functools.lru_cache(None)
def intermediate(name):
    """What issues certificates below the root of this name."""
    key = new_key("p256")
    return Certificate(_sign(key, "/CN=%s, below" % name, root(name),
                             "basicConstraints=critical,CA:TRUE", 9), key)


def _sign(key, subject, issuer, extensions, days):
    request, cert = new_file(), new_file()
    openssl("req", "-new", "-key", key, "-subj", subject, "-out", request)
    openssl("x509", "-req", "-in", request, "-CA", issuer.cert, "-CAkey",
            issuer.key, "-days", days, "-extfile",
            new_file(extensions + "\n"), "-out", cert)
    return cert


@functools.lru_cache(None)
def certificate(names=(NAME,), kind="p256", fault=None, use="server",
                subject=None, ca=ROOT):
    """A certificate for host names and addresses.

    fault   "expired", "self-signed", "no intermediate"
    use     "server" or "client"
    ca      the name of the root it comes from
    """
    key = new_key(kind)
    subject = subject or "/CN=" + (names[0] if names else "nobody")
    lines = ["basicConstraints=CA:FALSE", "extendedKeyUsage=%sAuth" % use]
    if names:
        lines.append("subjectAltName=" + ",".join(
            ("IP:" if re.match(r"[\d.]+$|.*:", n) else "DNS:") + n
            for n in names))
    if fault == "self-signed":
        cert = new_file()
        more = [a for line in lines[2:] for a in ("-addext", line)]
        openssl("req", "-x509", "-key", key, "-subj", subject, "-days", 2,
                "-out", cert, *more)
        return Certificate(cert, key)
    issuer = intermediate(ca)
    cert = _sign(key, subject, issuer, "\n".join(lines),
                 -1 if fault == "expired" else 2)
    if fault != "no intermediate":
        with open(cert, "a") as f, open(issuer.cert) as more:
            f.write(more.read())
    return Certificate(cert, key)


def wrong_name():
    return certificate(names=("else.test.example",))


def pem(cert=None):
    """(certificates, key) of a Certificate as text, for a mail server."""
    texts = []
    for path in cert or certificate():
        with open(path) as f:
            texts.append(f.read())
    return tuple(texts)


def leaf_der(cert):
    """The certificate itself, as a peer sees it."""
    with open(cert.cert) as f:
        return ssl.PEM_cert_to_DER_cert(
            f.read().partition("-----END")[0] + ssl.PEM_FOOTER)


# Hosts, and the proxy.

MS_BIND = 4096


@functools.lru_cache(None)
def hosts():
    """Names of HOSTS are known from now on, in this file's namespace."""
    lines = ["127.0.0.1 localhost"] + ["%s %s" % (a, n)
                                       for n, a in HOSTS.items()]
    path = new_file("\n".join(lines) + "\n")
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(path.encode(), b"/etc/hosts", None, MS_BIND, None) != 0:
        raise Skip("cannot lay a file over /etc/hosts: %s"
                   % os.strerror(ctypes.get_errno()))


def pki_conf(pki):
    """The lines for {name: Certificate}."""
    return "".join('pki %s cert "%s"\npki %s key "%s"\n' % (n, c.cert, n,
                                                            c.key)
                   for n, c in pki.items())


def proxy(*to, listen="", forward="", pki=None, extra="", top="",
          workers=2, address="127.0.0.1", **kw):
    """A proxy with one relay, to be started.

    to        servers, or (host, port)
    listen    words behind `listen on ... port ...`; a list makes as many
              listeners
    forward   words behind `forward to ...`, for all
    pki       {name: Certificate}, of which "mx" is made when none is given
    """
    hosts()
    if pki is None:
        pki = {"mx": certificate()} if "pki" in str(listen) else {}
    text = "workers %d\n%s%s\n" % (workers, pki_conf(pki), top)
    text += 'relay "test" {\n'
    for words in [listen] if isinstance(listen, str) else listen:
        text += "\tlisten on %s port %d %s\n" % (address, lib.free_port(),
                                                 words)
    for server in to:
        host, port = server if isinstance(server, tuple) else server.at
        text += "\tforward to %s port %d %s\n" % (host, port, forward)
    text += "".join("\t%s\n" % line for line in extra.splitlines()) + "}\n"
    return Proxy(text, **kw)


def ca(name=ROOT):
    """The words that make this root the one that counts."""
    return 'ca "%s"' % root(name).cert


def session(proxy, after=0, **fields):
    """The log's line of a session that has ended."""
    return proxy.wait_for_record(after=after, _kind="session", **fields)


# Clients.

def client_context(version=None, ciphers=None, cert=None, verify=True,
                   trust=ROOT):
    """version: "1.2", "1.3", or None for both; cert: a client's own."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if version is not None:
        context.minimum_version = context.maximum_version = VERSIONS[version]
    if ciphers is not None:
        context.set_ciphers(ciphers)
    if verify:
        context.load_verify_locations(root(trust).cert)
    else:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if cert is not None:
        context.load_cert_chain(*cert)
    return context


class TlsClient(RawClient):
    """A client that can begin TLS at any time."""

    def handshake(self, context=None, sni=NAME, session=None):
        """TLS from here on; ssl.SSLError or OSError where it fails."""
        context = context or client_context()
        check(not self._in, lambda: "%r in front of TLS" % self._in)
        self.sock = context.wrap_socket(self.sock, server_hostname=sni,
                                        session=session)
        self.transcript.append(("C", b"(TLS)"))

    def starttls(self, context=None, sni=NAME, session=None):
        self.cmd("STARTTLS", 220)
        self.handshake(context, sni, session)

    def is_tls(self):
        return isinstance(self.sock, ssl.SSLSocket)

    def readable(self, seconds=0):
        if self.is_tls() and self.sock.pending() > 0:
            return True
        return super().readable(seconds)


def connect(proxy, listener=0, **kw):
    return TlsClient(*proxy.listeners[listener], **kw)


def starttls(proxy, listener=0, context=None, sni=NAME, session=None, **kw):
    """A client that has greeted, and greeted again in TLS."""
    c = connect(proxy, listener, **kw)
    try:
        c.greet()
        c.starttls(context, sni, session)
        c.words = c.ehlo()
    except Exception:
        c.close()
        raise
    return c


def implicit(proxy, listener=0, context=None, sni=NAME, session=None, **kw):
    """The same with TLS from the first octet on."""
    c = connect(proxy, listener, **kw)
    try:
        c.handshake(context, sni, session)
        c.words = c.greet()
    except Exception:
        c.close()
        raise
    return c


def deliver(c, size=0):
    """One message of a client that has greeted; returns its content."""
    content = lib.make_message(size=size)
    c.envelope()
    c.data(content)
    return content


def s_client(address, port, *more, say=b"QUIT\r\n", code=0, starttls=True):
    """openssl s_client, which says these octets once TLS stands; returns
    what it printed."""
    if shutil.which("openssl") is None:
        raise Skip("no openssl: make test-deps")
    argv = ["openssl", "s_client", "-connect", "%s:%d" % (address, port),
            "-ign_eof", "-CAfile", root(ROOT).cert, "-servername", NAME]
    argv += ["-starttls", "smtp"] * starttls + [str(a) for a in more]
    got = subprocess.run(argv, input=say, stdout=subprocess.PIPE,
                         stderr=subprocess.STDOUT, timeout=30 * lib.SLOW)
    text = got.stdout.decode("utf-8", "surrogateescape")
    check(code is None or got.returncode == code, lambda: "%s: exit %d:\n%s"
          % (" ".join(argv), got.returncode, text))
    return text


# A ClientHello of our own making, for what no library offers any more.

def hello(version=0x0303, ciphers=(0xc02b, 0xc02f), compressions=(0,),
          record=0x0301, groups=(0x1d, 0x17, 0x18)):
    """A ClientHello record of up to TLS 1.2."""
    def block(data, octets=2):
        return len(data).to_bytes(octets, "big") + data

    def words(numbers):
        return b"".join(n.to_bytes(2, "big") for n in numbers)
    schemes = (0x0403, 0x0804, 0x0401, 0x0807, 0x0501, 0x0201, 0x0203)
    extensions = [(10, block(words(groups))), (11, block(b"\0", 1)),
                  (13, block(words(schemes))), (0xff01, block(b"", 1))]
    body = words([version]) + os.urandom(32) + block(b"", 1) + \
        block(words(ciphers)) + block(bytes(compressions), 1)
    if version > 0x0300:
        body += block(b"".join(words([n]) + block(data)
                               for n, data in extensions))
    return b"\x16" + words([record]) + block(b"\x01" + block(body, 3))


def answer_to(c, octets):
    """What a server says first to these: ("alert", description), or
    ("hello", version, cipher, compression), or None for its end."""
    c.send(octets)
    try:
        head = c.read_octets(5)
        body = c.read_octets(int.from_bytes(head[3:], "big"))
    except Failure:
        return None
    finally:
        c.close()
    if head[0] == 0x15:
        return "alert", body[1]
    check(head[0] == 0x16 and body[0] == 2, lambda: "%r" % (head + body))
    at = 6 + 32
    at += 1 + body[at]
    return ("hello", int.from_bytes(body[4:6], "big"),
            int.from_bytes(body[at:at + 2], "big"), body[at + 2])


# Destinations.

class TlsConn(Conn):
    """tls         the name of the protocol ("TLSv1.3"), None: in clear
    sni         the name that the client asked for
    tls_error   why there is no TLS
    in_clear, in_tls   command lines, by how they came
    subject     of the client's certificate
    """

    def __init__(self, *args):
        super().__init__(*args)
        self.tls = self.sni = self.tls_error = None
        self.begins = None

    @property
    def in_clear(self):
        return list(self.commands[:self.begins])

    @property
    def in_tls(self):
        return [] if self.begins is None else self.commands[self.begins:]

    def serve(self):
        if self.server.implicit:
            try:
                self.begin_tls()
            except OSError:
                self.sock.close()
                self.closed.set()
                return
        super().serve()

    def begin_tls(self):
        """Take the client's handshake."""
        try:
            self.sock = self.server.context.wrap_socket(
                self.sock, server_side=True, do_handshake_on_connect=False)
            self.sock.conn = self
            self.sock.do_handshake()
            self.tls = self.sock.version()
        except OSError as e:
            self.tls_error = str(e)
            raise
        self.begins = len(self.commands)

    def ehlo_words(self):
        words = super().ehlo_words()
        if self.tls is None:
            return words
        words = [w for w in words if w != "STARTTLS"]
        return words if self.server.ehlo_tls is None else \
            list(self.server.ehlo_tls)

    def pending(self):
        if self.tls is None:
            return super().pending()
        return bool(self._in) or self.sock.pending() > 0 or \
            lib.can_do(self.sock, lib.select.POLLIN)

    def _do_starttls(self, arg, verb):
        if self.tls is not None or "STARTTLS" not in self.server.ehlo:
            self.answer(verb, "503 5.5.1 no TLS now", arg)
            return
        if self.answer(verb, "220 2.0.0 go ahead", arg) != "2":
            return
        try:
            self.begin_tls()
        except OSError:
            self.close()
        self._forget()
        self.helo = None


class TlsServer(ScriptedServer):
    """A destination with TLS.

    cert       its Certificate
    starttls   whether it offers STARTTLS
    implicit   TLS from the first octet on
    ehlo_tls   keywords of its EHLO reply in TLS, where they are others
    version    "1.2" or "1.3", None: both
    A reply "STARTTLS" of replies that begins with 2 is followed by the
    handshake, whatever else it says.
    """

    conn_class = TlsConn

    def __init__(self, cert=None, starttls=True, implicit=False,
                 ehlo_tls=None, version=None, **kw):
        kw.setdefault("name", NAME)
        kw.setdefault("address", HOSTS.get(NAME))
        super().__init__(**kw)
        if starttls and not implicit and "STARTTLS" not in self.ehlo:
            self.ehlo.insert(1, "STARTTLS")
        self.implicit = implicit
        self.ehlo_tls = ehlo_tls
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(*(cert or certificate()))
        self.context.sni_callback = self._on_sni
        if version is not None:
            self.context.minimum_version = self.context.maximum_version = \
                VERSIONS[version]

    @staticmethod
    def _on_sni(sock, name, context):
        sock.conn.sni = name


# Many at once.

def in_threads(n, func):
    """Run func(number) n times at once; returns what they return, and fails
    with the first failure."""
    results, errors = [None] * n, []

    def run(k):
        try:
            results[k] = func(k)
        except (Exception, Failure) as e:
            errors.append("%d: %s: %s" % (k, type(e).__name__, e))
    threads = [threading.Thread(target=run, args=(k,)) for k in range(n)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    check(not errors, lambda: "%d of %d failed, first %s" % (
        len(errors), n, errors[0]))
    return results
