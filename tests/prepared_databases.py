"""Databases that have their tables already: making those takes half a second."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, closing, contextmanager

import pytest
from sqlalchemy import make_url, text

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
        self._have_tables: set[str] = set()

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
        if url not in self._have_tables:
            with ThreadPoolExecutor(1) as beside:  # an event loop may run here
                beside.submit(asyncio.run, _make_tables(url)).result()
            self._have_tables.add(url)
        server: Server | None = None if engine == "sqlite" else request.getfixturevalue(engine)
        yield url
        database = make_url(url).database or ""
        deletion = "; ".join(map(str, _DELETIONS))
        if server is None:
            with closing(sqlite3.connect(database)) as connection:
                connection.executescript(deletion)
        else:
            server.sql(deletion, database)

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
