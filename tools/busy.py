"""Runs a command, several times in a row, beside processes that want all of the machine.

What holds here does not depend on a quiet machine: make test-busy.
"""

import argparse
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def busy(processes: int) -> Iterator[int]:
    """Keep so many processes busy; gives the id of their process group.

    They have a session of their own, as in another terminal: where the kernel shares the machine among sessions first
    (Linux with autogroup), the command keeps about half of it; elsewhere it gets a fair share of one process each.
    """
    each = f'"{sys.executable}" -c "while True: pass" & '
    started = subprocess.Popen(["/bin/sh", "-c", each * processes + "wait"], start_new_session=True)
    try:
        yield started.pid
    finally:
        os.killpg(started.pid, signal.SIGKILL)
        started.wait()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tools.busy", description=__doc__)
    parser.add_argument("--processes", type=int, default=20)
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("command", nargs="+", help="behind --")
    given = parser.parse_args()
    failed = 0
    with busy(given.processes):
        for number in range(1, given.times + 1):
            begun = time.monotonic()
            status = subprocess.run(given.command, check=False).returncode
            minutes = (time.monotonic() - begun) / 60
            print(f"Run {number} of {given.times} beside {given.processes} busy processes: ", end="")
            print(f"status {status}, {minutes:.1f} minutes", flush=True)
            failed += status != 0
    sys.exit(f"{failed} of {given.times} runs failed." if failed else 0)


if __name__ == "__main__":
    main()
