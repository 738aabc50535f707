"""Other Pythons, forked from one that has imported what they would import, which takes longer than most tests.

A fork server of multiprocessing does it, one for each process of pytest. What its Pythons run, the folder, the
environment and the signals' handlers are as if each had been started anew.
"""

import multiprocessing
import os
import runpy
import sys
import time
from collections.abc import Mapping, Sequence
from multiprocessing.context import ForkServerProcess
from pathlib import Path

STOP_SECONDS = 60.0
_forked = multiprocessing.get_context("forkserver")
_forked.set_forkserver_preload(["tests.imported_by_servers"])


def start(command: Sequence[str], folder: Path, environment: Mapping[str, str], log: Path) -> ForkServerProcess:
    """Start what ``python -m`` would, in a session of its own.

    Args:
        command: The module's name and its arguments.
        folder: Where it runs.
        environment: All of its variables.
        log: Where it writes both of its outputs.

    Returns:
        The process, which ends with this one at the latest.
    """
    log.write_bytes(b"")
    process = _forked.Process(target=_run, args=(list(command), str(folder), dict(environment), str(log)), daemon=True)
    process.start()
    return process


def wait_until_stopped(pid: int) -> None:
    """Wait until a process has stopped, after SIGSTOP: its threads do so one by one. It is no child of this one.

    Raises:
        AssertionError: It goes on.
    """
    deadline = time.monotonic() + STOP_SECONDS
    while any(_state(thread) != "T" for thread in Path(f"/proc/{pid}/task").iterdir()):
        assert time.monotonic() < deadline, f"{pid} goes on"
        time.sleep(0.001)


def _state(thread: Path) -> str:
    return (thread / "stat").read_text().rpartition(") ")[2][0]  # the name before it may hold anything


def _run(command: list[str], folder: str, environment: dict[str, str], log: str) -> None:
    multiprocessing.current_process().daemon = False  # a daemon could have no workers
    os.setsid()
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    output = os.open(log, os.O_WRONLY | os.O_APPEND)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.close(output)
    sys.path[:] = [folder, *(path for path in sys.path if path not in {"", folder})]
    sys.argv[1:] = command[1:]
    runpy.run_module(command[0], run_name="__main__", alter_sys=True)
