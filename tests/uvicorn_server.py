"""An application under a real uvicorn: a process of its own, with its workers."""

import contextlib
import os
import signal
import socket
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

from tests import forked_python
from tests.servers import free_port

PROJECT = Path(__file__).parents[1]
START_SECONDS = 120.0
SECRET = "a-secret-for-these-tests-alone-of-32-bytes-or-more"


def environment_with(settings: Mapping[str, str]) -> dict[str, str]:
    """Of another process that imports the project: these settings, and none that this process was given."""
    ours = ("ASGI_SESSIONS_", "EXAMPLE_")
    others = {name: value for name, value in os.environ.items() if not name.upper().startswith(ours)}
    return others | {"PYTHONPATH": str(PROJECT)} | dict(settings)


class UvicornServer:
    """Starts at once, so that several may start together; as a context manager it waits for that, and ends it.

    Args:
        app: As ``module:app``.
        folder: Where it runs and writes its log.
        settings: Environment variables.
        workers: How many processes serve.
        port: A free one by default.
        options: Of uvicorn, besides.

    Attributes:
        port: On 127.0.0.1.
        folder: As given.
    """

    def __init__(
        self,
        app: str,
        folder: Path,
        settings: Mapping[str, str],
        *,
        workers: int = 1,
        port: int | None = None,
        options: Sequence[str] = (),
    ) -> None:
        self.port = port or free_port()
        self.folder = folder
        self._workers = workers
        self._log = folder / f"uvicorn-{self.port}.log"
        command = ["tests.patient_uvicorn", app, "--port", str(self.port)]
        # A worker that starts on a busy machine is not dead, and not to be killed for its silence.
        command += ["--workers", str(workers), "--timeout-worker-healthcheck", "60"]
        if "--ssl-certfile" in options:  # a WebKitGTK that is open does not end its connection when the server does
            command += ["--timeout-graceful-shutdown", "1"]
        self._process = forked_python.start([*command, *options], folder, environment_with(settings), self._log)

    def __enter__(self) -> Self:
        try:
            self.wait_until_started()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def pid(self) -> int:
        """The worker's where there is one, the supervisor's where there are several."""
        pid = self._process.pid
        assert pid is not None  # it has started
        return pid

    @property
    def log(self) -> str:
        """What it and its workers have written."""
        return self._log.read_text(errors="replace")

    def wait_until_started(self) -> None:
        """Wait until every worker has started and somebody listens.

        Raises:
            RuntimeError: It ended, or did not come up in time; the message holds the end of its log.
        """
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self._process.is_alive():
            if self.log.count("Application startup complete") >= self._workers and self._listens:
                return
            time.sleep(0.05)
        raise RuntimeError(f"{self._log.name}: the server did not start:\n{self.log[-3000:]}")

    def close(self) -> None:
        """End it, in order if it can."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, number)  # its own group: the workers go with it
            self._process.join(20)
            if not self._process.is_alive():
                return

    @property
    def _listens(self) -> bool:
        """A worker says that it has started just before it listens."""
        with contextlib.suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", self.port)):
            return True
        return False
