#!/usr/bin/python3
"""Real mail programs at both ends: Postfix, Exim, OpenSMTPD and Sendmail
behind the proxy, swaks, smtp-source and smtplib in front of it."""

import shutil
import smtplib

import lib
from lib import Proxy, RawClient, Skip, check, check_equal, check_octets
from mta.exim import Exim
from mta.opensmtpd import OpenSMTPD
from mta.postfix import Postfix, tool
from mta.sendmail import Sendmail

MTAS = [Postfix, Exim, OpenSMTPD, Sendmail]

BODY = (b"..two dots\r\n.\r\n.one dot\r\n\r\n"
        b"trailing blanks  \t\r\nhigh \xc3\xa9\xff octets\r\n" +
        b"x" * 900 + b"\r\n\r\nFrom here\r\n>From there\r\n\r\n\r\n")


def both(mta):
    """A proxy in front of both addresses of a server."""
    four, six = lib.free_port(), lib.free_port()
    conf = Proxy.conf_to(("127.0.0.1", mta.port), name="four",
                         listen=[("127.0.0.1", four)])
    conf += Proxy.conf_to(("::1", mta.port), name="six",
                          listen=[("::1", six)])
    return Proxy(conf), (("127.0.0.1", four), ("::1", six))


@lib.cases("mta", MTAS)
def test_octets_arrive(mta_class):
    with mta_class(port=lib.free_port()) as mta:
        proxy, ways = both(mta)
        with proxy:
            for n, where in enumerate(ways):
                mark = lib.marker()
                content = lib.make_message(mark, body=BODY)
                c = RawClient(*where)
                words = c.greet()
                check("STARTTLS" not in words, "STARTTLS passed")
                c.envelope(recipients=["one@test.example",
                                       "two@test.example"],
                           params="BODY=8BITMIME")
                c.data(content)
                c.quit()
                mta.wait_for_mail(2 * n + 2)
                found = mta.find(mark)
                check_equal(sorted(d.recipient for d in found),
                            ["one@test.example", "two@test.example"])
                for d in found:
                    check_equal(d.sender, "sender@client.example")
                    check_octets(d.crlf, content, "content")
                record = proxy.wait_for_record(relay=("four", "six")[n],
                                               delivered="yes")
                check_equal(record["nrcpt"], "2")


@lib.cases("mta", MTAS)
@lib.timeout(120)
@lib.long
def test_25_megabytes(mta_class):
    with mta_class(port=lib.free_port()) as mta, Proxy.to(
            ("127.0.0.1", mta.port)) as proxy:
        content = lib.make_message(size=25 * 1000 * 1000)
        c = RawClient(proxy.address, proxy.port, timeout=60)
        c.greet()
        c.envelope()
        c.data(content)
        c.quit()
        check_octets(mta.wait_for_mail()[0].crlf, content, "content")


@lib.cases("mta", [Postfix, Exim])
def test_bdat(mta_class):
    with mta_class(port=lib.free_port()) as mta, Proxy.to(
            ("127.0.0.1", mta.port)) as proxy:
        content = lib.make_message(body=BODY)
        c = RawClient(proxy.address, proxy.port)
        check("CHUNKING" in c.greet(), "no CHUNKING")
        c.envelope(params="BODY=8BITMIME")
        c.bdat(content, chunk=100)
        c.quit()
        check_octets(mta.wait_for_mail()[0].crlf, content, "content")


@lib.cases("mta", MTAS)
def test_errors_are_the_servers_own(mta_class):
    """The same dialogue with and without the proxy: the same replies, but
    for what tells one session from another."""
    lines = ["NOOP", "VRFY user@test.example",
             "MAIL FROM:<a@client.example>", "DATA", "RSET",
             "RCPT TO:<user@test.example>", "QUIT"]
    with mta_class(port=lib.free_port()) as mta, Proxy.to(
            ("127.0.0.1", mta.port)) as proxy:
        said = []
        for where in (("127.0.0.1", mta.port), (proxy.address, proxy.port)):
            c = RawClient(*where)
            c.greet()
            codes = []
            for line in lines:
                c.line(line)
                codes.append(c.read_reply()[0])
            said.append(codes)
            c.close()
        check_equal(said[1], said[0], "codes")


@lib.cases("mta", [Postfix, OpenSMTPD])
def test_lenient_servers_take_no_smuggled_mail(mta_class):
    with mta_class(port=lib.free_port()) as mta, Proxy.to(
            ("127.0.0.1", mta.port)) as proxy:
        for end in (b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r", b"\r\r\n.\r\n",
                    b"\r\n\0.\r\n"):
            c = RawClient(proxy.address, proxy.port)
            c.greet()
            c.envelope()
            c.cmd("DATA", 354)
            c.send(b"Subject: outer\r\n\r\ntext" + end +
                   b"MAIL FROM:<evil@client.example>\r\n"
                   b"RCPT TO:<user@test.example>\r\nDATA\r\n"
                   b"Subject: smuggled\r\n\r\n.\r\n")
            c.expect(554)
            c.close()
        # One good message behind them, so that we know when all is in.
        c = RawClient(proxy.address, proxy.port)
        c.greet()
        c.envelope()
        c.data(lib.make_message())
        c.quit()
        mta.wait_for_mail(1)
        check_equal(mta.messages_accepted(), 1, "messages accepted")


@lib.cases("mta", [Postfix, OpenSMTPD])
def test_normalised_mail_is_not_smuggled_either(mta_class):
    inner = (b"MAIL FROM:<evil@client.example>\r\n"
             b"RCPT TO:<user@test.example>\r\nDATA\r\n")
    with mta_class(port=lib.free_port()) as mta, Proxy.to(
            ("127.0.0.1", mta.port),
            extra="strict-newlines normalize") as proxy:
        sent = 0
        for end, became in ((b"\n.\n", b"\r\n.\r\n"),
                            (b"\n.\r\n", b"\r\n.\r\n"),
                            (b"\r\n.\n", b"\r\n\r\n"),
                            (b"\r\n.\r\r\n", b"\r\n\r\n")):
            mark = lib.marker()
            head = lib.make_message(mark, body=b"text")
            c = RawClient(proxy.address, proxy.port)
            c.greet()
            c.envelope()
            c.cmd("DATA", 354)
            c.send(head + end + inner + b".\r\n")
            c.expect(250)
            c.quit()
            sent += 1
            found = mta.find(mark)
            check_equal(len(found), 1, "deliveries")
            check_octets(found[0].crlf, head + became + inner, "content")
        mta.wait_for_accepted(sent)


@lib.cases("mta", MTAS)
def test_load(mta_class):
    with mta_class(port=lib.free_port()) as mta, Proxy.to(
            ("127.0.0.1", mta.port)) as proxy:
        got = lib.load(proxy.address, proxy.port, sessions=10, concurrency=4,
                       messages=3, size=3000, recipients=2,
                       pipeline=mta_class is not OpenSMTPD)
        check_equal((got["ok"], got["failed"]), (30, 0))
        mta.wait_for_mail(60)
        check_equal(mta.messages_accepted(), 30)


def test_swaks():
    if shutil.which("swaks") is None:
        raise Skip("no swaks: make test-deps")
    with Exim(port=lib.free_port()) as mta, Proxy.to(
            ("127.0.0.1", mta.port)) as proxy:
        mark = lib.marker()
        for more in ([], ["--pipeline"]):
            lib.Program("swaks", "--server", proxy.address, "--port",
                        proxy.port, "--from", "a@client.example", "--to",
                        "user@test.example", "--header",
                        "X-Marker: " + mark.decode(), *more).wait()
        mta.wait_for_mail(2)
        check_equal(len(mta.find(mark)), 2)


def test_smtp_source():
    path, env = tool("smtp-source")
    with Postfix(port=lib.free_port()) as mta, Proxy.to(
            ("127.0.0.1", mta.port)) as proxy:
        lib.Program(path, "-s", 10, "-m", 100, "-d", "-l", 4096, "-t",
                    "user@test.example", "-f", "a@client.example",
                    "%s:%d" % (proxy.address, proxy.port), env=env).wait()
        mta.wait_for_mail(100)
        check_equal(mta.messages_accepted(), 100)


def test_smtplib():
    with Sendmail(port=lib.free_port()) as mta, Proxy.to(
            ("127.0.0.1", mta.port)) as proxy:
        mark = lib.marker()
        with smtplib.SMTP(proxy.address, proxy.port, "client.example",
                          timeout=30) as s:
            refused = s.sendmail(
                "a@client.example", ["user@test.example"],
                lib.make_message(mark))
            check_equal(refused, {})
            try:
                s.sendmail("a@client.example", ["@"], "hi")
                raise lib.Failure("an address that is none was taken")
            except smtplib.SMTPRecipientsRefused:
                pass
        mta.wait_for_mail(1)
        check_equal(len(mta.find(mark)), 1)


def test_sendmail_offers_too_much():
    """Sendmail says VERB and AUTH DIGEST-MD5 in its EHLO reply: gone."""
    with Sendmail(port=lib.free_port()) as mta, Proxy.to(
            ("127.0.0.1", mta.port)) as proxy:
        c = RawClient(proxy.address, proxy.port)
        words = c.greet()
        check("VERB" not in words, "VERB passed")
        check("DIGEST-MD5" not in words.get("AUTH", ""), "%r" % words)
        c.cmd("VERB", (500, 502))
        c.envelope()
        c.data(lib.make_message())
        c.quit()


if __name__ == "__main__":
    lib.main()
