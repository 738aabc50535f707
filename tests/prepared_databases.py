"""Databases that have their tables already: making those takes half a second."""

import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, closing, contextmanager

import pytest
from anyio.from_thread import start_blocking_portal
from sqlalchemy import make_url, text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from asgi_sessions.store.engine import Database, open_database
from asgi_sessions.store.migrations import upgrade
from asgi_sessions.store.schema import sessions_metadata
from tests.servers import Server

_DELETIONS = [text(f"DELETE FROM {table.name}") for table in sessions_metadata().sorted_tables]


class PreparedDatabases:
    """One for each engine and each folder of tests: a planner does not forget how many rows others had there."""

    def __init__(self, factory: pytest.TempPathFactory) -> None:
        self._factory = factory
        self._urls: dict[tuple[str, str], str] = {}
        self._engines: dict[str, AsyncEngine | None] = {}
        self._stack = ExitStack()
        # A loop beside the test's, whose connections stay open between tests.
        self._beside = self._stack.enter_context(start_blocking_portal())

    def close(self) -> None:
        """Close the connections that delete rows."""
        for engine in self._engines.values():
            if engine is not None:
                self._beside.call(engine.dispose)
        self._stack.close()

    @asynccontextmanager
    async def opened(self, engine: str, request: pytest.FixtureRequest) -> AsyncIterator[Database]:
        """An open database with empty tables."""
        database = await open_database(self._url(engine, request))
        await upgrade(database)
        yield database
        for deletion in _DELETIONS:
            await database.run(deletion)
        await database.close()

    @contextmanager
    def address(self, engine: str, request: pytest.FixtureRequest) -> Iterator[str]:
        """The address of one without rows, for what opens it by itself."""
        url = self._url(engine, request)
        if url not in self._engines:
            self._beside.call(_make_tables, url)
            self._engines[url] = None if engine == "sqlite" else create_async_engine(url, pool_pre_ping=True)
        yield url
        deleting = self._engines[url]
        if deleting is None:
            _delete_in_file(make_url(url).database or "")
        else:
            self._beside.call(_delete, deleting)

    def _url(self, engine: str, request: pytest.FixtureRequest) -> str:
        folder = request.path.parent.name
        if (engine, folder) not in self._urls:
            self._urls[engine, folder] = self._create(engine, folder, request)
        return self._urls[engine, folder]

    def _create(self, engine: str, folder: str, request: pytest.FixtureRequest) -> str:
        if engine == "sqlite":
            return f"sqlite+aiosqlite:///{self._factory.mktemp(folder) / 'sessions.db'}"
        server: Server = request.getfixturevalue(engine)
        server.create(f"prepared_{folder}")
        return server.url(f"prepared_{folder}")


async def _make_tables(url: str) -> None:
    database = await open_database(url)
    await upgrade(database)
    await database.close()


async def _delete(engine: AsyncEngine) -> None:
    async with engine.begin() as connection:
        for deletion in _DELETIONS:
            await connection.execute(deletion)


def _delete_in_file(database: str) -> None:
    statements = ["PRAGMA synchronous = OFF", "BEGIN IMMEDIATE", *map(str, _DELETIONS), "COMMIT"]
    with closing(sqlite3.connect(database)) as connection:
        connection.executescript("; ".join(statements))
