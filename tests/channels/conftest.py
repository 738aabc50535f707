import asyncio
import logging
import os
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Protocol

import pytest

from asgi_sessions import SessionManager, SessionSettings
from asgi_sessions.revocation.channel import channel_name
from tests.conftest import empty_database
from tests.patience import PATIENCE
from tests.servers import PostgreSQL, Redis

SECRET = "0123456789abcdef0123456789abcdef-first"
NAME = channel_name("asgi_sessions_")
POLL_SECONDS = 2 * PATIENCE
"""So long that no poll comes before a test has given up."""


async def until(true: Callable[[], bool]) -> None:
    """Return once it is true; fail where it never becomes so."""
    async with asyncio.timeout(PATIENCE):
        while not true():
            await asyncio.sleep(0.02)


class Wire(Protocol):
    """A real server's channel, as its administrator sees it.

    Attributes:
        settings: With which workers use it.
    """

    settings: dict[str, Any]

    def listeners(self) -> int: ...

    def connections(self) -> int: ...

    def lose(self) -> None:
        """Cut the listeners off; they may come back at once."""

    def silence(self) -> None:
        """Let the listeners' connections hang."""

    def speak(self) -> None:
        """Let them go on."""

    def flood(self, count: int) -> None:
        """Send so many messages as fast as it goes."""


class PostgreSQLWire:
    def __init__(self, server: PostgreSQL, url: str) -> None:
        self._server = server
        self._database = url.rpartition("/")[2]
        self._paused: list[int] = []
        self.settings = {"database_url": url}

    def _of_listeners(self, what: str) -> list[list[str]]:
        # A listener's last statement is LISTEN, not of a channel to prove it by, or asks whether the server is there.
        asked = f"""datname = '{self._database}' AND query IN ('LISTEN "{NAME}"', 'SELECT 1')"""
        return self._server.sql(f"SELECT {what} FROM pg_stat_activity WHERE {asked}")

    def listeners(self) -> int:
        return len(self._of_listeners("pid"))

    def connections(self) -> int:
        return len(self._server.sql(f"SELECT pid FROM pg_stat_activity WHERE datname = '{self._database}'"))

    def lose(self) -> None:
        self._of_listeners("pg_terminate_backend(pid)")

    def silence(self) -> None:
        self._paused = [int(pid) for (pid,) in self._of_listeners("pid")]
        for pid in self._paused:
            os.kill(pid, signal.SIGSTOP)

    def speak(self) -> None:
        for pid in self._paused:
            os.kill(pid, signal.SIGCONT)
        self._paused = []

    def flood(self, count: int) -> None:
        self._server.sql(f"SELECT pg_notify('{NAME}', n::text) FROM generate_series(1, {count}) AS n", self._database)


class RedisWire:
    def __init__(self, server: Redis, database_url: str) -> None:
        self._server = server
        self.settings = {"database_url": database_url, "revocation_channel_url": server.url()}

    def listeners(self) -> int:
        return int(self._server.cli("PUBSUB", "NUMSUB", NAME).split()[1])

    def connections(self) -> int:
        return len(self._server.cli("CLIENT", "LIST").splitlines()) - 1  # the administrator's own

    def lose(self) -> None:
        self._server.cli("CLIENT", "KILL", "TYPE", "pubsub")

    def silence(self) -> None:
        self._server.pause()

    def speak(self) -> None:
        self._server.resume()

    def flood(self, count: int) -> None:
        self._server.cli(stdin=f"PUBLISH {NAME} x\n" * count)


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    return f"sqlite+aiosqlite:///{tmp_path / 'sessions.db'}"


@pytest.fixture
def live_redis(redis: Redis) -> Iterator[Redis]:
    """The Redis server, to be killed, paused and reconfigured."""
    yield redis
    redis.resume()
    if not redis.is_running:
        redis.start()


@pytest.fixture
def postgresql_url(postgresql: PostgreSQL) -> Iterator[str]:
    """The address of an empty PostgreSQL database."""
    yield from empty_database(postgresql)


@pytest.fixture(params=["postgresql", "redis"])
def wire(request: pytest.FixtureRequest) -> Iterator[Wire]:
    """Each kind of channel in turn."""
    if request.param == "redis":
        yield RedisWire(request.getfixturevalue("live_redis"), request.getfixturevalue("sqlite_url"))
        return
    wire = PostgreSQLWire(request.getfixturevalue("postgresql"), request.getfixturevalue("postgresql_url"))
    yield wire
    wire.speak()


@pytest.fixture
def redis_wire(live_redis: Redis, sqlite_url: str) -> RedisWire:
    return RedisWire(live_redis, sqlite_url)


def new_worker(settings: dict[str, Any], **more: Any) -> SessionManager:
    """A manager, which is all that a worker has."""
    polls = {"revocation_poll_interval": POLL_SECONDS, "revocation_max_staleness": 2 * POLL_SECONDS}
    values = {"secret_key": SECRET, "purge_interval": 0, **polls}
    return SessionManager(SessionSettings(**(values | settings | more)))


async def two_workers(wire: Wire) -> AsyncIterator[tuple[SessionManager, SessionManager]]:
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(new_worker(wire.settings))
        second = await stack.enter_async_context(new_worker(wire.settings))
        await until(lambda: wire.listeners() == 2)
        yield first, second


@pytest.fixture
async def workers(wire: Wire) -> AsyncIterator[tuple[SessionManager, SessionManager]]:
    """Two workers that listen, and that poll so seldom that no poll helps."""
    async for both in two_workers(wire):
        yield both


@pytest.fixture
async def redis_workers(redis_wire: RedisWire) -> AsyncIterator[tuple[SessionManager, SessionManager]]:
    """The same, with Redis."""
    async for both in two_workers(redis_wire):
        yield both


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


def times(caplog: pytest.LogCaptureFixture, text: str) -> int:
    """How many warnings say this."""
    return sum(text in message for message in warnings(caplog))
