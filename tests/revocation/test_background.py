"""The work in the background: it polls by itself, survives everything, and ends when it is told to."""

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest

from asgi_sessions import StoreUnavailable
from asgi_sessions.revocation.reading import FULL_READ_SECONDS, OVERLAP_MS
from asgi_sessions.store.engine import Database
from tests.clocks import Seconds
from tests.patience import PATIENCE
from tests.revocation.conftest import ReadStore, Worker, build_worker
from tests.revocation.tombstones import Cemetery, some_handle


@pytest.fixture
async def started(on_sqlite: Database, seconds: Seconds) -> AsyncIterator[Worker]:
    """A feed that polls every few milliseconds."""
    worker = build_worker(on_sqlite, seconds, revocation_poll_interval="0.005")
    await worker.feed.start()
    yield worker
    await worker.feed.stop()


async def next_poll(store: ReadStore, count: int = 2) -> None:
    """Wait until polls have begun since; the last but one of them has ended."""
    seen = len(store.places)
    async with asyncio.timeout(PATIENCE):
        while len(store.places) < seen + count:
            await asyncio.sleep(0.001)


async def test_among_ever_so_many_wake_ups_what_a_poll_does_besides_is_done_in_each_interval(
    started: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    maintained = asyncio.Event()

    async def maintain(newest: Any) -> None:
        maintained.set()

    monkeypatch.setattr(started.feed._maintenance, "run", maintain)
    async with asyncio.timeout(PATIENCE):
        for _ in range(2):
            maintained.clear()
            while not maintained.is_set():
                started.feed.poll_soon()
                await asyncio.sleep(0)


async def test_a_start_has_read_everything(on_sqlite: Database, seconds: Seconds) -> None:
    handle = some_handle()
    await Cemetery(on_sqlite).bury(handle)
    worker = build_worker(on_sqlite, seconds)
    await worker.feed.start()
    assert worker.feed.is_revoked(handle) is True
    await worker.feed.stop()


async def test_it_polls_by_itself(started: Worker, on_sqlite: Database) -> None:
    handle = some_handle()
    ended = asyncio.Event()
    started.listeners.add(handle, ended.set)
    await Cemetery(on_sqlite).bury(handle)
    async with asyncio.timeout(PATIENCE):
        await ended.wait()
    assert started.feed.is_revoked(handle) is True


async def test_it_polls_while_what_may_wait_of_an_earlier_poll_takes_its_time(
    started: Worker, on_sqlite: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, gone = [], asyncio.Event()

    async def hang(*_: Any) -> None:
        begun.append(asyncio.current_task())
        try:
            await asyncio.sleep(3600)
        finally:
            gone.set()

    monkeypatch.setattr(started.feed._maintenance._liveness_sweep, "go_on", hang)  # a slow statement
    await next_poll(started.store, 6)
    handle = some_handle()
    await Cemetery(on_sqlite).bury(handle)
    await next_poll(started.store)
    assert started.feed.is_revoked(handle) is True
    assert len(begun) == 1
    await started.feed.stop()
    assert gone.is_set()


async def test_a_wake_up_does_not_wait_for_the_interval(on_sqlite: Database, seconds: Seconds) -> None:
    worker = build_worker(on_sqlite, seconds, revocation_poll_interval="1h", revocation_max_staleness="2h")
    await worker.feed.start()
    handle, ended = some_handle(), asyncio.Event()
    worker.listeners.add(handle, ended.set)
    for _ in range(3):
        await Cemetery(on_sqlite).bury(handle := some_handle())
        worker.listeners.add(handle, ended.set)
        worker.feed.poll_soon()
        async with asyncio.timeout(PATIENCE):
            await ended.wait()
        ended.clear()
    await worker.feed.stop()


async def test_a_wake_up_is_a_poll_and_no_work_beside_it(
    on_sqlite: Database, seconds: Seconds, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = build_worker(on_sqlite, seconds, revocation_poll_interval="1h", revocation_max_staleness="2h")
    await worker.feed.start()
    maintained: list[Any] = []

    async def maintain(newest: Any) -> None:
        maintained.append(newest)

    monkeypatch.setattr(worker.feed._maintenance, "run", maintain)
    for _ in range(5):
        worker.feed.poll_soon()
        await next_poll(worker.store, 1)
    await worker.feed.stop()
    assert maintained == []


@pytest.mark.parametrize("failure", [StoreUnavailable(), RuntimeError("a mistake"), KeyError("x")])
async def test_it_goes_on_after_any_failure(
    started: Worker, on_sqlite: Database, failure: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    handle = some_handle()
    await Cemetery(on_sqlite).bury(handle)
    started.store.failures = [failure] * 3
    with caplog.at_level(logging.WARNING, "asgi_sessions"):
        await next_poll(started.store, 6)
    assert started.feed.is_revoked(handle) is True
    assert caplog.records != []


async def test_a_fault_that_stays_is_told_once(started: Worker, caplog: pytest.LogCaptureFixture) -> None:
    started.store.failures = [RuntimeError("a mistake")] * 5
    with caplog.at_level(logging.ERROR, "asgi_sessions"):
        await next_poll(started.store, 8)
    assert [record.getMessage() for record in caplog.records] == ["The revocation feed stumbled; it goes on."]


async def test_a_stop_ends_the_task(on_sqlite: Database, seconds: Seconds) -> None:
    before = asyncio.all_tasks()
    worker = build_worker(on_sqlite, seconds, revocation_poll_interval="0.005")
    await worker.feed.start()
    await next_poll(worker.store)
    await worker.feed.stop()
    assert asyncio.all_tasks() == before
    polls = len(worker.store.places)
    await asyncio.sleep(0.05)
    assert len(worker.store.places) == polls
    await worker.feed.stop()


async def test_a_stop_in_the_middle_of_a_poll_does_not_wait_for_the_database(
    on_sqlite: Database, seconds: Seconds, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = build_worker(on_sqlite, seconds, revocation_poll_interval="0.005")
    await worker.feed.start()
    hanging = asyncio.Event()

    async def hangs(*arguments: Any, **options: Any) -> Any:
        hanging.set()
        await asyncio.sleep(3600)

    monkeypatch.setattr(worker.store, "page", hangs)
    async with asyncio.timeout(PATIENCE):
        await hanging.wait()
        await worker.feed.stop()


async def test_a_stop_ends_even_where_a_driver_swallows_the_cancellation(
    on_sqlite: Database, seconds: Seconds, monkeypatch: pytest.MonkeyPatch
) -> None:
    # asyncio.wait_for of Python 3.11 does when the result comes at the same moment, and drivers use it.
    worker = build_worker(on_sqlite, seconds, revocation_poll_interval="0.005")
    await worker.feed.start()
    page, waiting = worker.store.page, asyncio.Event()
    swallowed: list[bool] = []

    async def swallows(*arguments: Any, **options: Any) -> Any:
        if not swallowed:
            waiting.set()
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                swallowed.append(True)
        return await page(*arguments, **options)

    monkeypatch.setattr(worker.store, "page", swallows)
    async with asyncio.timeout(PATIENCE):
        await waiting.wait()
    stopping = asyncio.create_task(worker.feed.stop())
    done, _ = await asyncio.wait([stopping], timeout=PATIENCE)
    assert swallowed == [True]
    monkeypatch.undo()
    if not done:  # leave no task behind
        stopping.cancel()
        await asyncio.wait([stopping])
        await worker.feed.stop()
    assert done, "a stop waited for a task that goes on for ever"


async def test_a_full_read_happens_by_itself(started: Worker, on_sqlite: Database, seconds: Seconds) -> None:
    cemetery = Cemetery(on_sqlite)
    late, ended = some_handle(), asyncio.Event()
    started.listeners.add(late, ended.set)
    clock = await cemetery.now()
    await started.store.raise_clock(clock + 500_000)
    await next_poll(started.store)
    seconds.now += OVERLAP_MS / 1000
    await next_poll(started.store)
    await cemetery.bury(late, at=clock)
    await next_poll(started.store)
    assert started.feed.is_revoked(late) is False
    seconds.now += FULL_READ_SECONDS - OVERLAP_MS / 1000
    async with asyncio.timeout(PATIENCE):
        await ended.wait()
