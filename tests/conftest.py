"""Databases for all tests: a server of one's own per test process, an empty database per test."""

import logging
import subprocess
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Protocol, TypeVar

import hypothesis
import pytest

import tests.patience  # noqa: F401 - for all tests
from asgi_sessions.manager import unclaimed
from asgi_sessions.store.engine import Database
from tests import engines_used, heap, heartbeat, order
from tests.clusters.galera import Galera, GaleraNode
from tests.clusters.group_replication import GroupReplication, Member
from tests.clusters.oracle_mysql import OracleMySQL
from tests.clusters.other_versions import MariaDB118, PostgreSQL16, PostgreSQL17, PostgreSQL18
from tests.engine_markers import is_slow, mark, without_clusters
from tests.engines_used import leave_out, pytest_addoption, require
from tests.prepared_databases import PreparedDatabases
from tests.servers import MariaDB, PostgreSQL, Redis, Server
from tools import openid_provider
from tools.engines import find_program

__all__ = ["DATABASES", "empty_database", "pytest_addoption", "running"]

DATABASES = ("sqlite", "mariadb", "postgresql")


class Closes(Protocol):
    def close(self) -> None:
        """End it."""


Closing = TypeVar("Closing", bound=Closes)


# How long an example takes says how busy the machine is.
hypothesis.settings.register_profile("any machine", deadline=None)
hypothesis.settings.load_profile("any machine")


def pytest_configure(config: pytest.Config) -> None:
    engines_used.pytest_configure(config)
    heap.pytest_configure()
    heartbeat.pytest_configure(config)
    order.pytest_configure(config)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    only_fast = config.getoption("markexpr") == "fast"  # collecting all would take longer than they do
    return True if only_fast and is_slow(collection_path, config.rootpath / "tests") else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        mark(item)
    without_clusters(config, items)
    order.pytest_collection_modifyitems(config, items)


def pytest_collection_finish() -> None:
    heap.pytest_collection_finish()


@pytest.fixture(scope="module", autouse=True)
def logging_as_at_first() -> Iterator[None]:
    """What a module's frameworks do to logging does not reach the next module."""
    yield
    root = logging.getLogger()
    root.setLevel(logging.WARNING)
    for handler in list(root.handlers):
        if not type(handler).__module__.startswith("_pytest"):  # those come and go with the phases of a test
            root.removeHandler(handler)


@pytest.fixture
def anyio_backend() -> str:
    """Async tests run on asyncio: the drivers know nothing else."""
    return "asyncio"


@pytest.fixture(scope="session")
def mariadb() -> Iterator[MariaDB]:
    """A MariaDB server."""
    require("mariadb")
    yield from running(MariaDB)


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSQL]:
    """A PostgreSQL server."""
    require("postgresql")
    yield from running(PostgreSQL)


@pytest.fixture(scope="session")
def redis() -> Iterator[Redis]:
    """A Redis server."""
    require("redis")
    yield from running(Redis)


@pytest.fixture(scope="session")
def galera() -> Iterator[Galera]:
    """Three MariaDB servers with Galera."""
    require("galera")
    yield from running(Galera)


@pytest.fixture(scope="session")
def galera_node(galera: Galera) -> GaleraNode:
    """One of its nodes."""
    return galera.nodes[1]


@pytest.fixture(scope="session")
def oracle_mysql() -> Iterator[OracleMySQL]:
    """A server of Oracle's MySQL."""
    require("oracle_mysql")
    yield from running(OracleMySQL)


@pytest.fixture(scope="session")
def mariadb_11_8() -> Iterator[MariaDB118]:
    """A server of MariaDB 11.8."""
    require("mariadb_11_8")
    yield from running(MariaDB118)


@pytest.fixture(scope="session")
def postgresql_16() -> Iterator[PostgreSQL16]:
    """A server of PostgreSQL 16."""
    require("postgresql_16")
    yield from running(PostgreSQL16)


@pytest.fixture(scope="session")
def postgresql_17() -> Iterator[PostgreSQL17]:
    """A server of PostgreSQL 17."""
    require("postgresql_17")
    yield from running(PostgreSQL17)


@pytest.fixture(scope="session")
def postgresql_18() -> Iterator[PostgreSQL18]:
    """A server of PostgreSQL 18."""
    require("postgresql_18")
    yield from running(PostgreSQL18)


@pytest.fixture(scope="session")
def group_replication(request: pytest.FixtureRequest) -> Iterator[GroupReplication]:
    """Three of them as a group, whose members give up without a majority: after 5 s, or what the parameter says."""
    require("oracle_mysql")
    yield from running(lambda: GroupReplication(unreachable_majority_timeout=getattr(request, "param", 5)))


@pytest.fixture(scope="session")
def group_primary(group_replication: GroupReplication) -> Member:
    """The member that takes writes."""
    return group_replication.primary


@pytest.fixture(scope="session")
def chromium() -> str:
    """The browser's path."""
    require("chromium")
    return find_program("chromium")


@pytest.fixture(scope="session")
def curl() -> str:
    """Its path."""
    require("curl")
    return find_program("curl")


@pytest.fixture(scope="session")
def node() -> str:
    """Its path."""
    require("node")
    return find_program("node")


@pytest.fixture(scope="session")
def npm() -> str:
    """Its path."""
    require("npm")
    return find_program("npm")


@pytest.fixture(scope="session")
def oidc_provider(
    node: str, npm: str, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A certified provider's module, which npm fetches once, into pytest's cache."""
    if (version := openid_provider.node_version()) < openid_provider.OLDEST_NODE:
        leave_out(f"oidc-provider needs Node.js {openid_provider.OLDEST_NODE} or newer, here is {version}")
    cache = getattr(request.config, "cache", None)  # a plugin of pytest's, which can be left out
    folder = tmp_path_factory.mktemp("oidc-provider") if cache is None else cache.mkdir("oidc-provider")
    try:
        return openid_provider.fetched(folder)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        leave_out(f"oidc-provider cannot be fetched: {(error.stderr or b'').decode(errors='replace')[-300:]}")


def running(start: Callable[[], Closing]) -> Iterator[Closing]:
    """A server, or several, until the fixture that yields from this ends."""
    server = start()
    yield server
    server.close()


@pytest.fixture(params=DATABASES)
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
    server.create(name)
    yield server.url(name)
    # A test that killed the server may have left it down; the data goes with the server then.
    if server.is_running:
        server.sql(f"DROP DATABASE {name}" + (" WITH (FORCE)" if isinstance(server, PostgreSQL) else ""))


@pytest.fixture(scope="session")
def prepared_databases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PreparedDatabases]:
    yield from running(lambda: PreparedDatabases(tmp_path_factory))


@pytest.fixture(params=DATABASES)
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


@pytest.fixture
def pauses_are_short(monkeypatch: pytest.MonkeyPatch) -> None:
    """For logins without a database: a stop waits for the last try to end what one may have begun."""
    monkeypatch.setattr(unclaimed, "PAUSES_SECONDS", (0.01, 0.03))


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Name long values by their argument: the keys among them differ from process to process."""
    return argname if isinstance(val, str | bytes) and len(val) > 60 else None
