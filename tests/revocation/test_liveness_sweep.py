"""The liveness sweep ends what has ended without a tombstone, and nothing else."""

import time
from typing import Any

import pytest

from asgi_sessions import StoreUnavailable
from asgi_sessions.protocol.clock import CLOCK_DIFFERENCE_MS
from asgi_sessions.revocation.liveness_sweep import LIVENESS_SWEEP_SECONDS
from asgi_sessions.store.engine import Database, Outcome
from asgi_sessions.store.repository import LIVING_BATCH, SessionRepository
from asgi_sessions.store.schema import build_tables
from tests.clocks import Seconds
from tests.revocation.conftest import NewWorker, Worker
from tests.revocation.tombstones import Cemetery, some_handle
from tests.security.statements import counted

LONG_MS = 3_600_000


def now() -> int:
    return time.time_ns() // 1_000_000


async def live(cemetery: Cemetery, *handles: str, idle_for_ms: int = -LONG_MS) -> None:
    await cemetery.live(*handles, expires_at=now() + 9 * LONG_MS, idle_expires_at=now() - idle_for_ms)


def liveness_sweeps(statements: list[str]) -> int:
    return sum("handle IN" in statement for statement in statements)


async def test_it_tells_who_has_ended_by_idleness_or_is_gone(
    worker: Worker, cemetery: Cemetery, seconds: Seconds
) -> None:
    alive, idle, gone = "a" * 32, "b" * 32, "c" * 32
    await live(cemetery, alive)
    await live(cemetery, idle, idle_for_ms=CLOCK_DIFFERENCE_MS + 1000)
    await worker.feed.poll()
    worker.watch(alive, idle, gone)
    await worker.feed.poll()
    assert worker.told == []  # it is not the time yet
    seconds.now += LIVENESS_SWEEP_SECONDS
    await worker.feed.poll()
    assert sorted(worker.told) == [idle, gone]
    seconds.now += LIVENESS_SWEEP_SECONDS
    await worker.feed.poll()
    assert sorted(worker.told) == [idle, gone]


async def test_who_may_be_alive_by_another_workers_clock_is_left_alone(
    worker: Worker, cemetery: Cemetery, seconds: Seconds
) -> None:
    handle = some_handle()
    await live(cemetery, handle, idle_for_ms=CLOCK_DIFFERENCE_MS - 20_000)
    await worker.feed.poll()
    worker.watch(handle)
    seconds.now += LIVENESS_SWEEP_SECONDS
    await worker.feed.poll()
    assert worker.told == []


async def test_where_clocks_may_be_further_apart_it_is_left_alone_for_longer(
    new_worker: NewWorker, cemetery: Cemetery, seconds: Seconds
) -> None:
    worker, alive, idle = new_worker(max_clock_difference="10m"), "a" * 32, "b" * 32
    await live(cemetery, alive, idle_for_ms=19 * 60_000)
    await live(cemetery, idle, idle_for_ms=21 * 60_000)
    await worker.feed.poll()
    worker.watch(alive, idle)
    seconds.now += LIVENESS_SWEEP_SECONDS
    await worker.feed.poll()
    assert worker.told == [idle]


async def test_a_tombstone_that_the_feed_has_not_seen_counts(
    worker: Worker, cemetery: Cemetery, seconds: Seconds
) -> None:
    handle = some_handle()
    await cemetery.bury(handle, at=now() - LONG_MS, idle_expires_at=now() + LONG_MS)
    await worker.feed.poll()
    assert handle not in worker.feed
    worker.watch(handle)
    seconds.now += LIVENESS_SWEEP_SECONDS
    await worker.feed.poll()
    assert worker.told == [handle]


async def test_many_are_asked_for_by_a_few_hundred_at_each_poll(
    worker: Worker, cemetery: Cemetery, seconds: Seconds
) -> None:
    handles = [some_handle() for _ in range(LIVING_BATCH + 1)]
    await live(cemetery, handles[0], handles[-1])
    await worker.feed.poll()
    worker.watch(*handles)
    seconds.now += LIVENESS_SWEEP_SECONDS
    for _ in range(2):
        with counted() as statements:
            await worker.feed.poll()
        assert liveness_sweeps(statements) == 1
    assert sorted(worker.told) == sorted(handles[1:-1])
    with counted() as statements:
        await worker.feed.poll()
    assert liveness_sweeps(statements) == 0


async def test_it_asks_at_the_strongest_consistency(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bool] = []
    run = database.run

    async def noted(*arguments: Any, strong: bool = False, **options: Any) -> Outcome:
        asked.append(strong)
        return await run(*arguments, strong=strong, **options)

    monkeypatch.setattr(database, "run", noted)
    assert await SessionRepository(database, build_tables()).living(["a" * 32], now=now()) == set()
    assert asked == [True], "a node of a cluster that lags must end nobody's connection"


async def test_where_nobody_waits_nothing_is_asked(worker: Worker, seconds: Seconds) -> None:
    await worker.feed.poll()
    seconds.now += LIVENESS_SWEEP_SECONDS
    with counted() as statements:
        await worker.feed.poll()
    assert liveness_sweeps(statements) == 0


async def test_without_an_answer_nobody_is_told_the_news_stays_fresh_and_it_is_asked_again(
    worker: Worker, seconds: Seconds, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def unavailable(*_: object, **__: object) -> None:
        raise StoreUnavailable

    gone = some_handle()
    await worker.feed.poll()
    worker.watch(gone)
    seconds.now += LIVENESS_SWEEP_SECONDS
    with monkeypatch.context() as broken:
        broken.setattr(SessionRepository, "living", unavailable)
        await worker.feed.poll()
    assert worker.told == []
    assert worker.feed.staleness == 0.0
    await worker.feed.poll()
    assert worker.told == [gone]
