"""An application under a real uvicorn with several workers."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.servers import free_port

PROJECT = Path(__file__).parents[2]
START_SECONDS = 60.0
SECRET = "a-secret-for-these-tests-alone-of-32-bytes-or-more"


class Workers:
    """The running server; ``close()`` ends it.

    Attributes:
        port: On 127.0.0.1.
    """

    def __init__(self, app: str, folder: Path, environment: Mapping[str, str], count: int) -> None:
        self.port = free_port()
        self._log = folder / f"uvicorn-{self.port}.log"
        command = [sys.executable, "-m", "uvicorn", app, "--port", str(self.port), "--workers", str(count)]
        # Workers that start on a busy machine are not dead.
        command += ["--no-access-log", "--timeout-worker-healthcheck", "60"]
        clean = {name: value for name, value in os.environ.items() if not name.upper().startswith("ASGI_SESSIONS_")}
        ours = {"PYTHONPATH": str(PROJECT), "ASGI_SESSIONS_SECRET_KEY": SECRET, "ASGI_SESSIONS_PURGE_INTERVAL": "0"}
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                command,
                cwd=folder,
                env={**clean, **ours, **environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            self._wait_for(count)
        except BaseException:
            self.close()
            raise

    @property
    def log(self) -> str:
        """What all workers have written."""
        return self._log.read_text(errors="replace")

    def close(self) -> None:
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)  # its own group: the workers go with it
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout=20)
                return

    def _wait_for(self, count: int) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self._process.poll() is None:
            if self.log.count("Application startup complete") >= count:
                return
            time.sleep(0.05)
        raise RuntimeError(f"{self._log.name}: the server did not start:\n{self.log[-3000:]}")


@contextlib.contextmanager
def running_workers(app: str, folder: Path, environment: Mapping[str, str], count: int = 2) -> Iterator[Workers]:
    """Run ``module:app`` with these settings."""
    workers = Workers(app, folder, environment, count)
    try:
        yield workers
    finally:
        workers.close()
