"""A logout is felt by the next poll whatever the nodes of the database take for the time, and whoever fails over."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from asgi_sessions.revocation.reading import FULL_READ_SECONDS, OVERLAP_MS
from asgi_sessions.store.engine import Database, open_database
from asgi_sessions.store.repository import SessionRepository
from asgi_sessions.store.schema import build_tables
from tests.clocks import Seconds
from tests.revocation.conftest import Worker, build_worker
from tests.revocation.nodes import shift_clock
from tests.revocation.tombstones import Cemetery, some_handle

DIFFERENCES = [-3600, -60, -25, 0, 25, 60, 3600]
SOME = [-3600, -25, 60]
AGE_SECONDS = OVERLAP_MS / 1000 + 1


class Node:
    """One of the database's nodes, with a worker that is connected to it."""

    def __init__(self, database: Database, seconds: Seconds) -> None:
        self.database = database
        self.cemetery = Cemetery(database)
        self.sessions = SessionRepository(database, build_tables())
        self.worker: Worker = build_worker(database, seconds)

    async def log_in(self) -> str:
        handle = some_handle()
        await self.cemetery.live(handle)
        return handle

    async def log_out(self, handle: str) -> None:
        assert await self.sessions.revoke(handle, "logout", 0)

    async def knows(self, *handles: str) -> list[bool]:
        await self.worker.feed.poll()
        return [self.worker.feed.is_revoked(handle) for handle in handles]


class Cluster:
    """Nodes on one set of tables."""

    def __init__(self, url: str, seconds: Seconds, stack: AsyncExitStack) -> None:
        self._url = url
        self._stack = stack
        self.seconds = seconds

    async def node(self, ahead_seconds: float = 0) -> Node:
        database = await open_database(self._url)
        self._stack.push_async_callback(database.close)
        shift_clock(database, round(ahead_seconds * 1000))
        return Node(database, self.seconds)


@pytest.fixture
async def cluster(on_mariadb: Database, seconds: Seconds) -> AsyncIterator[Cluster]:
    async with AsyncExitStack() as stack:
        yield Cluster(on_mariadb.url.render_as_string(hide_password=False), seconds, stack)


@pytest.fixture
async def any_cluster(database: Database, seconds: Seconds) -> AsyncIterator[Cluster]:
    async with AsyncExitStack() as stack:
        yield Cluster(database.url.render_as_string(hide_password=False), seconds, stack)


async def grow_older(cluster: Cluster, *nodes: Node, seconds: float = AGE_SECONDS) -> None:
    """Let time pass, with polls, so that what is read no longer overlaps with the start."""
    for _ in range(4):
        cluster.seconds.now += seconds / 4
        for node in nodes:
            await node.worker.feed.poll()


@pytest.mark.parametrize("ahead", DIFFERENCES)
async def test_a_node_whose_clock_differs_is_heard_by_the_next_poll(cluster: Cluster, ahead: int) -> None:
    here, there = await cluster.node(), await cluster.node(ahead)
    now, elsewhere = await here.cemetery.now(), await there.cemetery.now()
    assert abs(elsewhere - now - ahead * 1000) < 5_000
    for node in (here, there):
        await node.worker.feed.poll()
    for _ in range(4):
        for node in (here, there):
            handle = await node.log_in()
            await node.log_out(handle)
            assert await here.knows(handle) == [True]
            assert await there.knows(handle) == [True]
        await grow_older(cluster, here, there)


@pytest.mark.parametrize("ahead", [-60, 3600])
async def test_on_every_engine(any_cluster: Cluster, ahead: int) -> None:
    await test_a_node_whose_clock_differs_is_heard_by_the_next_poll(any_cluster, ahead)


@pytest.mark.parametrize("ahead", SOME)
async def test_a_failover_to_a_node_whose_clock_differs_loses_nothing(cluster: Cluster, ahead: int) -> None:
    here, there = await cluster.node(), await cluster.node(ahead)
    await here.worker.feed.poll()
    await here.log_out(await here.log_in())
    await grow_older(cluster, here)
    here.worker.store._run = there.worker.store._run  # the worker's connection is to the other node now
    for _ in range(3):
        handle = await there.log_in()
        await there.log_out(handle)
        assert await here.knows(handle) == [True]
        await grow_older(cluster, here)


@pytest.mark.parametrize("ahead", SOME)
async def test_a_worker_that_starts_knows_all_that_is_needed(cluster: Cluster, ahead: int) -> None:
    here, there = await cluster.node(), await cluster.node(ahead)
    await here.worker.feed.poll()
    ended = [await node.log_in() for node in (here, there, here, there)]
    for node, handle in zip((here, there, here, there), ended, strict=True):
        await node.log_out(handle)
        await grow_older(cluster, here)
    for node_ahead in (0, ahead):
        late = await cluster.node(node_ahead)
        assert await late.knows(*ended) == [True] * 4


@pytest.mark.parametrize("ahead", SOME)
async def test_logouts_at_the_same_time_on_both_nodes(cluster: Cluster, ahead: int) -> None:
    here, there = await cluster.node(), await cluster.node(ahead)
    for node in (here, there):
        await node.worker.feed.poll()
    for _ in range(5):
        handles = [await node.log_in() for node in (here, there) * 3]
        logouts = (node.log_out(handle) for node, handle in zip((here, there) * 3, handles, strict=True))
        await asyncio.gather(*logouts, here.worker.feed.poll(), there.worker.feed.poll())
        assert await here.knows(*handles) == [True] * 6
        assert await there.knows(*handles) == [True] * 6
        cluster.seconds.now += 8


async def test_a_system_at_rest_writes_nothing_and_reads_little(cluster: Cluster) -> None:
    node = await cluster.node()
    await node.worker.feed.poll()
    await node.log_out(await node.log_in())
    await grow_older(cluster, node, seconds=4000)
    before = await node.worker.store._state.all()
    for _ in range(10):
        await grow_older(cluster, node, seconds=4 * FULL_READ_SECONDS)
    assert await node.worker.store._state.all() == before


async def test_the_floor_follows_so_that_a_start_does_not_read_what_nobody_needs(cluster: Cluster) -> None:
    node = await cluster.node()
    await node.worker.feed.poll()
    old = some_handle()
    now = await node.cemetery.now()
    await node.cemetery.bury(old, at=now + 11_000)
    await node.worker.feed.poll()
    await node.cemetery.bury(some_handle(), at=now + 30_000)
    await grow_older(cluster, node, seconds=60)
    assert await (await cluster.node()).knows(old) == [True]
    await grow_older(cluster, node, seconds=700)
    late = await cluster.node()
    assert await late.knows(old) == [False]
    assert late.worker.store.bounds[0] > now + 11_000
