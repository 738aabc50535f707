"""Sessions on clusters: nobody who has logged out is served, and the service goes on while a majority is there."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack

import pytest

from asgi_sessions import SessionManager, StoreUnavailable
from asgi_sessions.store import hosts
from tests.clusters.galera import Galera
from tests.clusters.group_replication import GroupReplication
from tests.clusters.haproxy import HAProxy
from tests.clusters.replica import MariaDBPair, PostgreSQLPair, ReplicatedMariaDB
from tests.clusters.workers import (
    GONE,
    SERVED,
    UNAVAILABLE,
    address,
    asked,
    in_the_end,
    is_gone,
    is_served,
    is_unavailable,
    log_in,
    new_database,
    until,
    worker,
)
from tests.patience import PATIENCE
from tests.servers import Server

pytestmark = pytest.mark.usefixtures("as_long_as_in_service")

Start = Callable[..., "asyncio.Future[SessionManager]"]


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    """Starts workers, which stop at the end."""
    async with AsyncExitStack() as stack:

        def begin(url: str, **settings: object) -> "asyncio.Future[SessionManager]":
            return asyncio.ensure_future(stack.enter_async_context(worker(url, **settings)))

        yield begin


async def test_galera_a_request_after_a_logout_is_refused_on_each_node_where_the_database_is_asked(
    nodes: Galera, start: Start
) -> None:
    """Without a strong read the other node, which applies the logout a moment later, still says that she is there."""
    name = new_database(nodes.nodes[0])
    here = await start(nodes.nodes[0].url(name), revocation_check="database")
    others = [await start(node.url(name), revocation_check="database") for node in nodes.nodes[1:]]
    for _ in range(100):
        handle, token, _ = await log_in(here, "alice")
        assert [await asked(other, token) for other in others] == [SERVED, SERVED]
        await here.revoke_session_using_session_handle(handle)
        assert await asyncio.gather(*(asked(other, token) for other in others)) == [GONE, GONE]


async def test_galera_a_logout_reaches_a_session_that_its_node_has_not_got_yet(nodes: Galera, start: Start) -> None:
    """An update that finds no row there would do nothing, and the session would come after it and live."""
    first, _, last = nodes.nodes
    name = new_database(first)
    here, there = await start(first.url(name)), await start(last.url(name))
    first.sql("CREATE TABLE crowd (number INT PRIMARY KEY, words VARCHAR(250))", name)

    async def unknown_there() -> tuple[str, str]:
        """Make a session behind a transaction that the last node applies first, and return it meanwhile."""
        async with asyncio.timeout(PATIENCE):
            while True:
                first.sql("REPLACE INTO crowd SELECT seq, REPEAT(UUID(), 6) FROM seq_1_to_100000", name)
                handle, token, _ = await log_in(here, "alice")
                if last.sql(f"SELECT handle FROM asgi_sessions_sessions WHERE handle = '{handle}'", name) == []:
                    return handle, token

    handle, token = await unknown_there()
    await there.update_session_info(handle, {"cart": 3})
    assert await there.revoke_session_using_session_handle(handle)
    assert await asked(here, token, check_database=True) == GONE
    handle, token = await unknown_there()
    assert await there.revoke_all_sessions_for_user("alice") == 1
    assert await asked(here, token, check_database=True) == GONE
    handle, token = await unknown_there()
    assert await there.revoke_multiple_sessions([handle]) == 1
    assert await asked(here, token, check_database=True) == GONE
    await unknown_there()
    assert await there.erase_user("alice") == 4


async def test_galera_workers_go_on_when_their_node_is_killed(nodes: Galera, start: Start) -> None:
    name = new_database(nodes.nodes[0])
    workers = [await start(address(nodes.nodes, name)) for _ in range(4)]
    out = [await log_in(workers[0], "alice") for _ in range(4)]
    kept = [await log_in(workers[0], "bob") for _ in range(4)]
    await workers[1].revoke_all_sessions_for_user("alice")
    nodes.nodes[0].kill()
    for sessions, (_, token, refresh_token), (_, gone, _) in zip(workers, kept, out, strict=True):
        await in_the_end(sessions.get_session_without_request, token)
        issued = await in_the_end(sessions.refresh_session_without_request, refresh_token)
        assert await asked(sessions, issued.access_token.value) == SERVED
        await until(is_gone, sessions, gone)


async def test_galera_a_node_that_is_cut_off_serves_nobody_on_old_news(nodes: Galera, start: Start) -> None:
    apart, elsewhere, _ = nodes.nodes
    name = new_database(elsewhere)
    there = await start(elsewhere.url(name))
    here = await start(apart.url(name), revocation_max_staleness=2)
    handle, token, _ = await log_in(there, "alice")
    await until(is_served, here, token)
    nodes.partition(apart)
    await in_the_end(there.revoke_session_using_session_handle, handle)
    await until(is_unavailable, here, token)
    nodes.heal()
    await until(is_gone, here, token)


async def test_galera_a_worker_leaves_a_node_that_is_cut_off(
    nodes: Galera, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It connects, and answers whatever needs no table."""
    monkeypatch.setattr(hosts, "_shuffle", lambda _: None)  # all begin at the first
    apart = nodes.nodes[0]
    name = new_database(apart)
    workers = [await start(address(nodes.nodes, name)) for _ in range(4)]
    nodes.partition(apart)
    for sessions in workers:
        handle, token, _ = await in_the_end(log_in, sessions, "alice")
        await in_the_end(sessions.revoke_session_using_session_handle, handle)
        for other in workers:
            await until(is_gone, other, token)


async def test_galera_through_a_proxy_that_takes_its_nodes_in_turn(
    proxied_galera: HAProxy, nodes: Galera, start: Start
) -> None:
    name = new_database(nodes.nodes[0])
    workers = [await start(proxied_galera.url(name), revocation_check="database") for _ in range(2)]
    for number in range(30):
        if number == 10:
            nodes.nodes[1].kill()
        handle, token, refresh_token = await in_the_end(log_in, workers[0], "alice")
        await in_the_end(workers[1].refresh_session_without_request, refresh_token)
        await in_the_end(workers[0].revoke_session_using_session_handle, handle)
        assert await asked(workers[1], token) in (GONE, UNAVAILABLE)


@pytest.mark.parametrize("group_replication", [0, 5], indirect=True)
async def test_group_replication_a_member_in_a_minority_serves_nobody_on_old_news(
    group: GroupReplication, start: Start
) -> None:
    """As MySQL comes, it never gives up, and goes on answering plain reads for ever."""
    primary = group.primary
    name = new_database(primary)
    here = await start(primary.url(name), revocation_max_staleness=2)
    _, token, _ = await log_in(here, "alice")
    assert await asked(here, token) == SERVED
    group.partition(primary)
    await until(is_unavailable, here, token)
    assert await asked(here, token, check_database=True) == UNAVAILABLE
    with pytest.raises(StoreUnavailable):
        await log_in(here, "bob")


async def test_group_replication_workers_follow_the_primary(group: GroupReplication, start: Start) -> None:
    name = new_database(group.primary)
    workers = [await start(address(group.nodes, name)) for _ in range(4)]
    out, kept = await log_in(workers[0], "alice"), await log_in(workers[0], "bob")
    assert await workers[1].revoke_session_using_session_handle(out[0])
    killed = group.primary
    killed.kill()
    for sessions in workers:
        await in_the_end(log_in, sessions, "carol")
        await until(is_served, sessions, kept[1])
        await until(is_gone, sessions, out[1])
    await in_the_end(workers[2].refresh_session_without_request, kept[2])


async def test_group_replication_no_worker_starts_on_a_secondary(group: GroupReplication, start: Start) -> None:
    primary, secondary = group.primary, group.secondaries[0]
    name = new_database(primary)
    await start(primary.url(name))
    await until(has_tables, secondary, name)
    with pytest.raises(StoreUnavailable, match="is read-only"):
        await start(secondary.url(name), migrate_on_start=False)


async def takes_writes(server: Server) -> bool:
    return server.sql("SELECT pg_is_in_recovery()") == [["f"]]


async def has_tables(node: Server, name: str) -> bool:
    return bool(node.sql(f"SHOW TABLES FROM {name} LIKE 'asgi_sessions_alembic_version'"))


async def test_mariadb_workers_follow_when_primary_and_replica_change_places(
    mariadb_pair: MariaDBPair[ReplicatedMariaDB], start: Start
) -> None:
    first, second = mariadb_pair.primary, mariadb_pair.replica
    name = new_database(first)
    workers = [await start(address([first, second], name)) for _ in range(3)]
    kept = await log_in(workers[0], "bob")
    for _ in range(2):
        mariadb_pair.switch()
        for sessions in workers:
            handle, token, _ = await in_the_end(log_in, sessions, "alice")
            await in_the_end(sessions.revoke_session_using_session_handle, handle)
            for other in workers:
                await until(is_gone, other, token)
                await until(is_served, other, kept[1])


async def test_mariadb_a_primary_that_was_demoted_serves_nobody_on_old_news(
    mariadb_pair: MariaDBPair[ReplicatedMariaDB], start: Start
) -> None:
    first = mariadb_pair.primary
    name = new_database(first)
    here = await start(first.url(name), revocation_max_staleness=2)
    _, token, _ = await log_in(here, "alice")
    first.demote()
    await until(is_unavailable, here, token)
    first.promote()
    await until(is_served, here, token)


@pytest.mark.parametrize("power_cut", [True, False])
async def test_postgresql_workers_follow_a_standby_that_is_promoted(
    postgresql_pair: PostgreSQLPair, start: Start, power_cut: bool
) -> None:
    primary, standby = postgresql_pair.primary, postgresql_pair.standby
    name = new_database(primary)
    workers = [await start(address([standby, primary], name)) for _ in range(3)]
    out, kept = await log_in(workers[0], "alice"), await log_in(workers[0], "bob")
    assert await workers[1].revoke_session_using_session_handle(out[0])
    postgresql_pair.catch_up()
    if power_cut:
        primary.kill()
    else:
        primary.demote()
    standby.promote()
    await until(takes_writes, standby)
    for sessions in workers:
        await in_the_end(log_in, sessions, "carol")
        await until(is_served, sessions, kept[1])
        await until(is_gone, sessions, out[1])
