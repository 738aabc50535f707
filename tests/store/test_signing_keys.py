import asyncio
from dataclasses import replace

from asgi_sessions.store.signing_keys import KeyRow, SigningKeyStore
from tests.store.rows import NOW

FIRST = KeyRow("access", 0, "k0", "HS256", bytes(range(256)), "seal1", NOW, NOW)


async def test_keys_come_back_as_they_were_stored_oldest_first(keys: SigningKeyStore) -> None:
    rows = [replace(FIRST, serial=serial, key_id=f"k{serial}", seal_id=None) for serial in (2, 0, 1)]
    for row in rows:
        assert await keys.add(row)
    assert await keys.load("access") == sorted(rows, key=lambda row: row.serial)
    assert await keys.load("refresh") == []


async def test_the_largest_key_is_kept_whole(keys: SigningKeyStore) -> None:
    row = replace(FIRST, material=bytes(range(256)) * 16)
    assert await keys.add(row)
    assert await keys.load("access") == [row]


async def test_one_of_many_workers_adds_a_serial(keys: SigningKeyStore) -> None:
    added = await asyncio.gather(*(keys.add(replace(FIRST, key_id=f"w{n}")) for n in range(10)))
    assert added.count(True) == 1
    assert [row.key_id for row in await keys.load("access")] == [f"w{added.index(True)}"]


async def test_a_key_id_is_unique_over_all_purposes(keys: SigningKeyStore) -> None:
    assert await keys.add(FIRST)
    assert not await keys.add(replace(FIRST, purpose="refresh"))


async def test_resealing_replaces_what_was_read(keys: SigningKeyStore) -> None:
    await keys.add(FIRST)
    assert await keys.reseal(FIRST, b"new", "seal2")
    assert await keys.load("access") == [replace(FIRST, material=b"new", seal_id="seal2")]
    assert not await keys.reseal(FIRST, b"newer", "seal3")


async def test_old_keys_are_removed_within_their_purpose(keys: SigningKeyStore) -> None:
    for serial in range(4):
        await keys.add(replace(FIRST, serial=serial, key_id=f"k{serial}"))
    await keys.add(replace(FIRST, purpose="refresh", key_id="r0"))
    assert await keys.remove_before("access", 2) == 2
    assert [row.serial for row in await keys.load("access")] == [2, 3]
    assert [row.serial for row in await keys.load("refresh")] == [0]


def test_the_repr_of_a_key_hides_it() -> None:
    assert "canary" not in repr(replace(FIRST, material=b"canary"))
