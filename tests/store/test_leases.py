import asyncio

from asgi_sessions.store.leases import LeaseStore
from tests.store.rows import HOUR, NOW


async def test_one_of_many_workers_gets_the_lease(leases: LeaseStore) -> None:
    got = await asyncio.gather(*(leases.acquire("purge", f"w{n}", NOW, NOW + HOUR) for n in range(20)))
    assert got.count(True) == 1


async def test_a_lease_that_has_run_out_goes_to_one_of_many(leases: LeaseStore) -> None:
    assert await leases.acquire("purge", "dead", NOW, NOW + HOUR)
    later = NOW + HOUR
    got = await asyncio.gather(*(leases.acquire("purge", f"w{n}", later, later + HOUR) for n in range(20)))
    assert got.count(True) == 1


async def test_the_holder_may_prolong_its_lease(leases: LeaseStore) -> None:
    assert await leases.acquire("purge", "w1", NOW, NOW + HOUR)
    assert await leases.acquire("purge", "w1", NOW + 1, NOW + 2 * HOUR)
    assert not await leases.acquire("purge", "w2", NOW + HOUR, NOW + 2 * HOUR)


async def test_leases_are_apart(leases: LeaseStore) -> None:
    assert await leases.acquire("purge", "w1", NOW, NOW + HOUR)
    assert await leases.acquire("rotate", "w2", NOW, NOW + HOUR)
