"""The servers on which the library is tried, each as its users start it: a command and its processes."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import httpx2

from tests.servers import free_port
from tests.uvicorn_server import SECRET, START_SECONDS, environment_with

APP = "tests.deployment.app:app"
WORKERS = 2
IDLE = "600"
"""Seconds for which a server leaves an idle connection open: on a busy machine a client may take its time."""
END_SECONDS = 120.0
"""Nobody takes so long unless it waits for ever."""


@dataclass(frozen=True)
class AppServer:
    """One server.

    Attributes:
        name: As its users say it.
        package: What they install.
        command: The arguments behind ``python -m`` for a port and a number of workers.
        processes: How many of it are started for two workers.
        told: Whether the library can know that it is to stop, or nothing has to.
        engine: On which database the tests run it: each event loop meets a driver of its own kind once.
        settings: Environment variables.
    """

    name: str
    package: str
    command: Callable[[int], list[str]]
    processes: int = 1
    told: bool = True
    engine: str = "sqlite"
    settings: Mapping[str, str] = field(default_factory=dict)


def _gunicorn(worker: str) -> Callable[[int], list[str]]:
    return lambda port: [
        *("gunicorn", "-k", worker, "-w", str(WORKERS), "--keep-alive", IDLE, "-b", f"127.0.0.1:{port}", APP),
    ]


SERVERS = (
    # A worker that starts on a busy machine is not dead, and not to be killed for its silence.
    AppServer(
        "uvicorn",
        "uvicorn",
        lambda port: [
            *("uvicorn", APP, "--port", str(port), "--workers", str(WORKERS)),
            *("--timeout-keep-alive", IDLE, "--timeout-worker-healthcheck", "60"),
        ],
        engine="mariadb",
    ),
    AppServer(
        "gunicorn, `uvicorn_worker.UvicornWorker`",
        "uvicorn-worker",
        _gunicorn("uvicorn_worker.UvicornWorker"),
    ),
    AppServer("gunicorn, `asgi`", "gunicorn", _gunicorn("asgi")),
    AppServer(
        "granian",
        "granian",
        lambda port: ["granian", "--interface", "asgi", "--port", str(port), "--workers", str(WORKERS), APP],
        engine="mariadb",
    ),
    AppServer(
        "hypercorn, `--workers 0`",
        "hypercorn",
        lambda port: ["hypercorn", "--workers", "0", "--keep-alive", IDLE, "-b", f"127.0.0.1:{port}", APP],
        processes=2,
    ),
    AppServer(
        "hypercorn, workers",
        "hypercorn",
        # While it grants them time, what is open stays so.
        lambda port: [
            *("hypercorn", "--workers", str(WORKERS), "--graceful-timeout", "600", "--keep-alive", IDLE),
            *("-b", f"127.0.0.1:{port}", APP),
        ],
        told=False,
    ),
    AppServer(
        "daphne",
        "daphne",
        lambda port: ["daphne", "-p", str(port), APP],
        processes=2,
        engine="mariadb",
        settings={"START_ON_FIRST_USE": "1"},
    ),
)


class Running:
    """A server's processes on one database.

    Args:
        server: Which one.
        folder: Where they run and write their logs.
        database_url: Of an empty database.

    Attributes:
        server: As given.
        ports: Of its processes, on 127.0.0.1.
    """

    def __init__(self, server: AppServer, folder: Path, database_url: str) -> None:
        self.server = server
        self.ports = [free_port() for _ in range(server.processes)]
        self._logs = [folder / f"{port}.log" for port in self.ports]
        settings = {
            "ASGI_SESSIONS_DATABASE_URL": database_url,
            "ASGI_SESSIONS_SECRET_KEY": SECRET,
            "ASGI_SESSIONS_COOKIE_SECURE": "false",
            "HOME": str(folder),  # gunicorn keeps a control socket there
            **server.settings,
        }
        self._processes: list[subprocess.Popen[bytes]] = []
        for port, path in zip(self.ports, self._logs, strict=True):
            with path.open("wb") as log:
                process = subprocess.Popen(
                    [sys.executable, "-m", *server.command(port)],
                    cwd=folder,
                    env=environment_with(settings),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
            self._processes.append(process)

    @property
    def log(self) -> str:
        """What they have written."""
        return "\n".join(path.read_text(errors="replace") for path in self._logs)

    def wait_until_answering(self) -> None:
        """Wait until each process answers a request.

        Raises:
            RuntimeError: One ended, or did not come up in time; the message holds the end of the log.
        """
        deadline = time.monotonic() + START_SECONDS
        for port, process in zip(self.ports, self._processes, strict=True):
            while not self._answers(port):
                if process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"the server did not start:\n{self.log[-3000:]}")
                time.sleep(0.1)

    def tell_to_stop(self) -> None:
        """As a service manager does: SIGTERM to the first process of each."""
        for process in self._processes:
            process.send_signal(signal.SIGTERM)

    def ended(self) -> bool:
        """Whether all of them end by themselves."""
        deadline = time.monotonic() + END_SECONDS
        while any(process.poll() is None for process in self._processes):
            if time.monotonic() > deadline:
                return False
            time.sleep(0.05)
        return True

    def close(self) -> None:
        """End what is left, without a question."""
        for process in self._processes:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # its own group: the workers go with it
            process.wait(timeout=60)

    @staticmethod
    def _answers(port: int) -> bool:
        try:
            return httpx2.get(f"http://127.0.0.1:{port}/who", timeout=10).status_code == 200
        except httpx2.TransportError:
            return False


@contextlib.contextmanager
def running(server: AppServer, folder: Path, database_url: str) -> Iterator[Running]:
    """A server that answers, until the end of the block."""
    processes = Running(server, folder, database_url)
    try:
        processes.wait_until_answering()
        yield processes
    finally:
        processes.close()
