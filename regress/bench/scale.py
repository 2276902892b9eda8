"""How costs grow: CPU a message and memory, by sessions that are open and by
workers."""

import statistics
import threading

import idle
import workloads
from benchlib import pss_kib, say, settled

LEVELS = (10, 100, 1000, 9500)
WORKERS = (1, 2)
PEERS = ("smtpproxyd", "haproxy")
STARTING = "200"                # sessions: no queue of a listener overflows
WATCH = 0.05                    # seconds from one look at memory to the next


class Peak:
    """The most memory that a peer has while something goes on."""

    def __init__(self, peer):
        self.peer = peer
        self.kib = 0
        self.is_over = threading.Event()
        self.thread = threading.Thread(target=self.watch)

    def watch(self):
        while not self.is_over.wait(WATCH):
            self.kib = max(self.kib, pss_kib(self.peer))

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *exc):
        self.is_over.set()
        self.thread.join()


def at_once(run, peers, count, rounds):
    """{name: (Samples, KiB a session at most)} of W1 with so many sessions
    at the same time, the first of which wait for one another.  Memory is
    watched in a round of its own."""
    work = workloads.WORKLOADS["W1"]
    work = work._replace(at_once=count,
                         options=work.options + ("-w", "-S", STARTING))
    sessions = max(run.sessions(work._replace(at_once=1)), count)
    samples = {peer.name: [] for peer in peers}
    grown = {}
    for peer in peers:                                  # warm
        settled(peer)
        before = pss_kib(peer)
        with Peak(peer) as peak:
            workloads.run_load(peer, work.key, work.options, sessions, count)
        grown[peer.name] = (peak.kib - before) / count
    for n in range(rounds):
        for peer in peers if n % 2 == 0 else peers[::-1]:
            sample = workloads.measure(peer, work, sessions)
            samples[peer.name].append(sample)
            for text in sample.problems:
                run.problem(peer.name, "%d at once" % count, text)
    return {name: (samples[name], grown[name]) for name in samples}


def print_busy(run, names, workers, rounds):
    peers = [run.start(name, workers=workers) for name in names]
    found = run.found["scale"].setdefault("busy", {})[workers] = {}
    say("  W1 with more at once       us CPU   least - most   messages  "
        "message ms   KiB a session")
    say("             sessions     a message                   a second  "
        "   p50           at most")
    for count in LEVELS:
        got = at_once(run, peers, count, rounds)
        for name, (samples, kib) in got.items():
            cpu = [s.cpu_us for s in samples]
            say("  %-10s %8d   %11.1f   %12s   %8.0f %11.2f %13.2f" % (
                name, count, statistics.median(cpu),
                "%.0f - %.0f" % (min(cpu), max(cpu)),
                statistics.median(s.rate for s in samples),
                statistics.median(s.message_p50_ms for s in samples), kib))
        found[count] = {
            name: {"samples": [s._asdict() for s in samples], "kib": kib}
            for name, (samples, kib) in got.items()}
    for peer in peers:
        peer.stop()
    say()


def print_idle(run, names, workers, rounds):
    found = run.found["scale"].setdefault("idle", {})[workers] = {}
    say("  W1, 50 at once, beside     us CPU   least - most   to W1 "
        "without them    KiB an idle")
    say("  idle       sessions     a message                  least - most "
        "           session")
    for name in names:
        levels = idle.measure(run, name, LEVELS, rounds, workers)
        for level in levels:
            say("  %-10s %8d   %11.1f   %12s   %4.2f, %.2f - %.2f %15.2f" % (
                name, level.sessions, statistics.median(level.cpu_us),
                "%.0f - %.0f" % (min(level.cpu_us), max(level.cpu_us)),
                statistics.median(level.ratio), min(level.ratio),
                max(level.ratio), level.kib))
        found[name] = [level._asdict() for level in levels]
    say()


def run_all(run):
    # One worker and two are compared: neither has a processor for itself.
    run.pin = None
    run.found["scale"] = {}
    rounds = run.opts.rounds if run.opts.rounds < 3 else 3
    for workers in WORKERS:
        say("workers %d" % workers)
        print_busy(run, run.opts.peers, workers, rounds)
        print_idle(run, run.opts.peers, workers, rounds)
