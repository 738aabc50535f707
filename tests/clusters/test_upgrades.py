"""A newer version of the server on the same data, while users go on: alone, and a replica before its primary."""

import asyncio
import time
import uuid

import pytest

from tests.clusters.fire import Fire
from tests.clusters.history import LOGIN, UNKNOWN, Operation
from tests.clusters.other_versions import UpgradableMariaDB, UpgradableReplica
from tests.clusters.replica import MariaDBPair
from tests.clusters.workers import address, new_database

pytestmark = [pytest.mark.fire, pytest.mark.usefixtures("as_long_as_in_service")]


def refused(calls: list[Operation]) -> int:
    """How many ended with a 503."""
    return sum(call.outcome == UNKNOWN for call in calls)


async def test_mariadb_goes_on_as_the_next_version(upgradable_mariadb: UpgradableMariaDB) -> None:
    fire = Fire([upgradable_mariadb.url(new_database(upgradable_mariadb))], uuid.uuid4().int)
    calls = fire.history.operations
    down = 0.0

    async def it_is_upgraded() -> None:
        nonlocal down
        before = time.monotonic()
        await asyncio.to_thread(upgradable_mariadb.upgrade)
        down = time.monotonic() - before

    async def its_tables_are_upgraded() -> None:
        await asyncio.to_thread(upgradable_mariadb.upgrade_tables)

    async with fire.workers():
        await fire.users(it_is_upgraded)
        gap, first = fire.history.longest_gap([LOGIN]), len(calls)
        await fire.users(its_tables_are_upgraded)
    print(f"\ndown for {down:.1f} s, no login for {gap:.1f} s; {fire.history.table()}")
    fire.judge()
    assert upgradable_mariadb.sql("SELECT VERSION()")[0][0].startswith("11.8.")
    assert not refused(calls[first:])


async def test_mariadb_a_replica_is_upgraded_then_its_primary(upgradable_pair: MariaDBPair[UpgradableReplica]) -> None:
    """Each is a replica meanwhile: the primary has handed over before."""
    pair, first, second = upgradable_pair, upgradable_pair.primary, upgradable_pair.replica
    fire = Fire([address([first, second], new_database(first))], uuid.uuid4().int)

    def both_are_upgraded() -> None:
        pair.replica.upgrade()
        pair.replica.upgrade_tables()
        pair.catch_up()
        pair.hand_over()
        pair.replica.upgrade()
        pair.replica.upgrade_tables()
        pair.replica.follow(pair.primary)
        pair.catch_up()

    async def fault() -> None:
        await asyncio.to_thread(both_are_upgraded)

    await fire.burn(fault)
    print(f"\nno login for {fire.history.longest_gap([LOGIN]):.1f} s; {fire.history.table()}")
    fire.judge()
    assert pair.primary is second
    for server in (first, second):
        assert server.sql("SELECT VERSION()")[0][0].startswith("11.8.")
