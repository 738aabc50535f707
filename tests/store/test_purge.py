"""Purging deletes the dead in batches, and never a live session or a tombstone that is still needed."""

import asyncio

import pytest

from asgi_sessions.store import batches
from asgi_sessions.store.repository import SessionRepository
from tests.store.rows import HOUR, NOW, session_row

BEFORE = NOW - HOUR


async def remaining(sessions: SessionRepository, *handles: str) -> list[str]:
    return [handle for handle in handles if await sessions.find(handle) is not None]


async def test_what_ended_by_time_goes_and_what_lives_stays(sessions: SessionRepository) -> None:
    await sessions.insert(session_row("idle", idle_expires_at=NOW))
    await sessions.insert(session_row("expired", expires_at=NOW, idle_expires_at=NOW))
    await sessions.insert(session_row("almost", idle_expires_at=NOW + 1))
    await sessions.insert(session_row("live"))
    assert await sessions.purge(NOW, BEFORE) == 2
    assert await remaining(sessions, "idle", "expired", "almost", "live") == ["almost", "live"]


async def test_tombstones_go_by_age_alone(sessions: SessionRepository) -> None:
    long_over = {"expires_at": BEFORE - HOUR, "idle_expires_at": BEFORE - HOUR}
    await sessions.insert(session_row("old", revoked_at=BEFORE - 1))
    await sessions.insert(session_row("old-expired", revoked_at=BEFORE - 1, **long_over))
    await sessions.insert(session_row("young", revoked_at=BEFORE))
    await sessions.insert(session_row("young-expired", revoked_at=BEFORE, **long_over))
    assert await sessions.purge(NOW, BEFORE) == 2
    assert await remaining(sessions, "old", "old-expired", "young", "young-expired") == ["young", "young-expired"]


async def test_a_limit_is_kept(sessions: SessionRepository) -> None:
    for number in range(5):
        await sessions.insert(session_row(f"i{number}", idle_expires_at=NOW))
        await sessions.insert(session_row(f"t{number}", revoked_at=BEFORE - 1))
    assert await sessions.purge(NOW, BEFORE, limit=0) == 0
    assert await sessions.purge(NOW, BEFORE, limit=7) == 7
    assert await sessions.purge(NOW, BEFORE) == 3


async def test_batches_follow_each_other_until_all_are_gone(
    sessions: SessionRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "PURGE_BATCH", 3)
    for number in range(8):
        await sessions.insert(session_row(f"i{number}", idle_expires_at=NOW))
    assert await sessions.purge(NOW, BEFORE) == 8


async def test_several_workers_may_purge_at_once(sessions: SessionRepository, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "PURGE_BATCH", 5)
    await asyncio.gather(
        *(sessions.insert(session_row(f"i{number}", idle_expires_at=NOW)) for number in range(30)),
        *(sessions.insert(session_row(f"live{number}")) for number in range(10)),
    )
    counts = await asyncio.gather(*(sessions.purge(NOW, BEFORE) for _ in range(4)))
    assert sum(counts) == 30
    assert len(await sessions.handles_of(session_row().user_id, NOW)) == 10


async def test_it_rests_between_batches_for_as_long_as_that_has_taken(
    sessions: SessionRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    rests: list[float] = []

    async def rest(seconds: float) -> None:
        rests.append(seconds)

    moments = iter((0.0, 2.0, 10.0, 11.5, 20.0, 30.0))
    monkeypatch.setattr(batches, "_monotonic", lambda: next(moments))
    monkeypatch.setattr(batches, "_rest", rest)
    monkeypatch.setattr(batches, "PURGE_BATCH", 3)
    for number in range(8):
        await sessions.insert(session_row(f"i{number}", idle_expires_at=NOW))
    assert await sessions.purge(NOW, BEFORE) == 8
    assert rests == [2.0, 1.5]
