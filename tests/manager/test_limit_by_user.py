"""``max_sessions_per_user`` by a function of the application, and which devices a login has logged out."""

import asyncio
import logging
import uuid
from typing import Any

import pytest

from asgi_sessions import IssuedSession, SessionEvent, SessionLimitReached, SessionManager
from asgi_sessions.manager import asked_function
from asgi_sessions.protocol.user_id import UserId
from tests.clocks import MovableClock
from tests.manager.conftest import NewManager
from tests.manager.test_function_call import cancelled_by_somebody_else


async def log_in(sessions: SessionManager, user: UserId = "alice", role: str = "customer") -> IssuedSession[Any, Any]:
    return await sessions.create_new_session_without_request(user, jwt_payload={"role": role})


def handles(*issued: IssuedSession[Any, Any]) -> list[str]:
    return [each.session.session_handle for each in issued]


def evicted(issued: IssuedSession[Any, Any]) -> list[str]:
    return [record.session_handle for record in issued.session.evicted_sessions]


async def live(sessions: SessionManager, user: UserId = "alice") -> set[str]:
    return set(await sessions.get_all_session_handles_for_user(user))


# -- who may have how many


async def test_the_function_says_how_many_whatever_the_setting_is(new_manager: NewManager) -> None:
    sessions = new_manager(max_sessions_per_user=2)
    asked: list[Any] = []

    @sessions.limit_sessions_per_user
    async def limit(user_id: UserId, jwt_payload: Any) -> int | None:
        asked.append((user_id, dict(jwt_payload)))
        return {"admin": 1, "customer": 3}.get(jwt_payload.pop("role"))

    async with sessions:
        customers = [await log_in(sessions) for _ in range(4)]
        assert await live(sessions) == set(handles(*customers[1:]))
        admin = await log_in(sessions, role="admin")
        assert await live(sessions) == set(handles(admin))
        assert admin.session.jwt_payload == {"role": "admin"}, "the function has changed an object of its own"
        robots = [await log_in(sessions, uuid.UUID(int=7), "robot") for _ in range(5)]
        assert await live(sessions, uuid.UUID(int=7)) == set(handles(*robots))
    assert asked == [
        *[("alice", {"role": "customer"})] * 4,
        ("alice", {"role": "admin"}),
        *[(uuid.UUID(int=7), {"role": "robot"})] * 5,
    ]


async def test_beyond_it_a_login_may_be_refused(new_manager: NewManager) -> None:
    sessions = new_manager(max_sessions_action="reject")

    @sessions.limit_sessions_per_user
    async def limit(user_id: UserId, jwt_payload: Any) -> int:
        return 1

    async with sessions:
        first = await log_in(sessions)
        with pytest.raises(SessionLimitReached):
            await log_in(sessions)
        assert await live(sessions) == set(handles(first))


async def hangs() -> None:
    await asyncio.Event().wait()


async def fails() -> None:
    raise LookupError("the plan of alice@example.com")


async def is_cut_off() -> None:
    await cancelled_by_somebody_else()


def repr_of(answer: Any) -> str:
    return answer.__name__ if callable(answer) else repr(answer)


@pytest.mark.parametrize("answer", [hangs, fails, is_cut_off, 0, -1, True, 2.0, "2", [2]], ids=repr_of)
async def test_where_the_function_fails_the_setting_counts_and_the_log_says_so(
    answer: Any, new_manager: NewManager, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(asked_function, "ASKED_SECONDS", 0.01)
    sessions = new_manager(max_sessions_per_user=2)

    @sessions.limit_sessions_per_user
    async def limit(user_id: UserId, jwt_payload: Any) -> Any:
        return await answer() if callable(answer) else answer

    async with sessions:
        caplog.clear()
        issued = [await log_in(sessions) for _ in range(3)]
        assert await live(sessions) == set(handles(*issued[1:]))
    (said,) = [record for record in caplog.records if "limit_sessions_per_user" in record.getMessage()]
    assert said.levelno == logging.ERROR
    assert "max_sessions_per_user counts" in said.getMessage()
    assert "alice" not in said.getMessage()


async def test_where_it_fails_and_nobody_has_set_a_limit_the_default_holds_up_nobody(new_manager: NewManager) -> None:
    sessions = new_manager()

    @sessions.limit_sessions_per_user
    async def limit(user_id: UserId, jwt_payload: Any) -> int:
        raise LookupError

    async with sessions:
        issued = [await log_in(sessions) for _ in range(12)]
        assert await live(sessions) == set(handles(*issued))


def test_there_is_one_function(sessions: SessionManager) -> None:
    async def limit(user_id: UserId, jwt_payload: Any) -> int:
        return 1

    assert sessions.limit_sessions_per_user(limit) is limit
    with pytest.raises(ValueError, match="limit_sessions_per_user"):
        sessions.limit_sessions_per_user(limit)


async def test_of_logins_at_once_as_many_stay_as_are_allowed(new_manager: NewManager) -> None:
    one, two = new_manager(), new_manager()

    async def limit(user_id: UserId, jwt_payload: Any) -> int:
        await asyncio.sleep(0)
        return 2

    one.limit_sessions_per_user(limit)
    two.limit_sessions_per_user(limit)
    async with one, two:
        issued = await asyncio.gather(*(log_in(worker) for _ in range(4) for worker in (one, two)))
        staying = await live(one)
        assert len(staying) == 2
        assert staying < set(handles(*issued))


# -- who was logged out


async def test_a_login_tells_which_sessions_it_has_ended(new_manager: NewManager, clock: MovableClock) -> None:
    async with new_manager(max_sessions_per_user=2) as sessions:
        first = await log_in(sessions)
        clock.advance(10)
        second = await log_in(sessions)
        assert evicted(first) == evicted(second) == []
        listed = (await sessions.list_sessions_for_user("alice"))[-1]
        clock.advance(10)
        third = await log_in(sessions)
        assert list(third.session.evicted_sessions) == [listed]
        assert evicted(third) == handles(first)
        again = await sessions.get_session_without_request(third.access_token.value)
        assert list(again.evicted_sessions) == []


async def test_who_was_ended_already_is_not_named(new_manager: NewManager, clock: MovableClock) -> None:
    async with new_manager(max_sessions_per_user=1) as sessions:
        await log_in(sessions)
        revoker = sessions.lifecycle.revoker
        evict = revoker.evict

        async def later(records: Any) -> Any:
            for record in records:
                await revoker.revoke(record.session_handle)
            return await evict(records)

        revoker.evict = later  # type: ignore[method-assign]
        assert evicted(await log_in(sessions)) == []


@pytest.mark.parametrize("too_many", [1, 3])
async def test_the_event_names_the_devices_and_their_user(
    too_many: int, new_manager: NewManager, clock: MovableClock
) -> None:
    ended = []
    async with new_manager(max_sessions_per_user=None) as sessions:
        for _ in range(too_many):
            ended.append(await log_in(sessions, 42))
            clock.advance(1)
    events: list[SessionEvent] = []
    sessions = new_manager(max_sessions_per_user=1)

    @sessions.on_session_revoked
    async def note(event: SessionEvent) -> None:
        events.append(event)

    async with sessions:
        last = await log_in(sessions, 42)
        await sessions._events.settle()
    assert evicted(last) == list(reversed(handles(*ended)))
    (event,) = events
    assert event.user_id == 42
    if too_many == 1:
        assert [event.session_handle] == handles(*ended)
        assert dict(event.details) == {"reason": "evicted", "device": "Unknown device"}
    else:
        assert event.session_handle is None
        assert dict(event.details) == {
            "reason": "evicted",
            "count": 3,
            "session_handles": evicted(last),
            "devices": ["Unknown device"] * 3,
        }
