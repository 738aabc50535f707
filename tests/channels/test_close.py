"""A stop says what has still to be said and leaves neither task nor connection, whatever the server does."""

import asyncio

import pytest

from asgi_sessions import SessionManager
from asgi_sessions.revocation import channel, postgresql_channel, redis_channel
from tests.channels.conftest import RedisWire, Wire, new_worker, times, until
from tests.channels.test_lost import LOST, messages_under_way
from tests.channels.test_wake_up import Client
from tests.patience import PATIENCE
from tests.servers import Redis


async def one_that_listens(wire: Wire) -> SessionManager:
    worker = new_worker(wire.settings)
    await worker.start()
    await until(lambda: wire.listeners() == 1)
    return worker


async def test_neither_a_task_nor_a_connection_is_left(wire: Wire) -> None:
    before = asyncio.all_tasks()
    worker = await one_that_listens(wire)
    issued = await worker.create_new_session_without_request("alice")
    await worker.revoke_session_using_session_handle(issued.session.session_handle)
    await until(lambda: not messages_under_way())
    assert asyncio.all_tasks() > before
    await worker.stop()
    assert asyncio.all_tasks() == before
    await until(lambda: wire.connections() == 0)


async def test_a_stop_right_after_the_start(wire: Wire) -> None:
    before = asyncio.all_tasks()
    for _ in range(5):
        async with new_worker(wire.settings):
            pass
    assert asyncio.all_tasks() == before
    await until(lambda: wire.connections() == 0)


async def test_a_stop_while_it_waits_to_try_again(redis_wire: RedisWire, live_redis: Redis) -> None:
    before = asyncio.all_tasks()
    live_redis.kill()
    async with new_worker(redis_wire.settings):
        await asyncio.sleep(0.1)
    assert asyncio.all_tasks() == before


async def test_a_stop_waits_for_the_last_message(wire: Wire) -> None:
    async with new_worker(wire.settings) as there:
        await until(lambda: wire.listeners() == 1)
        async with new_worker(wire.settings) as here:
            issued = await here.create_new_session_without_request("alice")
            client = await Client.of(there, issued)
            await here.revoke_session_using_session_handle(issued.session.session_handle)
        await client.is_refused_soon()


async def test_a_stop_while_the_server_hangs(
    wire: Wire, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(channel, "SETTLE_SECONDS", 1.0)
    for module in (postgresql_channel, redis_channel):
        monkeypatch.setattr(module, "FAREWELL_SECONDS", 0.1)
    before = asyncio.all_tasks()
    worker = await one_that_listens(wire)
    issued = await worker.create_new_session_without_request("alice")
    wire.silence()
    await worker.revoke_session_using_session_handle(issued.session.session_handle)
    async with asyncio.timeout(PATIENCE):
        await worker.stop()
    assert asyncio.all_tasks() == before
    wire.speak()
    await until(lambda: wire.connections() == 0)
    assert not times(caplog, LOST)
