"""Databases for all tests: a server of one's own per test process, an empty database per test."""

import os
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from asgi_sessions.store.engine import Database
from tests.prepared_databases import PreparedDatabases
from tests.servers import MariaDB, PostgreSQL, Redis, Server, ServerMissing

ENGINES = ("sqlite", "mariadb", "postgresql")
AnyServer = TypeVar("AnyServer", bound=Server)


@pytest.fixture
def anyio_backend() -> str:
    """Async tests run on asyncio: the drivers know nothing else."""
    return "asyncio"


@pytest.fixture(scope="session")
def mariadb() -> Iterator[MariaDB]:
    """A MariaDB server. Where none is installed tests are skipped, but fail in CI."""
    server = _start(MariaDB, required="CI" in os.environ)
    yield server
    server.close()


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSQL]:
    """A PostgreSQL server. Where none is installed tests are skipped, but fail in CI."""
    server = _start(PostgreSQL, required="CI" in os.environ)
    yield server
    server.close()


@pytest.fixture(scope="session")
def redis() -> Iterator[Redis]:
    """A Redis server. Where none is installed tests are skipped, but fail in CI."""
    server = _start(Redis, required="CI" in os.environ)
    yield server
    server.close()


def _start(kind: type[AnyServer], *, required: bool) -> AnyServer:
    try:
        return kind()
    except ServerMissing as error:
        if required:
            pytest.fail(f"{kind.__name__}: {error}", pytrace=False)
        pytest.skip(f"{kind.__name__}: {error}")


@pytest.fixture(params=ENGINES)
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of an empty database, on each engine in turn."""
    if request.param == "sqlite":
        yield f"sqlite+aiosqlite:///{tmp_path / 'sessions.db'}"
    else:
        yield from empty_database(request.getfixturevalue(request.param))


@pytest.fixture
def mariadb_url(mariadb: MariaDB) -> Iterator[str]:
    """The address of an empty MariaDB database."""
    yield from empty_database(mariadb)


def empty_database(server: Server) -> Iterator[str]:
    name = f"test_{uuid.uuid4().hex[:12]}"
    server.sql(f"CREATE DATABASE {name}")
    yield server.url(name)
    # A test that killed the server may have left it down; the data goes with the server then.
    if server.is_running:
        server.sql(f"DROP DATABASE {name}" + (" WITH (FORCE)" if isinstance(server, PostgreSQL) else ""))


@pytest.fixture(scope="session")
def prepared_databases(tmp_path_factory: pytest.TempPathFactory) -> PreparedDatabases:
    return PreparedDatabases(tmp_path_factory)


@pytest.fixture(params=ENGINES)
async def database(request: pytest.FixtureRequest, prepared_databases: PreparedDatabases) -> AsyncIterator[Database]:
    """An open database with empty tables, on each engine in turn."""
    async with prepared_databases.opened(request.param, request) as database:
        yield database


@pytest.fixture
async def on_sqlite(request: pytest.FixtureRequest, prepared_databases: PreparedDatabases) -> AsyncIterator[Database]:
    """An open SQLite database with empty tables, for what has nothing to do with the engine."""
    async with prepared_databases.opened("sqlite", request) as database:
        yield database


@pytest.fixture
async def on_mariadb(request: pytest.FixtureRequest, prepared_databases: PreparedDatabases) -> AsyncIterator[Database]:
    """An open MariaDB database with empty tables."""
    async with prepared_databases.opened("mariadb", request) as database:
        yield database


@pytest.fixture
async def on_postgresql(
    request: pytest.FixtureRequest, prepared_databases: PreparedDatabases
) -> AsyncIterator[Database]:
    """An open PostgreSQL database with empty tables."""
    async with prepared_databases.opened("postgresql", request) as database:
        yield database


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Name long values by their argument: the keys among them differ from process to process."""
    return argname if isinstance(val, str | bytes) and len(val) > 60 else None


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    skipped = {
        name
        for name in ("MariaDB", "PostgreSQL", "Redis")
        for report in terminalreporter.stats.get("skipped", [])
        if isinstance(report.longrepr, tuple) and f"{name}: none of" in report.longrepr[2]
    }
    if skipped:
        terminalreporter.section("WARNING: NOT TESTED", sep="!", red=True, bold=True)
        for name in sorted(skipped):
            terminalreporter.line(f"{name} is not installed: every test that needs it was skipped.")
