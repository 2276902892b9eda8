#!/usr/bin/python3
"""Workers that were taken over: what one says to the parent against the
rules of the channel costs that worker its life, is logged once with what was
wrong, and harms nobody else.  regress/tools/liar.c is smtpproxyd with such
workers; the name before the first dot of hostname says which lie it tells."""

import lib
import lib_gateway
from lib import Proxy, RawClient, ScriptedServer, check, check_equal

# The liar is built as the daemon is, not as a checker's build.
LONG = True

# The lie, and what the log has to say of it.
LIES = [
    ("session", r"violation by worker\[\d\].*SESSION_END.*session"),
    ("twice", r"violation by worker\[\d\].*SESSION_END.*session"),
    ("choice", r"violation by worker\[\d\].*CONNECT.*choice"),
    ("repeat", r"violation by worker\[\d\].*CONNECT.*choice"),
    ("first", r"violation by worker\[\d\].*CONNECT.*choice"),
    ("stranger", r"violation by worker\[\d\].*CONNECT.*session"),
    ("address", r"violation by worker\[\d\].*CONNECT.*length"),
    ("after", r"violation by worker\[\d\].*CONNECT.*session"),
    ("other", r"violation by worker\[\d\].*CONNECT.*session"),
    ("type", r"violation by worker\[\d\].*CONF_BEGIN.*sender"),
    ("unknown", r"violation by worker\[\d\].*250 \(unknown\).*type"),
    ("size", r"violation by worker\[\d\].*SESSION_END.*length"),
    ("short", r"violation by worker\[\d\].*CONNECT.*length"),
    ("descriptor", r"violation by worker\[\d\].*SESSION_END.*descriptors"),
    ("descriptors", r"violation by worker\[\d\].*SESSION_END.*descriptors"),
    ("state", r"violation by worker\[\d\].*READY.*state"),
    ("hello", r"violation by worker\[\d\].*HELLO.*state"),
    ("failed", r"violation by worker\[\d\].*FAILED.*state"),
    ("pong", r"violation by worker\[\d\].*PONG.*nobody asked"),
    ("sink", r"violation by worker\[\d\].*SINK_LOST.*sender"),
    ("garbage", r"violation by worker\[\d\]"),
    ("header", r"violation by worker\[\d\].*header"),
    ("length", r"violation by worker\[\d\].*header"),
    ("large", r"violation by worker\[\d\].*truncated"),
    ("flood", r"violation by worker\[\d\].*CONNECT.*choice"),
]


def liar(server, lie):
    return Proxy.to(server, ("127.0.0.9", server.port),
                    top='workers 2\nhostname "%s.liar.example"' % lie,
                    binary=lib.build_tool("liar"),
                    allow=["killed by signal 9"])


@lib.cases("lie", LIES)
def test_liar_is_killed_and_replaced(lie, said):
    with ScriptedServer() as server:
        proxy = liar(server, lie).start().settle()
        old = proxy.wait_children("worker", 2)
        parent = proxy.proc.pid
        before = lib.rss_kib(parent)
        # Until both workers have one: each may be ready later.
        clients = []
        lib.wait_until(lambda: proxy.find_log(said) or clients.append(
            RawClient(proxy.address, proxy.port)), 10, lambda: "%r:\n%s" % (
                said, proxy.log_tail()), interval=0.1)
        dead = r"worker\[\d\] pid (%s) killed by signal 9 \(Killed\): " \
            r"violation: .*replaced" % "|".join(map(str, old))
        proxy.wait_for_log(dead)
        for c in clients:
            c.close()
        # One line of the fault and one of the death, not one a message.
        found = [len(proxy.find_log(p)) for p in ("violation by", dead)]
        check(found[0] == found[1] <= len(old), proxy.log_tail())
        proxy.wait_children("worker", found[1], without=old)
        check_equal(proxy.proc.pid, parent)
        check(lib.alive(parent), "the parent has died")
        check(lib.rss_kib(parent) < before + 2048, "the parent grew")
        lib.wait_until(lambda: lib.fd_count(parent) < 30, 5,
                       "descriptors to be closed")


# Where every session has a destination of its own, and no other choice.
INTERCEPTED = [row for row in LIES if row[0] in (
    "session", "twice", "choice", "repeat", "first", "stranger", "address",
    "after", "other", "short")]


@lib.cases("lie", INTERCEPTED)
def test_liar_on_an_intercepting_relay(lie, said):
    """Whatever it asks for, the only connections are those that the parent
    made itself, one for each client, to where the client was going."""
    bed = lib_gateway.bed()
    bed.rules("tproxy")
    server = bed.serve(lib_gateway.SERVER[4], 25)
    other = bed.serve(lib_gateway.OTHER[4], 25)
    proxy = bed.proxy('hostname "%s.liar.example"\n' % lie +
                      lib_gateway.relay("tproxy"),
                      binary=lib.build_tool("liar"),
                      allow=["killed by signal 9"])
    proxy.settle()
    old = proxy.wait_children("worker", 2)
    clients = []
    lib.wait_until(lambda: proxy.find_log(said) or clients.append(
        bed.connect(*server.at)), 10, lambda: "%r:\n%s" % (
            said, proxy.log_tail()), interval=0.1)
    proxy.wait_for_log(r"worker\[\d\] pid (%s) killed by signal 9 \(Killed\): "
                       r"violation: .*replaced" % "|".join(map(str, old)))
    names = sorted(c.name for c in clients)
    for c in clients:
        c.close()
    found = len(proxy.find_log("violation by"))
    proxy.wait_children("worker", found, without=old)
    check(lib.alive(proxy.proc.pid), "the parent has died")
    check_equal(other.conns, [], "connections elsewhere")
    check(len(server.conns) <= len(names), "%d connections for %d clients" % (
        len(server.conns), len(names)))
    check_equal({c.peer[0] for c in server.conns} -
                {lib_gateway.CLIENT[4]}, set(), "addresses")


def test_silent_lie_empty_packet():
    """A packet without octets looks like the end of the channel: such a
    worker does not serve any longer, and is replaced too."""
    with ScriptedServer() as server:
        proxy = liar(server, "empty").start().settle()
        old = proxy.wait_children("worker", 2)
        clients = [RawClient(proxy.address, proxy.port) for _ in range(2)]
        lib.wait_until(lambda: not all(lib.alive(p) for p in old), 15,
                       "a worker's end")
        for c in clients:
            c.close()
        proxy.wait_children("worker", 2)
        check(lib.alive(proxy.proc.pid), "the parent has died")


def test_channel_closed():
    """It lives on without a channel, as if nobody could reach it there."""
    with ScriptedServer() as server:
        proxy = liar(server, "close").start().settle()
        old = proxy.wait_children("worker", 2)
        c = RawClient(proxy.address, proxy.port)
        proxy.wait_for_log("killed by signal 9.*closed its channel", 15)
        c.expect_eof()
        proxy.wait_children("worker", 1, without=old)


@lib.slow
def test_worker_that_spins():
    """Busy for ever: killed after 20 seconds."""
    with ScriptedServer() as server:
        proxy = liar(server, "spin").start().settle()
        old = proxy.wait_children("worker", 2)
        c = RawClient(proxy.address, proxy.port)
        proxy.wait_for_log("killed by signal 9.*does not answer", 35)
        c.expect_eof()
        proxy.wait_children("worker", 1, without=old)


def test_forged_log_line():
    """What a worker did not escape the logger does, and who wrote it stands
    in front, from the channel."""
    with ScriptedServer() as server:
        proxy = liar(server, "forge").start().settle()
        proxy.wait_children("worker", 2)
        c = RawClient(proxy.address, proxy.port)
        line = proxy.wait_for_log("forged")
        lib.check_match(r"^worker\[\d\] \d+: begin\\x0aparent 1: forged"
                        r"\\x1b\[31m\\x7f\\xc2\\x9b end$", line)
        c.close()


def test_shouting_worker():
    """100,000 records: written are 2,000 a second, the others counted, and
    the words of others come through."""
    with ScriptedServer() as server:
        proxy = liar(server, "shout").start().settle()
        proxy.wait_children("worker", 2)
        c = RawClient(proxy.address, proxy.port)
        proxy.wait_for_log("shout")
        proxy.wait_for_log(r"^worker\[\d\] \d+: \d+ (log )?records dropped")
        c.close()
        proxy.stop()
        check(len(proxy.find_log("shout")) <= 6000, "too many")
        proxy.wait_for_log("^parent .*stopping")


def test_malformed_log_record():
    """It costs the worker its channel to the logger, and says so."""
    with ScriptedServer() as server:
        proxy = liar(server, "priority").start().settle()
        proxy.wait_children("worker", 2)
        c = RawClient(proxy.address, proxy.port)
        proxy.wait_for_log(r"^logger \d+: .*violation by worker\[\d\].*LOG")
        c.close()
        check_equal(proxy.find_log("priority that is none"), [])


def test_lies_that_go_on():
    """A worker that lies at each session is started again and again, later
    each time, and the parent lives and can be stopped."""
    with ScriptedServer() as server:
        proxy = liar(server, "garbage").start().settle()
        proxy.wait_children("worker", 2)
        for n in range(4):
            c = RawClient(proxy.address, proxy.port)
            proxy.wait_for_log("violation by", count=n + 1)
            c.close()
        check(lib.alive(proxy.proc.pid), "the parent has died")
        check(lib.cpu_seconds(proxy.proc.pid) < 2, "the parent is busy")


def test_flood_leaves_the_others_alone():
    """The parent reads a bounded number of messages of each child in turn."""
    with ScriptedServer() as server:
        proxy = liar(server, "flood").start().settle()
        proxy.wait_children("worker", 2)
        c = RawClient(proxy.address, proxy.port)
        proxy.wait_for_log("violation by", timeout=5)
        c.close()
        check(lib.cpu_seconds(proxy.proc.pid) < 2, "the parent is busy")


if __name__ == "__main__":
    lib.main()
