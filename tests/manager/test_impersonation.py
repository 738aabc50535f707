"""Sessions in which somebody else acts: told by every token, bounded, and never able to change what they may do."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from asgi_sessions import ImpersonationRefused, Session, SessionManager, Unauthorised
from asgi_sessions.manager.records import Device, Login, TokenSet
from asgi_sessions.manager.session import impersonation_by
from asgi_sessions.protocol.durations import from_ms
from asgi_sessions.store import personal_rows
from asgi_sessions.store.engine import open_database
from asgi_sessions.store.repository import SessionRepository
from tests.clocks import MovableClock
from tests.manager.conftest import NewManager
from tests.revocation.polling import poll

HOUR_MS = 3_600_000
DEVICE = Device("Firefox on Linux", None)


@pytest.fixture
async def running(sessions: SessionManager) -> AsyncIterator[SessionManager]:
    async with sessions:
        yield sessions


async def logged_in(sessions: SessionManager, user: Any = "admin", *methods: str) -> Session:
    return (await sessions.create_new_session_without_request(user, authentication_methods=methods)).session


async def impersonated(
    sessions: SessionManager,
    actor: Session,
    user: Any = "alice",
    *,
    lifetime: int = HOUR_MS,
    replaces: Iterable[str] = (),
) -> TokenSet:
    """As `SessionManager.impersonate`, without a request."""
    by = await impersonation_by(actor, lifetime=lifetime)
    login = Login(user_id=user, impersonation=by)
    return await sessions.lifecycle.create(login, device=DEVICE, replaces=dict.fromkeys(replaces))


async def session_of(sessions: SessionManager, tokens: TokenSet) -> Session:
    return await sessions.get_session_without_request(tokens.access_token.value)


@pytest.mark.parametrize("admin", ["admin", 7])
async def test_every_token_tells_who_acts(admin: Any, running: SessionManager, clock: MovableClock) -> None:
    tokens = await impersonated(running, await logged_in(running, admin))
    session = await session_of(running, tokens)
    assert (session.user_id, session.actor) == ("alice", admin)
    clock.advance(301)
    issued = await running.refresh_session_without_request(tokens.refresh_token.value)
    for found in (issued.session, await running.get_session_without_request(issued.access_token.value)):
        assert (found.user_id, found.actor, type(found.actor)) == ("alice", admin, type(admin))
    (record,) = await running.list_sessions_for_user("alice")
    assert record.actor == admin


async def test_nobody_acts_in_an_ordinary_session(running: SessionManager) -> None:
    assert (await logged_in(running)).actor is None
    (record,) = await running.list_sessions_for_user("admin")
    assert record.actor is None


async def test_it_ends_after_its_time_however_much_it_is_used(running: SessionManager, clock: MovableClock) -> None:
    tokens = await impersonated(running, await logged_in(running), lifetime=10 * 60_000)
    until = from_ms(clock()) + timedelta(minutes=10)
    assert (await session_of(running, tokens)).expires_at == until
    token = tokens.refresh_token.value
    for _ in range(3):
        clock.advance(180)
        issued = await running.refresh_session_without_request(token)
        token = issued.refresh_token.value
        assert issued.session.expires_at == until
        assert max(issued.access_token.expires_at, issued.refresh_token.expires_at) <= until
    clock.advance(60)
    with pytest.raises(Unauthorised):
        await running.refresh_session_without_request(token)
    assert await running.list_sessions_for_user("alice") == []


async def test_it_ends_no_later_than_the_actors_own_session_could(new_manager: NewManager, clock: MovableClock) -> None:
    async with new_manager(policy="aal2", absolute_timeout="2h") as sessions:
        admin = await logged_in(sessions)
        clock.advance(3540)
        await sessions.revoke_all_sessions_for_user("nobody")
        tokens = await impersonated(sessions, admin, lifetime=10 * HOUR_MS)
        assert (await session_of(sessions, tokens)).expires_at == admin.expires_at


async def test_what_it_says_of_authentication_is_the_actors(running: SessionManager, clock: MovableClock) -> None:
    admin = await logged_in(running, "admin", "pwd", "otp")
    clock.advance(100)
    session = await session_of(running, await impersonated(running, admin))
    assert session.authentication_methods == admin.authentication_methods
    assert session.auth_time == admin.auth_time


FORBIDDEN: dict[str, Callable[[Session], Awaitable[Any]]] = {
    "payload": lambda session: session.update_jwt_payload({"role": "admin"}),
    "changed payload": lambda session: session.change_jwt_payload(lambda _: {"role": "admin"}),
    "method": lambda session: session.add_authentication_method("otp"),
    "others": lambda session: session.revoke_other_sessions(),
    "chain": lambda session: impersonation_by(session, lifetime=HOUR_MS),
}


LOCK_OUTS: dict[str, Callable[[SessionManager, Session], Awaitable[Any]]] = {
    "logged out everywhere": lambda sessions, admin: sessions.revoke_all_sessions_for_user("admin"),
    "logged out here": lambda sessions, admin: admin.revoke_session(),
    "erased": lambda sessions, admin: sessions.erase_user("admin"),
}


@pytest.mark.parametrize("replaced", [False, True], ids=["kept", "replaced"])
@pytest.mark.parametrize("stored", [False, True], ids=["before it is stored", "after"])
@pytest.mark.parametrize("lock_out", LOCK_OUTS)
async def test_an_actor_who_is_locked_out_while_it_begins_gets_none(
    lock_out: str, stored: bool, replaced: bool, running: SessionManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    admin = await logged_in(running)
    insert = SessionRepository.insert

    async def inserted(*arguments: Any) -> None:
        if stored:
            await insert(*arguments)
        await LOCK_OUTS[lock_out](running, admin)
        if not stored:
            await insert(*arguments)

    monkeypatch.setattr(SessionRepository, "insert", inserted)
    with pytest.raises(Unauthorised):
        await impersonated(running, admin, replaces=[admin.session_handle] if replaced else ())
    assert await running.list_sessions_for_user("alice") == []
    # Nor does anything say that somebody was about to act.
    assert [each async for each in running.export_user("alice")] == []
    acted = [each async for each in running.export_user("admin", acting=True) if each["actor"] is not None]
    assert acted == []


async def test_the_actors_own_session_ends_with_it_and_not_where_it_is_in_another_jar(running: SessionManager) -> None:
    admin = await logged_in(running)
    await impersonated(running, admin)
    await admin.check()
    await impersonated(running, admin, replaces=[admin.session_handle])
    with pytest.raises(Unauthorised):
        await admin.check()
    assert len(await running.list_sessions_for_user("alice")) == 2


@pytest.mark.parametrize("action", FORBIDDEN)
async def test_it_cannot_change_what_it_may_do(action: str, running: SessionManager) -> None:
    own = await logged_in(running, "alice")
    session = await session_of(running, await impersonated(running, await logged_in(running)))
    with pytest.raises(ImpersonationRefused):
        await FORBIDDEN[action](session)
    await own.check()
    row = await running.lifecycle._sessions.find(session.session_handle)
    assert row is not None
    assert (row.jwt_payload, row.methods, row.payload_version) == ("null", "{}", 0)


@pytest.mark.parametrize("action", ["changed payload", "method", "others", "chain"])
async def test_the_row_tells_even_where_a_token_does_not(action: str, running: SessionManager) -> None:
    session = await session_of(running, await impersonated(running, await logged_in(running)))
    session._access = replace(session._access, actor=None)  # as a worker of an older version writes it
    with pytest.raises(ImpersonationRefused):
        await FORBIDDEN[action](session)


async def test_a_check_tells_who_acts_where_a_token_does_not(running: SessionManager) -> None:
    session = await session_of(running, await impersonated(running, await logged_in(running)))
    session._access = replace(session._access, actor=None)
    await session.check()
    assert session.actor == "admin"


async def test_it_can_end_itself_and_the_user_can_end_it(running: SessionManager) -> None:
    own = await logged_in(running, "alice")
    admin = await logged_in(running)
    one, other = [await session_of(running, await impersonated(running, admin)) for _ in range(2)]
    await one.revoke_session()
    await own.check()
    assert await own.revoke_other_sessions() == 1
    with pytest.raises(Unauthorised):
        await other.check()
    await admin.check()


async def test_an_actor_whose_session_has_ended_cannot_begin(running: SessionManager) -> None:
    admin = await logged_in(running)
    await running.revoke_all_sessions_for_user("admin")
    with pytest.raises(Unauthorised):
        await impersonated(running, admin)
    assert await running.list_sessions_for_user("alice") == []


async def test_the_end_of_all_sessions_of_the_actor_is_that_of_these_only_where_it_is_said(
    new_manager: NewManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(personal_rows, "WALK_BATCH", 4)  # so that the table is read in parts
    async with new_manager() as one, new_manager() as two:
        admin, other = await logged_in(one), await logged_in(one, "other")
        acted = [await impersonated(one, admin, user) for user in ("alice", "bob", "alice", "carol")]
        theirs = [await session_of(one, await impersonated(one, other)), other]
        theirs += [await logged_in(one, user) for user in ("alice", "bob", *(f"{number}" for number in range(20)))]
        assert await one.revoke_all_sessions_for_user("admin") == 1
        for tokens in acted:
            await (await session_of(two, tokens)).check()
        assert await one.revoke_all_sessions_for_user("admin", acting=True) == 4
        await poll(two)
        for tokens in acted:
            for worker in (one, two):
                with pytest.raises(Unauthorised):
                    await session_of(worker, tokens)
            with pytest.raises(Unauthorised):
                await two.refresh_session_without_request(tokens.refresh_token.value)
        for session in theirs:
            await session.check()
        assert await one.revoke_all_sessions_for_user("admin", acting=True) == 0


async def test_both_kinds_end_in_one_call_and_one_session_can_be_kept(running: SessionManager) -> None:
    admin = await logged_in(running)
    kept, ended = [await session_of(running, await impersonated(running, admin)) for _ in range(2)]
    keep = kept.session_handle
    assert await running.revoke_all_sessions_for_user("admin", except_handle=keep, acting=True) == 2
    await kept.check()
    for session in (admin, ended):
        with pytest.raises(Unauthorised):
            await session.check()


async def test_who_acts_is_a_user_of_one_type(running: SessionManager) -> None:
    session = await session_of(running, await impersonated(running, await logged_in(running, 7)))
    assert await running.revoke_all_sessions_for_user("7", acting=True) == 0
    assert await running.revoke_all_sessions_for_user("x" * 1000, acting=True) == 0
    await session.check()
    assert await running.revoke_all_sessions_for_user(7, acting=True) == 2


async def test_connections_in_which_the_actor_acts_end(running: SessionManager) -> None:
    admin = await logged_in(running)
    session = await session_of(running, await impersonated(running, admin))
    over: list[bool] = []
    running.lifecycle.on_termination(session._access, lambda: over.append(True))
    await running.revoke_all_sessions_for_user("admin")
    assert over == []
    await running.revoke_all_sessions_for_user("admin", acting=True)
    assert over == [True]


@pytest.mark.parametrize("action", ["evict_oldest", "reject"])
async def test_it_neither_counts_nor_evicts_among_the_users_own(action: str, new_manager: NewManager) -> None:
    async with new_manager(max_sessions_per_user=1, max_sessions_action=action) as sessions:
        admin = await logged_in(sessions)
        own = await logged_in(sessions, "alice")
        session = await session_of(sessions, await impersonated(sessions, admin))
        await own.check()
        await own.revoke_session()
        again = await logged_in(sessions, "alice")  # one of her own, beside that in which somebody acts
        for each in (session, again):
            await each.check()


async def test_nor_does_the_default_limit_look_at_it(new_manager: NewManager) -> None:
    async with new_manager() as sessions:
        session = await session_of(sessions, await impersonated(sessions, await logged_in(sessions)))
        newest = await sessions.lifecycle._sessions.newest_of(b"s:alice", sessions.time(), limit=5)
        by_use = await sessions.lifecycle._sessions.newest_of(b"s:alice", sessions.time(), limit=5, by_use=True)
        assert (newest, by_use) == ([], [])
        assert await sessions.get_all_session_handles_for_user("alice") == [session.session_handle]


async def test_the_audit_log_tells_who_acts(
    running: SessionManager, clock: MovableClock, caplog: pytest.LogCaptureFixture
) -> None:
    admin = await logged_in(running)
    with caplog.at_level("INFO", "asgi_sessions.audit"):
        tokens = await impersonated(running, admin)
        clock.advance(301)
        issued = await running.refresh_session_without_request(tokens.refresh_token.value)
        await issued.session.revoke_session()
    told = [(vars(record)["event"], vars(record)["actor"]) for record in caplog.records]
    assert told == [("session.created", "admin"), ("session.refreshed", "admin"), ("session.revoked", "admin")]
    caplog.clear()
    handle = (await session_of(running, await impersonated(running, admin))).session_handle
    with caplog.at_level("INFO", "asgi_sessions.audit"):
        await running.revoke_all_sessions_for_user("admin", acting=True)
    own, acted = [vars(record) for record in caplog.records if vars(record)["event"] == "session.revoked"]
    assert ("actor" in own, own["user_id"], own["reason"], own["count"]) == (False, "admin", "logout_all", 1)
    assert (acted["actor"], acted["user_id"], acted["reason"], acted["count"]) == ("admin", None, "logout_all", 1)
    assert acted["session_handles"] == [handle]
    caplog.clear()
    with caplog.at_level("INFO", "asgi_sessions.audit"):
        await (await logged_in(running)).revoke_session()
    assert all("actor" not in vars(record) for record in caplog.records)


async def test_sessions_of_an_older_version_have_no_actor(running: SessionManager, store_url: str) -> None:
    issued = await running.create_new_session_without_request("alice")
    database = await open_database(store_url)
    await database.run(text("UPDATE asgi_sessions_sessions SET actor = NULL"), {})
    await database.close()
    assert (await running.refresh_session_without_request(issued.refresh_token.value)).session.actor is None


@pytest.mark.parametrize("actor", [None, "admin", 1, {}, object()])
async def test_who_acts_is_a_session_and_nothing_else(actor: Any, running: SessionManager) -> None:
    with pytest.raises(TypeError, match="actor must be a Session"):
        await running.impersonate(None, "alice", actor=actor)  # type: ignore[arg-type]


async def test_a_connection_of_another_type_is_named(running: SessionManager) -> None:
    with pytest.raises(TypeError, match="connection must be a Starlette Request"):
        await running.impersonate("request", "alice", actor=await logged_in(running))  # type: ignore[arg-type]


@pytest.mark.parametrize("lifetime", [0, -1, timedelta(0), timedelta(microseconds=1)])
async def test_a_lifetime_is_positive(lifetime: Any, running: SessionManager) -> None:
    with pytest.raises(ValueError, match="lifetime must"):
        await running.impersonate(None, "alice", actor=await logged_in(running), lifetime=lifetime)  # type: ignore[arg-type]
