"""Tombstones are read in pages: each once, none left out, and the database's time with them."""

import pytest

from asgi_sessions.store import tombstones
from asgi_sessions.store.engine import Database
from asgi_sessions.store.repository import SessionRepository
from asgi_sessions.store.schema import build_tables
from asgi_sessions.store.state import StateStore
from asgi_sessions.store.tombstones import LONGEST_DELAY, LONGEST_LIFETIME, TOP, Page, Position, TombstoneStore
from tests.revocation.tombstones import Cemetery, some_handle
from tests.security.statements import counted


@pytest.fixture
def store(database: Database) -> TombstoneStore:
    return TombstoneStore(database, build_tables())


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(tombstones, "PAGE_SIZE", 7)
    return 7


async def read(store: TombstoneStore, since: int) -> list[Page]:
    pages = []
    place: Position | None = TOP
    while place is not None:
        pages.append(await store.page(place, since))
        place = pages[-1].next
    return pages


async def test_where_nobody_was_revoked_there_is_only_the_time(store: TombstoneStore, cemetery: Cemetery) -> None:
    await cemetery.live(some_handle())
    before = await cemetery.now()
    page = await store.page(TOP, 0)
    assert (list(page.handles), page.next, page.newest, page.above_clock) == ([], None, None, 0)
    assert before <= page.now <= await cemetery.now()
    assert before <= await store.now() <= await cemetery.now()
    assert (await store.node())[1] != ""


async def test_the_newest_tombstones_come_first(
    store: TombstoneStore, cemetery: Cemetery, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tombstones, "PAGE_SIZE", 1)
    now = await cemetery.now()
    first, second, third = some_handle(), some_handle(), some_handle()
    await cemetery.bury(third, at=now)
    await cemetery.bury(first, at=now - 2)
    await cemetery.bury(second, at=now - 1)
    pages = await read(store, now - 2)
    assert [list(page.handles) for page in pages] == [[third], [second], [first], []]
    assert [page.newest for page in pages] == [now, now - 1, now - 2, None]
    assert pages[0].now >= now


async def test_reading_ends_at_the_given_time_and_not_before(store: TombstoneStore, cemetery: Cemetery) -> None:
    now = await cemetery.now()
    early, exact = some_handle(), some_handle()
    await cemetery.bury(early, at=now - 1)
    await cemetery.bury(exact, at=now, idle_expires_at=0)
    assert list((await store.page(TOP, now)).handles) == [exact]


async def test_reading_goes_on_before_a_place_in_each_column(store: TombstoneStore, cemetery: Cemetery) -> None:
    now = await cemetery.now()
    places = [
        Position(now - 1, 9, "f" * 32),
        Position(now, 4, "e" * 32),
        Position(now, 5, "1" * 32),
        Position(now, 5, "2" * 32),
        Position(now, 6, "0" * 32),
        Position(now + 1, 0, "a" * 32),
    ]
    for place in places:
        await cemetery.bury(place.handle, at=place.revoked_at, idle_expires_at=place.idle_expires_at)
    for number, place in enumerate(places):
        page = await store.page(place, 0)
        assert sorted(page.handles) == sorted(earlier.handle for earlier in places[:number])


async def test_pages_hold_everything_once(store: TombstoneStore, cemetery: Cemetery, small_pages: int) -> None:
    now = await cemetery.now()
    handles = [some_handle() for _ in range(3 * small_pages)]
    for number, handle in enumerate(handles):
        await cemetery.bury(handle, at=now + number // 4)
    pages = await read(store, now)
    assert [len(page.handles) for page in pages] == [7, 7, 7, 0]
    assert sorted(handle for page in pages for handle in page.handles) == sorted(handles)


@pytest.mark.parametrize("count", [6, 7, 8, 50])
@pytest.mark.parametrize("alike", [False, True], ids=["each idle till its own time", "idle till the same time"])
async def test_a_user_with_many_sessions_ended_at_once_is_read_through(
    store: TombstoneStore, cemetery: Cemetery, small_pages: int, count: int, alike: bool
) -> None:
    now = await cemetery.now()
    handles = [some_handle() for _ in range(count)]
    await cemetery.bury(*handles, at=now, idle_expires_at=now if alike else None)
    pages = await read(store, now)
    read_handles = [handle for page in pages for handle in page.handles]
    assert sorted(read_handles) == sorted(handles)
    assert all(len(page.handles) <= small_pages for page in pages)
    assert len(pages) == count // small_pages + 1


async def test_a_page_is_one_statement_and_never_more_rows_than_it_says(
    store: TombstoneStore, cemetery: Cemetery, database: Database
) -> None:
    now = await cemetery.now()
    await cemetery.fill(20_000, ending_at=now)
    rows: list[int] = []
    run = store._run

    async def counting(*arguments: object, **options: object) -> object:
        outcome = await run(*arguments, **options)  # type: ignore[arg-type]
        rows.append(len(outcome.rows))
        return outcome

    store._run = counting  # type: ignore[assignment]
    with counted() as statements:
        pages = await read(store, 0)
    full = 20_000 // tombstones.PAGE_SIZE
    assert len(statements) == len(pages) == full + 1
    assert rows == [*[tombstones.PAGE_SIZE + 1] * full, 1]
    assert sorted(handle for page in pages for handle in page.handles) == sorted(await cemetery.handles())


# -- the revocation clock


async def test_the_first_worker_starts_the_clock_and_all_begin_at_one_floor(
    store: TombstoneStore, cemetery: Cemetery, database: Database
) -> None:
    assert (await store.page(TOP, 0)).clock == 0, "nobody has read tombstones yet"
    now = await cemetery.now()
    floor = await store.floor(600_000)
    assert now - 660_000 <= floor <= await cemetery.now() - 660_000
    clock = (await store.page(TOP, 0)).clock
    assert now <= clock <= await cemetery.now()
    assert await TombstoneStore(database, build_tables()).floor(1_000) == floor
    await store.raise_floor(floor + 5, 600_000)
    assert await store.floor(600_000) == floor + 5


async def test_the_floor_stays_while_another_worker_needs_tombstones_for_longer(
    store: TombstoneStore, database: Database
) -> None:
    floor = await store.floor(600_000)
    state = StateStore(database, build_tables())
    await state.raise_to(LONGEST_LIFETIME, 300_000)
    await state.raise_to(LONGEST_DELAY, 0)
    await store.raise_floor(floor + 5, 600_000)
    await state.raise_to(LONGEST_LIFETIME, 300_001)  # also of a worker that has no feed
    await store.raise_floor(floor + 10, 600_000)
    assert await store.floor(600_002) == floor + 5


async def test_what_lies_below_the_floor_may_go_whatever_the_time_is(store: TombstoneStore) -> None:
    floor = await store.floor(600_000)
    assert await store.purgeable(floor + 900_000, 600_000) == floor + 300_000
    a_year_ahead = floor + 365 * 86_400_000
    await store.raise_floor(a_year_ahead, 600_000)
    assert await store.purgeable(floor + 900_000, 600_000) == a_year_ahead


async def test_the_clock_and_the_floor_are_never_lowered(store: TombstoneStore) -> None:
    floor = await store.floor(600_000)
    clock = (await store.page(TOP, 0)).clock
    await store.raise_clock(clock - 1)
    await store.raise_floor(floor - 1, 600_000)
    assert (await store.page(TOP, 0)).clock == clock
    assert await store.floor(600_000) == floor
    await store.raise_clock(clock + 1_000_000)
    assert (await store.page(TOP, 0)).clock == clock + 1_000_000


async def test_no_revocation_lies_below_the_clock_in_whichever_form(
    store: TombstoneStore, cemetery: Cemetery, database: Database
) -> None:
    sessions = SessionRepository(database, build_tables())
    await store.floor(600_000)
    ahead = await cemetery.now() + 3_600_000
    handles = [some_handle() for _ in range(4)]
    for number, handle in enumerate(handles):
        await cemetery.live(handle, user_id=b"s:%d" % number)
    await store.raise_clock(ahead)
    assert await sessions.revoke(handles[0], "logout", 0)
    assert await sessions.revoke_many([handles[1]], "logout", 0) == 1
    assert await sessions.revoke_all(b"s:2", "logout", 0) == 1
    assert await sessions.revoke_all(b"s:3", "logout", 0, except_handle="0" * 32) == 1
    page = await store.page(TOP, 0)
    assert sorted(page.handles) == sorted(handles)
    assert (page.newest, page.above_clock) == (ahead, 4)
    assert len((await store.page(TOP, ahead)).handles) == 4


async def test_where_the_clock_is_behind_or_was_never_started_revocations_have_the_databases_time(
    store: TombstoneStore, cemetery: Cemetery, database: Database
) -> None:
    sessions = SessionRepository(database, build_tables())
    for start in (False, True):
        if start:
            await store.floor(600_000)
        handle = some_handle()
        await cemetery.live(handle)
        before = await cemetery.now()
        assert await sessions.revoke(handle, "logout", 0)
        newest = (await store.page(TOP, 0)).newest
        assert newest is not None
        assert before <= newest <= await cemetery.now()
