"""Sessions from login to logout, without a request, on every engine."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from asgi_sessions import (
    AlreadyRotated,
    IssuedSession,
    PayloadTooLarge,
    SessionLimitReached,
    SessionManager,
    TokenTheftDetected,
    TryRefreshToken,
    Unauthorised,
)
from asgi_sessions.asgi.session_cookies import SessionCookies
from asgi_sessions.manager import parts
from asgi_sessions.protocol.cookies import MAX_SIZE
from tests.clocks import MovableClock
from tests.manager.conftest import NewManager
from tests.revocation.polling import poll, stop_polling

LIFETIME = 301.0


@pytest.fixture
async def running(sessions: SessionManager) -> AsyncIterator[SessionManager]:
    async with sessions:
        yield sessions


@pytest.mark.parametrize(
    ("user", "asked", "said"),
    [
        (42, "42", "user '42' (str) has no other live session. User 42 (int) has 2: is it meant?"),
        ("42", 42, "user 42 (int) has no other live session. User '42' (str) has 2: is it meant?"),
        (uuid.UUID(int=42), str(uuid.UUID(int=42)).upper(), f"User {uuid.UUID(int=42)!r} (uuid) has 2"),
    ],
)
async def test_a_logout_of_the_wrong_type_is_logged(
    user: Any, asked: Any, said: str, running: SessionManager, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(2):
        await login(running, user)
    assert await running.revoke_all_sessions_for_user("alice") == 0
    assert not caplog.messages
    assert await running.revoke_all_sessions_for_user(asked) == 0
    (message,) = caplog.messages
    assert said in message
    caplog.clear()
    assert await running.revoke_all_sessions_for_user(user) == 2
    assert not caplog.messages


async def login(sessions: SessionManager, user: Any = "alice", **given: Any) -> IssuedSession[Any, Any]:
    return await sessions.create_new_session_without_request(user, **given)


async def refused(sessions: SessionManager, issued: IssuedSession[Any, Any]) -> bool:
    """Whether neither token of a session is good any more."""
    with pytest.raises(Unauthorised):
        await sessions.get_session_without_request(issued.access_token.value)
    with pytest.raises(Unauthorised):
        await sessions.refresh_session_without_request(issued.refresh_token.value)
    return True


async def test_what_is_issued_reads_back(running: SessionManager, clock: MovableClock) -> None:
    issued = await login(running, 42, jwt_payload={"role": "admin"}, session_info=[1])
    found = await running.get_session_without_request(issued.access_token.value)
    assert (found.session_handle, found.user_id, found.jwt_payload) == (
        issued.session.session_handle,
        42,
        {"role": "admin"},
    )
    assert await found.get_session_info() == [1]
    assert issued.access_token.expires_at.timestamp() * 1000 == clock() + 300_000
    assert (issued.refresh_token.expires_at - issued.session.auth_time).days == 14
    assert (issued.session.expires_at - issued.session.auth_time).days == 100
    assert issued.anti_csrf_token is None


async def test_a_refresh_gives_new_tokens_of_the_same_session(running: SessionManager, clock: MovableClock) -> None:
    issued = await login(running, 42, jwt_payload={"role": "admin"})
    clock.advance(LIFETIME)
    with pytest.raises(TryRefreshToken):
        await running.get_session_without_request(issued.access_token.value)
    following = await running.refresh_session_without_request(issued.refresh_token.value)
    assert following.refresh_token.value != issued.refresh_token.value
    found = await running.get_session_without_request(following.access_token.value)
    assert (found.session_handle, found.user_id, found.jwt_payload) == (
        issued.session.session_handle,
        42,
        {"role": "admin"},
    )


async def test_a_used_refresh_token_is_late_and_then_stolen(running: SessionManager, clock: MovableClock) -> None:
    first = await login(running)
    clock.advance(LIFETIME)
    second = await running.refresh_session_without_request(first.refresh_token.value)
    clock.advance(LIFETIME)
    third = await running.refresh_session_without_request(second.refresh_token.value)
    with pytest.raises(AlreadyRotated):
        await running.refresh_session_without_request(first.refresh_token.value)
    clock.advance(121)
    with pytest.raises(TokenTheftDetected) as theft:
        await running.refresh_session_without_request(first.refresh_token.value)
    assert (theft.value.session_handle, theft.value.user_id) == (first.session.session_handle, "alice")
    assert await refused(running, third)


async def test_garbage_is_no_token(running: SessionManager) -> None:
    for token in ("", "garbage", "a.b.c", "\0", "é" * 9000):
        with pytest.raises(TryRefreshToken):
            await running.get_session_without_request(token)
        with pytest.raises(Unauthorised):
            await running.refresh_session_without_request(token)


async def test_the_anti_csrf_token_is_compared_unless_told_otherwise(new_manager: NewManager) -> None:
    async with new_manager(csrf="token") as sessions:
        issued = await login(sessions)
        assert issued.anti_csrf_token is not None
        access, token = issued.access_token.value, issued.anti_csrf_token.value
        await sessions.get_session_without_request(access, token)
        await sessions.get_session_without_request(access, csrf=False)
        for wrong in (None, "", token + "x"):
            with pytest.raises(TryRefreshToken):
                await sessions.get_session_without_request(access, wrong)


async def test_revoking_by_handle_ends_that_session_once(running: SessionManager) -> None:
    one, two = await login(running), await login(running)
    handle = one.session.session_handle
    assert await running.revoke_session_using_session_handle(handle) is True
    assert await running.revoke_session_using_session_handle(handle) is False
    assert await refused(running, one)
    await running.get_session_without_request(two.access_token.value)


async def test_what_is_no_handle_is_no_session(running: SessionManager) -> None:
    for handle in ("", "x", "x" * 500, "\0" * 32, "%"):
        assert await running.revoke_session_using_session_handle(handle) is False
        assert await running.revoke_multiple_sessions([handle]) == 0
        with pytest.raises(Unauthorised):
            await running.get_session_info(handle)
        with pytest.raises(Unauthorised):
            await running.update_session_info(handle, 1)


async def test_revoking_all_of_a_user_leaves_other_users_alone(running: SessionManager) -> None:
    mine = [await login(running, 1) for _ in range(3)]
    others = [await login(running, user) for user in ("1", 2, uuid.UUID(int=1))]
    assert await running.revoke_all_sessions_for_user(1) == 3
    assert await running.revoke_all_sessions_for_user(1) == 0
    for issued in mine:
        assert await refused(running, issued)
    for issued in others:
        await running.get_session_without_request(issued.access_token.value)


async def test_revoking_all_but_one(running: SessionManager) -> None:
    kept, *_ = [await login(running) for _ in range(3)]
    handle = kept.session.session_handle
    assert await running.revoke_all_sessions_for_user("alice", except_handle=handle) == 2
    assert await running.get_all_session_handles_for_user("alice") == [handle]


async def test_revoking_those_that_began_before_a_time(
    running: SessionManager, clock: MovableClock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(parts, "REVOKE_BATCH", 2)
    earlier = [await login(running) for _ in range(5)]
    other = await running.create_new_session_without_request("bob")
    clock.advance(seconds=1)
    later = (await login(running)).session.session_handle
    kept = earlier[2].session.session_handle
    before = datetime.fromtimestamp(clock() / 1000, UTC)
    await running.get_session_without_request(earlier[0].access_token.value)
    assert await running.revoke_all_sessions_for_user("alice", before=before, except_handle=kept) == 4
    assert await running.get_all_session_handles_for_user("alice") == [later, kept]
    assert await refused(running, earlier[0])
    assert await running.revoke_all_sessions_for_user("alice", before=before - timedelta(seconds=1)) == 0
    assert "is it meant" not in caplog.text
    assert await running.get_all_session_handles_for_user("bob") == [other.session.session_handle]
    with pytest.raises(ValueError, match="acting"):
        await running.revoke_all_sessions_for_user("alice", before=before, acting=True)
    with pytest.raises(ValueError, match="before"):
        await running.revoke_all_sessions_for_user("alice", before=before.replace(tzinfo=None))
    with pytest.raises(ValueError, match="except_handle"):
        await running.revoke_all_sessions_for_user("alice", before=before, except_handle="this one")
    assert await running.revoke_all_sessions_for_user("x" * 300, before=before) == 0


async def test_revoking_several_counts_those_that_lived(running: SessionManager) -> None:
    handles = [(await login(running)).session.session_handle for _ in range(3)]
    await running.revoke_session_using_session_handle(handles[0])
    assert await running.revoke_multiple_sessions([*handles, handles[1], "unknown"]) == 2
    assert await running.revoke_multiple_sessions([]) == 0


async def test_the_list_of_devices_is_live_newest_first_and_holds_no_secret(
    running: SessionManager, clock: MovableClock
) -> None:
    old, expired_soon = await login(running, jwt_payload="private"), await login(running)
    await running.revoke_session_using_session_handle(expired_soon.session.session_handle)
    clock.advance(1)
    new = await login(running)
    records = await running.list_sessions_for_user("alice")
    assert [record.session_handle for record in records] == [
        new.session.session_handle,
        old.session.session_handle,
    ]
    assert (records[1].created_at, records[1].user_id) == (old.session.auth_time, "alice")
    for secret in (old.access_token.value, old.refresh_token.value, "private"):
        assert secret not in repr(records)


async def test_expired_sessions_are_in_no_list(running: SessionManager, clock: MovableClock) -> None:
    await login(running)
    clock.advance(days=14)
    assert await running.get_all_session_handles_for_user("alice") == []
    assert await running.list_sessions_for_user("alice") == []
    clock.advance(60)  # until then another worker's clock may still take it for alive, and a revocation reaches it
    assert await running.revoke_all_sessions_for_user("alice") == 0


async def test_a_user_id_that_cannot_be_stored_has_no_sessions_and_gets_none(running: SessionManager) -> None:
    for impossible in ("x" * 300, "\ud800"):
        assert await running.get_all_session_handles_for_user(impossible) == []
        assert await running.revoke_all_sessions_for_user(impossible) == 0
        with pytest.raises(ValueError, match="user_id"):
            await login(running, impossible)
    for wrong in (1.5, None, True, b"alice"):
        with pytest.raises(TypeError):
            await login(running, wrong)


async def test_session_info_is_kept_exactly(running: SessionManager) -> None:
    infos: list[Any] = [None, False, 7, -0.0, 10**30, "", "\ud800 \0 \U0001f600", [], {}, {"a": [None, {"b": "c"}]}]
    for info in infos:
        handle = (await login(running, session_info=info)).session.session_handle
        first = await running.get_session_info(handle)
        await running.update_session_info(handle, "between")
        await running.update_session_info(handle, info)
        assert repr(first) == repr(await running.get_session_info(handle)) == repr(info)


async def test_what_json_cannot_keep_is_a_type_error_and_stores_nothing(running: SessionManager) -> None:
    handle = (await login(running, session_info="old")).session.session_handle
    values: list[Any] = [(1,), {1: 2}, float("nan"), b"", object(), {"deep": [{1}]}]
    for value in values:
        with pytest.raises(TypeError, match="jwt_payload"):
            await login(running, "bob", jwt_payload=value)
        with pytest.raises(TypeError, match="session_info"):
            await login(running, "bob", session_info=value)
        with pytest.raises(TypeError, match="session_info"):
            await running.update_session_info(handle, value)
    assert await running.get_session_info(handle) == "old"
    assert await running.get_all_session_handles_for_user("bob") == []


async def test_a_payload_that_fits_no_cookie_stores_nothing(running: SessionManager) -> None:
    with pytest.raises(PayloadTooLarge):
        await login(running, jwt_payload="x" * 4000)
    assert await running.get_all_session_handles_for_user("alice") == []


@pytest.mark.parametrize(
    "settings",
    [{}, {"client_protocol": "supertokens"}, {"client_protocol": "supertokens", "cookie_prefix": "__Host-shop-"}],
    ids=["automatic", "supertokens", "given"],
)
async def test_an_access_token_may_fill_a_cookie_of_the_name_that_is_sent(
    settings: dict[str, Any], new_manager: NewManager
) -> None:
    async with new_manager(**settings) as sessions:
        issued = await login(sessions)
        key = await sessions.lifecycle.keys.signing_key()
        issuer, access = sessions.lifecycle.issuer, issued.session._access
        lengths: list[int] = []

        def fill() -> None:
            for size in range(2000, MAX_SIZE):
                token = issuer.sign(key, replace(access, payload_json=f'"{"x" * size}"'), new_payload=False)
                lengths.append(len(token.value))

        with pytest.raises(PayloadTooLarge):
            fill()
        name = SessionCookies(sessions.settings).access.name
        assert MAX_SIZE - 2 < lengths[-1] + len(name) <= MAX_SIZE


async def test_an_update_of_an_ended_session_changes_nothing(running: SessionManager) -> None:
    issued = await login(running)
    await running.revoke_session_using_session_handle(issued.session.session_handle)
    for attempt in (issued.session.check(), issued.session.update_jwt_payload(1), issued.session.get_session_info()):
        with pytest.raises(Unauthorised):
            await attempt


async def test_an_update_beside_a_newer_one_says_what_the_database_says(running: SessionManager) -> None:
    issued = await login(running, jwt_payload=0)
    one, other = [await running.get_session_without_request(issued.access_token.value) for _ in range(2)]
    await one.update_jwt_payload(1)
    token = await other.update_jwt_payload(2)  # the later write counts, though its caller knew of no other
    latest = await running.get_session_without_request(token.value)
    assert (other.jwt_payload, latest.jwt_payload) == (2, 2)
    assert (await running.refresh_session_without_request(issued.refresh_token.value)).session.jwt_payload == 2
    assert (other._access.payload_version, latest._access.payload_version) == (2, 2)


async def test_an_update_after_an_old_backup_was_restored_goes_on_from_there(running: SessionManager) -> None:
    issued = await login(running, jwt_payload=0)
    for value in (1, 2):
        await issued.session.update_jwt_payload(value)
    row = await running.lifecycle._liveness.live_row(issued.session.session_handle)
    await running.lifecycle._sessions._run(
        text("UPDATE asgi_sessions_sessions SET payload_version = 0 WHERE handle = :handle"), {"handle": row.handle}
    )
    await issued.session.update_jwt_payload(3)
    assert issued.session._access.payload_version == 1


async def test_logout_wins_against_refreshes_under_way(running: SessionManager, clock: MovableClock) -> None:
    issued = await login(running)
    clock.advance(LIFETIME)
    child = await running.refresh_session_without_request(issued.refresh_token.value)
    clock.advance(LIFETIME)

    async def refresh() -> IssuedSession[Any, Any] | None:
        try:
            return await running.refresh_session_without_request(child.refresh_token.value)
        except Unauthorised:
            return None

    handle = issued.session.session_handle
    revoked, *answers = await asyncio.gather(
        running.revoke_session_using_session_handle(handle), *(refresh() for _ in range(8))
    )
    assert revoked is True
    for answer in answers:
        assert answer is None or await refused(running, answer)


async def test_parallel_refreshes_of_one_token_all_succeed_and_go_on(
    running: SessionManager, clock: MovableClock
) -> None:
    issued = await login(running)
    answers = [issued]
    for _ in range(2):
        clock.advance(LIFETIME)
        token = answers[-1].refresh_token.value
        answers = await asyncio.gather(*(running.refresh_session_without_request(token) for _ in range(8)))
        assert len({answer.refresh_token.value for answer in answers}) == 8
    clock.advance(LIFETIME)
    await asyncio.gather(*(running.refresh_session_without_request(answer.refresh_token.value) for answer in answers))


async def test_what_one_worker_ends_another_refuses_from_its_next_poll_on(new_manager: NewManager) -> None:
    async with new_manager() as one, new_manager() as two:
        issued = await login(one)
        await two.get_session_without_request(issued.access_token.value)
        await one.revoke_session_using_session_handle(issued.session.session_handle)
        assert await refused(one, issued)
        await poll(two)
        assert await refused(two, issued)


async def test_with_the_database_asked_at_each_request_no_poll_is_needed(new_manager: NewManager) -> None:
    async with new_manager() as one, new_manager(revocation_check="database") as two:
        issued = await login(one)
        await stop_polling(two)
        await one.revoke_session_using_session_handle(issued.session.session_handle)
        assert await refused(two, issued)


async def test_a_worker_that_checks_nothing_accepts_the_token_until_it_expires_or_is_told_to_look(
    new_manager: NewManager,
) -> None:
    async with new_manager(revocation_check="none") as sessions:
        issued = await login(sessions)
        await sessions.revoke_session_using_session_handle(issued.session.session_handle)
        await sessions.get_session_without_request(issued.access_token.value)
        with pytest.raises(Unauthorised):
            await sessions.get_session_without_request(issued.access_token.value, check_database=True)


# -- max_sessions_per_user


async def test_twenty_logins_at_once_leave_no_more_than_the_limit(new_manager: NewManager) -> None:
    async with new_manager(max_sessions_per_user=3) as one, new_manager(max_sessions_per_user=3) as two:
        await asyncio.gather(*(login(sessions) for sessions in (one, two) for _ in range(10)))
        assert len(await one.get_all_session_handles_for_user("alice")) == 3
        await login(one, "bob")
        assert len(await one.get_all_session_handles_for_user("alice")) == 3


async def test_twenty_logins_at_once_let_no_more_than_the_limit_in(new_manager: NewManager) -> None:
    settings = {"max_sessions_per_user": 3, "max_sessions_action": "reject"}
    async with new_manager(**settings) as one, new_manager(**settings) as two:
        answers = await asyncio.gather(
            *(login(sessions) for sessions in (one, two) for _ in range(10)), return_exceptions=True
        )
        let_in = [answer.session.session_handle for answer in answers if isinstance(answer, IssuedSession)]
        assert {type(answer) for answer in answers} <= {IssuedSession, SessionLimitReached}
        assert sorted(await one.get_all_session_handles_for_user("alice")) == sorted(let_in)
        assert len(let_in) <= 3


async def test_of_logins_in_one_millisecond_the_earlier_is_evicted(new_manager: NewManager) -> None:
    async with new_manager(max_sessions_per_user=1) as sessions:
        for _ in range(10):
            issued = await login(sessions)
            assert await sessions.get_all_session_handles_for_user("alice") == [issued.session.session_handle]


async def test_a_login_at_a_worker_whose_clock_is_behind_is_not_the_one_to_go(
    new_manager: NewManager, clock: MovableClock
) -> None:
    async with new_manager(max_sessions_per_user=1) as sessions:
        await login(sessions)
        clock.advance(-30)
        issued = await login(sessions)
        assert await sessions.get_all_session_handles_for_user("alice") == [issued.session.session_handle]


async def test_ended_sessions_do_not_count(new_manager: NewManager, clock: MovableClock) -> None:
    async with new_manager(max_sessions_per_user=1, max_sessions_action="reject") as sessions:
        issued = await login(sessions)
        with pytest.raises(SessionLimitReached):
            await login(sessions)
        await sessions.revoke_session_using_session_handle(issued.session.session_handle)
        await login(sessions)
        clock.advance(days=14)
        await login(sessions)


async def test_short_visits_every_13_days_never_reach_an_idle_timeout_of_14(
    running: SessionManager, clock: MovableClock
) -> None:
    # Each visit is one refresh, whose child is presented, and so promoted, only at the next visit.
    issued = await running.create_new_session_without_request("alice")
    for _ in range(4):
        clock.advance(days=13)
        issued = await running.refresh_session_without_request(issued.refresh_token.value)
    clock.advance(days=15)
    with pytest.raises(Unauthorised):
        await running.refresh_session_without_request(issued.refresh_token.value)


async def test_a_session_to_keep_that_is_no_handle_ends_nothing(running: SessionManager) -> None:
    issued = await running.create_new_session_without_request("alice")
    with pytest.raises(ValueError, match="except_handle"):
        await running.revoke_all_sessions_for_user("alice", except_handle="this one")
    assert await running.get_all_session_handles_for_user("alice") == [issued.session.session_handle]


@pytest.mark.parametrize("end", ["revoke_session_using_session_handle", "erase_user"])
async def test_a_session_that_has_ended_ends_no_others(new_manager: NewManager, end: str) -> None:
    """Neither on the worker that has ended it, nor on one that has not heard of it."""
    async with new_manager() as here, new_manager() as there:
        await stop_polling(there)
        ended = await here.create_new_session_without_request("alice")
        held = [await each.get_session_without_request(ended.access_token.value) for each in (here, there)]
        await getattr(here, end)("alice" if end == "erase_user" else ended.session.session_handle)
        other = await here.create_new_session_without_request("alice")
        for session in held:
            with pytest.raises(Unauthorised):
                await session.revoke_other_sessions()
        await other.session.check()
