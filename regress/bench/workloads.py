"""The workloads of bench: what they are, and how one is measured once."""

import collections
import json
import os
import re
import shutil
import signal
import subprocess

import lib
from benchlib import cpu_of, parts_us, settled
from peers import DEADLINE, HOST, pinned

MIB = 1048576
SIZE = "4096"

# name       as --workloads takes it
# text       what a session is
# unit       what is counted, and what of it CPU and system calls are told for
# options    of load
# sessions   of one round, and
# at_once    how many at the same time
# units      of a session
# scale      what a number a unit is multiplied with: bytes are small
# key        of the listener: "plain" without TLS
# peers      that can do it
# targets    {peer: most that smtpproxyd's is to be, as a ratio}
# measure    what the ratios are of, a field of Sample
# base       options of load for a session with all of this but what is to
#            be measured: then the ratios are of what it has more
# note       for who reads the numbers
# repeat     rounds in the place of one
# pin        whether processors are divided: with one session at a time that
#            would measure how long one takes to wake up another
Workload = collections.namedtuple(
    "Workload", "name text unit options sessions at_once units scale key "
    "peers targets measure base note repeat pin",
    defaults=(1, 1, "plain", ("smtpproxyd", "haproxy", "nginx", "direct"),
              {}, "cpu_us", None, None, 1, True))
TLS_PEERS = ("smtpproxyd", "nginx")
HANDSHAKE = 1.15                # times nginx's

WORKLOADS = {w.name: w for w in (
    Workload("W1", "one 4 KiB message a session, 50 at a time", "message",
             ("-s", SIZE), 2000, 50,
             targets={"haproxy": 0.95, "nginx": 0.8}),
    Workload("W2", "20 messages of 4 KiB a session, 50 at a time", "message",
             ("-s", SIZE, "-m", "20"), 200, 50, units=20,
             targets={"haproxy": 1.0, "nginx": 0.95}),
    Workload("W3", "one message of 10 MiB a session, 4 at a time", "byte",
             ("-s", str(10 * MIB)), 32, 4, units=10 * MIB, scale=1000,
             targets={"haproxy": 0.6, "nginx": 0.8}),
    Workload("W5", "connect, greeting, QUIT, 50 at a time", "session",
             ("-m", "0"), 4000, 50, targets={"haproxy": 0.9},
             note="nginx greets and answers QUIT itself: it does not connect "
             "to the destination"),
    Workload("W6", "one 4 KiB message for 5 recipients a session, pipelined, "
             "50 at a time", "message", ("-s", SIZE, "-P", "-r", "5"), 2000,
             50, targets={"haproxy": 0.95, "nginx": 0.8}),
    Workload("L", "one 4 KiB message a session, one at a time", "message",
             ("-s", SIZE), 150, 1, targets={"haproxy": 1.3}, repeat=3,
             measure="p50_ms", pin=False, note="the ratios are of the median "
             "session's time, connect to the reply to QUIT"),
    Workload("T1", "full handshake (P-256, TLS 1.3), no message, 50 at a "
             "time", "session", ("-m", "0", "-T"), 400, 50, key="p256",
             peers=TLS_PEERS, targets={"nginx": HANDSHAKE},
             base=("-m", "0", "-E"), measure="own_us"),
    Workload("T2", "resumed handshake (P-256, TLS 1.3), no message, 50 at a "
             "time", "session", ("-m", "0", "-T", "-R"), 600, 50,
             key="p256", peers=TLS_PEERS, targets={"nginx": HANDSHAKE},
             base=("-m", "0", "-E"), measure="own_us"),
    Workload("TW2", "W2 in TLS on the client's side (full handshakes)",
             "message", ("-s", SIZE, "-m", "20", "-T"), 100, 50, units=20,
             key="p256", peers=TLS_PEERS),
    Workload("TW3", "W3 in TLS on the client's side (full handshakes)",
             "byte", ("-s", str(10 * MIB), "-T"), 16, 4, units=10 * MIB,
             scale=1000, key="p256", peers=TLS_PEERS),
)}

# What load and sink used, beside the proxy's own.
Sample = collections.namedtuple(
    "Sample", "cpu_us own_us parts rate p50_ms p99_ms message_p50_ms "
    "message_p99_ms load_us sink_us problems")


def load_command(peer, key, options, sessions, at_once):
    return [lib.build_tool("load"), "-j", "-c", HOST,
            "-p", str(peer.ports[key]), "-C", str(at_once),
            "-n", str(sessions), *options] + ["-q"] * peer.quickack


def run_load(peer, key, options, sessions, at_once):
    """What load found, and the CPU time that it used."""
    proc = subprocess.Popen(
        load_command(peer, key, options, sessions, at_once),
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
        preexec_fn=pinned(peer.load_cpus))
    text = proc.stdout.read()
    _, status, usage = os.wait4(proc.pid, 0)
    proc.returncode = os.waitstatus_to_exitcode(status)
    proc.stdout.close()
    try:
        return json.loads(text), usage.ru_utime + usage.ru_stime
    except ValueError:
        return {"messages": 0, "messages_failed": 0, "sessions": 0,
                "sessions_failed": sessions, "seconds": 1,
                "session_ms": collections.Counter(),
                "message_ms": collections.Counter()}, 0


def compare_counts(sent, before, after):
    """What went wrong, as load and sink know it."""
    problems = []
    got = {key: after[key] - before[key] for key in after}
    if sent["sessions_failed"] > 0:
        problems.append("%d sessions failed" % sent["sessions_failed"])
    if got["distinct"] != sent["messages"]:
        problems.append("%d messages were accepted, %d came" % (
            sent["messages"], got["distinct"]))
    for key, text in (("duplicates", "came twice"),
                      ("wrong_sizes", "came with another size"),
                      ("unknown", "were not ours")):
        if got[key] > 0:
            problems.append("%d messages %s" % (got[key], text))
    return problems


def run_once(peer, work, options, key, sessions):
    """One load: (result, CPU seconds of load and sink, parts, problems)."""
    units = sessions * work.units
    came = peer.sink.totals()
    sink = cpu_of(peer.sink.proc.pid)
    before = settled(peer)
    result, load = run_load(peer, key, options, sessions, work.at_once)
    after = settled(peer)
    sink = cpu_of(peer.sink.proc.pid) - sink
    problems = compare_counts(result, came, peer.sink.totals())
    parts = parts_us(peer, before, after, units)
    return result, load, sink, parts, problems


def measure(peer, work, sessions):
    units = sessions * work.units
    result, load, sink, parts, problems = run_once(
        peer, work, work.options, work.key, sessions)
    used = own = sum(parts.values())
    if work.base is not None:
        _, _, _, less, more = run_once(peer, work, work.base, "plain",
                                       sessions)
        own -= sum(less.values())
        problems += more
    session, message = result["session_ms"], result["message_ms"]
    return Sample(used, own, parts, units / result["seconds"],
                  session["p50"], session["p99"], message["p50"],
                  message["p99"], load * 1e6 / units, sink * 1e6 / units,
                  problems)


def can_count_calls():
    """Whether perf(1) is here, and may count system calls."""
    if shutil.which("perf") is None:
        return False
    got = subprocess.run(
        ["perf", "stat", "-x,", "-e", "raw_syscalls:sys_enter", "true"],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    return got.returncode == 0 and \
        re.match(r"\d+,", got.stderr) is not None


def watches(perf, count):
    """It has opened its events and waits."""
    folder = "/proc/%d/fd" % perf.pid
    try:
        links = [os.readlink(os.path.join(folder, fd))
                 for fd in os.listdir(folder)]
        with open("/proc/%d/stat" % perf.pid) as f:
            state = f.read().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state == "S" and sum("perf_event" in to for to in links) >= count


def count_calls(peer, work, sessions):
    """System calls of the whole tree a unit, in a round of its own: to be
    watched costs time."""
    if not peer.pids():
        return None
    path = os.path.join(peer.dir, "calls")
    pids = peer.pids()
    settled(peer)
    perf = subprocess.Popen(
        ["perf", "stat", "-x,", "-o", path, "-e", "raw_syscalls:sys_enter",
         "-p", ",".join(str(pid) for pid in pids)],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL)
    # It does not say when it has begun; each process takes one event.
    lib.wait_until(lambda: perf.poll() is not None or
                   watches(perf, len(pids)), DEADLINE, "perf")
    run_load(peer, work.key, work.options, sessions, work.at_once)
    settled(peer)
    perf.send_signal(signal.SIGINT)
    perf.wait(DEADLINE)
    with open(path) as f:
        got = re.search(r"^(\d+),", f.read(), re.M)
    return int(got.group(1)) / (sessions * work.units) if got else None
