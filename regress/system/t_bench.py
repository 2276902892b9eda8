#!/usr/bin/python3
"""The benchmarks run: of their numbers nothing is asked."""

import json
import os
import subprocess
import sys
import tempfile

import lib
from lib import Skip, check, check_equal, check_match

# For the plain build only.
LONG = True


BENCH = os.path.join(lib.ROOT, "regress", "bench")
sys.path.insert(0, BENCH)
PEERS = ("smtpproxyd", "haproxy", "nginx", "direct")


def run(name, *options, code=0):
    got = subprocess.run(
        [sys.executable, os.path.join(BENCH, name), *options],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        timeout=120)
    check(got.returncode == code, "exit %d:\n%s" % (got.returncode,
                                                    got.stdout))
    return got.stdout


def need(*servers):
    for name in servers:
        if not os.path.exists(os.path.join(lib.mta_dir(), name)):
            raise Skip("no %s: make test-deps" % name)


@lib.long
@lib.timeout(150)
def test_bench():
    need("haproxy", "nginx")
    # Not below build/tmp, where it has a tmpfs of its own.
    with tempfile.NamedTemporaryFile(suffix=".json") as f:
        text = run("bench", "--quick", "--rounds", "1", "--percent", "1",
                   "--workloads", "W1,W3,W5,L,TW2", "--json", f.name)
        raw = json.load(f)
    for name in ("W1", "W3", "W5", "L"):
        check_match(r"(?m)^%s  .*\n.*\n.*\n%s  to haproxy .* target .*reached"
                    % (name, "".join("  %s .*\n" % p for p in PEERS)), text)
        check_equal(sorted(raw["workloads"][name]["samples"]), sorted(PEERS),
                    "peers")
    check_match(r"(?m)^TW2 .*\n.*\n.*\n  smtpproxyd .*\n  nginx .*\n"
                r"  to nginx ", text)
    check_equal(raw["problems"], [], "problems")


@lib.cases("options", [("--peers", "postfix"), ("--rounds", "0"),
                       ("--workloads", "W9"), ("--scale", "--workers", "2")])
def test_bad_options(*options):
    check_match(r"usage: bench .*\n(.*\n)*bench: error: ",
                run("bench", *options, code=2))


def test_bench_counts_messages():
    """A message that came twice, or not at all, is no matter of opinion."""
    import workloads
    none = dict.fromkeys(("distinct", "duplicates", "wrong_sizes",
                          "unknown"), 5)
    sent = {"messages": 3, "sessions_failed": 0}
    good = dict(none, distinct=8)
    check_equal(workloads.compare_counts(sent, none, good), [], "good")
    for worse in ({"distinct": 7}, {"distinct": 9}, {"duplicates": 6},
                  {"wrong_sizes": 6}, {"unknown": 6}):
        got = workloads.compare_counts(sent, none, dict(good, **worse))
        check_equal(len(got), 1, "problems of %r" % worse)
    got = workloads.compare_counts(dict(sent, sessions_failed=1), none, good)
    check_equal(len(got), 1, "problems of a failed session")


@lib.long
def test_tls():
    need("nginx")
    text = run("tls", "--quick", "--rounds", "1", "--count", "20",
               "--idle", "20", "--only", "P-256, TLS 1.3")
    for row in ("no TLS", "P-256, TLS 1.3", "P-256, TLS 1.3 resumed"):
        check_match(r"(?m)^%s\n  smtpproxyd .*\n  nginx .*\n  ratio " % row,
                    text)
    check_match(r"memory: KiB of PSS an idle session, 20 of them", text)


if __name__ == "__main__":
    lib.main()
