"""The application in two uvicorn workers, and what the operating system says about them."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Self

from tests.servers import free_port

__all__ = ["Site", "cpu_seconds", "resident_mb"]

ROOT = Path(__file__).parents[2]
WORKERS = 2
START_SECONDS = 120.0
SECRET = "a-secret-for-this-benchmark-alone-of-32-bytes"


def cpu_seconds(pid: int) -> float:
    """What a process has used, of user and system time."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_mb(pid: int) -> float:
    """A process's resident memory."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


class Site:
    """A context manager: running inside, gone after it.

    Args:
        folder: For its log.
        database_url: Where.
        **settings: By the names of `SessionSettings`.

    Attributes:
        port: On 127.0.0.1.
        workers: The process ids.
    """

    def __init__(self, folder: Path, database_url: str, **settings: str) -> None:
        self.port = free_port()
        self.workers: list[int] = []
        self._folder = folder
        self._log = folder / "uvicorn.log"
        given = {"database_url": database_url, "secret_key": SECRET} | settings
        clean = {name: value for name, value in os.environ.items() if not name.startswith("ASGI_SESSIONS_")}
        ours = {f"ASGI_SESSIONS_{name.upper()}": value for name, value in given.items()}
        self._environment = clean | ours | {"PYTHONPATH": str(ROOT)}
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "uvicorn", "benchmarks.load.app:app", "--port", str(self.port)]
        command += ["--workers", str(WORKERS), "--no-access-log", "--timeout-keep-alive", "600"]
        command += ["--timeout-worker-healthcheck", "120"]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                command,
                env=self._environment,
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            self._wait(self._process)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is None:
            return
        for number in (signal.SIGTERM, signal.SIGKILL):
            if self._process.poll() is None:
                os.killpg(self._process.pid, number)
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                continue
            break

    @property
    def log(self) -> str:
        """What uvicorn and the application have said."""
        return self._log.read_text(errors="replace")

    def _wait(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + START_SECONDS
        while self.log.count("Application startup complete") < WORKERS:
            if time.monotonic() > deadline or process.poll() is not None:
                raise RuntimeError(f"the application did not start:\n{self.log[-3000:]}")
            time.sleep(0.05)
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        # Beside the workers there is multiprocessing's resource tracker.
        self.workers = [int(pid) for pid in children if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()]
        if len(self.workers) != WORKERS:
            raise RuntimeError(f"{len(self.workers)} workers instead of {WORKERS}")
