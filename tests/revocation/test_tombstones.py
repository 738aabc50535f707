"""Tombstones are read in pages: each once, none left out, and the database's time with them."""

import pytest

from asgi_sessions.store import tombstones
from asgi_sessions.store.engine import Database
from asgi_sessions.store.schema import build_tables
from asgi_sessions.store.tombstones import Page, Position, TombstoneStore
from tests.revocation.tombstones import Cemetery, some_handle
from tests.security.statements import counted


@pytest.fixture
def store(database: Database) -> TombstoneStore:
    return TombstoneStore(database, build_tables())


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(tombstones, "PAGE_SIZE", 7)
    return 7


async def read(store: TombstoneStore, after: Position) -> list[Page]:
    pages = []
    place: Position | None = after
    while place is not None:
        pages.append(await store.page(place))
        place = pages[-1].next
    return pages


async def test_where_nobody_was_revoked_there_is_only_the_time(store: TombstoneStore, cemetery: Cemetery) -> None:
    await cemetery.live(some_handle())
    before = await cemetery.now()
    page = await store.page(Position.before(0))
    assert (list(page.handles), page.next) == ([], None)
    assert before <= page.now <= await cemetery.now()
    assert before <= await store.now() <= await cemetery.now()


async def test_tombstones_come_in_the_order_of_their_time(store: TombstoneStore, cemetery: Cemetery) -> None:
    now = await cemetery.now()
    first, second, third = some_handle(), some_handle(), some_handle()
    await cemetery.bury(third, at=now)
    await cemetery.bury(first, at=now - 2)
    await cemetery.bury(second, at=now - 1)
    page = await store.page(Position.before(now - 2))
    assert list(page.handles) == [first, second, third]
    assert page.now >= now


async def test_reading_begins_at_the_given_time_and_not_before(store: TombstoneStore, cemetery: Cemetery) -> None:
    now = await cemetery.now()
    early, exact = some_handle(), some_handle()
    await cemetery.bury(early, at=now - 1)
    await cemetery.bury(exact, at=now, idle_expires_at=0)
    assert list((await store.page(Position.before(now))).handles) == [exact]


async def test_reading_goes_on_after_a_place_in_each_column(store: TombstoneStore, cemetery: Cemetery) -> None:
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
        page = await store.page(place)
        assert list(page.handles) == [later.handle for later in places[number + 1 :]]


async def test_pages_hold_everything_once(store: TombstoneStore, cemetery: Cemetery, small_pages: int) -> None:
    now = await cemetery.now()
    handles = [some_handle() for _ in range(3 * small_pages)]
    for number, handle in enumerate(handles):
        await cemetery.bury(handle, at=now + number // 4)
    pages = await read(store, Position.before(now))
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
    pages = await read(store, Position.before(now))
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
        pages = await read(store, Position.before(0))
    assert len(statements) == len(pages) == 5
    assert rows == [5001, 5001, 5001, 5001, 1]
    assert sorted(handle for page in pages for handle in page.handles) == sorted(await cemetery.handles())
