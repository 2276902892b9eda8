#!/usr/bin/python3
"""The benchmarks run: of their numbers nothing is asked."""

import os
import subprocess
import sys

import lib
from lib import Skip, check, check_match

# For the plain build only.
LONG = True


@lib.long
def test_tls():
    if not os.path.exists(os.path.join(lib.mta_dir(), "nginx")):
        raise Skip("no nginx: make test-deps")
    got = subprocess.run(
        [sys.executable, os.path.join(lib.ROOT, "regress", "bench", "tls"),
         "--quick", "--rounds", "1", "--count", "20", "--idle", "20",
         "--only", "P-256, TLS 1.3"], stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, timeout=60)
    check(got.returncode == 0, got.stdout)
    for row in ("no TLS", "P-256, TLS 1.3", "P-256, TLS 1.3 resumed"):
        check_match(r"(?m)^%s\n  smtpproxyd .*\n  nginx .*\n  ratio " % row,
                    got.stdout)
    check_match(r"memory: KiB of PSS an idle session, 20 of them", got.stdout)


if __name__ == "__main__":
    lib.main()
