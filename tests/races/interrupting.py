"""Statements that are really under way on a MariaDB server: made to wait for a row lock, killed, or cut off."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from sqlalchemy import URL, make_url, text
from sqlalchemy.ext.asyncio import create_async_engine

from asgi_sessions.store.engine import Database
from tests.patience import PATIENCE

_WAITING = text(
    "SELECT id FROM information_schema.processlist "
    "WHERE db = DATABASE() AND command = 'Query' AND info LIKE :begins AND info LIKE :changes ORDER BY id"
)
CHANGES = {"promote": "%promoted_at=%", "revoke": "%revoked_at=%"}


@asynccontextmanager
async def locked_row(url: str | URL, handle: str) -> AsyncIterator[None]:
    """Hold the lock of a session's row inside the block: whoever wants to write it waits."""
    engine = create_async_engine(url)
    try:
        async with engine.connect() as connection:
            row = text("SELECT handle FROM asgi_sessions_sessions WHERE handle = :handle FOR UPDATE")
            await connection.execute(row, {"handle": handle})
            yield
            await connection.rollback()
    finally:
        await engine.dispose()


async def under_way(observer: Database, kind: str) -> list[int]:
    """The connections on which such a statement is being executed."""
    found = await observer.run(_WAITING, {"begins": "UPDATE%", "changes": CHANGES[kind]})
    return [number for (number,) in found.rows]


async def until_under_way(observer: Database, kind: str, *, count: int = 1) -> list[int]:
    """Wait until so many statements of a kind are under way; with 0, until none is any more."""
    async with asyncio.timeout(PATIENCE):
        while len(numbers := await under_way(observer, kind)) != count:
            await asyncio.sleep(0.005)
    return numbers


class CuttingProxy:
    """Between a worker and its server. Once told to, it swallows the answer to a statement and hangs up.

    Attributes:
        cuts: How often it has done so.
    """

    def __init__(self, url: str) -> None:
        self._url = make_url(url)
        self._word: bytes | None = None
        self.cuts = 0

    def cut(self, kind: str) -> None:
        """Swallow the answer to the next statement of this kind."""
        self._word = CHANGES[kind].strip("%").encode()

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[str]:
        """The database's address by way of the proxy."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        try:
            port = server.sockets[0].getsockname()[1]
            yield self._url.set(port=port).render_as_string(hide_password=False)
        finally:
            server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert self._url.host is not None
        upstream, downstream = await asyncio.open_connection(self._url.host, self._url.port)
        answers = asyncio.create_task(_pump(upstream, writer))
        try:
            while data := await reader.read(65536):
                if self._word is not None and self._word in data:
                    self._word = None
                    self.cuts += 1
                    answers.cancel()
                    with suppress(asyncio.CancelledError):
                        await answers
                    downstream.write(data)
                    await upstream.read(1)  # the server has done it
                    break
                downstream.write(data)
        finally:
            answers.cancel()
            downstream.close()
            writer.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while data := await reader.read(65536):
            writer.write(data)
    writer.close()
