"""More under fire: a full disk, a slow wire, idle connections cut, too few of them, conflicts, clocks. See `fire`."""

import asyncio
import contextlib
import gc
import subprocess
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import AsyncExitStack, closing
from pathlib import Path

import pytest

from asgi_sessions import SessionManager, StoreUnavailable
from asgi_sessions.store import engine
from asgi_sessions.store.engine import POOL_SIZE
from tests.cluster.slow_database import SlowWire
from tests.clusters.fire import BURNING, WORKERS, Fire, under_fire
from tests.clusters.galera import Galera, GaleraNode
from tests.clusters.history import UNKNOWN, Operation, is_ok
from tests.clusters.nodes import USER, MySQLNode, wait_until
from tests.clusters.small_disk import FullMariaDB, FullMariaDBWithLog, FullPostgreSQL, OnSmallDisk
from tests.clusters.workers import log_in, new_database, until, worker
from tests.engines_used import leave_out, require
from tests.servers import PostgreSQL, Server

pytestmark = [pytest.mark.fire, pytest.mark.clusters, pytest.mark.usefixtures("as_long_as_in_service")]

each_engine = pytest.mark.parametrize("own_server", ["mariadb", "postgresql"], indirect=True)
SLOW_SECONDS = 2.0
"""Of each answer."""
FEW = 12
"""Connections, for four workers that would take 10 each."""
CONFLICTS = 1000
AHEAD = 60
"""Seconds."""
FAILED = 3000
"""Calls, several times as many as are served when all is well again."""


def failed(calls: Iterable[Operation], *, after: float = 0.0) -> int:
    """How many ended with a 503, and took at least so long."""
    return sum(call.outcome == UNKNOWN and call.ended - call.began >= after for call in calls)


# -- a full disk


def no_table_can_grow(server: OnSmallDisk) -> None:
    server.fill()
    wait_until(lambda: server.told("is full") or server.told("No space left on device"), "a table cannot grow")
    time.sleep(BURNING)
    server.empty()


def the_binary_log_cannot_grow(server: OnSmallDisk) -> None:
    server.fill()
    wait_until(lambda: server.told("Disk is full writing"), "the binary log cannot grow")
    time.sleep(BURNING)
    server.empty()  # MariaDB looks once a minute


def it_stops_itself(server: OnSmallDisk) -> None:
    def has_stopped() -> bool:
        with contextlib.suppress(subprocess.CalledProcessError):
            server.sql("SELECT pg_switch_wal()")
        return not server.is_running

    server.fill()
    wait_until(has_stopped, "PostgreSQL cannot write its log")
    time.sleep(BURNING)
    server.empty()
    server.start()


@pytest.mark.parametrize(
    ("engine", "kind", "fault"),
    [
        ("mariadb", FullMariaDB, no_table_can_grow),
        ("mariadb", FullMariaDBWithLog, the_binary_log_cannot_grow),
        ("postgresql", FullPostgreSQL, no_table_can_grow),
        ("postgresql", FullPostgreSQL, it_stops_itself),
    ],
)
async def test_a_full_disk(engine: str, kind: type[OnSmallDisk], fault: Callable[[OnSmallDisk], None]) -> None:
    require(engine)
    with closing(kind()) as server:
        history = await under_fire([server.url(new_database(server))], fault, server)
    assert failed(history.operations)


# -- slow answers


@each_engine
async def test_slow_answers(own_server: Server) -> None:
    ended = 0.0

    def each_answer_is_slow(wire: SlowWire) -> None:
        nonlocal ended
        wire.slow(SLOW_SECONDS)
        time.sleep(5 * BURNING)
        wire.release()
        ended = time.monotonic()

    with SlowWire(own_server.url(new_database(own_server))) as wire:
        history = await under_fire([wire.url], each_answer_is_slow, wire, revocation_max_staleness=10 * BURNING)
    slow = [call for call in history.operations if call.ended - call.began >= SLOW_SECONDS]
    afterwards = [call for call in history.operations if call.began > ended]
    print(f"{len(slow)} slow calls; afterwards the slowest took {max(c.ended - c.began for c in afterwards):.2f} s")
    assert any(map(is_ok, slow))
    assert not failed(afterwards)
    # A new connection to MariaDB takes three answers before any statement: that is longer than a call has.
    assert failed(history.operations) == failed(slow, after=engine.STATEMENT_TIMEOUT_SECONDS)


# -- connections


@each_engine
async def test_idle_connections_are_cut(own_server: Server) -> None:
    if is_postgresql := isinstance(own_server, PostgreSQL):
        own_server.sql("ALTER SYSTEM SET idle_session_timeout = '1s'")
        own_server.sql("SELECT pg_reload_conf()")
    else:
        own_server.sql("SET GLOBAL wait_timeout = 1")

    def cut() -> int:
        if is_postgresql:
            return (own_server.folder / "server.log").read_text().count("due to idle-session timeout")
        return int(own_server.sql("SHOW GLOBAL STATUS LIKE 'Aborted_clients'")[0][1])

    def idle_connections_are_cut() -> None:
        wait_until(lambda: cut() > 20, "connections are cut")

    history = await under_fire(
        [own_server.url(new_database(own_server))], idle_connections_are_cut, pause=3.0, revocation_poll_interval=2.0
    )
    print(f"{cut()} connections were cut")
    assert not failed(history.operations)


class MariaDBWithFew(MySQLNode):
    """It takes `FEW` connections, and one of an administrator."""

    def _command(self) -> list[str]:
        return [*super()._command(), f"--max-connections={FEW}"]


class PostgreSQLWithFew(PostgreSQL):
    """It takes `FEW` connections."""

    def _command(self) -> list[str]:
        return [*super()._command(), "-c", f"max_connections={FEW}"]


@pytest.mark.parametrize(("engine", "kind"), [("mariadb", MariaDBWithFew), ("postgresql", PostgreSQLWithFew)])
async def test_too_few_connections_for_all_workers(engine: str, kind: type[Server]) -> None:
    def all_of_them_want_more(server: Server) -> None:
        time.sleep(2 * BURNING)

    require(engine)
    with closing(kind()) as server:
        history = await under_fire([server.url(new_database(server))], all_of_them_want_more, server, pause=0.0)
    assert failed(history.operations)


# -- conflicts


def conflicts(cluster: Galera) -> int:
    names = "local_cert_failures", "local_bf_aborts"
    return sum(int(node.status(name)) for node in cluster.nodes for name in names)


async def test_certification_conflicts_by_the_thousand(nodes: Galera) -> None:
    """A counter in one session, which many count up on all nodes."""
    name, before = new_database(nodes.nodes[0]), conflicts(nodes)
    outcomes, is_over = Counter[bool](), asyncio.Event()

    async def counts(sessions: SessionManager) -> None:
        while not is_over.is_set():
            try:
                await sessions.change_session_info(handle, lambda info: info + 1)
            except StoreUnavailable:
                outcomes[False] += 1
            else:
                outcomes[True] += 1

    async def are_enough() -> bool:
        return await asyncio.to_thread(conflicts, nodes) - before >= CONFLICTS

    async with AsyncExitStack() as stack:
        workers = [await stack.enter_async_context(worker(node.url(name))) for node in nodes.nodes]
        handle, *_ = await log_in(workers[0], "alice")
        await workers[0].update_session_info(handle, 0)
        async with asyncio.TaskGroup() as group:
            for sessions in workers * 8:
                group.create_task(counts(sessions))
            try:
                await until(are_enough)
            finally:
                is_over.set()
        counted = await workers[0].change_session_info(handle, lambda info: info)
    print(f"{conflicts(nodes) - before} conflicts, {dict(outcomes)}, counted {counted}")
    assert outcomes[True] <= counted <= outcomes.total()


# -- clocks


@pytest.fixture
def one_clock_is_ahead(nodes: Galera) -> Iterator[GaleraNode]:
    """The last node, by a minute."""
    if (library := next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"), None)) is None:
        leave_out("libfaketime is not installed: apt-get install faketime")
    node = nodes.nodes[-1]
    node.environment = f"LD_PRELOAD={library}", f"FAKETIME=+{AHEAD}", "DONT_FAKE_MONOTONIC=1"
    node.restart()
    nodes.wait_until_primary()
    yield node
    node.environment = ()
    node.restart()


async def test_the_clock_of_a_node_is_a_minute_ahead(nodes: Galera, one_clock_is_ahead: GaleraNode) -> None:
    def it_is_cut_off(node: GaleraNode) -> None:
        nodes.partition(node)
        time.sleep(BURNING)
        nodes.heal()

    ((told,),) = one_clock_is_ahead.sql("SELECT UNIX_TIMESTAMP()")
    assert int(told) - time.time() > AHEAD / 2
    name = new_database(nodes.nodes[0])
    urls = [node.url(name) for node in nodes.nodes]
    await under_fire(urls, it_is_cut_off, one_clock_is_ahead, max_clock_difference="2m")


# -- what is left


def connections(server: Server) -> int:
    """Those of the workers."""
    if server.name == "postgresql":
        return int(server.sql("SELECT COUNT(*) FROM pg_stat_activity WHERE datname LIKE 'test_%'")[0][0])
    return int(server.sql(f"SELECT COUNT(*) FROM information_schema.processlist WHERE user = '{USER}'")[0][0])


def things() -> Counter[str]:
    """How many objects of the library's own classes there are."""
    gc.collect()
    found = Counter(f"{type(thing).__module__}.{type(thing).__name__}" for thing in gc.get_objects())
    return Counter({name: count for name, count in found.items() if name.startswith("asgi_sessions.")})


@each_engine
async def test_nothing_is_left_of_calls_that_failed(own_server: Server) -> None:
    fire = Fire([own_server.url(new_database(own_server))], uuid.uuid4().int)
    calls = fire.history.operations

    async def nothing_breaks() -> None:
        """The workers open their connections."""

    async def it_is_killed() -> None:
        await asyncio.to_thread(own_server.kill)
        await until(many_have_failed)
        await asyncio.to_thread(own_server.start)

    async def many_have_failed() -> bool:
        return failed(calls) >= FAILED

    async def tasks_have_ended() -> bool:
        return len(asyncio.all_tasks()) <= tasks

    async with fire.workers():
        await fire.users(nothing_breaks)
        tasks, before, first = len(asyncio.all_tasks()), things(), len(calls)
        await fire.users(it_is_killed)
        await until(tasks_have_ended)
        grown = things() - before
        held = await asyncio.to_thread(connections, own_server)
    fire.judge()
    served = sum(map(is_ok, calls[first:]))
    print(f"\n{failed(calls)} calls failed, {served} served; {tasks} tasks, {held} connections; more: {dict(grown)}")
    assert held <= WORKERS * (POOL_SIZE + (own_server.name == "postgresql"))  # one listens
    # What a worker remembers grows with the calls that it served.
    assert all(count <= served for count in grown.values()), grown
