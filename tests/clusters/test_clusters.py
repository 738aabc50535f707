"""The clusters themselves: what is written here is read there, a lost majority takes no writes, and comes back."""

import uuid
from collections.abc import Sequence

from tests.clusters.asking import failure, rows, until
from tests.clusters.galera import Galera
from tests.clusters.group_replication import GroupReplication
from tests.clusters.haproxy import HAProxy
from tests.clusters.nodes import wait_until
from tests.clusters.replica import MariaDBPair, PostgreSQLPair, ReplicatedMariaDB
from tests.servers import Server

READ = "SELECT number FROM numbers ORDER BY number"
READ_ONLY = 1290
NO_MAJORITY = {1047, 1180}
"""Galera's: of what comes later, and of what was on its way."""
GIVEN_UP = 3100
"""Group Replication's, of a write that waited for a majority. Whether it takes effect is not known."""
NO_MEMBER = 3796
"""Of a read that should wait for all writes before, on a server that is in no group."""
BEFORE = "SET SESSION group_replication_consistency = 'BEFORE'"


def write(number: int) -> str:
    return f"INSERT INTO numbers VALUES ({number})"


def table(writer: Server, readers: Sequence[Server] = ()) -> list[str]:
    """Make an empty table ``numbers`` in a new database, and return its address on each server."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    writer.create(name)
    writer.sql("CREATE TABLE numbers (number INTEGER PRIMARY KEY)", name)
    return [server.url(name) for server in (writer, *readers)]


async def test_galera_every_node_takes_writes_and_has_those_of_others(nodes: Galera) -> None:
    urls = table(nodes.nodes[0], nodes.nodes[1:])
    for number, url in enumerate(urls):
        await until(url, READ, [(other,) for other in range(number)])
        await rows(url, write(number))
    for url in urls:
        await until(url, READ, [(0,), (1,), (2,)])


async def test_galera_a_node_that_is_cut_off_refuses_and_learns_afterwards_what_it_missed(nodes: Galera) -> None:
    here, there = nodes.nodes[:2]
    here_url, there_url = table(here, [there])
    await rows(here_url, write(1))
    nodes.partition(here)
    assert await failure(here_url, READ) in NO_MAJORITY
    assert await failure(here_url, write(2)) in NO_MAJORITY
    assert await rows(here_url, "SELECT 1") == [(1,)]  # a ping is fooled
    await rows(there_url, write(3))
    nodes.heal()
    await until(here_url, READ, [(1,), (3,)])


async def test_galera_without_any_majority_nobody_takes_writes(nodes: Galera) -> None:
    urls = table(nodes.nodes[0], nodes.nodes[1:])
    nodes.partition(*nodes.nodes[:2])
    nodes.wait_until_lost(*nodes.nodes)
    for url in urls:
        assert await failure(url, write(1)) in NO_MAJORITY
    nodes.heal()
    await rows(urls[2], write(2))
    await until(urls[0], READ, [(2,)])


async def test_galera_the_last_that_lives_refuses_until_it_is_told_to_go_on(nodes: Galera) -> None:
    first, second, last = nodes.nodes
    url, first_url = table(last, [first])
    await rows(url, write(1))
    first.kill()
    second.kill()
    assert await failure(url, write(2)) in NO_MAJORITY
    nodes.wait_until_lost(last)
    nodes.bootstrap()
    await rows(url, write(3))
    await until(first_url, READ, [(1,), (3,)])


async def test_galera_comes_back_after_all_were_killed(nodes: Galera) -> None:
    url, other_url = table(nodes.nodes[0], nodes.nodes[1:2])
    await rows(url, write(1))
    for node in nodes.nodes:
        node.kill()
    nodes.bootstrap()
    await until(other_url, READ, [(1,)])


async def test_galera_goes_on_while_one_node_is_paused(nodes: Galera) -> None:
    url, paused_url = table(nodes.nodes[0], nodes.nodes[1:2])
    nodes.nodes[1].pause()
    await rows(url, write(1))  # waits until the others have given it up
    nodes.heal()
    await until(paused_url, READ, [(1,)])


async def test_a_proxy_goes_to_the_nodes_that_live(proxied_galera: HAProxy, nodes: Galera) -> None:
    first, *others = nodes.nodes
    (url,) = table(others[0])
    name = url.rpartition("/")[2]
    wait_until(lambda: len(proxied_galera.alive()) == len(nodes.nodes), "the proxy has found all")
    first.kill()
    wait_until(lambda: first.port not in proxied_galera.alive(), "the proxy has noticed")
    ports = {(await rows(proxied_galera.url(name), "SELECT @@port"))[0][0] for _ in range(4)}
    assert ports == {node.port for node in others}


async def test_group_replication_only_the_primary_takes_writes(group: GroupReplication) -> None:
    primary, secondary, _ = table(group.primary, group.secondaries)
    await rows(primary, write(1))
    await until(secondary, READ, [(1,)])
    assert await failure(secondary, write(2)) == READ_ONLY


async def test_group_replication_another_is_primary_after_the_first_was_killed(group: GroupReplication) -> None:
    killed = group.primary
    url, *_ = table(killed)
    name = url.rpartition("/")[2]
    await rows(url, write(1))
    killed.kill()
    group.wait_until_primary(*(node for node in group.nodes if node is not killed))
    wait_until(lambda: group.primary is not killed, "another is primary")
    await rows(group.primary.url(name), write(2))
    group.heal()
    await until(url, READ, [(1,), (2,)])
    assert await failure(url, write(3)) == READ_ONLY


async def test_group_replication_without_a_majority_the_primary_gives_up(group: GroupReplication) -> None:
    primary = group.primary
    (url,) = table(primary)
    await rows(url, write(1))
    group.partition(primary)
    assert await rows(url, READ) == [(1,)]
    assert await failure(url, write(2)) == GIVEN_UP
    wait_until(lambda: primary.has_decided, "the primary has given up")
    assert await failure(url, write(3)) == READ_ONLY
    assert await rows(url, READ) == [(1,)]
    assert await failure(f"{url}?init_command={BEFORE}", READ) == NO_MEMBER
    group.heal()
    url = group.primary.url(url.rpartition("/")[2])
    await rows(url, write(4))
    # What failed with 3100 may have reached the others: they apply it once they go on.
    assert await rows(url, READ) in ([(1,), (4,)], [(1,), (2,), (4,)])


async def test_group_replication_comes_back_after_all_were_killed(group: GroupReplication) -> None:
    url, *_ = table(group.primary)
    await rows(url, write(1))
    for node in group.nodes:
        node.kill()
    group.bootstrap()
    for node in group.nodes:
        await until(node.url(url.rpartition("/")[2]), READ, [(1,)])


async def test_mariadb_a_primary_and_its_replica_change_places(mariadb_pair: MariaDBPair[ReplicatedMariaDB]) -> None:
    first, second = table(mariadb_pair.primary, [mariadb_pair.replica])
    await rows(first, write(1))
    await until(second, READ, [(1,)])
    assert await failure(second, write(2)) == READ_ONLY
    mariadb_pair.switch()
    assert await failure(first, write(3)) == READ_ONLY
    await rows(second, write(4))
    await until(first, READ, [(1,), (4,)])


async def test_postgresql_a_standby_takes_writes_once_it_is_promoted(postgresql_pair: PostgreSQLPair) -> None:
    read_only = "25006"
    primary, standby = table(postgresql_pair.primary, [postgresql_pair.standby])
    await rows(primary, write(1))
    postgresql_pair.catch_up()
    assert await rows(standby, READ) == [(1,)]
    assert await failure(standby, write(2)) == read_only
    postgresql_pair.primary.demote()
    assert await failure(primary, write(3)) == read_only
    postgresql_pair.standby.promote()
    await rows(standby, write(4))
