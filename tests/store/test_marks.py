"""Of any number of workers one writes a mark; it is there until its time, and no longer for long."""

import asyncio

import pytest

from asgi_sessions.protocol.session_index import entry
from asgi_sessions.store import batches
from asgi_sessions.store.engine import Database
from asgi_sessions.store.marks import MarkStore
from asgi_sessions.store.schema import build_tables
from tests.store.rows import NOW

ONE, OTHER = entry("oidc_sid", "1"), entry("oidc_sid", "2")


@pytest.fixture
def marks(database: Database) -> MarkStore:
    return MarkStore(database, build_tables())


async def test_one_of_many_writes_it(marks: MarkStore) -> None:
    assert sorted(await asyncio.gather(*(marks.write(ONE, NOW) for _ in range(10)))) == [False] * 9 + [True]
    assert await marks.write(("another_kind", ONE[1]), NOW)


async def test_it_is_there_until_its_time(marks: MarkStore) -> None:
    await marks.write(ONE, NOW)
    assert await marks.has_any([OTHER, ONE], NOW - 1)
    assert not await marks.has_any([OTHER, ONE], NOW)
    assert not await marks.has_any([OTHER], NOW - 1)
    assert not await marks.has_any([], NOW - 1)


async def test_the_purge_takes_what_is_over(marks: MarkStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "PURGE_BATCH", 2)
    for number in range(5):
        await marks.write(entry("k", str(number)), NOW + number)
    assert await marks.purge(NOW + 3) == 4
    assert not await marks.write(entry("k", "4"), NOW)
    assert await marks.write(entry("k", "3"), NOW)
