"""The rounds of bench, and the tables that are printed of them."""

import statistics

import idle
import workloads
from benchlib import (median, pss_kib, ratios, say, short,
                      spread_percent, where)

OURS = "smtpproxyd"
ALL = ["W1", "W2", "W3", "W4"] + [
    name for name in workloads.WORKLOADS if name not in ("W1", "W2", "W3")]
W4_KIB = 1.0
W4_RATIO = 1.1
LINE = "  %-10s %8s %13s %7s %9s %8s %8s %6s  %s"


def verdict(value, target):
    return "target %.2f: %s" % (target, "reached" if value <= target
                                else "not reached")


# W4 aside.

def rounds_of(run, work, peers):
    """{name: [Sample of each round]}"""
    samples = {peer.name: [] for peer in peers}
    sessions = run.sessions(work)
    for peer in peers:                                  # warm
        workloads.measure(peer, work, max(sessions // 5, work.at_once))
    for n in range(run.opts.rounds * work.repeat):
        # None is always the first.
        for peer in peers if n % 2 == 0 else peers[::-1]:
            sample = workloads.measure(peer, work, sessions)
            samples[peer.name].append(sample)
            for text in sample.problems:
                run.problem(peer.name, work.name, text)
    return samples


def calls_of(run, work, peers):
    """{name: system calls a unit}, of those that can be watched"""
    if not run.has_perf:
        return {}
    sessions = max(run.sessions(work) // 2, work.at_once)
    return {peer.name: workloads.count_calls(peer, work, sessions)
            for peer in peers if peer.pids()}


def number(value, form):
    return "-" if value is None else form % value


def print_head(work):
    byte = work.unit == "byte"
    say("%s  %s" % (work.name, work.text))
    say(LINE % ("", "ns CPU" if byte else "us CPU", "least - most", "calls",
                "MiB" if byte else work.unit + "s", "session", "ms", "PSS",
                "ns of each process" if byte else "us of each process"))
    say((LINE % ("", "a " + work.unit, "", "a MiB" if byte else "a unit",
                 "a second", "p50", "p99", "MiB", "")).rstrip())


def print_peer(work, name, samples, calls, pss):
    byte = work.unit == "byte"
    form = "%.3f" if byte else "%.1f"
    cpu = [s.cpu_us * work.scale for s in samples]
    if byte and calls is not None:
        calls *= workloads.MIB
    direct = name == "direct"
    say((LINE % (
        name, "-" if direct else form % statistics.median(cpu),
        "" if direct else (form + " - " + form) % (min(cpu), max(cpu)),
        number(calls, "%.1f"),
        "%.0f" % (median(samples, "rate") / (workloads.MIB if byte else 1)),
        "%.2f" % median(samples, "p50_ms"),
        "%.2f" % median(samples, "p99_ms"), number(pss, "%.1f"),
        where(samples, work.scale))).rstrip())


def print_ratio(work, name, samples):
    mine, theirs = ([getattr(s, work.measure) for s in samples[who]]
                    for who in (OURS, name))
    found = ratios(mine, theirs)
    middle = statistics.median(found)
    text = "  to %-7s %8.2f %13s" % (
        name, middle, "%.2f - %.2f" % (min(found), max(found)))
    if name in work.targets:
        text += "   " + verdict(middle, work.targets[name])
    say(text)
    return {"to": name, "rounds": found, "median": middle,
            "target": work.targets.get(name)}


def print_notes(work, samples):
    byte = work.unit == "byte"
    every = [s for mine in samples.values() for s in mine]
    say("  client %s, destination %s %s CPU a %s" % (
        short(median(every, "load_us") * work.scale),
        short(median(every, "sink_us") * work.scale),
        "ns" if byte else "us", work.unit))
    if "direct" in samples:
        say("  direct's throughput: from least to most %.0f %%"
            % spread_percent([s.rate for s in samples["direct"]]))
    if work.note:
        say("  " + work.note)
    say()


def run_workload(run, work):
    names = [name for name in run.opts.peers if name in work.peers]
    peers = [run.start(name, work.pin) for name in names]
    samples = rounds_of(run, work, peers)
    pss = {peer.name: pss_kib(peer) / 1024 for peer in peers if peer.pids()}
    calls = calls_of(run, work, peers)
    for peer in peers:
        peer.stop()
    print_head(work)
    for name in names:
        print_peer(work, name, samples[name], calls.get(name), pss.get(name))
    found = []
    if OURS in names:
        found = [print_ratio(work, name, samples) for name in names
                 if name not in (OURS, "direct")]
    print_notes(work, samples)
    run.found["workloads"][work.name] = {
        "text": work.text, "unit": work.unit,
        "sessions": run.sessions(work), "calls": calls, "pss_mib": pss,
        "samples": {name: [s._asdict() for s in mine]
                    for name, mine in samples.items()},
        "ratios": found}


# W4

def run_idle(run):
    levels = idle.LEVELS[:1] if run.opts.quick else idle.LEVELS
    rounds = 2 if run.opts.quick else max(run.opts.rounds // 2, 2)
    names = [name for name in run.opts.peers if name != "direct"]
    found = {name: idle.measure(run, name, levels, rounds)
             for name in names}
    say("W4  sessions that are idle behind their EHLO, and W1 beside them")
    say("  %-10s %8s   %9s   %8s   %s" % (
        "", "sessions", "KiB PSS a", "us CPU a", "to W1 without"))
    say("  %-10s %8s   %9s   %8s   %s" % (
        "", "idle", "session", "message", "them, least - most"))
    for name in names:
        for level in found[name]:
            print_level(name, level)
    if OURS in names:
        print_idle_targets(found[OURS])
    if "nginx" in names:
        say("  nginx has no connection to the destination for these")
    say()
    run.found["workloads"]["W4"] = {
        name: [level._asdict() for level in mine]
        for name, mine in found.items()}


def print_level(name, level):
    say("  %-10s %8d   %9.2f   %8.1f   %5.2f, %.2f - %.2f" % (
        name, level.sessions, level.kib, statistics.median(level.cpu_us),
        statistics.median(level.ratio), min(level.ratio), max(level.ratio)))


def print_idle_targets(levels):
    """Those of the largest number: of few sessions, each bears a larger
    part of what a heap takes at once."""
    last = levels[-1]
    say("  %d sessions: %.2f KiB each, %s" % (
        last.sessions, last.kib, verdict(last.kib, W4_KIB)))
    middle = statistics.median(last.ratio)
    say("  W1 beside them: %.2f, %s" % (middle, verdict(middle, W4_RATIO)))


def run_all(run):
    run.found["workloads"] = {}
    for name in run.opts.workloads:
        if name == "W4":
            run_idle(run)
        else:
            run_workload(run, workloads.WORKLOADS[name])
