"""The machine is busy while the command runs, and no longer."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.patience import PATIENCE
from tools.busy import busy


def members_of(group: int) -> list[int]:
    """The processes of a group that run, the shell left out."""
    listed = subprocess.run(["ps", "-eo", "pid=,pgid=,stat="], capture_output=True, text=True, check=True).stdout
    rows = [line.split() for line in listed.splitlines()]
    return [int(pid) for pid, pgid, state in rows if int(pgid) == group and int(pid) != group and state[0] != "Z"]


def await_number(group: int, number: int) -> bool:
    """Wait until it has so many: processes neither start nor end at once."""
    deadline = time.monotonic() + PATIENCE
    while len(members_of(group)) != number and time.monotonic() < deadline:
        time.sleep(0.05)
    return len(members_of(group)) == number


@pytest.mark.skipif(sys.platform != "linux", reason="reads the list of processes")
def test_so_many_are_busy_and_all_of_them_end() -> None:
    with busy(3) as group:
        assert await_number(group, 3)
        assert os.getsid(group) == group != os.getsid(0)
    assert await_number(group, 0)


@pytest.mark.parametrize(("command", "status", "said"), [("true", 0, "status 0"), ("false", 1, "2 of 2 runs failed")])
def test_a_run_that_fails_is_told(command: str, status: int, said: str) -> None:
    whole = [sys.executable, "-m", "tools.busy", "--processes", "1", "--times", "2", "--", command]
    ended = subprocess.run(whole, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2])
    assert ended.returncode == status
    assert said in ended.stdout + ended.stderr
    assert "Run 2 of 2" in ended.stdout
