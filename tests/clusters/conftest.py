"""Clusters whose tests may break them: afterwards they are whole again, for the tests of the store."""

from collections.abc import Iterator

import pytest

from asgi_sessions.store import engine
from tests.clusters.galera import Galera
from tests.clusters.group_replication import GroupReplication
from tests.clusters.haproxy import HAProxy
from tests.clusters.network import DistantGalera
from tests.clusters.nodes import MySQLNode
from tests.clusters.other_versions import UpgradableMariaDB, UpgradableReplica
from tests.clusters.replica import MariaDBPair, PostgreSQLPair, ReplicatedMariaDB
from tests.conftest import running
from tests.engines_used import require
from tests.servers import PostgreSQL, Server
from tools.engines import ENGINES


@pytest.fixture
def as_long_as_in_service(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a node does not answer is given up as it is for users."""
    monkeypatch.setattr(engine, "STATEMENT_TIMEOUT_SECONDS", 5.0)


@pytest.fixture
def nodes(galera: Galera) -> Iterator[Galera]:
    """Three nodes of Galera."""
    yield galera
    galera.heal()


@pytest.fixture(scope="session")
def distant_galera() -> Iterator[DistantGalera]:
    """Three nodes of Galera, on a network that can be cut."""
    require("galera")
    yield from running(DistantGalera)


@pytest.fixture
def distant_nodes(distant_galera: DistantGalera) -> Iterator[DistantGalera]:
    """The same, whole again afterwards."""
    yield distant_galera
    distant_galera.heal()


@pytest.fixture
def group(group_replication: GroupReplication) -> Iterator[GroupReplication]:
    """Three members of a group."""
    first = group_replication.primary
    yield group_replication
    group_replication.heal()
    group_replication.appoint(first)


@pytest.fixture
def proxied_galera(nodes: Galera) -> Iterator[HAProxy]:
    """HAProxy before three nodes, which it takes in turn."""
    require("haproxy")
    yield from running(lambda: HAProxy(nodes.nodes))


@pytest.fixture
def mariadb_pair() -> Iterator[MariaDBPair[ReplicatedMariaDB]]:
    require("mariadb")
    yield from running(lambda: MariaDBPair(ReplicatedMariaDB))


@pytest.fixture
def older_than_11_8() -> None:
    """Of MariaDB the installed version is older, and the newer one is there to go on with."""
    for name in ("mariadb", "mariadb_11_8"):
        require(name)
    (installed,) = (engine.version() for engine in ENGINES if engine.name == "mariadb")
    if [int(part) for part in installed.split(".")] >= [11, 8]:
        pytest.skip(f"MariaDB {installed} is installed, which is no older one")


@pytest.fixture
def upgradable_mariadb(older_than_11_8: None) -> Iterator[UpgradableMariaDB]:
    """A server of the installed version, which can go on as 11.8."""
    yield from running(UpgradableMariaDB)


@pytest.fixture
def upgradable_pair(older_than_11_8: None) -> Iterator[MariaDBPair[UpgradableReplica]]:
    """Two of them, one following the other."""
    yield from running(lambda: MariaDBPair(UpgradableReplica))


@pytest.fixture
def postgresql_pair() -> Iterator[PostgreSQLPair]:
    require("postgresql")
    yield from running(PostgreSQLPair)


SERVERS: dict[str, type[Server]] = {"mariadb": MySQLNode, "postgresql": PostgreSQL}


@pytest.fixture
def own_server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """One that a test may break, of the engine that the parameter names."""
    require(request.param)
    yield from running(SERVERS[request.param])
