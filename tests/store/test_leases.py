import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select, update

from asgi_sessions.store.database_clock import database_now
from asgi_sessions.store.engine import Database
from asgi_sessions.store.leases import LeaseStore
from asgi_sessions.store.schema import build_tables
from tests.store.rows import HOUR

LEASES = build_tables().leases
DAY = 24 * HOUR


@pytest.fixture
def ends_in(database: Database) -> Callable[[int], Any]:
    """Make all leases end so long after the database's time, ms."""

    async def move(milliseconds: int) -> None:
        await database.run(update(LEASES).values(expires_at=database_now() + milliseconds))

    return move


async def left(database: Database) -> int:
    """For how long the lease is held, ms."""
    return int((await database.run(select(LEASES.c.expires_at - database_now()))).rows[0][0])


async def test_one_of_many_workers_gets_the_lease(leases: LeaseStore) -> None:
    got = await asyncio.gather(*(leases.acquire("purge", f"w{n}", HOUR) for n in range(20)))
    assert got.count(True) == 1


async def test_a_lease_that_has_run_out_goes_to_one_of_many(leases: LeaseStore, ends_in: Callable[[int], Any]) -> None:
    assert await leases.acquire("purge", "dead", HOUR)
    await ends_in(0)
    got = await asyncio.gather(*(leases.acquire("purge", f"w{n}", HOUR) for n in range(20)))
    assert got.count(True) == 1


async def test_the_holder_may_prolong_its_lease(leases: LeaseStore, database: Database) -> None:
    assert await leases.acquire("purge", "w1", HOUR)
    assert await leases.acquire("purge", "w1", 2 * HOUR)
    assert HOUR < await left(database) <= 2 * HOUR
    assert not await leases.acquire("purge", "w2", HOUR)


async def test_leases_are_apart(leases: LeaseStore) -> None:
    assert await leases.acquire("purge", "w1", HOUR)
    assert await leases.acquire("rotate", "w2", HOUR)


async def test_a_lease_ends_by_the_databases_clock(
    leases: LeaseStore, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("asgi_sessions.protocol.clock.time_ns", lambda: 10**18 * 3)  # this worker's is in the year 2065
    assert await leases.acquire("purge", "w1", HOUR)
    assert 0 < await left(database) <= HOUR


async def test_a_lease_taken_by_a_clock_days_ahead_does_not_last_for_days(
    leases: LeaseStore, ends_in: Callable[[int], Any], database: Database
) -> None:
    assert await leases.acquire("purge", "w1", HOUR)
    await ends_in(2 * HOUR - 60_000)
    assert not await leases.acquire("purge", "w2", HOUR)
    await ends_in(15 * DAY)
    assert await leases.acquire("purge", "w2", HOUR)
    assert 0 < await left(database) <= HOUR
