"""What the benchmarks share: times and memory of a peer's processes,
statistics, and what is printed."""

import collections
import os
import platform
import re
import statistics
import subprocess
import time

import lib
from peers import DEADLINE, fail


# What is measured.

def cpu_of(pid):
    """User and system time of a process, in seconds.  The scheduler's own
    number is the same as stat's, without its 10 ms steps; it is one for each
    thread."""
    folder = "/proc/%d/task" % pid
    total = 0
    try:
        for thread in os.listdir(folder):
            with open("%s/%s/schedstat" % (folder, thread)) as f:
                total += int(f.read().split()[0])
        return total / 1e9
    except OSError:
        return lib.cpu_seconds(pid)


def cpu_by_process(peer):
    return {pid: cpu_of(pid) for pid in peer.pids()}


def settled(peer):
    """The CPU times once nothing goes on any more: a server may be behind
    its clients, who are gone."""
    deadline = time.monotonic() + DEADLINE
    last = cpu_by_process(peer)
    while time.monotonic() < deadline:
        time.sleep(0.03)
        now = cpu_by_process(peer)
        if sum(now.values()) - sum(last.values()) < 0.0003:
            return now
        last = now
    fail("%s does not come to rest" % peer.name)


def process_name(pid):
    """worker, keyholder, ... from the title."""
    with open("/proc/%d/cmdline" % pid, "rb") as f:
        title = f.read().split(b"\0")[0].decode(errors="replace")
    title = re.sub(r"^\w+: |\[\d+\]| process.*", "", title)
    return os.path.basename(title).strip(" .")


def parts_us(peer, before, after, count):
    """Microseconds of CPU a unit between two settled(), by process."""
    if after.keys() != before.keys():
        fail("%s: another process than before" % peer.name)
    parts = collections.Counter()
    for pid in after:
        used = (after[pid] - before[pid]) * 1e6 / count
        parts[process_name(pid)] += used
    return parts


def pss_kib(peer):
    total = 0
    for pid in peer.pids():
        with open("/proc/%d/smaps_rollup" % pid) as f:
            total += int(re.search(r"^Pss:\s+(\d+)", f.read(), re.M).group(1))
    return total


class Disturbance:
    """What took the processors away from us: time that the host gave to
    others (steal), as a share of all time since the beginning."""

    def __init__(self):
        self.began = self.times()

    @staticmethod
    def times():
        with open("/proc/stat") as f:
            fields = [int(n) for n in f.readline().split()[1:9]]
        return sum(fields), fields[7]

    def steal_percent(self):
        now = self.times()
        return 100 * (now[1] - self.began[1]) / max(
            now[0] - self.began[0], 1)


# Statistics.

def median(samples, field):
    return statistics.median(getattr(s, field) for s in samples)


def ratios(ours, theirs):
    """Of each round, since what disturbs one peer disturbs its neighbour."""
    return [a / b for a, b in zip(ours, theirs)]


def ratio(ours, theirs):
    return statistics.median(ratios(ours, theirs))


def spread_percent(values):
    """From the least to the most, as a share of the median."""
    return 100 * (max(values) - min(values)) / statistics.median(values)


# What is printed.

def say(text=""):
    print(text, flush=True)


def print_machine(versions):
    with open("/proc/cpuinfo") as f:
        model = re.search(r"model name\s*:\s*(.*)", f.read())
    say("date      %s" % time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()))
    say("machine   %s, %d processors, load %.2f" % (
        model.group(1) if model else platform.machine(), os.cpu_count(),
        os.getloadavg()[0]))
    say("system    %s %s, %s" % (
        platform.system(), platform.release(),
        subprocess.run(["openssl", "version"], stdout=subprocess.PIPE,
                       text=True).stdout.partition(" (")[0].strip()))
    for version in versions:
        say("peer      %s" % version)
    say()


def short(value):
    return "%.0f" % value if value >= 100 else "%.3g" % value


def where(samples, scale=1):
    """Which processes used it; those of less than a hundredth are left
    out."""
    parts = collections.Counter()
    for sample in samples:
        parts.update(sample.parts)
    total = sum(parts.values())
    return " ".join("%s %s" % (part, short(used * scale / len(samples)))
                    for part, used in parts.most_common()
                    if used >= total / 100)
