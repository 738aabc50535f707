"""A loop that has stood still hears the news before it answers: what standing still is, and who waits for what."""

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest

from asgi_sessions import StoreUnavailable
from asgi_sessions.revocation import feed as feed_module
from asgi_sessions.revocation.pulse import LATE_SECONDS
from asgi_sessions.store.engine import Database
from tests.clocks import Seconds
from tests.patience import PATIENCE
from tests.revocation.conftest import Worker, build_worker
from tests.revocation.test_shared_polls import Gate, settle
from tests.revocation.tombstones import Cemetery, some_handle


@pytest.fixture
async def started(on_sqlite: Database, seconds: Seconds) -> AsyncIterator[Worker]:
    """A feed that runs and, left alone, never polls again."""
    worker = build_worker(on_sqlite, seconds, revocation_poll_interval="15s", revocation_max_staleness="30s")
    await worker.feed.start()
    worker.store.places.clear()
    yield worker
    await worker.feed.stop()


@pytest.fixture
async def out(started: Worker, on_sqlite: Database) -> str:
    """A session that was ended elsewhere, and of which this worker has not heard."""
    handle = some_handle()
    await Cemetery(on_sqlite).bury(handle)
    assert started.feed.is_good(handle)
    return handle


async def test_the_first_request_after_a_freeze_waits_for_a_poll(started: Worker, seconds: Seconds, out: str) -> None:
    seconds.now += LATE_SECONDS + 0.001
    assert not started.feed.is_good(out)
    await started.feed.wait_until_current()
    assert started.feed.is_revoked(out)
    assert started.feed.is_good(some_handle()), "and from then on nobody waits"
    assert len(started.store.places) == 1


async def test_a_loop_that_is_a_little_late_has_not_stood_still(started: Worker, seconds: Seconds, out: str) -> None:
    for _ in range(20):
        seconds.now += LATE_SECONDS
        assert started.feed.is_good(out)
        await started.feed.wait_until_current()
        started.feed._freshness._pulse.beat()
    assert started.store.places == []


async def test_the_beat_that_comes_too_late_makes_the_feed_poll(started: Worker, seconds: Seconds, out: str) -> None:
    seconds.now += 5
    ended = asyncio.Event()
    started.listeners.add(out, ended.set)
    started.feed._freshness._pulse.beat()
    assert not started.feed.is_good(some_handle()), "nor is anybody good now that its pulse is in order again"
    async with asyncio.timeout(PATIENCE):
        await ended.wait()


async def test_all_that_wait_share_one_poll(started: Worker, seconds: Seconds, out: str) -> None:
    seconds.now += 5
    await asyncio.gather(*(started.feed.wait_until_current() for _ in range(100)))
    assert len(started.store.places) <= 2, "theirs, and the one that the pulse asks for"


async def test_a_poll_that_began_before_the_freeze_is_not_enough(
    started: Worker, seconds: Seconds, on_sqlite: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate(started, monkeypatch)
    under_way = asyncio.create_task(started.feed.poll())
    await gate.waiting.wait()
    handle = some_handle()
    await Cemetery(on_sqlite).bury(handle)
    seconds.now += 5
    request = asyncio.create_task(started.feed.wait_until_current())
    await settle()
    gate.open.set()
    await under_way
    assert not started.feed.is_good(handle)
    await request
    assert started.feed.is_revoked(handle)


async def test_a_poll_whose_time_ran_out_in_a_freeze_is_made_again_and_nobody_hears_of_it(
    started: Worker, seconds: Seconds, out: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    page = started.store.page
    tries = 0

    async def frozen_once(*arguments: Any, **options: Any) -> Any:
        nonlocal tries
        tries += 1
        if tries == 1:
            seconds.now += 6
            raise StoreUnavailable
        return await page(*arguments, **options)

    monkeypatch.setattr(started.store, "page", frozen_once)
    with caplog.at_level(logging.INFO, "asgi_sessions.revocation.feed"):
        await started.feed.poll()
    assert tries == 2
    assert started.feed.is_revoked(out)
    assert caplog.text == ""


async def test_a_request_waits_for_no_second_freeze(
    started: Worker, seconds: Seconds, out: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A loop that is blocked again and again would starve it; it began before whatever has happened in the second one.
    gate = Gate(started, monkeypatch)
    seconds.now += 5
    request = asyncio.create_task(started.feed.wait_until_current())
    await gate.waiting.wait()
    seconds.now += 5
    started.feed._freshness._pulse.beat()
    gate.open.set()
    async with asyncio.timeout(PATIENCE):
        await request
    assert started.feed.is_revoked(out)


async def test_where_the_database_is_down_after_a_freeze_requests_go_on_for_as_long_as_is_allowed(
    started: Worker, seconds: Seconds
) -> None:
    started.store.failures = [StoreUnavailable()]
    seconds.now += 20
    await started.feed.wait_until_current()
    assert started.feed.is_good(some_handle()), "no poll that has begun since could be had"
    for _ in range(20):
        seconds.now += 0.5
        started.feed._freshness._pulse.beat()
    assert started.feed.is_revoked(some_handle()) is False
    seconds.now += 0.001
    assert not started.feed.is_good(some_handle())
    await started.feed.wait_until_current()
    with pytest.raises(StoreUnavailable):
        started.feed.is_revoked(some_handle())


async def test_a_database_that_is_slow_but_alive_makes_nobody_wait(
    started: Worker, seconds: Seconds, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate(started, monkeypatch)
    under_way = asyncio.create_task(started.feed.poll())
    await gate.waiting.wait()
    for _ in range(60):
        seconds.now += 0.5
        started.feed._freshness._pulse.beat()
        assert started.feed.is_good(some_handle())
    gate.open.set()
    await under_way


async def test_a_request_waits_for_as_long_as_a_statement_may_take_and_no_longer(
    started: Worker, seconds: Seconds, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    assert feed_module.THAW_SECONDS == 6
    monkeypatch.setattr(feed_module, "THAW_SECONDS", 0.01)
    Gate(started, monkeypatch)
    seconds.now += 5
    with caplog.at_level(logging.INFO, "asgi_sessions.revocation.feed"):
        await started.feed.wait_until_current()
        assert started.feed.is_good(some_handle())
        await started.feed.wait_until_current()
    (said,) = caplog.records
    assert said.getMessage().startswith("The revocation feed gets no answer from the database: its news is 5.0 s old.")


@pytest.mark.parametrize("whose", ["wakes", "background"])
async def test_a_request_waits_for_the_news_and_not_for_what_may_wait(
    started: Worker, seconds: Seconds, out: str, whose: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed_module, "THAW_SECONDS", 3600)
    hangs = asyncio.Event()

    async def hang(*_: Any) -> None:
        hangs.set()
        await asyncio.sleep(3600)

    monkeypatch.setattr(started.feed._maintenance._alarm, "look", hang)  # the first of them
    if whose == "background":  # a poll of before the freeze has come so far
        started.feed.poll_soon()
        await hangs.wait()
    seconds.now += 5
    async with asyncio.timeout(PATIENCE):
        await started.feed.wait_until_current()
    assert started.feed.is_good(some_handle())
    assert started.feed.is_revoked(out)


async def test_a_fault_in_what_may_wait_spoils_no_news_and_is_told_once(
    started: Worker, out: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def stumble(*_: Any) -> None:
        raise RuntimeError("a mistake")

    monkeypatch.setattr(started.feed._maintenance._liveness_sweep, "go_on", stumble)
    with caplog.at_level(logging.WARNING, "asgi_sessions"):
        for _ in range(3):
            await started.feed.poll()
    assert started.feed.is_revoked(out)
    assert [record.getMessage() for record in caplog.records] == ["The revocation feed stumbled; it goes on."]


async def test_a_feed_that_does_not_run_has_no_pulse(started: Worker, seconds: Seconds) -> None:
    await started.feed.stop()
    seconds.now += 29
    assert started.feed.is_good(some_handle())
    assert started.store.places == []
