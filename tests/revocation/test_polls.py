"""What a poll reads: all that could have appeared since the last one. And what a poll that fails leaves behind."""

import asyncio

import pytest

from asgi_sessions import StoreUnavailable
from asgi_sessions.revocation import liveness_sweep, reading
from asgi_sessions.revocation.reading import FULL_READ_SECONDS, OVERLAP_MS
from asgi_sessions.store import tombstones
from asgi_sessions.store.tombstones import TOP
from tests.clocks import Seconds
from tests.revocation.conftest import NewWorker, Worker
from tests.revocation.tombstones import Cemetery, some_handle
from tests.security.statements import counted

KEPT_MS = 630_000
"""Two access lifetimes and the staleness allowed, by default."""


async def test_the_first_poll_reads_what_is_needed_and_not_what_is_older(worker: Worker, cemetery: Cemetery) -> None:
    now = await cemetery.now()
    needed, old, alive = some_handle(), some_handle(), some_handle()
    await cemetery.bury(needed, at=now - KEPT_MS - 59_000)  # by a node that is nearly a minute behind
    await cemetery.bury(old, at=now - KEPT_MS - 60_001)
    await cemetery.live(alive)
    await worker.feed.poll()
    assert worker.feed.is_revoked(needed) is True
    assert worker.feed.is_revoked(old) is False
    assert worker.feed.is_revoked(alive) is False


async def test_a_new_tombstone_is_found_by_the_next_poll(worker: Worker, cemetery: Cemetery) -> None:
    await worker.feed.poll()
    for _ in range(3):
        handle = some_handle()
        await cemetery.bury(handle)
        assert worker.feed.is_revoked(handle) is False
        await worker.feed.poll()
        assert worker.feed.is_revoked(handle) is True


async def test_a_poll_is_one_statement(worker: Worker, cemetery: Cemetery) -> None:
    await cemetery.bury(some_handle(), some_handle())
    await worker.feed.poll()
    for _ in range(3):
        with counted() as statements:
            await worker.feed.poll()
        assert len(statements) == 1


async def test_asking_is_no_statement(worker: Worker, cemetery: Cemetery) -> None:
    out = some_handle()
    await cemetery.bury(out)
    await worker.feed.poll()
    with counted() as statements:
        assert [worker.feed.is_revoked(handle) for handle in (out, some_handle())] == [True, False]
        assert worker.feed.staleness == 0.0
    assert statements == []


# -- late commits


def test_the_overlap_covers_a_statement_a_lagging_replica_and_a_clock() -> None:
    assert OVERLAP_MS == 5_000 + 10_000 + 5_000
    assert FULL_READ_SECONDS == 30


async def read_clock(worker: Worker, value: int) -> None:
    """Have a worker read the revocation clock at a value, by its next poll."""
    await worker.store.raise_clock(value)
    await worker.feed.poll()


async def test_a_late_commit_within_the_overlap_is_found_by_the_next_poll(
    worker: Worker, cemetery: Cemetery, seconds: Seconds
) -> None:
    await worker.feed.poll()
    clock = await cemetery.now()
    await read_clock(worker, clock + 1_000)
    seconds.now += 100
    await read_clock(worker, clock + 500_000)
    seconds.now += OVERLAP_MS / 1000 - 0.001
    await worker.feed.poll()
    for _ in range(3):
        late = some_handle()
        await cemetery.bury(late, at=clock + 1_000)  # its statement began before the clock was raised
        await worker.feed.poll()
        assert worker.feed.is_revoked(late) is True


async def test_an_older_late_commit_is_found_by_the_full_read(
    worker: Worker, cemetery: Cemetery, seconds: Seconds
) -> None:
    await worker.feed.poll()
    clock = await cemetery.now()
    await read_clock(worker, clock + 500_000)
    seconds.now += OVERLAP_MS / 1000
    await worker.feed.poll()
    late = some_handle()
    await cemetery.bury(late, at=clock + 499_999)
    await worker.feed.poll()
    assert worker.store.bounds[-1] == clock + 500_000
    assert worker.feed.is_revoked(late) is False
    seconds.now += FULL_READ_SECONDS
    await worker.feed.poll()
    assert worker.feed.is_revoked(late) is True


async def test_the_full_read_comes_again_and_again(worker: Worker, cemetery: Cemetery, seconds: Seconds) -> None:
    await worker.feed.poll()
    clock = await cemetery.now()
    await read_clock(worker, clock + 500_000)
    seconds.now += OVERLAP_MS / 1000
    await worker.feed.poll()
    for _ in range(3):
        late = some_handle()
        await cemetery.bury(late, at=clock)
        seconds.now += FULL_READ_SECONDS
        await worker.feed.poll()
        assert worker.feed.is_revoked(late) is True


async def test_a_full_read_that_failed_is_made_up_for(worker: Worker, cemetery: Cemetery, seconds: Seconds) -> None:
    await worker.feed.poll()
    clock = await cemetery.now()
    await read_clock(worker, clock + 500_000)
    seconds.now += OVERLAP_MS / 1000
    await worker.feed.poll()
    late = some_handle()
    await cemetery.bury(late, at=clock)
    seconds.now += FULL_READ_SECONDS
    worker.store.failures = [None, StoreUnavailable()]
    await worker.feed.poll()
    assert worker.feed.is_revoked(late) is False
    await worker.feed.poll()
    assert worker.feed.is_revoked(late) is True


async def test_after_an_outage_a_poll_goes_back_to_what_the_last_good_one_may_not_have_seen(
    worker: Worker, cemetery: Cemetery, seconds: Seconds
) -> None:
    await worker.feed.poll()
    clock = await cemetery.now()
    await read_clock(worker, clock + 1_000)
    seconds.now += 100
    await read_clock(worker, clock + 500_000)
    seconds.now += 300
    late = some_handle()
    await cemetery.bury(late, at=clock + 1_000)  # it was under way at the last good poll, and that is long ago
    await worker.feed.poll()
    assert worker.feed.is_revoked(late) is True


# -- whom it tells


async def test_repeats_tell_the_listeners_once(
    worker: Worker, cemetery: Cemetery, seconds: Seconds, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(liveness_sweep, "LIVENESS_SWEEP_SECONDS", 3600.0)  # which would tell of both
    await worker.feed.poll()
    handle, other = some_handle(), some_handle()
    worker.watch(handle, other)
    await cemetery.bury(handle)
    await worker.feed.poll()
    assert worker.told == [handle]
    worker.watch(handle)  # whoever comes later has been refused, or was told by `add`
    for _ in range(3):
        seconds.now += FULL_READ_SECONDS
        await worker.feed.poll()
    assert worker.told == [handle]


async def test_what_this_worker_ended_itself_counts_at_once_and_is_told_by_no_poll(
    worker: Worker, cemetery: Cemetery
) -> None:
    await worker.feed.poll()
    handle = some_handle()
    worker.watch(handle)
    worker.feed.add(handle)
    assert worker.feed.is_revoked(handle) is True
    await cemetery.bury(handle)
    await worker.feed.poll()
    assert worker.told == []


# -- several pages, and what goes wrong between them


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(tombstones, "PAGE_SIZE", 5)
    monkeypatch.setattr(reading, "PIECE_PAGES_PER_SECOND", 2)  # one at each poll
    return 5


async def bury_pages(cemetery: Cemetery, size: int, count: int) -> list[str]:
    now = await cemetery.now()
    handles = [some_handle() for _ in range(size * count)]
    await cemetery.bury(*handles, at=now)
    return handles


async def test_a_poll_reads_all_pages(small_pages: int, worker: Worker, cemetery: Cemetery) -> None:
    await worker.feed.poll()
    handles = await bury_pages(cemetery, small_pages, 3)
    worker.watch(*handles)
    worker.store.places.clear()
    await worker.feed.poll()
    assert all(worker.feed.is_revoked(handle) for handle in handles)
    assert sorted(worker.told) == sorted(handles)
    assert worker.store.places[0] == TOP
    assert len(worker.store.places) == 4 + 1, "and a piece of what lies deeper"
    assert worker.store.places[:4] == sorted(set(worker.store.places[:4]), reverse=True)


FAILURES = [StoreUnavailable(), asyncio.CancelledError(), RuntimeError("a mistake")]


@pytest.mark.parametrize("failure", FAILURES, ids=lambda failure: type(failure).__name__)
@pytest.mark.parametrize("good_pages", [0, 1, 2])
async def test_a_poll_that_ends_half_way_loses_nothing_and_counts_for_nothing(
    worker: Worker, cemetery: Cemetery, seconds: Seconds, small_pages: int, good_pages: int, failure: BaseException
) -> None:
    await worker.feed.poll()
    handles = await bury_pages(cemetery, small_pages, 2)
    worker.watch(*handles)
    seconds.now += 7
    worker.store.failures = [*[None] * good_pages, failure]
    with pytest.raises(StoreUnavailable if isinstance(failure, Exception) else type(failure)):
        await worker.feed.poll()
    assert worker.feed.staleness == 7
    known = sum(handle in worker.feed for handle in handles)
    assert known == len(worker.told) == good_pages * small_pages, "what was read counts"
    await worker.feed.poll()
    assert worker.feed.staleness == 0
    assert all(worker.feed.is_revoked(handle) for handle in handles)
    assert sorted(worker.told) == sorted(handles), "nobody is forgotten and nobody is told twice"


async def test_a_task_that_is_cancelled_while_it_polls_leaves_the_feed_in_order(
    worker: Worker, cemetery: Cemetery
) -> None:
    await worker.feed.poll()
    handle = some_handle()
    await cemetery.bury(handle)
    for _ in range(20):
        task = asyncio.create_task(worker.feed.poll())
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
    await worker.feed.poll()
    assert worker.feed.is_revoked(handle) is True


async def test_before_the_first_good_poll_nothing_is_said(worker: Worker, cemetery: Cemetery) -> None:
    handle = some_handle()
    await cemetery.bury(handle)
    with pytest.raises(StoreUnavailable):
        worker.feed.is_revoked(handle)
    assert worker.feed.staleness == float("inf")
    worker.store.failures = [StoreUnavailable()]
    with pytest.raises(StoreUnavailable):
        await worker.feed.poll()
    with pytest.raises(StoreUnavailable):
        worker.feed.is_revoked(handle)
    await worker.feed.poll()
    assert worker.feed.is_revoked(handle) is True


async def test_a_start_without_the_database_fails_and_leaves_no_task(worker: Worker) -> None:
    worker.store.failures = [StoreUnavailable()]
    tasks = asyncio.all_tasks()
    with pytest.raises(StoreUnavailable):
        await worker.feed.start()
    assert asyncio.all_tasks() == tasks
    await worker.feed.stop()


# -- what is forgotten


async def test_nothing_is_forgotten_within_the_lifetime_of_a_tombstone(
    new_worker: NewWorker, cemetery: Cemetery, seconds: Seconds
) -> None:
    lifetime = 130.0
    worker = new_worker(kept_ms=130_000)
    await worker.feed.poll()
    handles = {}
    for _ in range(60):  # at every phase of the forgetting
        handle = some_handle()
        worker.feed.add(handle)
        handles[handle] = seconds.now
        seconds.now += 7
        await worker.feed.poll()
        for known, since in handles.items():
            if seconds.now - since <= lifetime:
                assert worker.feed.is_revoked(known) is True
            if seconds.now - since > 2 * lifetime + 14:
                assert worker.feed.is_revoked(known) is False
    assert sum(handle in worker.feed for handle in handles) < 60


async def test_a_worker_that_was_away_for_long_knows_what_it_needs_after_one_poll(
    worker: Worker, cemetery: Cemetery, seconds: Seconds
) -> None:
    await worker.feed.poll()
    needed = some_handle()
    await cemetery.bury(needed)
    seconds.now += 3600
    await worker.feed.poll()
    assert worker.feed.is_revoked(needed) is True
