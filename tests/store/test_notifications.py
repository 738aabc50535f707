"""Each end is taken down once for each receiver, and kept until it is told; on every engine."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import select

from asgi_sessions.store import batches, notifications
from asgi_sessions.store.engine import Database
from asgi_sessions.store.notifications import Backlog, NotificationState, NotificationStore
from asgi_sessions.store.repository import SessionRepository
from asgi_sessions.store.schema import build_tables
from asgi_sessions.store.session_row import NOBODY
from tests.store.rows import ALICE, BOB, HOUR, NOW, session_row

TABLES = build_tables()
WAITING, DELIVERED, DEAD = NotificationState.WAITING, NotificationState.DELIVERED, NotificationState.DEAD
A, B = "a", "https://b.example/client"


@pytest.fixture
def outbox(database: Database) -> NotificationStore:
    return NotificationStore(database, TABLES)


async def ended(sessions: SessionRepository, *handles: str, **changes: Any) -> None:
    for handle in handles:
        await sessions.insert(session_row(handle, **changes))
    assert await sessions.revoke_many(handles, "logout", NOW) == len(handles)


async def rows(outbox: NotificationStore, *states: NotificationState) -> list[tuple[str, str]]:
    return [(row.handle, row.receiver) for row in await outbox.list_of(*(states or NotificationState), limit=1000)]


async def test_an_end_is_found_until_each_receiver_has_a_row(
    outbox: NotificationStore, sessions: SessionRepository
) -> None:
    await ended(sessions, "h1", "h2")
    await sessions.insert(session_row("live"))
    await sessions.insert(session_row("nobodys"))
    await sessions.revoke("nobodys", "unclaimed", NOW)
    for strong in (False, True):
        found = await outbox.uncollected(0, [A, B], strong=strong)
        assert {handle for handle, _ in found} == {"h1", "h2"}
    newest = await outbox.newest(0)
    assert newest is not None
    assert newest >= max(ended_at for _, ended_at in found)
    assert await outbox.newest(newest + 1) is None
    assert await outbox.uncollected(newest + 1, [A, B], strong=True) == []
    for _ in range(2):
        await outbox.add(["h1", "h2", "live", "never"], A, NOW)
        assert await rows(outbox) == [("h1", A), ("h2", A)]
    assert await outbox.uncollected(0, [A], strong=True) == []
    assert len(await outbox.uncollected(0, [A, B], strong=True)) == 2
    await outbox.add(["h2"], B, NOW)
    assert [handle for handle, _ in await outbox.uncollected(0, [A, B], strong=True)] == ["h1"]


async def test_ends_are_found_in_their_order_and_so_many_at_a_time(
    outbox: NotificationStore, sessions: SessionRepository, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notifications, "COLLECT_BATCH", 3)
    s = TABLES.sessions
    for number in (4, 1, 3, 0, 2):
        await sessions.insert(session_row(f"h{number}"))
        await database.run(
            s.update().where(s.c.handle == f"h{number}").values(revoked_at=NOW + number, revoked_reason="logout")
        )
    assert await outbox.uncollected(NOW + 1, [A], strong=False) == [(f"h{n}", NOW + n) for n in (1, 2, 3)]
    assert await outbox.uncollected(NOW + 1, [A], until=NOW + 2, strong=True) == [(f"h{n}", NOW + n) for n in (1, 2)]
    monkeypatch.setattr(notifications, "PIECE", 3)
    assert await outbox.boundary(NOW) == NOW + 3
    assert await outbox.boundary(NOW + 2) is None


async def test_of_many_workers_that_take_an_end_down_one_does(
    outbox: NotificationStore, sessions: SessionRepository
) -> None:
    await ended(sessions, *(f"h{number}" for number in range(20)))
    handles = [f"h{number}" for number in range(20)]
    await asyncio.gather(*(outbox.add(handles, A, NOW) for _ in range(8)))
    await outbox.add(handles, A, NOW)
    assert sorted(await rows(outbox)) == sorted((handle, A) for handle in handles)


async def test_what_is_due_is_told_postponed_or_given_up(
    outbox: NotificationStore, sessions: SessionRepository
) -> None:
    handles = ["h1", "h2", "h3"]
    await ended(sessions, *handles)
    for receiver in (A, B):
        await outbox.add(handles, receiver, NOW)
    assert await outbox.due(A, NOW - 1, limit=10) == []
    due = await outbox.due(A, NOW, limit=2)
    assert {(row.user_id, row.state, row.attempts, row.failure, row.queued_at) for row in due} == {
        (ALICE, WAITING, 0, None, NOW)
    }
    await outbox.delivered(["h1"], A)
    await outbox.postpone(["h1", "h2"], A, NOW + 5, "503")
    assert await outbox.bury(["h1", "h3"], A, NOW + 1, "400") == 1
    assert await outbox.due(A, NOW + 4, limit=10) == []
    (again,) = await outbox.due(A, NOW + 5, limit=10)
    assert (again.handle, again.attempts, again.failure) == ("h2", 1, "503")
    assert len(await outbox.due(B, NOW, limit=10)) == 3
    assert await outbox.next_due([A]) == NOW + 5
    assert await outbox.next_due([A, B]) == NOW
    assert await outbox.next_due(["other"]) is None
    assert await outbox.backlog() == [Backlog(A, 1, 1, NOW), Backlog(B, 3, 0, NOW)]


async def test_all_of_a_user_are_told_at_once_but_not_what_was_taken_down_since(
    outbox: NotificationStore, sessions: SessionRepository
) -> None:
    await ended(sessions, "h1", "h2")
    await ended(sessions, "bobs", user_id=BOB)
    await outbox.add(["h1", "bobs"], A, NOW)
    await outbox.add(["h2"], A, NOW + 1)
    assert not await outbox.is_anywhere(ALICE, NOW)
    await outbox.delivered_all_of(ALICE, A, NOW)
    assert {row.handle for row in await outbox.due(A, NOW + 1, limit=10)} == {"bobs", "h2"}
    await sessions.insert(session_row("new"))
    assert await outbox.is_anywhere(ALICE, NOW)
    assert not await outbox.is_anywhere(ALICE, NOW + 10**12)


async def test_what_has_waited_too_long_is_given_up(outbox: NotificationStore, sessions: SessionRepository) -> None:
    await ended(sessions, "old", "new")
    for receiver in (A, B):
        await outbox.add(["old"], receiver, NOW)
        await outbox.add(["new"], receiver, NOW + HOUR)
    assert await outbox.bury_older(A, NOW + 1, NOW + HOUR) == 1
    assert await outbox.bury_of_others([A], NOW + 1, NOW + HOUR) == 1
    assert sorted(await rows(outbox, DEAD)) == [("old", A), ("old", B)]


async def test_dead_letters_are_queued_anew_or_dropped(outbox: NotificationStore, sessions: SessionRepository) -> None:
    handles = ["h1", "h2", "h3"]
    await ended(sessions, *handles)
    for receiver in (A, B):
        await outbox.add(handles, receiver, NOW)
        await outbox.bury(handles[:2], receiver, NOW, "400")
    assert await outbox.requeue(NOW + 7, handles=["h1", "h3"], receiver=A) == 1
    (again,) = [row for row in await outbox.due(A, NOW + 7, limit=10) if row.handle == "h1"]
    assert (again.attempts, again.queued_at, again.next_at) == (0, NOW + 7, NOW + 7)
    assert await outbox.drop(receiver=A) == 1
    assert await outbox.drop(handles=["h1"]) == 1
    assert await outbox.requeue(NOW, receiver=A) == 0
    assert await outbox.requeue(NOW) == 1
    assert await outbox.drop() == 0
    assert sorted(await rows(outbox)) == [("h1", A), ("h2", B), ("h3", A), ("h3", B)]


async def test_what_was_told_is_forgotten_and_nothing_is_kept_for_ever(
    outbox: NotificationStore, sessions: SessionRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "PURGE_BATCH", 2)
    handles = [f"h{number}" for number in range(5)]
    await ended(sessions, *handles)
    for receiver in (A, B):
        await outbox.add(handles, receiver, NOW)
    await outbox.delivered(handles, A)
    newest = await outbox.newest(0)
    assert newest is not None
    oldest = min(row.ended_at for row in await outbox.list_of(DELIVERED, limit=100))
    await outbox.forget_delivered(A, oldest)
    assert len(await rows(outbox, DELIVERED)) == 5
    await outbox.forget_delivered(B, newest + 1)
    assert len(await rows(outbox, DELIVERED)) == 5
    await outbox.forget_delivered(A, newest + 1)
    assert sorted(await rows(outbox)) == [(handle, B) for handle in handles]
    await outbox.purge(NOW + notifications.KEPT_MS)
    assert len(await rows(outbox)) == 5
    await outbox.purge(NOW + notifications.KEPT_MS + 1)
    assert await rows(outbox) == []


async def test_a_user_is_found_and_taken_away(
    outbox: NotificationStore, sessions: SessionRepository, database: Database
) -> None:
    await ended(sessions, "h1")
    await ended(sessions, "bobs", user_id=BOB)
    await outbox.add(["h1", "bobs"], A, NOW)
    assert [row.handle for row in await outbox.of_user(ALICE)] == ["h1"]
    assert await outbox.erase(ALICE) == 1
    assert await outbox.of_user(ALICE) == []
    found = await database.run(select(TABLES.notifications.c.handle, TABLES.notifications.c.user_id))
    assert {handle: bytes(owner) for handle, owner in found.rows} == {"h1": NOBODY, "bobs": BOB}
