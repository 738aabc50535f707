"""A channel that is lost, hangs or was never there costs speed and nothing else, and comes back by itself."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from asgi_sessions import SessionManager
from asgi_sessions.revocation import channel, postgresql_channel, redis_channel
from asgi_sessions.store.engine import open_database
from tests.channels.conftest import RedisWire, Wire, new_worker, times, until, warnings
from tests.channels.test_wake_up import Client
from tests.conftest import empty_database
from tests.patience import PATIENCE
from tests.servers import PostgreSQL, Redis

LOST = "is not heard"
BACK = "is heard again"
UNSAID = "takes no message"
SAID = "takes messages again"


async def client_of(here: SessionManager, there: SessionManager) -> tuple[Client, str]:
    """Somebody whom `there` serves, and the session's handle."""
    issued = await here.create_new_session_without_request("alice")
    return await Client.of(there, issued), issued.session.session_handle


def nobody_comes_back(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Who has lost a channel hears nothing until the function that is returned is called, however busy the machine."""
    away = True

    def unless_away(listen: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
        async def listens(*arguments: Any) -> None:
            if away:
                raise ConnectionError
            await listen(*arguments)

        return listens

    for kind in (postgresql_channel.PostgreSQLChannel, redis_channel.RedisChannel):
        monkeypatch.setattr(kind, "listen", unless_away(kind.listen))

    def come_back() -> None:
        nonlocal away
        away = False

    return come_back


async def test_what_was_said_while_nobody_heard_is_found_on_return(
    workers: tuple[SessionManager, SessionManager],
    wire: Wire,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    here, there = workers
    client, handle = await client_of(here, there)
    come_back = nobody_comes_back(monkeypatch)
    wire.lose()
    await until(lambda: times(caplog, LOST) == 2)
    assert wire.listeners() == 0
    await here.revoke_session_using_session_handle(handle)
    come_back()
    await client.is_refused_soon()
    await until(lambda: times(caplog, BACK) == 2)
    assert wire.listeners() == 2


async def test_after_the_return_it_is_as_before(
    workers: tuple[SessionManager, SessionManager], wire: Wire, caplog: pytest.LogCaptureFixture
) -> None:
    here, there = workers
    wire.lose()
    await until(lambda: times(caplog, BACK) == 2)
    client, handle = await client_of(here, there)
    await here.revoke_session_using_session_handle(handle)
    await client.is_refused_soon()


async def test_the_poll_goes_on_without_it(redis_wire: RedisWire, live_redis: Redis) -> None:
    async with (
        new_worker(redis_wire.settings) as here,
        new_worker(redis_wire.settings, revocation_poll_interval=0.2) as there,
    ):
        await until(lambda: redis_wire.listeners() == 2)
        client, handle = await client_of(here, there)
        live_redis.kill()
        assert await here.revoke_session_using_session_handle(handle)
        await client.is_refused_soon()


async def test_a_server_that_is_down_is_told_once_and_used_again_when_it_returns(
    redis_workers: tuple[SessionManager, SessionManager],
    live_redis: Redis,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tries = 0

    def short_pause(count: int) -> float:
        nonlocal tries
        tries += 1
        return 0.05

    monkeypatch.setattr(channel, "_pause", short_pause)
    here, there = redis_workers
    live_redis.kill()
    client, handle = await client_of(here, there)
    for _ in range(3):
        other = await here.create_new_session_without_request("bob")
        assert await here.revoke_session_using_session_handle(other.session.session_handle)
        await until(lambda: not messages_under_way())
    await until(lambda: tries > 6)
    assert (times(caplog, LOST), times(caplog, UNSAID)) == (2, 1)
    assert not times(caplog, BACK)
    live_redis.start()
    await until(lambda: times(caplog, BACK) == 2)
    await here.revoke_session_using_session_handle(handle)
    await client.is_refused_soon()
    await until(lambda: times(caplog, SAID) == 1)
    assert len(warnings(caplog)) == 6


async def test_a_server_that_is_not_there_at_start_does_not_stop_the_start(
    redis_wire: RedisWire, live_redis: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    live_redis.kill()
    async with new_worker(redis_wire.settings) as here, new_worker(redis_wire.settings) as there:
        await until(lambda: times(caplog, LOST) == 2)
        live_redis.start()
        await until(lambda: times(caplog, BACK) == 2)
        client, handle = await client_of(here, there)
        await here.revoke_session_using_session_handle(handle)
        await client.is_refused_soon()


async def test_a_connection_that_has_gone_silent_is_noticed(
    workers: tuple[SessionManager, SessionManager],
    wire: Wire,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # The present wait still has the old length: what is heard begins another.
    for module in (postgresql_channel, redis_channel):
        monkeypatch.setattr(module, "QUIET_SECONDS", 0.1)
        monkeypatch.setattr(module, "ANSWER_SECONDS", 0.5)
    wire.lose()
    await until(lambda: times(caplog, BACK) == 2)
    wire.silence()
    await until(lambda: times(caplog, LOST) == 4)
    wire.speak()
    await until(lambda: times(caplog, BACK) == 4)


async def test_a_quiet_connection_that_answers_is_kept(
    wire: Wire, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (postgresql_channel, redis_channel):
        monkeypatch.setattr(module, "QUIET_SECONDS", 0.02)
    async with new_worker(wire.settings) as here, new_worker(wire.settings) as there:
        await until(lambda: wire.listeners() == 2)
        client, handle = await client_of(here, there)
        for _ in range(20):
            await asyncio.sleep(0.02)
        await here.revoke_session_using_session_handle(handle)
        await client.is_refused_soon()
        assert not warnings(caplog)


async def test_a_server_that_hangs_delays_no_revocation(
    redis_workers: tuple[SessionManager, SessionManager], live_redis: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    here, _ = redis_workers
    issued = [await here.create_new_session_without_request("alice") for _ in range(5)]
    live_redis.pause()
    for each in issued:
        assert await here.revoke_session_using_session_handle(each.session.session_handle)
        # Not yet: the server has still to take it. However many there are, only one is under way.
        assert messages_under_way() == 1
    assert not times(caplog, UNSAID)
    await until(lambda: times(caplog, UNSAID) == 1)
    live_redis.resume()


def test_pauses_grow_by_chance_from_half_a_second_to_half_a_minute() -> None:
    for tries, (least, most) in {1: (0.5, 1), 2: (1, 2), 3: (2, 4), 6: (15, 30), 1_000_000: (15, 30)}.items():
        pauses = {channel._pause(tries) for _ in range(200)}
        assert len(pauses) > 100
        assert least <= min(pauses) <= max(pauses) <= most


def messages_under_way() -> int:
    return sum(task.get_name() == "asgi_sessions revocation message" for task in asyncio.all_tasks())


async def test_a_connection_that_is_lost_while_it_is_proved_is_noticed_at_once(
    postgresql: PostgreSQL, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgresql_channel, "ANSWER_SECONDS", 2 * PATIENCE)
    for url in empty_database(postgresql):
        database = await open_database(url)

        async def cut(*_: object) -> None:
            """In place of the message to itself."""
            postgresql.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN %'")

        monkeypatch.setattr(database, "run", cut)
        channel = postgresql_channel.PostgreSQLChannel(database, "ours")
        async with asyncio.timeout(PATIENCE):
            with pytest.raises(postgresql_channel.ConnectionLost):
                await channel.listen(lambda: None)
        await database.close()
