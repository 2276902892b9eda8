"""Sessions that are open and quiet: what each costs in memory, and what they
cost the others.

Each peer runs twice, one time with idle sessions and one time without, and
both have the same load in turn.
"""

import collections
import subprocess
import time

import workloads
from benchlib import pss_kib, ratios, settled
from peers import DEADLINE, fail, pinned, read_line

LEVELS = (1000, 5000, 9500)
AT_ONCE = 50                    # that are opened
ROUND = 2.0                     # seconds, of load at most
QUIET = 1.0                     # seconds: longer than anything is put off

# kib       of PSS a session
# cpu_us    a message beside them, of each round
# ratio     to the same load on the peer without idle sessions
Level = collections.namedtuple("Level", "sessions kib cpu_us ratio")


class Idle:
    """Sessions of a peer that are held behind their EHLO."""

    def __init__(self, peer):
        self.peer = peer
        self.count = 0
        self.holders = []

    def grow_to(self, count):
        more = count - self.count
        if more <= 0:
            return
        proc = subprocess.Popen(
            workloads.load_command(self.peer, "plain", ["-i"], more,
                                   min(more, AT_ONCE)),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            preexec_fn=pinned(self.peer.load_cpus))
        self.holders.append(proc)
        held = read_line(proc.stdout, "load")
        if held["idle"] != more:
            fail("%s: %d idle sessions of %d" % (self.peer.name,
                                                 held["idle"], more))
        self.count = count

    def end(self):
        """They say QUIT; returns what went wrong meanwhile."""
        problems = []
        for proc in self.holders:
            proc.stdin.close()
            result = read_line(proc.stdout, "load")
            proc.wait(DEADLINE)
            proc.stdout.close()
            if result["sessions_failed"] > 0:
                problems.append("%d idle sessions failed"
                                % result["sessions_failed"])
        self.holders = []
        self.count = 0
        return problems


def quiet_pss(peer):
    """What a peer has once nothing moves any more.  It is no condition that
    is waited for here, but the time in which there is none."""
    settled(peer)
    time.sleep(QUIET)
    settled(peer)
    return pss_kib(peer)


def affordable(run, peer, work):
    """Sessions of a round: a peer that suffers from idle ones would else take
    minutes to show how much."""
    few = 2 * work.at_once
    rate = workloads.measure(peer, work, few).rate
    return max(min(int(rate * ROUND), run.sessions(work)), few)


def beside(run, peer, other, work, rounds):
    """CPU of the same load on the peer with idle sessions and on the other,
    by turns: two lists."""
    pair = [peer, other]
    used = {id(p): [] for p in pair}
    sessions = affordable(run, peer, work)
    for n in range(rounds):
        for p in pair if n % 2 == 0 else pair[::-1]:
            sample = workloads.measure(p, work, sessions)
            used[id(p)].append(sample.cpu_us)
            for text in sample.problems:
                run.problem(p.name, "W4", text)
    return used[id(peer)], used[id(other)]


def measure(run, name, levels, rounds, workers=None):
    """The Level of each number of idle sessions."""
    work = workloads.WORKLOADS["W1"]
    peer, other = (run.start(name, workers=workers) for _ in range(2))
    for p in (peer, other):                             # warm
        workloads.measure(p, work, run.sessions(work))
    idle = Idle(peer)
    before = quiet_pss(peer)
    found = []
    for count in levels:
        idle.grow_to(count)
        kib = (quiet_pss(peer) - before) / count
        mine, theirs = beside(run, peer, other, work, rounds)
        found.append(Level(count, kib, mine, ratios(mine, theirs)))
    for text in idle.end():
        run.problem(name, "W4", text)
    peer.stop()
    other.stop()
    return found
