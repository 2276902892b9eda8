"""The rounds of bench, and the tables that are printed of them."""

import statistics

import workloads
from benchlib import median, pss_kib, ratios, say, spread_percent, where

OURS = "smtpproxyd"
ALL = list(workloads.WORKLOADS)
LINE = "  %-10s %9s %13s %7s %9s %8s %8s %7s  %s"


def rounds_of(run, work, peers):
    """{name: [Sample of each round]}"""
    samples = {peer.name: [] for peer in peers}
    sessions = run.sessions(work)
    for peer in peers:                                  # warm
        workloads.measure(peer, work, max(sessions // 5, work.at_once))
    for n in range(run.opts.rounds):
        # None is always the first.
        for peer in peers if n % 2 == 0 else peers[::-1]:
            sample = workloads.measure(peer, work, sessions)
            samples[peer.name].append(sample)
            for text in sample.problems:
                run.problem(peer.name, work.name, text)
    return samples


def calls_of(run, work, peers):
    """{name: system calls a unit, or None}"""
    if not workloads.can_count_calls():
        return {peer.name: None for peer in peers}
    return {peer.name: workloads.count_calls(peer, work, run.sessions(work))
            for peer in peers}


def number(value, form):
    return "-" if value is None else form % value


def print_head(work):
    is_byte = work.unit == "byte"
    say("%s  %s" % (work.name, work.text))
    say(LINE % ("", "ns CPU" if is_byte else "us CPU", "least - most",
                "calls", "MiB" if is_byte else work.unit + "s", "session",
                "ms", "PSS", "us of each process"
                if not is_byte else "ns of each process"))
    say(LINE % ("", "a " + work.unit, "", "a MiB" if is_byte else "a unit",
                "a second", "p50", "p99", "+KiB", ""))


def print_peer(work, name, samples, calls, grown):
    is_byte = work.unit == "byte"
    cpu = [s.cpu_us * work.scale for s in samples]
    rate = median(samples, "rate") / (workloads.MIB if is_byte else 1)
    if is_byte and calls is not None:
        calls *= workloads.MIB
    idle = name == "direct"
    say((LINE % (
        name, "-" if idle else "%.3g" % statistics.median(cpu) if is_byte
        else "%.1f" % statistics.median(cpu),
        "" if idle else "%.3g - %.3g" % (min(cpu), max(cpu)),
        number(calls, "%.1f"), "%.0f" % rate,
        "%.2f" % median(samples, "p50_ms"),
        "%.2f" % median(samples, "p99_ms"), number(grown, "%d"),
        where(samples, work.scale))).rstrip())


def print_ratio(work, name, samples):
    mine, theirs = ([getattr(s, work.measure) for s in samples[who]]
                    for who in (OURS, name))
    found = ratios(mine, theirs)
    middle = statistics.median(found)
    target = work.targets.get(name)
    say("  to %-8s %8.2f   %5.2f - %5.2f   %s" % (
        name, middle, min(found), max(found), "" if target is None else
        "target %.2f: %s" % (target, "reached" if middle <= target
                             else "not reached")))
    return middle


def print_workload(run, work):
    names = [name for name in run.opts.peers if name in work.peers]
    peers = [run.start(name) for name in names]
    fresh = {peer.name: pss_kib(peer) for peer in peers if peer.pids()}
    samples = rounds_of(run, work, peers)
    grown = {peer.name: pss_kib(peer) - fresh[peer.name]
             for peer in peers if peer.pids()}
    calls = calls_of(run, work, peers)
    for peer in peers:
        peer.stop()
    print_head(work)
    for name in names:
        print_peer(work, name, samples[name], calls[name], grown.get(name))
    if OURS in names:
        for name in names:
            if name not in (OURS, "direct"):
                print_ratio(work, name, samples)
    if "direct" in names:
        say("  spread of direct's throughput: %.0f %%" % spread_percent(
            [s.rate for s in samples["direct"]]))
    if work.note:
        say("  " + work.note)
    say()


def print_all(run):
    for name in run.opts.workloads:
        print_workload(run, workloads.WORKLOADS[name])
