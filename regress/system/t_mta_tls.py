#!/usr/bin/python3
"""Real mail servers with TLS on both legs: behind the proxy Postfix and Exim,
verified; in front of it the same as clients that insist."""

import shutil

import lib
import lib_tls
from lib import RawClient, Skip, check, check_match, check_octets
from mta.exim import Exim
from mta.postfix import Postfix

CA = "/etc/ca.pem"
FAR = "far.example"
BODY = (b"..two dots\r\n.\r\n.one dot\r\n" + b"x" * 900 +
        b"\r\n\r\nFrom here\r\n")


def text(path):
    with open(path) as f:
        return f.read()


def with_tls(mta_class, **kw):
    cert = lib_tls.certificate()
    return mta_class(port=lib.free_port(),
                     tls=(text(cert.cert), text(cert.key)), **kw)


def secure(mta, **kw):
    """TLS on both legs, the destination's verified by its name."""
    return lib_tls.proxy((lib_tls.NAME, mta.port), listen="tls pki mx",
                         forward="tls " + lib_tls.ca(), **kw)


@lib.cases("mta", [Postfix, Exim])
@lib.long
def test_behind(mta_class):
    """Its extensions are those that it has in TLS, and octets arrive."""
    with with_tls(mta_class) as mta, secure(mta) as proxy:
        for bdat in (False, True):
            c = lib_tls.starttls(proxy)
            if bdat and "CHUNKING" not in c.words:
                c.close()
                continue
            mark = lib.marker()
            content = lib.make_message(mark, body=BODY)
            c.envelope(params="BODY=8BITMIME")
            if bdat:
                c.bdat(content)
            else:
                c.data(content)
            c.quit()
            found, = mta.find(mark)
            check_octets(found.crlf, content, "content")
        record = lib_tls.session(proxy, reason="quit")
        check_match(r"TLSv1\.[23]$", record["dest_tls"])
        check(record["dest_verify"] == "ok", lambda: "%r" % record)


@lib.long
def test_swaks():
    with with_tls(Postfix) as mta, secure(mta) as proxy:
        if shutil.which("swaks") is None:
            raise Skip("no swaks: make test-deps")
        swaks = lib.Program(
            "swaks", "--server", "127.0.0.1", "--port",
            str(proxy.port), "--tls", "--tls-verify", "--tls-ca-path",
            lib_tls.root(lib_tls.ROOT).cert, "--to", "user@test.example",
            "--from", "sender@client.example", "--ehlo", "client.example")
        swaks.wait(30)
        mta.wait_for_mail(1)


# Their own words for "in TLS, with this name, or not at all".
POSTFIX = """
relay_domains = %s
relay_transport = smtp:[127.0.0.1]:%%d
smtp_tls_security_level = secure
smtp_tls_CAfile = %s
smtp_tls_secure_cert_match = %%s
smtp_tls_loglevel = 1
""" % (FAR, CA)
EXIM_ACL = "  accept domains = %s\n" % FAR
EXIM_ROUTER = """
out:
  driver = manualroute
  domains = %s
  route_list = * 127.0.0.1 byname
  self = send
  transport = out
""" % FAR
EXIM_TRANSPORT = """
out:
  driver = smtp
  port = %%d
  allow_localhost
  hosts_require_tls = *
  tls_verify_hosts = *
  tls_verify_cert_hostnames =
  tls_verify_certificates = %s
""" % CA


def client(mta_class, proxy, name):
    etc = [(CA, text(lib_tls.root(lib_tls.ROOT).cert))]
    if mta_class is Postfix:
        return Postfix(port=lib.free_port(), etc=etc,
                       extra=POSTFIX % (proxy.port, name))
    return Exim(port=lib.free_port(), etc=etc, acl=EXIM_ACL,
                routers=EXIM_ROUTER,
                transports=EXIM_TRANSPORT % proxy.port)


@lib.cases("mta", [Postfix, Exim])
@lib.long
def test_in_front(mta_class):
    """A client that verifies, and behind the proxy another that offers."""
    with with_tls(Postfix, domain=FAR) as behind, \
            secure(behind, extra="add-header trace") as proxy, \
            client(mta_class, proxy, lib_tls.NAME) as front:
        mark = lib.marker()
        c = RawClient("127.0.0.1", front.port)
        c.greet()
        c.envelope(recipients=["user@" + FAR])
        c.data(lib.make_message(mark))
        c.quit()
        found, = behind.find(mark)
        check_match(r"(?s).*using TLSv1\.[23] with cipher", found.crlf
                    .decode("latin-1"))
        record = lib_tls.session(proxy, delivered="1")
        check_match(r"TLSv1\.[23]$", record["tls"])
        check_match(r"TLSv1\.[23]$", record["dest_tls"])


@lib.long
def test_a_client_that_verifies_another_name():
    """It does not trust the proxy's certificate, and keeps its mail."""
    with with_tls(Postfix, domain=FAR) as behind, secure(behind) as proxy, \
            client(Postfix, proxy, "other.example") as front:
        c = RawClient("127.0.0.1", front.port)
        c.greet()
        c.envelope(recipients=["user@" + FAR])
        c.data(lib.make_message())
        c.quit()
        front.wait_for_log(r"status=deferred .*certificate")
        check(behind.count() == 0, "mail has come through")


if __name__ == "__main__":
    lib.main()
