"""The function of ``claims``: the payload at each login and refresh, and never at the cost of rotation."""

import asyncio
import logging
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from asgi_sessions import (
    AlreadyRotated,
    IssuedSession,
    PayloadChanged,
    SessionManager,
    StoreUnavailable,
    TokenTheftDetected,
    Unauthorised,
)
from asgi_sessions.manager import asked_function
from asgi_sessions.manager.records import Device, Login
from asgi_sessions.manager.session import impersonation_by
from asgi_sessions.protocol.user_id import UserId
from asgi_sessions.store.failures import StatementInterrupted
from asgi_sessions.store.repository import SessionRepository
from tests.clocks import MovableClock
from tests.manager.conftest import NewManager
from tests.manager.test_function_call import cancelled_by_somebody_else

LIFETIME = 301

Issued = IssuedSession[Any, Any]


class Roles:
    """An application's: the roles of users, and who has asked for them.

    Attributes:
        role: Of everybody.
        meanwhile: What happens while the function is at work, once.
    """

    def __init__(self) -> None:
        self.role = "admin"
        self.asked: list[tuple[UserId, Any]] = []
        self.meanwhile: Callable[[], Any] | None = None

    async def __call__(self, user_id: UserId, payload: Any) -> Any:
        self.asked.append((user_id, payload))
        happens, self.meanwhile = self.meanwhile, None
        if happens is not None:
            await happens()
        return {**(payload or {}), "role": self.role}


@pytest.fixture
def roles() -> Roles:
    return Roles()


@pytest.fixture
def sessions(new_manager: NewManager, roles: Roles) -> SessionManager:
    manager = new_manager()
    assert manager.claims(roles) is roles
    return manager


async def log_in(sessions: SessionManager, user: UserId = "alice", payload: Any = None) -> Issued:
    return await sessions.create_new_session_without_request(user, jwt_payload=payload)


async def refreshed(sessions: SessionManager, issued: Issued) -> Issued:
    return await sessions.refresh_session_without_request(issued.refresh_token.value)


async def stored(sessions: SessionManager, issued: Issued) -> tuple[str, int]:
    row = await sessions.lifecycle._sessions.find(issued.session.session_handle, fresh=True)
    assert row is not None
    return row.jwt_payload, row.payload_version


async def test_a_login_has_what_it_says(sessions: SessionManager, roles: Roles) -> None:
    async with sessions:
        issued = await log_in(sessions, uuid.UUID(int=7), {"theme": "dark"})
        assert issued.session.jwt_payload == {"theme": "dark", "role": "admin"}
        assert await stored(sessions, issued) == ('{"theme":"dark","role":"admin"}', 0)
        found = await sessions.get_session_without_request(issued.access_token.value)
        assert found.jwt_payload == {"theme": "dark", "role": "admin"}
    assert roles.asked == [(uuid.UUID(int=7), {"theme": "dark"})]


async def test_a_refresh_has_what_it_says_by_then_and_stores_it(
    sessions: SessionManager, roles: Roles, clock: MovableClock
) -> None:
    async with sessions:
        issued = await log_in(sessions)
        for number, role in enumerate(["user", "user", "guest"]):
            roles.role = role
            clock.advance(LIFETIME)
            issued = await refreshed(sessions, issued)
            assert issued.session.jwt_payload == {"role": role}
            version = [1, 1, 2][number]
            assert await stored(sessions, issued) == (f'{{"role":"{role}"}}', version)
            assert issued.session._access.payload_version == version
    assert [payload for _, payload in roles.asked] == [None, {"role": "admin"}, {"role": "user"}, {"role": "user"}]


async def test_the_limit_of_sessions_goes_by_it(sessions: SessionManager) -> None:
    @sessions.limit_sessions_per_user
    async def limit(user_id: UserId, jwt_payload: Any) -> int | None:
        return {"admin": 1}.get(jwt_payload["role"])

    async with sessions:
        await log_in(sessions)
        assert len((await log_in(sessions)).session.evicted_sessions) == 1


async def test_it_is_not_asked_for_a_session_in_which_somebody_acts(
    sessions: SessionManager, roles: Roles, clock: MovableClock
) -> None:
    async with sessions:
        by = await impersonation_by((await log_in(sessions, "boss")).session, lifetime=3_600_000)
        given = {"role": "user", "read_only": True}
        login = Login(user_id="alice", jwt_payload=given, impersonation=by)
        tokens = await sessions.lifecycle.create(login, device=Device("Firefox on Linux", None))
        assert tokens.access.payload == given
        token = tokens.refresh_token.value
        for _ in range(2):
            clock.advance(LIFETIME)
            issued = await sessions.refresh_session_without_request(token)
            assert issued.session.jwt_payload == given
            token = issued.refresh_token.value
        assert await stored(sessions, issued) == ('{"role":"user","read_only":true}', 0)
    assert [user for user, _ in roles.asked] == ["boss"]


async def test_a_request_under_way_does_not_undo_it(
    sessions: SessionManager, roles: Roles, clock: MovableClock
) -> None:
    async with sessions:
        issued = await log_in(sessions)
        held = await sessions.get_session_without_request(issued.access_token.value)
        roles.role = "user"
        await refreshed(sessions, issued)
        with pytest.raises(PayloadChanged):
            await held.update_jwt_payload({**held.jwt_payload, "theme": "dark"})
        assert held.jwt_payload == {"role": "user"}
        await held.update_jwt_payload({**held.jwt_payload, "theme": "dark"})
        assert await stored(sessions, issued) == ('{"role":"user","theme":"dark"}', 2)


async def test_an_update_counts_where_the_payload_is_the_one_that_it_replaces(
    sessions: SessionManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever else has changed, and also where its answer was lost."""
    async with sessions:
        issued = await log_in(sessions)
        one, other = [await sessions.get_session_without_request(issued.access_token.value) for _ in range(2)]
        await one.add_authentication_method("otp")
        await other.update_jwt_payload({"role": "admin", "theme": "dark"})
        assert "otp" in other.authentication_methods
        swap = SessionRepository.swap_payload

        async def lost(*arguments: Any, **options: Any) -> bool:
            await swap(*arguments, **options)
            monkeypatch.setattr(SessionRepository, "swap_payload", swap)
            raise StatementInterrupted

        monkeypatch.setattr(SessionRepository, "swap_payload", lost)
        await other.update_jwt_payload({"role": "admin", "theme": "light"})
        assert (await stored(sessions, issued))[0] == '{"role":"admin","theme":"light"}'


# -- it fails


async def hangs() -> None:
    await asyncio.Event().wait()


async def fails() -> None:
    raise LookupError("the role of alice@example.com")


async def is_cut_off() -> None:
    await cancelled_by_somebody_else()


def repr_of(answer: Any) -> str:
    return answer.__name__ if callable(answer) else repr(answer)[:20]


@pytest.mark.parametrize("answer", [hangs, fails, is_cut_off, None, {1, 2}, object(), float("nan")], ids=repr_of)
async def test_where_it_fails_the_payload_stays_and_the_log_says_so(
    answer: Any,
    new_manager: NewManager,
    clock: MovableClock,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(asked_function, "ASKED_SECONDS", 0.01)
    sessions = new_manager()

    @sessions.claims
    async def claims(user_id: UserId, jwt_payload: Any) -> Any:
        jwt_payload["role"] = "nobody"
        return await answer() if callable(answer) else answer

    async with sessions:
        caplog.clear()
        issued = await log_in(sessions, "alice", {"role": "admin"})
        for _ in range(2):
            assert issued.session.jwt_payload == {"role": "admin"}
            clock.advance(20)
            issued = await refreshed(sessions, issued)
        assert await stored(sessions, issued) == ('{"role":"admin"}', 0)
    (said,) = [record for record in caplog.records if "of claims" in record.getMessage()]
    assert said.levelno == logging.ERROR
    assert "the payload stays" in said.getMessage()
    assert "alice" not in said.getMessage()


async def test_a_session_without_room_keeps_its_payload_and_the_log_names_it_each_time(
    sessions: SessionManager, roles: Roles, clock: MovableClock, caplog: pytest.LogCaptureFixture
) -> None:
    async with sessions:
        full, roomy, also_full = [await log_in(sessions, "alice", {"name": "x" * size}) for size in (2_000, 10, 2_100)]
        roles.role = "y" * 1_500
        clock.advance(LIFETIME)
        for _ in range(2):
            full, roomy, also_full = [await refreshed(sessions, each) for each in (full, roomy, also_full)]
            clock.advance(20)
        assert [len(each.session.jwt_payload["role"]) for each in (full, roomy, also_full)] == [5, 1_500, 5]
        assert [(await stored(sessions, each))[1] for each in (full, roomy, also_full)] == [0, 1, 0]
    said = [record for record in caplog.records if "of claims" in record.getMessage()]
    named = [each.session.session_handle for each in (full, also_full)] * 2
    assert [(record.levelno, record.args) for record in said] == [(logging.ERROR, (handle,)) for handle in named]
    assert "revoke the session" in said[0].getMessage()


async def test_at_a_login_too_what_does_not_fit_is_left_out(
    sessions: SessionManager, roles: Roles, caplog: pytest.LogCaptureFixture
) -> None:
    async with sessions:
        roles.role = "y" * 4_000
        issued = await log_in(sessions, "alice", {"role": "user"})
        assert await stored(sessions, issued) == ('{"role":"user"}', 0)
    assert f"Session {issued.session.session_handle} keeps" in caplog.text


async def test_a_session_without_a_payload_may_stay_so(
    new_manager: NewManager, caplog: pytest.LogCaptureFixture
) -> None:
    sessions = new_manager()

    @sessions.claims
    async def claims(user_id: UserId, jwt_payload: Any) -> Any:
        return jwt_payload

    async with sessions:
        assert (await log_in(sessions)).session.jwt_payload is None
    assert "of claims" not in caplog.text


@pytest.mark.parametrize("fault", ["unavailable", "interrupted"])
async def test_what_could_not_be_stored_is_not_said(
    fault: str, sessions: SessionManager, roles: Roles, clock: MovableClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with sessions:
        issued = await log_in(sessions)
        roles.role = "user"
        clock.advance(LIFETIME)
        swap = SessionRepository.swap_payload

        async def failing(*arguments: Any, **options: Any) -> bool:
            if fault == "interrupted":
                await swap(*arguments, **options)
            raise StoreUnavailable

        with monkeypatch.context() as outage:
            outage.setattr(SessionRepository, "swap_payload", failing)
            issued = await refreshed(sessions, issued)
        assert issued.session.jwt_payload == {"role": "admin"}
        clock.advance(LIFETIME)
        issued = await refreshed(sessions, issued)
        assert issued.session.jwt_payload == {"role": "user"}
        assert await stored(sessions, issued) == ('{"role":"user"}', 1)


def test_there_is_one_function(sessions: SessionManager, roles: Roles) -> None:
    with pytest.raises(ValueError, match="claims"):
        sessions.claims(roles)
    with pytest.raises(TypeError, match="async"):
        sessions.claims(dict)  # type: ignore[type-var]


# -- rotation


async def test_what_is_refused_is_not_asked_for(sessions: SessionManager, roles: Roles, clock: MovableClock) -> None:
    async with sessions:
        first = await log_in(sessions)
        chain = [first]
        for _ in range(3):
            clock.advance(LIFETIME)
            chain.append(await refreshed(sessions, chain[-1]))
        asked = len(roles.asked)
        with pytest.raises(AlreadyRotated):
            await refreshed(sessions, chain[1])
        clock.advance(3_600)
        with pytest.raises(TokenTheftDetected):
            await refreshed(sessions, chain[0])
        with pytest.raises(Unauthorised):
            await refreshed(sessions, chain[-1])
        assert len(roles.asked) == asked


async def test_it_is_asked_once_however_often_the_row_moves(
    sessions: SessionManager, roles: Roles, clock: MovableClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with sessions:
        issued = await log_in(sessions)
        clock.advance(LIFETIME)
        child = await refreshed(sessions, issued)
        clock.advance(LIFETIME)
        promote, lost = SessionRepository.promote, [2]

        async def losing(*arguments: Any, **options: Any) -> bool:
            if lost[0]:
                lost[0] -= 1
                return False
            return await promote(*arguments, **options)

        monkeypatch.setattr(SessionRepository, "promote", losing)
        roles.asked.clear()
        await refreshed(sessions, child)
        assert len(roles.asked) == 1
        assert lost == [0]


async def test_a_session_that_ends_while_it_is_at_work_gets_nothing(
    sessions: SessionManager, roles: Roles, clock: MovableClock
) -> None:
    async with sessions:
        issued = await log_in(sessions)
        handle = issued.session.session_handle
        clock.advance(LIFETIME)
        roles.meanwhile = lambda: sessions.revoke_session_using_session_handle(handle)
        with pytest.raises(Unauthorised):
            await refreshed(sessions, issued)


async def test_a_token_that_another_request_promotes_meanwhile_is_judged_as_it_is_then(
    sessions: SessionManager, roles: Roles, clock: MovableClock
) -> None:
    async with sessions:
        clock.advance(LIFETIME)
        child = await refreshed(sessions, await log_in(sessions))
        clock.advance(LIFETIME)
        others: list[Issued] = []

        async def other() -> None:
            clock.advance(5)
            others.append(await refreshed(sessions, child))

        roles.meanwhile = other
        mine = await refreshed(sessions, child)
        for issued in (*others, mine):
            clock.advance(1)
            await refreshed(sessions, issued)


async def test_what_somebody_else_changes_while_it_is_at_work_stays(
    sessions: SessionManager, roles: Roles, clock: MovableClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with sessions:
        issued = await log_in(sessions)
        handle = issued.session.session_handle
        clock.advance(LIFETIME)
        roles.role = "what it has read before"
        roles.meanwhile = lambda: sessions.change_jwt_payload(handle, lambda payload: {"role": "user"})
        issued = await refreshed(sessions, issued)
        assert issued.session.jwt_payload == {"role": "user"}
        # Or just before it is stored.
        swap, left = SessionRepository.swap_payload, [1]

        async def later(self: SessionRepository, *arguments: Any, **options: Any) -> bool:
            if left[0]:
                left[0] -= 1
                await sessions.change_jwt_payload(handle, lambda payload: {"role": "guest"})
            return await swap(self, *arguments, **options)

        monkeypatch.setattr(SessionRepository, "swap_payload", later)
        clock.advance(LIFETIME)
        issued = await refreshed(sessions, issued)
        assert issued.session.jwt_payload == {"role": "guest"}
        assert issued.session._access.payload_version == (await stored(sessions, issued))[1] == 2


@pytest.mark.parametrize("later", [False, True], ids=["while it is asked", "just before it is stored"])
async def test_what_it_has_said_before_a_role_was_taken_away_is_not_stored_where_the_row_said_so_already(
    later: bool, sessions: SessionManager, roles: Roles, clock: MovableClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The role was given and taken away again within one refresh: the row has never had it."""
    async with sessions:
        roles.role = "user"
        issued = await log_in(sessions)
        clock.advance(LIFETIME)
        roles.role = "admin"

        async def taken_away() -> None:
            roles.role = "user"
            assert await sessions.change_jwt_payload_for_user("alice", lambda payload: {"role": "user"}) == 0

        if later:
            swap = SessionRepository.swap_payload

            async def swaps_later(*arguments: Any, **options: Any) -> bool:
                monkeypatch.setattr(SessionRepository, "swap_payload", swap)
                await taken_away()
                return await swap(*arguments, **options)

            monkeypatch.setattr(SessionRepository, "swap_payload", swaps_later)
        else:
            said = roles.__call__

            async def answers_late(user_id: UserId, payload: Any) -> Any:
                answer = await said(user_id, payload)
                if len(roles.asked) == 2:
                    await taken_away()
                return answer

            sessions._claims._function = answers_late
        issued = await refreshed(sessions, issued)
        assert issued.session.jwt_payload == {"role": "user"}
        assert await stored(sessions, issued) == ('{"role":"user"}', 1)
        assert len(roles.asked) == 2 + (not later)


async def test_a_step_up_while_it_is_at_work_does_not_keep_the_payload_of_before(
    sessions: SessionManager, roles: Roles, clock: MovableClock
) -> None:
    async with sessions:
        issued = await log_in(sessions)
        clock.advance(LIFETIME)
        roles.role = "user"
        roles.meanwhile = lambda: issued.session.add_authentication_method("otp")
        issued = await refreshed(sessions, issued)
        assert issued.session.jwt_payload == {"role": "user"}
        assert "otp" in issued.session.authentication_methods
        assert await stored(sessions, issued) == ('{"role":"user"}', 2)


async def test_a_change_that_changes_nothing_is_in_no_audit_log(
    sessions: SessionManager, caplog: pytest.LogCaptureFixture
) -> None:
    async with sessions:
        handle = (await log_in(sessions)).session.session_handle
        with caplog.at_level(logging.INFO, "asgi_sessions.audit"):
            for role, written in (("admin", 0), ("user", 1), ("user", 1)):
                await sessions.change_jwt_payload(handle, lambda _, role=role: {"role": role})  # type: ignore[misc]
                events = [record for record in caplog.records if "payload_changed" in record.getMessage()]
                assert len(events) == written
