"""What a poll costs is what is new, however much there is; and nothing new hides behind it."""

from contextlib import suppress
from typing import Any

import pytest

from asgi_sessions import StoreUnavailable
from asgi_sessions.revocation import reading
from asgi_sessions.revocation.reading import CLOCK_STEP_ROWS, OVERLAP_MS, SETTLE_PAGES, SETTLE_SECONDS, TOP_SECONDS
from asgi_sessions.store import tombstones
from asgi_sessions.store.engine import Database
from asgi_sessions.store.repository import SessionRepository
from asgi_sessions.store.schema import build_tables
from asgi_sessions.store.tombstones import TOP
from tests.clocks import Seconds
from tests.revocation.conftest import Worker, build_worker
from tests.revocation.tombstones import Cemetery, some_handle
from tests.security.statements import counted

SIZE = 5
BULK = 20_000


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tombstones, "PAGE_SIZE", SIZE)
    monkeypatch.setattr(reading, "CLOCK_STEP_ROWS", SIZE)
    monkeypatch.setattr(reading, "PIECE_PAGES_PER_SECOND", 2)  # one at each poll


@pytest.fixture
def cemetery(on_sqlite: Database) -> Cemetery:
    return Cemetery(on_sqlite)


@pytest.fixture
async def worker(on_sqlite: Database, seconds: Seconds, small_pages: None) -> Worker:
    """One that knows eight pages, of which none can be from a statement that is still at work."""
    cemetery = Cemetery(on_sqlite)
    for _ in range(8):
        await cemetery.bury(*(some_handle() for _ in range(SIZE)))
    worker = build_worker(on_sqlite, seconds)
    await settle(worker, seconds)
    worker.store.places.clear()
    return worker


async def settle(worker: Worker, seconds: Seconds) -> None:
    """Poll until nothing that lies there can be from a statement that is still at work."""
    for _ in range(3):
        await worker.feed.poll()
        seconds.now += SETTLE_SECONDS + 1


async def new(cemetery: Cemetery, *, at: int | None = None) -> str:
    handle = some_handle()
    await cemetery.bury(handle, at=at)
    return handle


async def test_where_nothing_is_new_a_poll_is_the_newest_page_and_a_piece_of_what_lies_deeper(worker: Worker) -> None:
    for _ in range(20):
        worker.store.places.clear()
        await worker.feed.poll()
        assert len(worker.store.places) <= 2
        assert worker.store.places[0] == TOP


async def test_what_is_new_is_found_at_once_though_much_is_there(
    worker: Worker, cemetery: Cemetery, seconds: Seconds
) -> None:
    for _ in range(10):
        seconds.now += SETTLE_SECONDS
        handle = await new(cemetery)
        worker.store.places.clear()
        await worker.feed.poll()
        assert worker.feed.is_revoked(handle)
        assert len(worker.store.places) <= 3


async def test_a_late_commit_behind_pages_that_are_known_is_found_by_the_pieces(
    worker: Worker, cemetery: Cemetery
) -> None:
    for _ in range(3):
        late = await new(cemetery, at=await cemetery.now() - OVERLAP_MS)
        for _ in range(12):
            await worker.feed.poll()
        assert worker.feed.is_revoked(late)


async def test_a_late_commit_behind_what_has_just_been_read_is_found_by_the_next_poll(
    worker: Worker, cemetery: Cemetery, seconds: Seconds
) -> None:
    for apart in (SETTLE_SECONDS / 2, SETTLE_SECONDS / 2, SETTLE_SECONDS + 1):
        began = await cemetery.now()
        await cemetery.bury(*(some_handle() for _ in range((SETTLE_PAGES - 1) * SIZE)), at=began + 1)
        await worker.feed.poll()
        late = await new(cemetery, at=began)
        await worker.feed.poll()
        assert worker.feed.is_revoked(late), "it began before them, and could be seen only now"
        seconds.now += apart


async def test_after_all_sessions_of_a_user_were_ended_a_late_commit_is_found_by_the_next_poll(
    worker: Worker, cemetery: Cemetery
) -> None:
    late = await new(cemetery, at=await cemetery.now() - OVERLAP_MS // 2)
    worker.feed.expect_tombstones_of(b"alice")
    worker.store.failures = [None, None, StoreUnavailable()]
    with suppress(StoreUnavailable):
        await worker.feed.poll()
    assert worker.feed.expects_tombstones_of(b"alice")
    await worker.feed.poll()
    assert not worker.feed.expects_tombstones
    assert worker.feed.is_revoked(late)
    worker.store.places.clear()
    await worker.feed.poll()
    assert len(worker.store.places) <= 2, "and later polls cost what they did"


async def test_what_this_worker_has_ended_itself_hides_nothing(
    worker: Worker, cemetery: Cemetery, seconds: Seconds
) -> None:
    hidden = await new(cemetery)
    own = [some_handle() for _ in range(3 * SIZE)]
    for handle in own:
        worker.feed.add(handle)
    await cemetery.bury(*own)
    await worker.feed.poll()
    assert worker.feed.is_revoked(hidden)
    await settle(worker, seconds)
    worker.store.places.clear()
    await worker.feed.poll()
    assert len(worker.store.places) <= 2, "and they cost nothing once they have been read"


@pytest.mark.parametrize("pages", range(6))
async def test_a_gap_is_read_though_the_pages_above_it_are_known(
    worker: Worker, cemetery: Cemetery, pages: int
) -> None:
    handles = [await new(cemetery) for _ in range(4 * SIZE)]
    worker.store.failures = [*[None] * pages, StoreUnavailable()]
    with suppress(StoreUnavailable):
        await worker.feed.poll()
    later = [await new(cemetery) for _ in range(2 * SIZE)]
    worker.store.failures = [None, StoreUnavailable()]
    with suppress(StoreUnavailable):
        await worker.feed.poll()
    worker.store.failures = []
    await worker.feed.poll()
    assert all(worker.feed.is_revoked(handle) for handle in (*handles, *later))
    assert worker.feed.staleness == 0


async def test_very_many_gaps_become_one(worker: Worker, cemetery: Cemetery, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MOST_GAPS", 2)
    handles = []
    for _ in range(5):
        handles += [await new(cemetery) for _ in range(3 * SIZE)]
        worker.store.failures = [None, StoreUnavailable()]
        with pytest.raises(StoreUnavailable):
            await worker.feed.poll()
    await worker.feed.poll()
    assert all(worker.feed.is_revoked(handle) for handle in handles)


async def test_during_a_long_read_the_newest_page_is_looked_at_again(
    worker: Worker, cemetery: Cemetery, seconds: Seconds, monkeypatch: pytest.MonkeyPatch
) -> None:
    bulk = [await new(cemetery) for _ in range(6 * SIZE)]
    page = worker.store.page
    came: list[str] = []
    pages_later: list[list[bool]] = []

    async def slow(*arguments: Any, **options: Any) -> Any:
        found = await page(*arguments, **options)
        seconds.now += TOP_SECONDS / 2
        pages_later.append([worker.feed._handles.holds(handle) for handle in came])
        if len(pages_later) == 2:
            came.append(await new(cemetery))
        return found

    monkeypatch.setattr(worker.store, "page", slow)
    await worker.feed.poll()
    assert [True] in pages_later[:6], "long before the bulk had been read"
    assert all(worker.feed.is_revoked(handle) for handle in (*bulk, *came))


async def test_the_clock_is_raised_where_many_tombstones_would_be_read_by_each_poll(
    worker: Worker, cemetery: Cemetery, seconds: Seconds, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tombstones, "PAGE_SIZE", 2 * CLOCK_STEP_ROWS)
    newest = await cemetery.now() + 1_000
    await cemetery.fill(CLOCK_STEP_ROWS, ending_at=newest, apart_ms=0)
    await worker.feed.poll()
    assert (await worker.store.page(TOP, newest)).clock == newest + 1
    for _ in range(2):
        await worker.feed.poll()
        seconds.now += OVERLAP_MS / 1000 + 1
    worker.store.bounds.clear()
    await worker.feed.poll()
    assert len((await worker.store.page(TOP, worker.store.bounds[0])).handles) == 0


async def test_after_a_bulk_of_twenty_pages_a_logout_is_found_by_the_next_poll(
    on_mariadb: Database, seconds: Seconds, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tombstones, "PAGE_SIZE", BULK // 20)
    monkeypatch.setattr(reading, "PIECE_PAGES_PER_SECOND", 2)  # one at each poll
    cemetery, sessions = Cemetery(on_mariadb), SessionRepository(on_mariadb, build_tables())
    worker = build_worker(on_mariadb, seconds)
    await worker.feed.poll()
    await cemetery.fill(BULK, ending_at=await cemetery.now(), apart_ms=0)
    await settle(worker, seconds)
    assert len(worker.feed._handles) == BULK
    for _ in range(10):
        handle = some_handle()
        await cemetery.live(handle)
        assert await sessions.revoke(handle, "logout", 0)
        with counted() as statements:
            await worker.feed.poll()
        assert worker.feed.is_revoked(handle)
        assert len(statements) <= 4, "the newest page, one below it for it had news, a piece, the clock"
        seconds.now += 2


async def test_news_is_read_at_the_strongest_consistency_and_what_is_known_is_not(
    worker: Worker, seconds: Seconds
) -> None:
    """A node that is cut off from its cluster answers other reads, some engines for ever."""
    for _ in range(2):
        worker.store.strong.clear()
        await worker.feed.poll()
        *read, piece = worker.store.strong
        assert read
        assert all(read)
        assert not piece
        worker.feed.expect_tombstones_of(b"s:alice")
    seconds.now += 100
    worker.store.strong.clear()
    await worker.feed.wait_until_current()
    assert worker.store.strong
    assert all(worker.store.strong)
