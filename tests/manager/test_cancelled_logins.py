"""A login that is cut off leaves no session that nobody holds, wherever it is cut off."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from asgi_sessions import SessionManager, StoreUnavailable
from asgi_sessions.manager import beside, unclaimed
from asgi_sessions.store.repository import SessionRepository, SessionRow
from tests.manager.conftest import NewManager
from tests.suspensions import cut_off_at

LIMITS: dict[str, dict[str, Any]] = {
    "no limit": {"max_sessions_per_user": None},
    "evict_oldest": {"max_sessions_per_user": 2},
    "reject": {"max_sessions_per_user": 4, "max_sessions_action": "reject"},
}


async def live(sessions: SessionManager) -> int:
    await sessions.lifecycle.close()  # waits for what is done beside the requests
    return len(await sessions.get_all_session_handles_for_user("alice"))


def login(sessions: SessionManager) -> Coroutine[Any, Any, Any]:
    return sessions.create_new_session_without_request("alice")


@pytest.mark.parametrize("limit", LIMITS.values(), ids=LIMITS)
async def test_a_login_that_is_cancelled_at_any_await_leaves_no_session(
    limit: dict[str, Any], new_manager: NewManager
) -> None:
    async with new_manager(**limit) as sessions:
        await login(sessions)
        place = 1
        while task := await cut_off_at(place, lambda: login(sessions)):
            assert task.cancelled()
            assert await live(sessions) == 1
            place += 1
        assert place > 1
        assert await live(sessions) == 2  # the one that was not cut off


@pytest.mark.parametrize("limit", LIMITS.values(), ids=LIMITS)
async def test_a_login_that_is_cancelled_between_its_statements_leaves_no_session(
    limit: dict[str, Any], new_manager: NewManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    inserted = asyncio.Event()
    insert = SessionRepository.insert

    async def telling(self: SessionRepository, row: SessionRow) -> None:
        await insert(self, row)
        inserted.set()

    monkeypatch.setattr(SessionRepository, "insert", telling)
    async with new_manager(**limit) as sessions:
        for _ in range(3):
            inserted.clear()
            task = asyncio.create_task(login(sessions))
            await inserted.wait()
            task.cancel()
            await asyncio.wait([task])
            assert task.cancelled()
            assert await live(sessions) == 0


async def test_what_a_login_began_before_it_was_cancelled_is_told_as_unclaimed(
    new_manager: NewManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    reasons = []
    async with new_manager() as sessions:

        @sessions.on_session_revoked
        async def note(event: Any) -> None:
            reasons.append(event.details["reason"])

        await cut_off_at(1, lambda: login(sessions))
        await live(sessions)
        await sessions._events.settle()
    assert reasons == ["unclaimed"]


async def test_a_login_whose_statement_may_yet_be_carried_out_is_ended_when_it_has_been(
    sessions: SessionManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    insert = SessionRepository.insert
    late: list[tuple[SessionRepository, SessionRow]] = []

    async def timed_out(self: SessionRepository, row: SessionRow) -> None:
        late.append((self, row))
        raise StoreUnavailable

    looked = asyncio.Event()
    revoke = SessionRepository.revoke

    async def noting(self: SessionRepository, *arguments: Any, **options: Any) -> bool:
        revoked = await revoke(self, *arguments, **options)
        if not revoked and late:  # only now does the server come to it
            await insert(*late.pop())
        looked.set()
        return revoked

    monkeypatch.setattr(SessionRepository, "insert", timed_out)
    monkeypatch.setattr(SessionRepository, "revoke", noting)
    monkeypatch.setattr(unclaimed, "PAUSES_SECONDS", (0.0, 0.0))
    async with sessions:
        with pytest.raises(StoreUnavailable):
            await login(sessions)
        assert await live(sessions) == 0
        assert looked.is_set()
        assert late == []


async def test_a_login_that_a_stop_interrupts_is_told_that_the_store_is_unavailable_and_not_that_it_is_cancelled(
    sessions: SessionManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    inserting = asyncio.Event()

    async def never_ending(self: SessionRepository, row: SessionRow) -> None:
        inserting.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(SessionRepository, "insert", never_ending)
    monkeypatch.setattr(beside, "CLOSE_SECONDS", 0.0)
    async with sessions:
        task = asyncio.create_task(login(sessions))
        await inserting.wait()
        await sessions.lifecycle.close()
        with pytest.raises(StoreUnavailable):
            await task


def test_a_stop_waits_for_longer_than_the_pauses_between_the_tries_to_end_a_session() -> None:
    assert sum(unclaimed.PAUSES_SECONDS) + 1.0 <= beside.CLOSE_SECONDS
