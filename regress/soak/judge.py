"""What the soak makes of its records and samples, apart from how it gets them:
t_soak.py feeds it made ones.

Each judge_* function returns complaints, a list of text that is empty where
all is as it should be.
"""

import collections
import math

# README says what a healthy daemon shows.
QUIET_GROWTH_KIB = 512          # of a process, from one quiet time to the next
LOAD_GROWTH_KIB = 2048          # of a process under load, in the whole time
LOAD_GROWTH_FDS = 40
QUIET_CPU = 0.05                # of a processor, with nothing to do
KILL_S = 5                      # what a kill may be an excuse for
PASS_S = 1
SAMPLES_MIN = 6                 # fewer say nothing of a trend
CERTAIN = 3                     # standard errors

# A process at one time: KiB of PSS and of memory that only it has, open
# descriptors.
Sample = collections.namedtuple("Sample", "seconds pss uss fds")

# What the client was told of a message: how it ended (see soakload), size and
# sum of its content.
Told = collections.namedtuple("Told", "how size sum")


# Messages.

def read_told(path):
    """{id: Told} of soakload's journal."""
    told = {}
    with open(path) as f:
        for line in f:
            name, how, size, total = line.split()
            told[name] = Told(how, int(size), total)
    return told


def read_taken(path):
    """[(id, size, sum)] of soaksink's journal."""
    with open(path) as f:
        return [(name, int(size), total) for name, size, total in
                (line.split() for line in f)]


# How often a message may have been delivered, by what the client was told.
ALLOWED = {"a": (1,), "d": (0,), "r": (0, 1), "u": (0, 1), "x": (0,)}
WORDS = {"a": "acknowledged", "d": "refused by the destination",
         "r": "refused", "u": "of unknown fate", "x": "never sent whole"}


def judge_messages(told, taken):
    """told: {id: Told}; taken: [(id, size, sum)] of all destinations."""
    complaints = []
    found = collections.defaultdict(list)
    for name, size, total in taken:
        found[name].append((size, total))
    for name, copies in found.items():
        if name not in told:
            complaints.append("message %s was delivered, and never sent"
                              % name)
    for name, t in told.items():
        copies = found.get(name, [])
        if len(copies) not in ALLOWED[t.how]:
            complaints.append("message %s, %s, was delivered %d times" % (
                name, WORDS[t.how], len(copies)))
        for size, total in copies:
            if (size, total) != (t.size, t.sum):
                complaints.append(
                    "message %s, %s, has %d octets with the sum %s, not %d "
                    "with %s" % (name, WORDS[t.how], size, total, t.size,
                                 t.sum))
    return complaints


# Memory and descriptors.

def trend(points):
    """(slope, its standard error) of [(x, y)] by least squares."""
    n = len(points)
    mean_x = sum(x for x, _ in points) / n
    mean_y = sum(y for _, y in points) / n
    sxx = sum((x - mean_x) ** 2 for x, _ in points)
    if sxx == 0 or n < 3:
        return 0.0, 0.0
    slope = sum((x - mean_x) * (y - mean_y) for x, y in points) / sxx
    rest = sum((y - mean_y - slope * (x - mean_x)) ** 2 for x, y in points)
    return slope, math.sqrt(rest / (n - 2) / sxx)


def certain_growth(points):
    """How much y has grown over all of x at the very least: what is between
    samples by chance does not count."""
    if len(points) < SAMPLES_MIN:
        return 0.0
    slope, error = trend(points)
    return max(slope - CERTAIN * error, 0.0) * (points[-1][0] - points[0][0])


def judge_load(name, samples, settle_s):
    """Of one process under load; its first settle_s seconds do not count."""
    if not samples:
        return []
    kept = [s for s in samples
            if s.seconds - samples[0].seconds >= settle_s]
    complaints = []
    for what, bound, unit in (("uss", LOAD_GROWTH_KIB, " KiB"),
                              ("fds", LOAD_GROWTH_FDS, " descriptors")):
        grown = certain_growth([(s.seconds, getattr(s, what)) for s in kept])
        if grown > bound:
            complaints.append("%s grows under load: by %.0f%s in %.0f s" % (
                name, grown, unit, kept[-1].seconds - kept[0].seconds))
    return complaints


def judge_quiet(before, after):
    """{role: [Sample]} of two times with nothing to do.  Workers are not told
    apart: any of them may be a new one."""
    complaints = []
    for role in sorted(set(before) | set(after)):
        old, new = before.get(role, []), after.get(role, [])
        if len(old) != len(new):
            complaints.append("%s: %d processes, not %d" % (
                role, len(new), len(old)))
            continue
        fds_old, fds_new = (sorted(s.fds for s in x) for x in (old, new))
        if fds_old != fds_new:
            complaints.append("%s: descriptors %s, were %s" % (
                role, fds_new, fds_old))
        for a, b in zip(sorted(s.uss for s in old),
                        sorted(s.uss for s in new)):
            if b - a > QUIET_GROWTH_KIB:
                complaints.append("%s has grown by %d KiB, from %d to %d" % (
                    role, b - a, a, b))
    return complaints


# Sessions.

def is_excused(began, ended, kills):
    """A kill within a session's life, or shortly before it, may be what it
    complains of.  All in seconds of one clock, which soakload reads once a
    pass of its loop."""
    return any(began <= kill + KILL_S and ended >= kill - PASS_S
               for kill in kills)


def judge_sessions(lines, kills):
    """complaint lines of soakload.  Returns (complaints, number excused)."""
    complaints, excused = [], 0
    for line in lines:
        _, began, ended, text = line.split(" ", 3)
        if is_excused(int(began) / 1000, int(ended) / 1000, kills):
            excused += 1
        else:
            complaints.append(text)
    return complaints, excused
