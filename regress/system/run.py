#!/usr/bin/python3
"""Run the system tests: every t_*.py here that can be run with any build,
or the files named.

usage: run.py [--short | --slow] [-k PATTERN] [-j N] [-t SECONDS] [FILE ...]

A line for each test as it ends, then the files that failed, then the line
`N passed, N failed, N skipped`.  Exit 1 when something failed; a file that
ends without its totals counts as one failure.  Under CI=true a skip fails.
"""

import argparse
import glob
import os
import re
import signal
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
# These need a build of their own, and are named by who has it (regress.sh).
NAMED_ONLY = ("t_inject.py",)
TOTALS = re.compile(r"# totals passed=(\d+) failed=(\d+) skipped=(\d+)")

out_lock = threading.Lock()
running = set()         # process objects, to be ended if we are


class Result:
    def __init__(self, path):
        self.name = os.path.basename(path)
        self.passed = self.failed = self.skipped = 0
        self.seconds = 0.0


def say(text):
    with out_lock:
        sys.stdout.write(text)
        sys.stdout.flush()


def run_file(path, opts):
    """Run one file; prints what it prints, returns its Result."""
    result = Result(path)
    argv = [sys.executable, "-B", path]
    if opts.k:
        argv += ["-k", opts.k]
    if opts.short:
        argv.append("--short")
    if opts.slow:
        argv.append("--slow")
    limit = opts.timeout * float(os.environ.get("TEST_SLOW", "1"))
    began = time.monotonic()
    # The file becomes unshare(1), whose end takes the whole process
    # namespace with it: killing this one process leaves nothing behind.
    proc = subprocess.Popen(argv, stdin=subprocess.DEVNULL,
                            stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT)
    running.add(proc)
    late = []
    timer = threading.Timer(limit, lambda: (late.append(1), proc.kill()))
    timer.start()
    totals = None
    for raw in proc.stdout:
        line = raw.decode("utf-8", "backslashreplace")
        m = TOTALS.match(line)
        if m:
            totals = [int(n) for n in m.groups()]
        elif opts.jobs > 1:
            say("%s: %s" % (result.name, line))
        else:
            say(line)
    code = proc.wait()
    timer.cancel()
    running.discard(proc)
    proc.stdout.close()
    result.seconds = time.monotonic() - began
    if totals is not None and not late:
        result.passed, result.failed, result.skipped = totals
    if late:
        result.failed += 1
        say("FAIL %s: over its time of %gs\n" % (result.name, limit))
    elif totals is None:
        result.failed += 1
        say("FAIL %s: ended with %d and without totals\n" % (result.name,
                                                             code))
    elif code not in (0, 77) and result.failed == 0:
        result.failed += 1
        say("FAIL %s: ended with %d\n" % (result.name, code))
    return result


def stop(signum, frame):
    for proc in list(running):
        proc.kill()
    for proc in list(running):
        proc.wait()
    os._exit(128 + signum)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("-k", metavar="PATTERN", default="",
                        help="only tests whose name matches")
    parser.add_argument("-j", "--jobs", type=int, default=1,
                        help="files at once")
    parser.add_argument("-t", "--timeout", type=float, default=300,
                        help="seconds for one file")
    parser.add_argument("--short", action="store_true",
                        help="leave out the tests that are long")
    parser.add_argument("--slow", action="store_true",
                        help="only the tests that are slow")
    parser.add_argument("files", nargs="*")
    opts = parser.parse_args()
    files = opts.files or [
        path for path in sorted(glob.glob(os.path.join(HERE, "t_*.py")))
        if os.path.basename(path) not in NAMED_ONLY]
    for sig in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(sig, stop)

    todo = list(files)
    results = []

    def work():
        while True:
            with out_lock:
                if not todo:
                    return
                path = todo.pop(0)
            if opts.jobs == 1:
                say("== %s\n" % os.path.basename(path))
            try:
                results.append(run_file(path, opts))
            except Exception as e:
                bad = Result(path)
                bad.failed = 1
                say("FAIL %s: %s\n" % (bad.name, e))
                results.append(bad)

    workers = [threading.Thread(target=work)
               for _ in range(max(1, opts.jobs))]
    for t in workers:
        t.start()
    for t in workers:
        t.join()

    for r in sorted(results, key=lambda r: -r.seconds)[:3]:
        say("# %s took %.1fs\n" % (r.name, r.seconds))
    bad = [r.name for r in results if r.failed]
    if bad:
        say("# failures in: %s\n" % " ".join(sorted(bad)))
    passed = sum(r.passed for r in results)
    failed = sum(r.failed for r in results)
    skipped = sum(r.skipped for r in results)
    say("%d passed, %d failed, %d skipped\n" % (passed, failed, skipped))
    if failed or (skipped and os.environ.get("CI") == "true"):
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
