"""More under fire: a full disk, a slow wire, idle connections cut, too few of them, conflicts, clocks. See `fire`."""

import asyncio
import contextlib
import subprocess
import time
from collections.abc import Callable
from contextlib import AsyncExitStack, closing

import pytest

from asgi_sessions import SessionManager, StoreUnavailable
from tests.cluster.slow_database import SlowWire
from tests.clusters.fire import BURNING, under_fire
from tests.clusters.galera import Galera
from tests.clusters.history import UNKNOWN, History, is_ok
from tests.clusters.nodes import wait_until
from tests.clusters.small_disk import FullMariaDB, FullMariaDBWithLog, FullPostgreSQL, OnSmallDisk
from tests.clusters.workers import log_in, new_database, until, worker
from tests.engines_used import require
from tests.servers import PostgreSQL, Server

pytestmark = [pytest.mark.fire, pytest.mark.clusters, pytest.mark.usefixtures("as_long_as_in_service")]

each_engine = pytest.mark.parametrize("own_server", ["mariadb", "postgresql"], indirect=True)
SLOW_SECONDS = 2.0
"""Of each answer."""
FEW = 12
"""Connections, for four workers that would take 10 each."""
CONFLICTS = 1000


def failed(history: History) -> int:
    return sum(call.outcome == UNKNOWN for call in history.operations)


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
        assert failed(await under_fire([server.url(new_database(server))], fault, server))


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
        history = await under_fire([wire.url], each_answer_is_slow, wire)
    afterwards = [call for call in history.operations if call.began > ended]
    print(f"afterwards the slowest call took {max(call.ended - call.began for call in afterwards):.2f} s")
    assert not any(call.outcome == UNKNOWN for call in afterwards)
    assert any(SLOW_SECONDS <= call.ended - call.began and is_ok(call) for call in history.operations)
    assert not failed(history)


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

    history = await under_fire([own_server.url(new_database(own_server))], idle_connections_are_cut, pause=3.0)
    print(f"{cut()} connections were cut")
    assert not failed(history)


class PostgreSQLWithFew(PostgreSQL):
    """It takes `FEW` connections."""

    def _command(self) -> list[str]:
        return [*super()._command(), "-c", f"max_connections={FEW}"]
