"""The application under `uvicorn --workers 2`, and a crowd of connections, half of them to each of the workers."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from asgi_sessions.store.engine import POOL_SIZE, Database, open_database
from tests.races.app import REFRESH
from tests.races.client import Connection
from tests.races.cluster import SECRET, must
from tests.races.interrupting import locked_row, until_under_way
from tests.security.browser import Answer
from tests.uvicorn_server import UvicornServer

WORKERS = 2
PROMOTED = "A promotion matched"
AT_ONCE = 10


def worker_settings(url: str) -> dict[str, str]:
    """Those of a worker on a database which has its tables."""
    return {
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

    def __init__(self, server: UvicornServer, observer: Database) -> None:
        self._server = server
        self._observer = observer
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
        lines = self._server.log.splitlines()
        return [line for line in lines if not (PROMOTED in line or line.startswith("INFO"))]

    def close(self) -> None:
        for connections in self._connections.values():
            for connection in connections:
                connection.close()

    def _promotions(self) -> list[int]:
        return [int(line.split()[-1]) for line in self._server.log.splitlines() if PROMOTED in line]

    async def _connect(self, each: int) -> None:
        """Open connections until each worker has so many; which one answers is for the system to say."""
        while len(self._connections) < WORKERS or min(map(len, self._connections.values())) < each:
            opened = await asyncio.gather(*(Connection.to(self._server.port) for _ in range(AT_ONCE)))
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
    options = ["--no-access-log", "--timeout-keep-alive", "600"]
    server = UvicornServer("tests.races.web:app", folder, worker_settings(url), workers=WORKERS, options=options)
    try:
        await asyncio.to_thread(server.wait_until_started)
        observer = await open_database(url)
        site = Site(server, observer)
        try:
            yield site
        finally:
            site.close()
            await observer.close()
    finally:
        await asyncio.to_thread(server.close)
