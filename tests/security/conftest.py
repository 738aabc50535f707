import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete

from asgi_sessions.store.engine import open_database
from asgi_sessions.store.migrations import upgrade
from asgi_sessions.store.schema import sessions_metadata
from tests.conftest import DATABASES
from tests.security.shop import Shop, open_shop
from tests.servers import Server

OpenShop = Callable[..., AbstractAsyncContextManager[Shop]]


@pytest.fixture(scope="session")
def prepared() -> dict[str, str]:
    """The addresses of databases that have their tables, by engine: making one takes half a second."""
    return {}


@pytest.fixture
async def sqlite_url(prepared: dict[str, str], tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The address of a SQLite database that has its tables, and nobody else's rows."""
    if "template" not in prepared:
        path = tmp_path_factory.mktemp("security") / "template.db"
        await _make_tables(f"sqlite+aiosqlite:///{path}")
        prepared["template"] = str(path)
    shutil.copy(prepared["template"], tmp_path / "sessions.db")
    return f"sqlite+aiosqlite:///{tmp_path / 'sessions.db'}"


@pytest.fixture(params=DATABASES)
async def any_url(request: pytest.FixtureRequest, prepared: dict[str, str], sqlite_url: str) -> AsyncIterator[str]:
    """The address of a database that has its tables without rows, on each engine in turn."""
    if request.param == "sqlite":
        yield sqlite_url
        return
    if request.param not in prepared:
        server: Server = request.getfixturevalue(request.param)
        server.sql("CREATE DATABASE security")
        prepared[request.param] = server.url("security")
        await _make_tables(prepared[request.param])
    yield prepared[request.param]
    database = await open_database(prepared[request.param])
    for table in sessions_metadata().sorted_tables:
        await database.run(delete(table))
    await database.close()


async def _make_tables(url: str) -> None:
    database = await open_database(url)
    await upgrade(database)
    await database.close()


@pytest.fixture
async def shop(sqlite_url: str) -> AsyncIterator[Shop]:
    """The application with its defaults on SQLite."""
    async with open_shop(sqlite_url) as opened:
        yield opened


@pytest.fixture
async def any_shop(any_url: str) -> AsyncIterator[Shop]:
    """The application with its defaults on each engine in turn."""
    async with open_shop(any_url) as opened:
        yield opened


@pytest.fixture
def opening(sqlite_url: str) -> OpenShop:
    """Opens the application on SQLite with settings of the test's own."""

    def with_settings(**settings: Any) -> AbstractAsyncContextManager[Shop]:
        return open_shop(sqlite_url, **settings)

    return with_settings
