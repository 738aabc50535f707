"""Changes of payloads come with the tombstones: by the same polls, in one order with them, with the same promises."""

import secrets

import pytest

from asgi_sessions import StoreUnavailable
from asgi_sessions.revocation.handle_set import HANDLE_BYTES, TEXT_BYTES
from asgi_sessions.revocation.reading import FULL_READ_SECONDS, OVERLAP_MS
from asgi_sessions.store import tombstones
from asgi_sessions.store.engine import Database
from asgi_sessions.store.repository import SessionRepository
from asgi_sessions.store.schema import build_tables
from asgi_sessions.store.tombstones import TOP, Page, Position, TombstoneStore
from tests.clocks import Seconds
from tests.revocation.conftest import KEPT_MS, NewWorker, Worker
from tests.revocation.tombstones import Cemetery, some_handle
from tests.security.statements import counted


@pytest.fixture
def store(database: Database) -> TombstoneStore:
    return TombstoneStore(database, build_tables())


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(tombstones, "PAGE_SIZE", 5)
    return 5


async def read(store: TombstoneStore, since: int) -> list[Page]:
    pages, place = [], TOP
    while True:
        pages.append(await store.page(place, since))
        following = pages[-1].next
        if following is None:
            return pages
        assert following < place, "each page begins below the one before"
        place = following


# -- the pages


async def test_a_page_tells_of_both_and_counts_both(store: TombstoneStore, cemetery: Cemetery) -> None:
    now = await cemetery.now()
    out, changed = some_handle(), some_handle()
    await cemetery.bury(out, at=now)
    await cemetery.change((changed, 4), at=now + 1)
    page = await store.page(TOP, now)
    assert (list(page.handles), list(page.changes), page.newest) == ([out], [(changed, 4)], now + 1)
    assert page.above_clock == 2
    assert list((await store.page(TOP, now + 1)).handles) == []
    assert list((await store.page(Position(now + 1, 0, changed), now)).changes) == []


@pytest.mark.parametrize("changes", [1, 4, 5, 6, 23])
@pytest.mark.parametrize("ended", [0, 1, 5, 24])
@pytest.mark.parametrize("alike", [True, False], ids=["at the same time", "one after the other"])
async def test_pages_hold_everything_once_and_in_one_order(
    store: TombstoneStore, cemetery: Cemetery, small_pages: int, ended: int, changes: int, alike: bool
) -> None:
    now = await cemetery.now()
    out, changed = ([secrets.token_hex(16) for _ in range(count)] for count in (ended, changes))
    for number, handle in enumerate(out):
        await cemetery.bury(handle, at=now + (0 if alike else 2 * number), idle_expires_at=now)
    for number, handle in enumerate(changed):
        await cemetery.change((handle, number + 1), at=now + (0 if alike else 3 * number))
    pages = await read(store, now)
    assert sorted(handle for page in pages for handle in page.handles) == sorted(out)
    told = sorted(change for page in pages for change in page.changes)
    assert told == sorted((handle, number + 1) for number, handle in enumerate(changed))
    assert all(len(page.handles) <= small_pages and len(page.changes) <= small_pages for page in pages)


# -- the polls


async def test_a_change_is_found_by_the_next_poll_and_a_poll_stays_one_statement(
    worker: Worker, cemetery: Cemetery
) -> None:
    await worker.feed.poll()
    for version in (1, 2, 3):
        handle = some_handle()
        await cemetery.change((handle, version))
        assert worker.feed.payload_version(handle) == 0
        with counted() as statements:
            await worker.feed.poll()
        assert len(statements) == 1
        assert worker.feed.payload_version(handle) == version
        assert not worker.feed.is_revoked(handle)


async def test_a_session_that_was_changed_and_then_ended_has_ended(
    worker: Worker, cemetery: Cemetery, database: Database
) -> None:
    now = await cemetery.now()
    changed, both = some_handle(), some_handle()
    await cemetery.live(changed, both, expires_at=now + 10**7, idle_expires_at=now + 10**7)
    await cemetery.change((changed, 1), (both, 1))
    worker.watch(changed, both)
    await worker.feed.poll()
    assert worker.told == []
    await SessionRepository(database, build_tables()).revoke(both, "logout", now)
    await worker.feed.poll()
    assert [worker.feed.is_revoked(handle) for handle in (changed, both)] == [False, True]
    assert worker.told == [both]


async def test_a_worker_that_starts_reads_the_changes_that_tokens_may_not_know(
    new_worker: NewWorker, cemetery: Cemetery
) -> None:
    now = await cemetery.now()
    needed, old = some_handle(), some_handle()
    await cemetery.change((needed, 1), at=now - KEPT_MS)
    await cemetery.change((old, 1), at=now - KEPT_MS - 60_001)
    worker = new_worker()
    await worker.feed.poll()
    assert [worker.feed.payload_version(handle) for handle in (needed, old)] == [1, 0]


async def test_a_start_reads_page_after_page(
    worker: Worker, cemetery: Cemetery, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tombstones, "PAGE_SIZE", 5)
    now = await cemetery.now()
    handles = [some_handle() for _ in range(33)]
    for number, handle in enumerate(handles):
        await cemetery.change((handle, number + 1), at=now - number)
    await worker.feed.poll()
    assert [worker.feed.payload_version(handle) for handle in handles] == list(range(1, 34))


async def test_a_late_commit_below_others_is_found(
    worker: Worker, cemetery: Cemetery, seconds: Seconds, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tombstones, "PAGE_SIZE", 2)
    await worker.feed.poll()
    now = await cemetery.now()
    await cemetery.bury(*(some_handle() for _ in range(3)), at=now + 3)
    await worker.feed.poll()
    late = some_handle()
    await cemetery.change((late, 1), at=now + 1)
    await worker.feed.poll()
    assert worker.feed.payload_version(late) == 1


async def test_an_older_late_commit_is_found_by_the_full_read(
    worker: Worker, cemetery: Cemetery, seconds: Seconds
) -> None:
    await worker.feed.poll()
    clock = await cemetery.now()
    await worker.store.raise_clock(clock + 500_000)
    await worker.feed.poll()
    seconds.now += OVERLAP_MS / 1000
    await worker.feed.poll()
    late = some_handle()
    await cemetery.change((late, 1), at=clock + 499_999)
    await worker.feed.poll()
    assert worker.feed.payload_version(late) == 0
    seconds.now += FULL_READ_SECONDS
    await worker.feed.poll()
    assert worker.feed.payload_version(late) == 1


async def test_an_outage_loses_none(worker: Worker, cemetery: Cemetery) -> None:
    await worker.feed.poll()
    handle = some_handle()
    await cemetery.change((handle, 1))
    worker.store.failures = [StoreUnavailable()] * 2
    for _ in range(2):
        with pytest.raises(StoreUnavailable):
            await worker.feed.poll()
    await worker.feed.poll()
    assert worker.feed.payload_version(handle) == 1


async def test_what_this_worker_has_changed_itself_ends_no_reading(
    worker: Worker, cemetery: Cemetery, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tombstones, "PAGE_SIZE", 2)
    monkeypatch.setattr("asgi_sessions.revocation.reading.SETTLE_PAGES", 1)
    await worker.feed.poll()
    now = await cemetery.now()
    others = [some_handle() for _ in range(2)]
    await cemetery.change(*((handle, 1) for handle in others), at=now + 1)
    own = [some_handle() for _ in range(2)]
    for handle in own:
        worker.feed.payload_changed(handle, 1)
        assert worker.feed.payload_version(handle) == 1
    await cemetery.change(*((handle, 1) for handle in own), at=now + 2)
    await worker.feed._polls.join()  # what follows a poll would find them some time later
    assert [worker.feed.payload_version(handle) for handle in others] == [1, 1]


async def test_a_change_is_forgotten_when_no_token_of_before_is_good(
    worker: Worker, cemetery: Cemetery, seconds: Seconds
) -> None:
    handle = some_handle()
    await worker.feed.poll()
    worker.feed.payload_changed(handle, 1)
    seconds.now += KEPT_MS / 1000 + 1
    await worker.feed.poll()
    assert worker.feed.payload_version(handle) == 1
    seconds.now += KEPT_MS / 1000 + 1
    await worker.feed.poll()
    assert worker.feed.payload_version(handle) == 0


async def test_where_there_is_no_room_every_session_asks(worker: Worker, cemetery: Cemetery) -> None:
    worker.feed._noted.handles._max_bytes = HANDLE_BYTES + TEXT_BYTES
    await cemetery.change((some_handle(), 1))
    await worker.feed.poll()
    assert worker.feed.is_overflowing
    assert not worker.feed.is_good(some_handle())
