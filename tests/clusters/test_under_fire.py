"""Databases under fire: no logout is undone, no session lost, nobody called a thief, and no other error than a 503.

Each test breaks one thing while users go on, mends it, and has the history of all calls checked: see `history`.
"""

import subprocess
import time
from collections.abc import Callable, Iterable

import pytest

from tests.clusters.fire import BURNING, under_fire
from tests.clusters.galera import Galera
from tests.clusters.group_replication import GroupReplication
from tests.clusters.haproxy import HAProxy
from tests.clusters.nodes import USER, wait_until
from tests.clusters.recipes import statements
from tests.clusters.replica import MariaDBPair, PostgreSQLPair, ReplicatedMariaDB
from tests.clusters.workers import address, new_database
from tests.servers import Server

pytestmark = [pytest.mark.fire, pytest.mark.usefixtures("as_long_as_in_service")]


def each(servers: Iterable[Server], do: Callable[[Server], object]) -> None:
    for server in servers:
        do(server)


# -- Galera


def galera_one_is_killed(cluster: Galera) -> None:
    cluster.nodes[0].kill()
    time.sleep(BURNING)
    cluster.heal()


def galera_one_is_frozen(cluster: Galera) -> None:
    cluster.nodes[0].pause()
    time.sleep(2 * BURNING)
    cluster.heal()


def galera_one_is_cut_off(cluster: Galera) -> None:
    cluster.partition(cluster.nodes[0])
    time.sleep(BURNING)
    cluster.heal()


def galera_the_majority_is_lost(cluster: Galera) -> None:
    cluster.partition(*cluster.nodes[:2])
    time.sleep(BURNING)
    cluster.heal()


def galera_all_are_killed(cluster: Galera) -> None:
    each(cluster.nodes, Server.kill)
    time.sleep(BURNING)
    cluster.bootstrap()


def galera_is_restarted_node_by_node(cluster: Galera) -> None:
    for node in cluster.nodes:
        node.restart()
        cluster.wait_until_primary()


@pytest.mark.parametrize(
    "fault",
    [
        galera_one_is_killed,
        galera_one_is_frozen,
        galera_one_is_cut_off,
        galera_the_majority_is_lost,
        galera_all_are_killed,
        galera_is_restarted_node_by_node,
    ],
)
async def test_galera(nodes: Galera, fault: Callable[[Galera], None]) -> None:
    name = new_database(nodes.nodes[0])
    await under_fire([address(nodes.nodes, name)], fault, nodes)


async def test_galera_where_each_worker_has_one_node(nodes: Galera) -> None:
    name = new_database(nodes.nodes[0])
    await under_fire([node.url(name) for node in nodes.nodes], galera_one_is_cut_off, nodes)


async def test_galera_through_a_proxy(proxied_galera: HAProxy, nodes: Galera) -> None:
    name = new_database(nodes.nodes[0])
    await under_fire([proxied_galera.url(name)], galera_one_is_killed, nodes)


# -- Group Replication


def the_primary_is_killed(group: GroupReplication) -> None:
    group.primary.kill()
    time.sleep(BURNING)
    group.heal()


def the_primary_is_frozen(group: GroupReplication) -> None:
    group.primary.pause()
    time.sleep(3 * BURNING)
    group.heal()


def the_primary_is_left_alone(group: GroupReplication) -> None:
    group.partition(group.primary)
    time.sleep(BURNING)
    group.heal()


@pytest.mark.parametrize("fault", [the_primary_is_killed, the_primary_is_frozen, the_primary_is_left_alone])
async def test_group_replication(group: GroupReplication, fault: Callable[[GroupReplication], None]) -> None:
    name = new_database(group.primary)
    await under_fire([address(group.nodes, name)], fault, group)


# -- a primary and its replica


def they_change_places(pair: MariaDBPair[ReplicatedMariaDB]) -> None:
    for _ in range(3):
        pair.switch()
        time.sleep(BURNING / 3)


async def test_mariadb_with_a_replica(mariadb_pair: MariaDBPair[ReplicatedMariaDB]) -> None:
    first, second = mariadb_pair.primary, mariadb_pair.replica
    await under_fire([address([first, second], new_database(first))], they_change_places, mariadb_pair)


def the_standby_takes_over(pair: PostgreSQLPair) -> None:
    pair.primary.kill()
    time.sleep(BURNING)
    pair.standby.promote()


async def test_postgresql_with_a_synchronous_standby(postgresql_pair: PostgreSQLPair) -> None:
    first, second = postgresql_pair.primary, postgresql_pair.standby
    for statement in statements("synchronous.sql"):
        first.sql(statement)
    wait_until(
        lambda: "sync" in str(first.sql("SELECT sync_state FROM pg_stat_replication")), "it waits for the standby"
    )
    await under_fire([address([first, second], new_database(first))], the_standby_takes_over, postgresql_pair)


# -- one server


def it_is_killed(server: Server) -> None:
    server.kill()
    time.sleep(BURNING)
    server.start()


def it_is_restarted(server: Server) -> None:
    server.restart()


def it_is_frozen(server: Server) -> None:
    server.pause()
    time.sleep(2 * BURNING)
    server.resume()


def it_takes_no_connection(server: Server) -> None:
    """It has as many as it takes, or wants none, and those that are open are cut again and again."""
    if server.name == "postgresql":
        ((name,),) = server.sql("SELECT datname FROM pg_database WHERE datname LIKE 'test_%'")
        refuse, admit = (f"ALTER DATABASE {name} ALLOW_CONNECTIONS {word}" for word in ("false", "true"))
        cut = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
    else:
        refuse, admit = "SET GLOBAL max_connections = 10", "SET GLOBAL max_connections = 151"
        cut = f"KILL USER {USER}@'127.0.0.1'"
    server.sql(f"{refuse}; {cut}")  # at once: then there is a connection for the administrator
    end = time.monotonic() + BURNING
    while time.monotonic() < end:
        in_the_end(server, cut)
        time.sleep(0.2)
    in_the_end(server, admit)


def in_the_end(server: Server, statement: str) -> None:
    """The administrator's one connection may not be free yet."""

    def is_done() -> bool:
        try:
            server.sql(statement)
        except subprocess.CalledProcessError:
            return False
        return True

    wait_until(is_done, statement)


@pytest.mark.parametrize("fault", [it_is_killed, it_is_restarted, it_is_frozen, it_takes_no_connection])
@pytest.mark.parametrize("own_server", ["mariadb", "postgresql"], indirect=True)
async def test_one_server(own_server: Server, fault: Callable[[Server], None]) -> None:
    await under_fire([own_server.url(new_database(own_server))], fault, own_server)


@pytest.mark.parametrize("own_server", ["mariadb", "postgresql"], indirect=True)
async def test_impatient_users(own_server: Server) -> None:
    """One of twenty calls is cancelled, and the server is restarted meanwhile."""
    await under_fire([own_server.url(new_database(own_server))], it_is_restarted, own_server, impatient=0.05)
