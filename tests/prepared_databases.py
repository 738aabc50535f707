"""Databases that have their tables already: making those takes half a second."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from sqlalchemy import delete

from asgi_sessions.store.engine import Database, open_database
from asgi_sessions.store.migrations import upgrade
from asgi_sessions.store.schema import sessions_metadata
from tests.servers import Server


class PreparedDatabases:
    """One for each engine and each folder of tests: a planner does not forget how many rows others had there."""

    def __init__(self, factory: pytest.TempPathFactory) -> None:
        self._factory = factory
        self._urls: dict[tuple[str, str], str] = {}

    @asynccontextmanager
    async def opened(self, engine: str, request: pytest.FixtureRequest) -> AsyncIterator[Database]:
        """An open database with empty tables."""
        database = await open_database(self._url(engine, request))
        await upgrade(database)
        yield database
        for table in sessions_metadata().sorted_tables:
            await database.run(delete(table))
        await database.close()

    def _url(self, engine: str, request: pytest.FixtureRequest) -> str:
        folder = request.path.parent.name
        if (engine, folder) not in self._urls:
            self._urls[engine, folder] = self._create(engine, folder, request)
        return self._urls[engine, folder]

    def _create(self, engine: str, folder: str, request: pytest.FixtureRequest) -> str:
        if engine == "sqlite":
            return f"sqlite+aiosqlite:///{self._factory.mktemp(folder) / 'sessions.db'}"
        server: Server = request.getfixturevalue(engine)
        server.sql(f"CREATE DATABASE prepared_{folder}")
        return server.url(f"prepared_{folder}")
