"""Nobody is served on old news: how old it is, when that is too old, and what the log says about it."""

import asyncio
import logging
from typing import Any

import pytest

from asgi_sessions import StoreUnavailable
from asgi_sessions.revocation import feed
from tests.clocks import Seconds
from tests.revocation.conftest import NewWorker, Worker
from tests.revocation.tombstones import Cemetery, some_handle

FAILING, REFUSING, AGAIN = "cannot read the database", "requests with a session get 503", "reads the database again"
CLOCK = "keep clocks synchronised"


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, "asgi_sessions.revocation.feed")
    return caplog


def counts(said: pytest.LogCaptureFixture) -> tuple[int, int, int]:
    return said.text.count(FAILING), said.text.count(REFUSING), said.text.count(AGAIN)


async def failing_poll(worker: Worker) -> None:
    worker.store.failures = [StoreUnavailable()]
    with pytest.raises(StoreUnavailable):
        await worker.feed.poll()


async def test_the_news_ages_from_the_start_of_the_last_good_poll(
    worker: Worker, cemetery: Cemetery, seconds: Seconds, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = worker.store.now

    async def slow() -> int:
        seconds.now += 4
        return await now()

    monkeypatch.setattr(worker.store, "now", slow)
    await worker.feed.poll()
    assert worker.feed.staleness == 4
    seconds.now += 26
    assert worker.feed.is_revoked(some_handle()) is False
    seconds.now += 0.001
    with pytest.raises(StoreUnavailable):
        worker.feed.is_revoked(some_handle())


async def test_too_old_is_refused_for_everybody_until_a_poll_succeeds(
    worker: Worker, cemetery: Cemetery, seconds: Seconds
) -> None:
    out, alive = some_handle(), some_handle()
    await cemetery.bury(out)
    await worker.feed.poll()
    seconds.now += 30
    assert [worker.feed.is_revoked(handle) for handle in (out, alive)] == [True, False]
    seconds.now += 0.001
    for handle in (out, alive):
        with pytest.raises(StoreUnavailable):
            worker.feed.is_revoked(handle)
    await failing_poll(worker)
    with pytest.raises(StoreUnavailable):
        worker.feed.is_revoked(alive)
    await worker.feed.poll()
    assert [worker.feed.is_revoked(handle) for handle in (out, alive)] == [True, False]


async def test_the_bound_is_the_settings(new_worker: NewWorker, seconds: Seconds) -> None:
    worker = new_worker(revocation_max_staleness="2s")
    await worker.feed.poll()
    seconds.now += 2
    worker.feed.is_revoked(some_handle())
    seconds.now += 0.001
    with pytest.raises(StoreUnavailable):
        worker.feed.is_revoked(some_handle())


async def test_a_failed_poll_makes_no_news(worker: Worker, seconds: Seconds) -> None:
    await worker.feed.poll()
    for expected in (5, 10, 15):
        seconds.now += 5
        await failing_poll(worker)
        assert worker.feed.staleness == expected


async def test_the_log_says_once_that_it_fails_once_that_it_refuses_and_once_that_it_is_back(
    worker: Worker, seconds: Seconds, said: pytest.LogCaptureFixture
) -> None:
    await worker.feed.poll()
    assert counts(said) == (0, 0, 0)
    for _ in range(3):
        await failing_poll(worker)
        assert counts(said) == (1, 0, 0)
        seconds.now += 5
    seconds.now += 30
    for _ in range(3):
        await failing_poll(worker)
        assert counts(said) == (1, 1, 0)
    for _ in range(3):
        await worker.feed.poll()
        assert counts(said) == (1, 1, 1)
    levels = [record.levelname for record in said.records if CLOCK not in record.message]
    assert levels == ["WARNING", "ERROR", "WARNING"]
    await failing_poll(worker)
    await worker.feed.poll()
    assert counts(said) == (2, 1, 2), "and all over again the next time"


@pytest.mark.parametrize("milliseconds", [6_000, -6_000])
async def test_a_clock_that_is_off_is_an_error_once(
    new_worker: NewWorker, said: pytest.LogCaptureFixture, milliseconds: int
) -> None:
    worker = new_worker(clock_ahead=milliseconds)
    for _ in range(3):
        await worker.feed.poll()
    (record,) = said.records
    assert (record.levelname, CLOCK in record.message) == ("ERROR", True)
    assert f"{milliseconds // 6000 * 6:+d}." in record.message or f"{milliseconds // 6000 * 5:+d}.9" in record.message


@pytest.mark.parametrize("milliseconds", [0, 4_000, -4_000])
async def test_a_clock_that_is_nearly_right_is_no_matter(
    new_worker: NewWorker, said: pytest.LogCaptureFixture, milliseconds: int
) -> None:
    await new_worker(clock_ahead=milliseconds).feed.poll()
    assert said.records == []


async def test_a_wrong_clock_changes_nothing_else(new_worker: NewWorker, cemetery: Cemetery) -> None:
    worker = new_worker(clock_ahead=365 * 86_400_000)
    await worker.feed.poll()
    handle = some_handle()
    await cemetery.bury(handle)
    await worker.feed.poll()
    assert worker.feed.is_revoked(handle) is True
    assert worker.feed.staleness == 0


# -- a process that was frozen


async def test_after_a_freeze_the_first_request_looks_for_news_itself(
    worker: Worker, cemetery: Cemetery, seconds: Seconds
) -> None:
    await worker.feed.poll()
    handle = some_handle()
    await cemetery.bury(handle)
    seconds.now += 3600
    await worker.feed.wait_until_current()
    assert worker.feed.is_revoked(handle) is True


async def test_where_the_news_is_good_no_request_polls(worker: Worker, seconds: Seconds) -> None:
    await worker.feed.poll()
    seconds.now += 30
    worker.store.places.clear()
    await worker.feed.wait_until_current()
    assert worker.store.places == []


async def test_where_polls_fail_no_request_waits_for_another(worker: Worker, seconds: Seconds) -> None:
    await worker.feed.poll()
    await failing_poll(worker)
    seconds.now += 31
    worker.store.places.clear()
    await worker.feed.wait_until_current()
    assert worker.store.places == []


async def test_a_database_that_hangs_costs_one_request_a_moment_and_the_others_nothing(
    worker: Worker, seconds: Seconds, monkeypatch: pytest.MonkeyPatch, said: pytest.LogCaptureFixture
) -> None:
    await worker.feed.poll()
    seconds.now += 31
    monkeypatch.setattr(feed, "WAKE_UP_SECONDS", 0.05)
    answer = asyncio.Event()
    page = worker.store.page
    asked = 0

    async def hangs(*arguments: Any, **options: Any) -> Any:
        nonlocal asked
        asked += 1
        await answer.wait()
        return await page(*arguments, **options)

    monkeypatch.setattr(worker.store, "page", hangs)
    under_way = asyncio.create_task(worker.feed.poll())
    await asyncio.sleep(0)
    await asyncio.gather(*(worker.feed.wait_until_current() for _ in range(100)))
    assert asked == 1, "nobody began another one"
    assert said.text.count(REFUSING) == 1
    with pytest.raises(StoreUnavailable):
        worker.feed.is_revoked(some_handle())
    answer.set()
    await under_way
    assert worker.feed.is_revoked(some_handle()) is False
