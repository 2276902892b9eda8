#!/usr/bin/python3
"""Mixed load for a long time: nothing may grow, nothing may get lost.

usage: soak.py [--minutes N] [--seed N] [--concurrency N] [--rate N]

As root on Linux, after `make all tools`; README says what is done and what
is judged.  Exit status 1 when something failed.
"""

import argparse
import collections
import json
import os
import random
import re
import subprocess
import sys
import threading
import time

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "system")]

import judge  # noqa: E402
import lib  # noqa: E402
import lib_tls  # noqa: E402
from judge import Sample  # noqa: E402

HOST = "127.0.0.1"
# The first of these may greet late, or never.
DESTINATIONS = ("127.0.0.12", "127.0.0.13")
WORKERS = 2
ROLES = {"parent": 1, "worker": WORKERS, "keyholder": 1, "logger": 1}
SAMPLE_S = 3
REPORT_S = 30
KILL_EVERY_S = 300
QUIET_S = 40                    # at most, until all is quiet
DEADLINE_S = 120                # for what has to end

CONF = """
workers %(workers)d
%(pki)s
timeout greeting 2
timeout command 20
relay "clear" {
	listen on %(host)s port %(starttls)d tls pki mx
	listen on %(host)s port %(smtps)d smtps pki mx
	forward to { %(destinations)s } port %(sink)d
}
relay "tls" {
	listen on %(host)s port %(onward)d tls pki mx
	forward to { %(destinations)s } port %(sink_tls)d tls %(ca)s
	add-header trace
}
"""


def say(text=""):
    print(text, flush=True)


class Proxy(lib.Proxy):
    """Of its log the lines of sessions and messages are only counted."""

    RECORD = re.compile(rb"^\S+ \d+: (message|session) sess=")

    def __init__(self, conf):
        super().__init__(conf, allow=["killed by signal 9"])
        self.nrecords = collections.Counter()

    def _read_log(self, pipe):
        for line in iter(pipe.readline, b""):
            m = self.RECORD.match(line)
            if m:
                self.nrecords[m.group(1).decode()] += 1
                continue
            with self._cond:
                self.lines.append(
                    line.decode("utf-8", "replace").rstrip("\n"))
                self._cond.notify_all()


class Load:
    """A soakload that runs; its last numbers, and its complaints."""

    def __init__(self, ports, tag, seconds, opts, journal, times=1):
        self.numbers = {}
        self.complaints = []
        argv = [lib.build_tool("soakload"), "-c", HOST, "-j", journal,
                "-t", tag, "-d", str(seconds), "-s", str(opts.seed),
                "-C", str(times * opts.concurrency),
                "-r", str(times * opts.rate),
                "-p", str(ports["starttls"]), "-p", str(ports["onward"]),
                "-i", str(ports["smtps"])]
        self.proc = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self):
        for line in self.proc.stdout:
            if line.startswith("complaint "):
                self.complaints.append(line.rstrip("\n"))
            else:
                self.numbers = json.loads(line)

    def is_running(self):
        return self.proc.poll() is None

    def finish(self):
        status = self.proc.wait(DEADLINE_S)
        self.thread.join(DEADLINE_S)
        return status


# What is sampled.

def memory_of(pid):
    """KiB of PSS and USS."""
    with open("/proc/%d/smaps_rollup" % pid) as f:
        kib = dict(re.findall(r"^(\w+):\s+(\d+) kB$", f.read(), re.M))
    return int(kib["Pss"]), (int(kib["Private_Clean"]) +
                             int(kib["Private_Dirty"]))


def take_sample(proxy):
    """{(role, pid): Sample} of all processes."""
    found = {}
    roles = dict(proxy.roles())
    roles[proxy.proc.pid] = "parent"
    now = time.monotonic()
    for pid, role in roles.items():
        try:
            pss, uss = memory_of(pid)
            found[role, pid] = Sample(now, pss, uss, lib.fd_count(pid))
        except OSError:
            continue            # it has ended meanwhile
    return found


def by_role(sample):
    roles = collections.defaultdict(list)
    for (role, _), s in sorted(sample.items()):
        roles[role].append(s)
    return dict(roles)


def is_complete(sample):
    return {role: len(x) for role, x in by_role(sample).items()} == ROLES


def show_roles(sample):
    return "  ".join("%s %s KiB %s fd" % (
        role, "+".join(str(s.pss) for s in x),
        "+".join(str(s.fds) for s in x))
        for role, x in by_role(sample).items())


class Soak:
    def __init__(self, opts):
        self.opts = opts
        self.dir = lib.mkdtemp("soak")
        self.failures = []
        self.kills = []
        self.series = collections.defaultdict(list)
        self.totals = collections.Counter()
        self.excused = 0
        self.start()

    def path(self, name):
        return os.path.join(self.dir, name)

    def start(self):
        inner = lib_tls.certificate(names=DESTINATIONS)
        mx = lib_tls.certificate()
        ports = {name: lib.free_port() for name in (
            "starttls", "smtps", "onward", "sink", "sink_tls")}
        self.ports = ports
        self.sinks = [self.sink("sink", []), self.sink(
            "sink_tls", ["-c", inner.cert, "-k", inner.key])]
        self.proxy = Proxy(CONF % dict(
            ports, workers=WORKERS, pki=lib_tls.pki_conf({"mx": mx}),
            host=HOST, destinations=" ".join(DESTINATIONS),
            ca=lib_tls.ca())).start().settle()

    def sink(self, name, more):
        return subprocess.Popen(
            [lib.build_tool("soaksink"), "-f", DESTINATIONS[0], "-j",
             self.path(name), "-p", str(self.ports[name]), "-s",
             str(self.opts.seed)] + more, stdout=subprocess.PIPE, text=True)

    def fail(self, text):
        self.failures.append(text)
        say("FAIL " + text)

    # Times with nothing to do.

    def quiet(self, fds):
        """Wait until descriptors are what they were, and memory stays; then
        a sample, and what processors do meanwhile.  fds: {role: [n]}, or None
        for the first time."""
        deadline = time.monotonic() + QUIET_S
        last = None
        while time.monotonic() < deadline:
            sample = take_sample(self.proxy)
            now = {key: (s.uss, s.fds) for key, s in sample.items()}
            if is_complete(sample) and now == last and \
                    fds in (None, self.fds_of(sample)):
                break
            last = now
            time.sleep(1)
        self.judge_idle(sample)
        return sample

    @staticmethod
    def fds_of(sample):
        return {role: sorted(s.fds for s in x)
                for role, x in by_role(sample).items()}

    def judge_idle(self, sample):
        """Nobody is busy who has nothing to do."""
        pids = [(role, pid) for role, pid in sample if lib.alive(pid)]
        began = time.monotonic()
        before = {pid: lib.cpu_seconds(pid) for _, pid in pids}
        time.sleep(2)
        took = time.monotonic() - began
        for role, pid in pids:
            used = (lib.cpu_seconds(pid) - before[pid]) / took
            if used > judge.QUIET_CPU:
                self.fail("%s uses %.0f %% of a processor with nothing to "
                          "do" % (role, 100 * used))

    # Load.

    def kill(self, role):
        pids = self.proxy.children(role)
        if not pids:
            self.fail("no %s to kill" % role)
            return
        victim = pids[len(self.kills) % len(pids)]
        self.kills.append(time.monotonic())
        say("       kill -9 %s %d" % (role, victim))
        lib.kill_pid(victim)

    def load(self, tag, seconds, kills=(), times=1):
        """Run it to its end; kills: [(second, role)]; times as many sessions
        at once as were asked for"""
        load = Load(self.ports, tag, seconds, self.opts,
                    self.path("told." + tag), times)
        began = time.monotonic()
        kills = list(kills)
        next_report = REPORT_S
        incomplete = 0
        while load.is_running():
            time.sleep(SAMPLE_S)
            now = time.monotonic() - began
            if now > seconds + DEADLINE_S:
                self.fail("the load does not end")
                load.proc.kill()
                break
            if kills and now >= kills[0][0]:
                self.kill(kills.pop(0)[1])
            sample = take_sample(self.proxy)
            for key, s in sample.items():
                self.series[key].append(s)
            incomplete = 0 if is_complete(sample) else incomplete + 1
            if incomplete == 4:
                self.fail("processes are missing: " + show_roles(sample))
            if now >= next_report:
                self.report(now, load.numbers, sample)
                next_report += REPORT_S
        self.finish_load(load)

    def report(self, now, n, sample):
        say("%5.0fs  sessions %d  open %d  messages %d  MB %.0f  aborted %d"
            "  complaints %d\n        %s" % (
                now, n.get("sessions", 0), n.get("open", 0),
                n.get("messages", 0), n.get("octets", 0) / 1e6,
                n.get("aborted", 0), n.get("complaints", 0),
                show_roles(sample)))

    def finish_load(self, load):
        status = load.finish()
        if status not in (0, 1):
            self.fail("soakload ended with %d" % status)
        complaints, excused = judge.judge_sessions(load.complaints,
                                                   self.kills)
        for text in complaints:
            self.fail(text)
        self.excused += excused
        self.totals.update(load.numbers)

    # The end.

    def stop(self):
        try:
            self.proxy.stop(timeout=DEADLINE_S)
        except lib.Failure as e:
            self.fail(str(e))
        for sink in self.sinks:
            sink.terminate()
            text = sink.communicate(timeout=DEADLINE_S)[0]
            if sink.returncode != 0:
                self.fail("soaksink ended with %d" % sink.returncode)
            say("       " + text.strip())

    def judge_messages(self):
        told, taken = {}, []
        for tag in ("w", "m"):
            told.update(judge.read_told(self.path("told." + tag)))
        for name in ("sink", "sink_tls"):
            taken += judge.read_taken(self.path(name))
        for text in judge.judge_messages(told, taken):
            self.fail(text)
        fates = collections.Counter(t.how for t in told.values())
        say("messages: " + ", ".join("%d %s" % (fates[how], judge.WORDS[how])
                                     for how in judge.WORDS) +
            "; %d delivered" % len(taken))
        if not fates["a"]:
            self.fail("no message was acknowledged")

    def print_table(self, rows):
        say("%-10s %9s %21s %21s %21s" % (
            "", "process", *(name for name, _ in rows)))
        say("%-10s %9s" % ("", "") + 3 * ("%9s %7s %3s " % (
            "PSS KiB", "USS", "fd")))
        for n, role in enumerate(ROLES):
            columns = [by_role(sample).get(role, []) for _, sample in rows]
            for i in range(max(len(c) for c in columns)):
                cells = ["%9d %7d %3d " % c[i][1:] if i < len(c) else
                         "%21s" % "-" for c in columns]
                say("%-10s %9d" % (role, i) + "".join(cells))

    def run(self):
        minutes = self.opts.minutes
        total = minutes * 60
        warm = int(min(max(total / 5, 15), 180))
        main = int(max(total - warm - 30, 30))
        say("soak: %g minutes, seed %d, %d sessions at once, at most %d a "
            "second" % (minutes, self.opts.seed, self.opts.concurrency,
                        self.opts.rate))
        fresh = self.quiet(None)
        fds = self.fds_of(fresh)
        # Twice as much: a worker has all sessions when the other is killed,
        # and what it keeps of that is no growth.
        say("warm-up of %d s, with twice as many" % warm)
        self.load("w", warm, times=2)
        before = self.quiet(fds)
        if self.fds_of(before) != fds:
            self.fail("descriptors behind the warm-up: %r, were %r" % (
                self.fds_of(before), fds))
        self.series.clear()
        kills = plan_kills(minutes, main)
        say("load of %d s" % main)
        self.load("m", main, kills)
        after = self.quiet(fds)
        self.stop()
        say()
        self.print_table([("fresh", fresh), ("behind warm-up", before),
                          ("at the end", after)])
        self.judge(before, after, main)

    def judge(self, before, after, main):
        settle = min(60, main / 4)
        for (role, pid), samples in sorted(self.series.items()):
            for text in judge.judge_load("%s %d" % (role, pid), samples,
                                         settle):
                self.fail(text)
        for text in judge.judge_quiet(by_role(before), by_role(after)):
            self.fail(text)
        self.judge_messages()
        say("sessions: %d, %d of them left early; %d handshakes, %d resumed; "
            "%.0f MB" % tuple(self.totals[key] / (
                1e6 if key == "octets" else 1) for key in (
                    "sessions", "aborted", "handshakes", "resumed",
                    "octets")))
        say("killed: %d processes; %d sessions complained within %d s of it"
            % (len(self.kills), self.excused, judge.KILL_S))
        say("log: %d lines of sessions, %d of messages" % (
            self.proxy.nrecords["session"], self.proxy.nrecords["message"]))
        for text, n in collections.Counter(
                re.sub(r"\d+", "N", line) for line in self.proxy.lines
                ).most_common(20):
            say("  %6d %s" % (n, text[:200]))


def plan_kills(minutes, main):
    """[(second, role)] within the load."""
    if minutes < 10:
        return [(main / 2, "worker")]
    kills = [(t, "worker") for t in range(KILL_EVERY_S, main - 60,
                                          KILL_EVERY_S)]
    kills += [(main * 0.3, "keyholder"), (main * 0.7, "logger")]
    return sorted(kills)


def main():
    parser = argparse.ArgumentParser(
        description="Mixed load for a long time.")
    parser.add_argument("--minutes", type=float, default=30, metavar="N",
                        help="how long, in all (30)")
    parser.add_argument("--seed", type=int, metavar="N",
                        help="repeats the sessions of another run")
    parser.add_argument("--concurrency", type=int, default=64, metavar="N",
                        help="sessions at once (64)")
    parser.add_argument("--rate", type=int, default=150, metavar="N",
                        help="sessions to begin in a second (150)")
    opts = parser.parse_args()
    if not 1 <= opts.minutes <= 100000:
        parser.error("--minutes: from 1 on")
    lib.enter()
    if opts.seed is None:
        opts.seed = random.SystemRandom().randrange(1 << 31)
    try:
        soak = Soak(opts)
    except lib.Skip as e:
        say("skip soak: %s" % e)
        sys.exit(lib.SKIP_EXIT)
    except lib.Failure as e:
        sys.exit("soak: %s" % e)
    soak.run()
    if soak.failures:
        say("soak: %d failures" % len(soak.failures))
        for text in soak.failures[:50]:
            say("  " + text)
        sys.exit(1)
    say("soak: passed")


if __name__ == "__main__":
    main()
