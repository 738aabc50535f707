"""Numbers that all workers share."""

import asyncio

import pytest

from asgi_sessions.store.engine import Database
from asgi_sessions.store.schema import build_tables
from asgi_sessions.store.state import StateStore


@pytest.fixture
def state(database: Database) -> StateStore:
    return StateStore(database, build_tables())


async def test_the_first_worker_settles_a_number(state: StateStore) -> None:
    assert await state.all() == {}
    assert await state.settle("a", 7) == 7
    assert await state.settle("a", 9) == 7
    assert await state.settle("b", 0) == 0
    assert await state.all() == {"a": 7, "b": 0}


async def test_a_number_is_raised_and_never_lowered(state: StateStore) -> None:
    assert await state.raise_to("a", 300_000) == 300_000
    assert await state.raise_to("a", 3_600_000) == 3_600_000
    assert await state.raise_to("a", 60_000) == 3_600_000
    assert await state.all() == {"a": 3_600_000}


async def test_of_many_workers_at_once_the_highest_number_stands(state: StateStore) -> None:
    await asyncio.gather(*(state.raise_to("a", value) for value in (5, 9, 1, 7, 9, 3)))
    assert await state.all() == {"a": 9}
    settled = await asyncio.gather(*(state.settle("b", value) for value in range(1, 7)))
    assert len(set(settled)) == 1
    assert (await state.all())["b"] == settled[0]
