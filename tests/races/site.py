"""The application under `uvicorn --workers 2`, and a crowd of connections, half of them to each of the workers."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

from asgi_sessions.store.engine import POOL_SIZE, Database, open_database
from tests.races.app import REFRESH
from tests.races.client import Connection
from tests.races.cluster import SECRET, must
from tests.races.interrupting import locked_row, until_under_way
from tests.security.browser import Answer
from tests.servers import free_port

PROJECT = Path(__file__).parents[2]
WORKERS = 2
STARTED = "Application startup complete"
PROMOTED = "A promotion matched"
START_SECONDS = 60.0
AT_ONCE = 10


def environment(url: str) -> dict[str, str]:
    """That of a worker on a database which has its tables."""
    others = {name: value for name, value in os.environ.items() if not name.upper().startswith("ASGI_SESSIONS_")}
    return others | {
        "ASGI_SESSIONS_DATABASE_URL": url,
        "ASGI_SESSIONS_SECRET_KEY": SECRET,
        "ASGI_SESSIONS_PURGE_INTERVAL": "0",
        "ASGI_SESSIONS_MIGRATE_ON_START": "off",
    }


class Site:
    """A crowd over HTTP: as many connections to one worker as to the other.

    On MariaDB those who contend for a promotion find the row locked until all that the workers' pools can hold wait
    for it; else a worker would answer one request after the other.
    """

    def __init__(self, port: int, log: Path, observer: Database) -> None:
        self._port = port
        self._observer = observer
        self._log = log
        self._connections: dict[int, list[Connection]] = {}

    async def present(self, tokens: Sequence[str], contended: str | None) -> tuple[list[Answer], list[int]]:
        await self._connect(len(tokens) // WORKERS)
        mixed = [connection for several in zip(*self._connections.values(), strict=False) for connection in several]
        before = len(self._promotions())
        async with AsyncExitStack() as stack:
            if contended is not None and self._observer.dialect == "mysql":
                await stack.enter_async_context(locked_row(self._observer.url, contended))
                stack.push_async_callback(until_under_way, self._observer, "promote", count=WORKERS * POOL_SIZE)
            sending = [
                asyncio.create_task(connection.send("POST", "/auth/session/refresh", [(REFRESH, token)]))
                for connection, token in zip(mixed, tokens, strict=False)
            ]
        answers = await asyncio.gather(*sending)
        must(None not in answers, "a connection broke")
        return [answer for answer in answers if answer is not None], self._promotions()[before:]

    def complaints(self) -> list[str]:
        """What the workers have logged beside promotions."""
        lines = self._log.read_text().splitlines()
        return [line for line in lines if not (PROMOTED in line or line.startswith("INFO"))]

    def close(self) -> None:
        for connections in self._connections.values():
            for connection in connections:
                connection.close()

    def _promotions(self) -> list[int]:
        return [int(line.split()[-1]) for line in self._log.read_text().splitlines() if PROMOTED in line]

    async def _connect(self, each: int) -> None:
        """Open connections until each worker has so many; which one answers is for the system to say."""
        while len(self._connections) < WORKERS or min(map(len, self._connections.values())) < each:
            opened = await asyncio.gather(*(Connection.to(self._port) for _ in range(AT_ONCE)))
            answers = await asyncio.gather(*(connection.send("GET", "/pid", []) for connection in opened))
            for connection, answer in zip(opened, answers, strict=True):
                must(answer is not None, "a connection broke")
                worker = self._connections.setdefault(answer.json() if answer else 0, [])
                if len(worker) < each:
                    worker.append(connection)
                else:
                    connection.close()


@asynccontextmanager
async def open_site(url: str, folder: Path) -> AsyncIterator[Site]:
    """Start two workers on a database which has its tables."""
    port, log = free_port(), folder / "uvicorn.log"
    arguments = ["tests.races.web:app", "--port", str(port), "--workers", str(WORKERS), "--no-access-log"]
    # On a busy machine a worker needs longer than 5 s to its first sign of life, and is not to be killed for it.
    arguments += ["--timeout-worker-healthcheck", "60", "--timeout-keep-alive", "600"]
    with log.open("ab") as output:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "uvicorn",
            *arguments,
            cwd=PROJECT,
            env=environment(url),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        async with asyncio.timeout(START_SECONDS):
            while log.read_text().count(STARTED) < WORKERS:
                must(process.returncode is None, f"uvicorn did not start: {log.read_text()}")
                await asyncio.sleep(0.05)
        observer = await open_database(url)
        site = Site(port, log, observer)
        try:
            yield site
        finally:
            site.close()
            await observer.close()
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
