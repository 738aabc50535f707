from collections.abc import AsyncIterator, Iterator

import pytest

from tests.conftest import empty_database
from tests.races.cluster import Cluster, open_cluster
from tests.servers import MariaDB, PostgreSQL


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """One event loop for a module, so that its tests can share workers and their connections."""
    return "asyncio"


@pytest.fixture(scope="module")
def mariadb_database(mariadb: MariaDB) -> Iterator[str]:
    """The address of a database that a module's tests share: each session is a test's own."""
    yield from empty_database(mariadb)


@pytest.fixture(scope="module")
def postgresql_database(postgresql: PostgreSQL) -> Iterator[str]:
    """The same on PostgreSQL."""
    yield from empty_database(postgresql)


@pytest.fixture(scope="module")
async def workers(mariadb_database: str) -> AsyncIterator[Cluster]:
    async with open_cluster(mariadb_database) as cluster:
        yield cluster


@pytest.fixture
def cluster(workers: Cluster) -> Cluster:
    """Three workers on MariaDB, without what an earlier test may have left."""
    workers.alarms.clear()
    return workers
