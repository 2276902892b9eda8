#!/usr/bin/python3
"""The soak's checks can fail: samples and records that were made up, and those
of a short run of which one was altered.  The soak itself is regress/soak."""

import argparse
import os
import random
import sys

import lib
from lib import check, check_equal, check_match

sys.path.insert(0, os.path.join(lib.ROOT, "regress", "soak"))
import judge  # noqa: E402
import soak  # noqa: E402
from judge import Sample, Told  # noqa: E402

# Of the checks, and of the plain build only.
LONG = True

A = Told("a", 10, "aa")


@lib.cases("how,times,is_good", [
    ("a", 1, True), ("a", 0, False), ("a", 2, False), ("d", 0, True),
    ("d", 1, False), ("r", 0, True), ("r", 1, True), ("r", 2, False),
    ("u", 0, True), ("u", 1, True), ("u", 2, False), ("x", 0, True),
    ("x", 1, False)])
def test_how_often(how, times, is_good):
    told = {"m.1.0": Told(how, 10, "aa"), "m.1.1": A}
    taken = [("m.1.0", 10, "aa")] * times + [("m.1.1", 10, "aa")]
    got = judge.judge_messages(told, taken)
    check_equal(len(got), 0 if is_good else 1, "complaints: %r" % got)


@lib.cases("what,taken", [("size", ("m.1.0", 11, "aa")),
                          ("sum", ("m.1.0", 10, "ab"))])
def test_octets(what, taken):
    got = judge.judge_messages({"m.1.0": A}, [taken])
    check_match("octets with the sum", "".join(got), what)


def test_never_sent():
    got = judge.judge_messages({}, [("m.1.0.smuggled", 10, "aa")])
    check_match("smuggled was delivered, and never sent", "".join(got))


def samples(function, n=100, every=3, fds=6):
    return [Sample(i * every, 5000, int(function(i * every)), fds)
            for i in range(n)]


NOISE = random.Random(1)
LOADS = [
    ("flat", lambda t: 4000, True),
    ("noise", lambda t: 4000 + NOISE.randrange(-3000, 3000), True),
    ("waves", lambda t: 6000 + 3000 * ((t // 40) % 2), True),
    ("falling", lambda t: 20000 - 20 * t, True),
    ("a start", lambda t: min(4000 + 200 * t, 16000), True),
    ("a little", lambda t: 4000 + 5 * t, True),
    ("growth", lambda t: 4000 + 50 * t, False),
    ("in noise", lambda t: 4000 + 60 * t + NOISE.randrange(-3000, 3000),
     False),
    ("in steps", lambda t: 4000 + 4000 * (t // 70), False),
]


@lib.cases("name,function,is_good", LOADS)
def test_memory_under_load(name, function, is_good):
    got = judge.judge_load("worker 1", samples(function), 60)
    check_equal(got == [], is_good, "%s: %r" % (name, got))


def test_descriptors_under_load():
    rising = [s._replace(fds=6 + i) for i, s in enumerate(
        samples(lambda t: 4000))]
    got = judge.judge_load("worker 1", rising, 60)
    check_match("grows under load: by .* descriptors", "".join(got))
    busy = [s._replace(fds=6 + i % 64) for i, s in enumerate(
        samples(lambda t: 4000, n=600))]
    check_equal(judge.judge_load("worker 1", busy, 60), [])


def test_few_samples():
    """A process that was just replaced."""
    for n in range(4):
        check_equal(judge.judge_load("worker 1", samples(
            lambda t: 4000 + 5000 * t, n=n), 60), [])


BEFORE = {"worker": [Sample(0, 5000, 4000, 6), Sample(0, 5000, 3000, 6)],
          "parent": [Sample(0, 2000, 900, 14)]}


@lib.cases("what,worker,pattern", [
    ("same", (4000, 6), None),
    ("less", (1000, 6), None),
    ("within the bound", (4000 + judge.QUIET_GROWTH_KIB, 6), None),
    ("memory", (4001 + judge.QUIET_GROWTH_KIB, 6), "worker has grown by"),
    ("a descriptor", (4000, 7), r"worker: descriptors \[6, 7\], were"),
    ("one less", (4000, 5), r"worker: descriptors \[5, 6\], were"),
])
def test_quiet(what, worker, pattern):
    uss, fds = worker
    after = dict(BEFORE, worker=[Sample(9, 9000, 3000, 6),
                                 Sample(9, 9000, uss, fds)])
    got = "; ".join(judge.judge_quiet(BEFORE, after))
    if pattern is None:
        check_equal(got, "", what)
    else:
        check_match(pattern, got, what)


def test_process_missing():
    got = judge.judge_quiet(BEFORE, {"worker": BEFORE["worker"]})
    check_equal(got, ["parent: 0 processes, not 1"])


@lib.cases("began,ended,is_excused", [
    (90, 101, True),            # it was there
    (102, 103, True),           # began while the process was away
    (90, 98, False),            # before
    (106, 107, False)])         # long after
def test_kill_is_an_excuse(began, ended, is_excused):
    line = "complaint %d %d connection lost" % (began * 1000, ended * 1000)
    complaints, excused = judge.judge_sessions([line], [100])
    check_equal((complaints, excused),
                ([], 1) if is_excused else (["connection lost"], 0))


def alter(lines, told, function):
    """Of the first message that was acknowledged, what function makes of its
    line: a list."""
    for n, line in enumerate(lines):
        if told[line.split()[0]].how == "a":
            return lines[:n] + function(line) + lines[n + 1:]
    raise lib.Failure("nothing was acknowledged")


def test_short_run():
    """Nothing is wrong with it; then it is."""
    soak.say = lambda text="": None
    run = soak.Soak(argparse.Namespace(seed=5, concurrency=20, rate=50))
    fds = run.fds_of(run.quiet(None))
    run.load("w", 1)
    run.load("m", 2)
    check_equal(run.fds_of(run.quiet(fds)), fds, "descriptors")
    run.stop()
    run.judge_messages()
    check_equal(run.failures, [])
    check(run.totals["acknowledged"] > 20, "too few: %r" % run.totals)
    told = judge.read_told(run.path("told.w"))
    told.update(judge.read_told(run.path("told.m")))
    with open(run.path("sink")) as f:
        lines = f.readlines()
    for what, function in (
            ("was delivered 0 times", lambda line: []),
            ("was delivered 2 times", lambda line: [line, line]),
            ("octets with the sum", lambda line: [line[:-2] + "g\n"])):
        with open(run.path("sink"), "w") as f:
            f.writelines(alter(lines, told, function))
        run.failures.clear()
        run.judge_messages()
        check_equal(len(run.failures), 1, what)
        check_match(what, run.failures[0])


if __name__ == "__main__":
    lib.main()
