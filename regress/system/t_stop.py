#!/usr/bin/python3
"""SIGTERM and SIGINT: what is under way is finished, within a bounded time,
nothing is left behind, and the next start works at once."""

import os
import signal
import subprocess
import threading
import time

import lib
from lib import Proxy, RawClient, ScriptedServer, Sink, Never, Wait, \
    check, check_equal

SIGNALS = [("TERM", signal.SIGTERM), ("INT", signal.SIGINT)]


def client(proxy):
    return RawClient(proxy.address, proxy.port)


@lib.cases("signal", SIGNALS)
def test_idle_daemon(name, number):
    with ScriptedServer() as server:
        proxy = Proxy.to(server, top="workers 2").start().settle()
        proxy.wait_children("worker", 2)
        began = time.monotonic()
        proxy.stop(sig=number)
        check(time.monotonic() - began < 2 * lib.SLOW, "took %.1fs" % (
            time.monotonic() - began))
        check_equal(len(proxy.find_log("stopping on signal %d" % number)), 1)
        check_equal(proxy.find_log("killed|ended with"), [], "lines")


@lib.cases("signal", SIGNALS)
def test_idle_sessions_are_told(name, number):
    with ScriptedServer() as server:
        proxy = Proxy.to(server).start().settle()
        clients = [client(proxy) for _ in range(6)]
        for c in clients:
            c.greet()
        clients[1].cmd("MAIL FROM:<a@client.example>")
        clients[1].cmd("RSET")
        began = time.monotonic()
        proxy.signal(number)
        for c in clients:
            got = c.expect(421)
            lib.check_match(rb"^421 4\.3\.2 ", got)
            c.expect_eof()
            c.close()
        proxy.wait_exit()
        check(time.monotonic() - began < 5 * lib.SLOW, "took too long")
        server.wait_idle()
        check_equal(len(proxy.records(_kind="session")), 6, "records")


def test_clients_that_stay_are_not_waited_for():
    """They were told and do not close: no more than ten seconds or so."""
    with ScriptedServer() as server:
        proxy = Proxy.to(server).start().settle()
        c = client(proxy)
        c.greet()
        began = time.monotonic()
        proxy.signal(signal.SIGTERM)
        c.expect(421)
        proxy.wait_exit()
        check(time.monotonic() - began < 12 * lib.SLOW, "took too long")


@lib.cases("way", ["DATA", "BDAT"])
def test_message_is_finished(way):
    """A session in the middle of a message goes on to its end."""
    with ScriptedServer() as server:
        proxy = Proxy.to(server).start().settle()
        c = client(proxy)
        c.greet()
        c.envelope()
        content = lib.make_message()
        if way == "DATA":
            c.cmd("DATA", 354)
            c.send(content[:100])
        else:
            c.send(b"BDAT 100\r\n" + content[:100])
            c.expect(250)
        proxy.signal(signal.SIGTERM)
        proxy.wait_for_log("stopping")
        lib.wait_until(lambda: not lib.listening(proxy.address, proxy.port),
                       5, "the listener to close")
        c.silent(0.2)
        if way == "DATA":
            c.send(content[100:] + b".\r\n")
        else:
            c.send(b"BDAT %d LAST\r\n" % (len(content) - 100) +
                   content[100:])
        c.expect(250)
        c.expect(421)
        c.expect_eof()
        c.close()
        proxy.wait_exit()
        lib.check_octets(server.messages[0].content, content)


def test_reply_that_is_due_is_waited_for():
    event = threading.Event()
    with ScriptedServer(replies={"dot": [Wait(event),
                                         "250 2.0.0 taken"]}) as server:
        proxy = Proxy.to(server).start().settle()
        c = client(proxy)
        c.greet()
        c.envelope()
        c.cmd("DATA", 354)
        c.send(b"x\r\n.\r\n")
        server.wait_for_offered()
        proxy.signal(signal.SIGTERM)
        proxy.wait_for_log("stopping")
        c.silent(0.3)
        event.set()
        c.expect(b"250 2.0.0 taken\r\n")
        c.expect(421)
        c.close()
        proxy.wait_exit()
        check_equal(proxy.records(_kind="message")[0]["delivered"], "yes")


def test_session_without_a_destination_yet():
    with ScriptedServer(replies={"connect": Never()}) as server:
        proxy = Proxy.to(server).start().settle()
        c = client(proxy)
        server.wait_for_conn()
        proxy.signal(signal.SIGTERM)
        c.expect(421)
        c.close()
        proxy.wait_exit(10)


@lib.slow
def test_bounded_time():
    """A message that never ends is given up after 30 seconds; the
    destination does not see an end of it."""
    with ScriptedServer() as server:
        proxy = Proxy.to(server, allow=["killed by signal 9"]).start().settle()
        c = client(proxy)
        c.greet()
        c.envelope()
        c.cmd("DATA", 354)
        c.send(b"begun")
        began = time.monotonic()
        proxy.signal(signal.SIGTERM)
        proxy.wait_exit(45)
        took = time.monotonic() - began
        check(25 < took < 40, "took %.1fs" % took)
        c.close()
        server.wait_idle()
        check_equal(server.offered, [], "messages")


def test_second_signal():
    """More of them change nothing, and hurt nothing."""
    with ScriptedServer() as server:
        proxy = Proxy.to(server).start().settle()
        c = client(proxy)
        c.greet()
        c.envelope()
        c.cmd("DATA", 354)
        for sig in (signal.SIGTERM, signal.SIGINT, signal.SIGTERM,
                    signal.SIGHUP):
            proxy.signal(sig)
        proxy.wait_for_log("stopping")
        c.send(b"x\r\n.\r\n")
        c.expect(250)
        c.close()
        proxy.wait_exit()
        check_equal(len(proxy.find_log("stopping on signal")), 1, "lines")


def test_hup_changes_nothing():
    with ScriptedServer() as server, Proxy.to(server) as proxy:
        c = client(proxy)
        c.greet()
        proxy.signal(signal.SIGHUP)
        proxy.wait_for_log("reload is not supported")
        c.quit()


@lib.long
@lib.cases("signal", [("TERM", signal.SIGTERM), ("INT", signal.SIGINT),
                      ("HUP", signal.SIGHUP)])
def test_signals_of_the_group(name, number):
    """A terminal or a service manager tells all processes at once: that is
    the parent's business, children go on until it says so."""
    with ScriptedServer() as server:
        proxy = Proxy.to(server, top="workers 2").start().settle()
        c = client(proxy)
        c.greet()
        c.envelope()
        c.cmd("DATA", 354)
        # The parent last: what it ends at once could not be told any more.
        pids = sorted(proxy.pids(), key=lambda p: p == proxy.proc.pid)
        for pid in pids:
            os.kill(pid, number)
        proxy.wait_for_log("stopping|reload")
        c.send(b"x\r\n.\r\n")
        c.expect(250)
        c.close()
        check_equal(proxy.find_log("killed|ended with"), [], "lines")
        if number == signal.SIGHUP:
            check_equal(sorted(proxy.pids()), sorted(pids))
            return
        proxy.wait_exit()


def test_restart_at_once():
    """The address can be had again, with sessions of before still about."""
    with ScriptedServer() as server:
        proxy = Proxy.to(server).start().settle()
        for n in range(3):
            c = client(proxy)
            c.greet()
            proxy.signal(signal.SIGTERM)
            c.expect(421)
            c.close()
            proxy.wait_exit()
            began = time.monotonic()
            proxy.start()
            c = client(proxy)
            c.greet()
            check(time.monotonic() - began < 2 * lib.SLOW, "took too long")
            c.quit()


@lib.long
def test_stop_under_load():
    """Nothing that was acknowledged is lost, and the exit is clean."""
    folder = lib.mkdtemp("sink")
    sink = Sink(directory=folder)
    proxy = Proxy.to(sink, top="workers 2").start().settle()
    load = lib.Program(lib.build_tool("load"), "-c", proxy.address, "-p",
                       proxy.port, "-n", 100000, "-C", 20, "-m", 100, "-s",
                       2000)
    lib.wait_until(lambda: len(os.listdir(folder)) > 200, 20, "traffic")
    proxy.stop()
    lib.wait_until(lambda: load.proc.poll() is not None, 30, "load to end")
    text = load.wait(code=1)
    ok = int(lib.re.search(r"\bok=(\d+)", text).group(1))
    check(200 < ok <= len(os.listdir(folder)), "ok %d, taken %d" % (
        ok, len(os.listdir(folder))))
    undelivered = proxy.records(undelivered="yes")
    check(len(os.listdir(folder)) - ok <= len(undelivered) + 20,
          "taken %d, told %d" % (len(os.listdir(folder)), ok))


@lib.long
def test_stop_while_starting():
    """A signal at any moment of the start: it ends, with nothing left."""
    with ScriptedServer() as server:
        for n in range(25):
            proxy = Proxy.to(server, top="workers 4")
            proxy.start(wait=False)
            time.sleep(n * 0.004)
            pids = proxy.pids()
            proxy.signal(signal.SIGTERM)
            code = proxy.proc.wait(15)
            check(code in (0, -signal.SIGTERM), "exit %d after %d ms:\n%s" % (
                code, n * 4, proxy.log_tail()))
            lib.wait_until(lambda: not any(lib.alive(p) for p in pids), 5,
                           "the children to end")
            proxy.kill()


@lib.long
@lib.cases("victim", ["worker", "logger"])
def test_stop_while_one_is_dead(victim):
    """Between the death of a child and its replacement."""
    with ScriptedServer() as server:
        proxy = Proxy.to(server, top="workers 2",
                         allow=["killed by signal 9"]).start().settle()
        proxy.wait_children("worker", 2)
        pids = proxy.children(victim)
        for pid in pids:
            lib.kill_pid(pid)
        proxy.stop(timeout=10)


@lib.long
def test_parent_killed():
    """Its children have nothing left to serve, and go."""
    with ScriptedServer() as server:
        proxy = Proxy.to(server, top="workers 2").start().settle()
        proxy.wait_children("worker", 2)
        c = client(proxy)
        c.greet()
        children = lib.descendants_of(proxy.proc.pid)
        check_equal(len(children), 3, "children")
        proxy.proc.kill()
        proxy.proc.wait()
        lib.wait_until(lambda: not any(lib.alive(p) for p in children), 5,
                       "the children to end")
        c.expect_eof()
        c.close()
        proxy.kill()


@lib.long
@lib.slow
def test_stopped_worker_at_stop():
    """A worker that does not answer does not hold up the end for ever."""
    with ScriptedServer() as server:
        proxy = Proxy.to(server, top="workers 2",
                         allow=["killed by signal 9"]).start().settle()
        pids = proxy.wait_children("worker", 2)
        os.kill(pids[0], signal.SIGSTOP)
        began = time.monotonic()
        proxy.signal(signal.SIGTERM)
        proxy.wait_exit(45)
        check(time.monotonic() - began < 40, "took too long")


if __name__ == "__main__":
    lib.main()
