"""Methods of authentication from the login on: kept, raised, and told by every later token of the session."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from asgi_sessions import IssuedSession, PayloadTooLarge, Session, SessionManager, StoreUnavailable, Unauthorised
from asgi_sessions.manager import changing
from asgi_sessions.manager.issuing import COUNTER_GROWTH
from asgi_sessions.protocol.cookies import MAX_SIZE
from asgi_sessions.protocol.durations import from_ms
from asgi_sessions.store.engine import open_database
from asgi_sessions.store.failures import StatementInterrupted
from asgi_sessions.store.repository import SessionRepository
from tests.clocks import MovableClock
from tests.manager.conftest import NewManager

MINUTE = timedelta(minutes=1)


@pytest.fixture
async def running(sessions: SessionManager) -> AsyncIterator[SessionManager]:
    async with sessions:
        yield sessions


async def begun(sessions: SessionManager, *methods: str, **more: Any) -> IssuedSession:
    return await sessions.create_new_session_without_request("alice", authentication_methods=methods, **more)


async def refreshed(sessions: SessionManager, issued: IssuedSession) -> Session:
    return (await sessions.refresh_session_without_request(issued.refresh_token.value)).session


def instead_of_a_swap(monkeypatch: pytest.MonkeyPatch, happens: Callable[[Callable[[], Any]], Any]) -> None:
    """Have something else happen at the first write of a method; it is given the write itself."""
    swap, left = SessionRepository.swap_methods, [1]

    async def other(*arguments: Any, **options: Any) -> bool:
        if not left[0]:
            return await swap(*arguments, **options)
        left[0] = 0
        result: bool = await happens(lambda: swap(*arguments, **options))
        return result

    monkeypatch.setattr(SessionRepository, "swap_methods", other)


async def test_who_says_nothing_has_no_methods_and_no_level(running: SessionManager) -> None:
    issued = await begun(running)
    (record,) = await running.list_sessions_for_user("alice")
    for session in (issued.session, await refreshed(running, issued)):
        assert (session.authentication_methods, session.authentication_level) == ({}, 0)
    assert record.authentication_methods == {}


async def test_a_login_says_how_and_a_refresh_keeps_it(running: SessionManager, clock: MovableClock) -> None:
    at = from_ms(clock())
    issued = await begun(running, "pwd", "otp")
    clock.advance(301)
    for session in (issued.session, await refreshed(running, issued)):
        assert session.authentication_methods == {"pwd": at, "otp": at}
        assert (session.authentication_level, session.auth_time) == (2, at)
    (record,) = await running.list_sessions_for_user("alice")
    assert record.authentication_methods == {"pwd": at, "otp": at}
    assert hash(record) == hash(record)


async def test_a_method_is_added_and_stays(running: SessionManager, clock: MovableClock) -> None:
    login = from_ms(clock())
    issued = await begun(running, "pwd", jwt_payload={"kept": True})
    before = await running.get_session_without_request(issued.access_token.value)
    clock.advance(60)
    token = await issued.session.add_authentication_method("otp")
    assert token.expires_at == issued.access_token.expires_at
    after = await running.get_session_without_request(token.value)
    for session in (issued.session, after, await refreshed(running, issued)):
        assert session.authentication_methods == {"pwd": login, "otp": login + MINUTE}
        assert (session.authentication_level, session.auth_time) == (2, login + MINUTE)
        assert session.jwt_payload == {"kept": True}
    assert before.authentication_methods == {"pwd": login}
    # An access token of before says no more than before.
    assert (await running.get_session_without_request(issued.access_token.value)).authentication_level == 1


async def test_the_same_method_again_is_newer(running: SessionManager, clock: MovableClock) -> None:
    issued = await begun(running, "pwd", "otp")
    clock.advance(60)
    await issued.session.add_authentication_method("pwd")
    methods = issued.session.authentication_methods
    assert methods["pwd"] - methods["otp"] == MINUTE


async def test_a_clock_that_is_behind_moves_nothing_back(running: SessionManager, clock: MovableClock) -> None:
    issued = await begun(running, "pwd")
    at = issued.session.auth_time
    clock.advance(-5)
    await issued.session.add_authentication_method("pwd")
    await issued.session.add_authentication_method("otp")
    assert (issued.session.authentication_methods["pwd"], issued.session.auth_time) == (at, at)


async def test_of_methods_added_at_once_on_two_workers_none_is_lost(new_manager: NewManager) -> None:
    async with new_manager() as one, new_manager() as two:
        issued = await begun(one, "pwd")
        other = await two.get_session_without_request(issued.access_token.value)
        names = [f"m{number}" for number in range(8)]
        await asyncio.gather(
            *(issued.session.add_authentication_method(name) for name in names[:4]),
            *(other.add_authentication_method(name) for name in names[4:]),
        )
        assert set((await refreshed(two, issued)).authentication_methods) == {"pwd", *names}


async def test_neither_a_payload_nor_a_method_undoes_the_other(running: SessionManager) -> None:
    issued = await begun(running, "pwd", jwt_payload=0)
    one = await running.get_session_without_request(issued.access_token.value)
    other = await running.get_session_without_request(issued.access_token.value)
    await one.add_authentication_method("otp")
    await other.update_jwt_payload(1)  # by a token that knows of no otp
    assert (other.jwt_payload, other.authentication_level) == (1, 2)
    await one.add_authentication_method("face")  # by a token that knows of no new payload
    assert (one.jwt_payload, one.authentication_level) == (1, 3)
    latest = await refreshed(running, issued)
    assert (latest.jwt_payload, latest.authentication_level) == (1, 3)


async def test_a_payload_that_is_changed_by_a_function_undoes_no_method_either(running: SessionManager) -> None:
    issued = await begun(running, "pwd", jwt_payload=0)
    other = await running.get_session_without_request(issued.access_token.value)
    await issued.session.add_authentication_method("otp")
    token = await other.change_jwt_payload(lambda payload: payload + 1)
    assert (other.jwt_payload, other.authentication_level) == (1, 2)
    assert (await running.get_session_without_request(token.value)).authentication_level == 2


async def test_a_payload_that_leaves_no_room_refuses_the_method_and_changes_nothing(running: SessionManager) -> None:
    issued = await begun(running, "pwd")
    size = await filled(issued.session)
    stale = await running.get_session_without_request(issued.access_token.value)
    with pytest.raises(PayloadTooLarge):
        await issued.session.add_authentication_method("my-own-method-with-a-name")
    found = await refreshed(running, issued)
    assert (set(found.authentication_methods), len(found.jwt_payload)) == ({"pwd"}, size)
    # And the other way round, though the caller's token does not know of the method.
    await issued.session.update_jwt_payload("")
    await issued.session.add_authentication_method("my-own-method-with-a-name")
    with pytest.raises(PayloadTooLarge):
        await stale.update_jwt_payload("x" * size)
    assert (await refreshed(running, issued)).jwt_payload == ""


async def test_nor_does_a_method_that_comes_just_before_such_a_payload_is_stored(
    running: SessionManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    issued = await begun(running, "pwd")
    size = await filled(issued.session)
    stale = await running.get_session_without_request(issued.access_token.value)
    await issued.session.update_jwt_payload("")
    method, sends = "my-own-method-with-a-name", SessionRepository.swap_own_payload

    async def later(*arguments: Any, **options: Any) -> bool:
        monkeypatch.setattr(SessionRepository, "swap_own_payload", sends)
        await issued.session.add_authentication_method(method)
        return await sends(*arguments, **options)

    monkeypatch.setattr(SessionRepository, "swap_own_payload", later)
    with pytest.raises(PayloadTooLarge):
        await stale.update_jwt_payload("x" * size)
    found = await refreshed(running, issued)
    assert (found.jwt_payload, set(found.authentication_methods)) == ("", {"pwd", method})


async def filled(session: Session) -> int:
    """Give the session the largest payload that fits; its length."""
    fits, too_much = 1_000, 4_096
    while too_much - fits > 1:
        size = (fits + too_much) // 2
        try:
            await session.update_jwt_payload("x" * size)
            fits = size
        except PayloadTooLarge:
            too_much = size
    await session.update_jwt_payload("x" * fits)
    return fits


async def test_there_is_room_for_later_times_of_the_methods(running: SessionManager, clock: MovableClock) -> None:
    clock.now = clock.now // 1000 * 1000  # whole seconds take the least room
    names = [f"m{number}" for number in range(10)]
    issued = await begun(running, *names)
    size = 2000
    while True:
        try:
            await issued.session.update_jwt_payload("x" * size)
        except PayloadTooLarge:
            break
        size += 1
    at_first = issued.session._access
    later = replace(at_first, methods=tuple((name, time + 1) for name, time in at_first.methods))
    issuer = running.lifecycle.issuer
    after, _ = await issuer.reissue(later, new_payload=False)
    assert len(after.value) + len(issuer._cookie_name) + COUNTER_GROWTH <= MAX_SIZE  # beside all else that grows


async def test_an_eleventh_method_is_refused(running: SessionManager) -> None:
    issued = await begun(running, *(f"m{number}" for number in range(10)))
    with pytest.raises(ValueError, match="more than 10"):
        await issued.session.add_authentication_method("otp")
    await issued.session.add_authentication_method("m0")


@pytest.mark.parametrize("method", [None, 1, b"otp", ["otp"], {"otp"}])
async def test_a_method_of_another_type_is_named(method: Any, running: SessionManager) -> None:
    issued = await begun(running)
    with pytest.raises(TypeError, match="method must be str"):
        await issued.session.add_authentication_method(method)


@pytest.mark.parametrize("method", ["", "OTP", "o tp", "x" * 31])
async def test_what_is_no_name_is_refused(method: str, running: SessionManager) -> None:
    issued = await begun(running)
    with pytest.raises(ValueError, match="method must be 1 to 30"):
        await issued.session.add_authentication_method(method)
    with pytest.raises(ValueError, match="authentication_methods must be 1 to 30"):
        await begun(running, method)
    assert await running.get_all_session_handles_for_user("alice") == [issued.session.session_handle]


async def test_a_session_that_is_gone_is_not_raised(running: SessionManager) -> None:
    issued = await begun(running, "pwd")
    await running.revoke_all_sessions_for_user("alice")
    with pytest.raises(Unauthorised):
        await issued.session.add_authentication_method("otp")
    assert issued.session.authentication_level == 1


async def test_a_session_that_ends_meanwhile_is_not_raised(
    running: SessionManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    issued = await begun(running, "pwd")

    async def ended_first(swap: Callable[[], Any]) -> Any:
        await running.revoke_all_sessions_for_user("alice")
        return await swap()

    instead_of_a_swap(monkeypatch, ended_first)
    with pytest.raises(Unauthorised):
        await issued.session.add_authentication_method("otp")


@pytest.mark.parametrize("was_done", [True, False])
async def test_a_write_whose_answer_is_lost_is_made_again(
    was_done: bool, running: SessionManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    issued = await begun(running, "pwd")

    async def lost(swap: Callable[[], Any]) -> Any:
        if was_done:
            await swap()
        raise StatementInterrupted

    instead_of_a_swap(monkeypatch, lost)
    await issued.session.add_authentication_method("otp")
    assert set((await refreshed(running, issued)).authentication_methods) == {"pwd", "otp"}


async def test_who_is_always_overtaken_gives_up(running: SessionManager, monkeypatch: pytest.MonkeyPatch) -> None:
    issued = await begun(running, "pwd")

    async def never(*_: Any, **__: Any) -> bool:
        return False

    monkeypatch.setattr(SessionRepository, "swap_methods", never)
    monkeypatch.setattr(changing, "MOST_TRIES", 3)
    with pytest.raises(StoreUnavailable):
        await issued.session.add_authentication_method("otp")
    assert issued.session.authentication_level == 1


async def test_sessions_of_an_older_version_have_no_methods_and_can_get_some(
    running: SessionManager, store_url: str
) -> None:
    issued = await begun(running, "pwd")
    database = await open_database(store_url)
    await database.run(text("UPDATE asgi_sessions_sessions SET methods = '{}'"), {})  # as the column's default is
    await database.close()
    old = await refreshed(running, issued)
    assert (old.authentication_methods, old.authentication_level) == ({}, 0)
    await old.add_authentication_method("otp")
    assert set(old.authentication_methods) == {"otp"}


async def test_the_audit_log_tells_of_methods(running: SessionManager, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO", "asgi_sessions.audit"):
        issued = await begun(running, "pwd")
        await issued.session.add_authentication_method("otp")
    created, raised = caplog.records
    assert (vars(created)["event"], vars(created)["methods"]) == ("session.created", ("pwd",))
    assert (vars(raised)["event"], vars(raised)["method"]) == ("session.authenticated", "otp")
    assert (vars(raised)["session_handle"], vars(raised)["user_id"]) == (issued.session.session_handle, "alice")
