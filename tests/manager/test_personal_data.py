"""What is kept about a user can be had, all of it, and be erased, all of it, without a session coming to life again."""

import json
import logging
import secrets
import uuid
from collections.abc import AsyncIterator
from dataclasses import fields, replace
from datetime import datetime
from typing import Any

import pytest
from sqlalchemy import select

from asgi_sessions import IssuedSession, SessionEvent, SessionManager, StoreUnavailable, Unauthorised
from asgi_sessions.manager import personal_data
from asgi_sessions.manager.records import Device, Login
from asgi_sessions.manager.session import impersonation_by
from asgi_sessions.protocol import user_id
from asgi_sessions.protocol.durations import from_ms
from asgi_sessions.protocol.user_id import UserId
from asgi_sessions.store import personal_rows
from asgi_sessions.store.engine import open_database
from asgi_sessions.store.personal_rows import PersonalRows
from asgi_sessions.store.repository import SessionRow
from asgi_sessions.store.schema import sessions_metadata
from asgi_sessions.store.session_row import ERASED, NOBODY
from tests.clocks import MovableClock
from tests.manager.conftest import NewManager
from tests.revocation.polling import poll
from tests.store.rows import HOUR, NOW, session_row

USER = "the-user-4711"
OTHER = "another-user"
"""No short name: three letters are found in random bytes now and then."""
DEVICE = Device("Safari on iPad", "203.0.113.77")
TRACES = (USER, "Safari", "203.0.113.77", "role-of-the-user", "cart-of-the-user", "one-time-code")


@pytest.fixture
async def running(sessions: SessionManager) -> AsyncIterator[SessionManager]:
    async with sessions:
        yield sessions


def row_of(user: UserId = USER, **changes: Any) -> SessionRow:
    """A session with something in each column."""
    values = {
        "user_id": user_id.encode(user),
        "prev": secrets.token_bytes(32),
        "promoted_at": NOW,
        "jwt_payload": '{"role":"role-of-the-user"}',
        "session_info": '["cart-of-the-user"]',
        "device_label": DEVICE.label,
        "ip_address": DEVICE.ip_address,
        "late_gen": 0,
        "late_at": NOW,
        "idle_timeout": HOUR,
        "persistent": 0,
        "methods": f'{{"one-time-code":{NOW}}}',
    }
    return session_row(secrets.token_hex(16), **values | changes)


async def kept(sessions: SessionManager, *rows: SessionRow) -> list[str]:
    for row in rows:
        await sessions.lifecycle._sessions.insert(row)
    return [row.handle for row in rows]


async def log_in(sessions: SessionManager, user: UserId = USER, **more: Any) -> IssuedSession[Any, Any]:
    login = Login(user_id=user, jwt_payload={"role": "role-of-the-user"}, session_info=["cart-of-the-user"], **more)
    return sessions._issued(await sessions.lifecycle.create(login, device=DEVICE))


async def exported(sessions: SessionManager, user: UserId = USER, **options: bool) -> list[dict[str, Any]]:
    return [session async for session in sessions.export_user(user, **options)]


async def tables(sessions: SessionManager) -> dict[str, list[Any]]:
    """Every row of every table, by a connection of its own."""
    database = await open_database(sessions.settings.database_url_text)
    found = {}
    for table in sessions_metadata().sorted_tables:
        found[table.name] = list((await database.run(select(table))).rows)
    await database.close()
    return found


async def assert_no_trace(sessions: SessionManager, *traces: str) -> None:
    written = repr(await tables(sessions))
    assert "sessions_signing_keys" in written
    assert [trace for trace in traces if trace in written or trace.encode().hex() in written] == []


# -- export


async def test_an_export_has_every_column_but_the_hashes_of_tokens(running: SessionManager) -> None:
    row = row_of(actor=user_id.encode(7))
    await kept(running, row)
    (session,) = await exported(running)
    table = sessions_metadata().tables["asgi_sessions_sessions"]
    renamed = {"handle": "session_handle", "methods": "authentication_methods"}
    assert set(session) == {renamed.get(column.name, column.name) for column in table.c} - {"cur", "prev"} | {"index"}
    assert session["session_handle"] == row.handle
    assert (session["user_id"], session["actor"]) == (USER, 7)
    assert (session["jwt_payload"], session["session_info"]) == ({"role": "role-of-the-user"}, ["cart-of-the-user"])
    assert (session["device_label"], session["ip_address"]) == (DEVICE.label, DEVICE.ip_address)
    assert (session["persistent"], session["idle_timeout"], session["revoked_at"]) == (False, HOUR, None)
    assert session["authentication_methods"] == {"one-time-code": from_ms(NOW).isoformat()}
    assert json.loads(json.dumps(session)) == session


async def test_times_of_an_export_have_a_zone(running: SessionManager) -> None:
    await log_in(running)
    (session,) = await exported(running)
    times = {name: value for name, value in session.items() if name.endswith(("_at", "_iat", "_time"))}
    assert {datetime.fromisoformat(value).utcoffset() for value in times.values() if value is not None} == {
        from_ms(0).utcoffset()
    }
    assert session["created_at"] == session["auth_time"] == from_ms(NOW).isoformat()
    assert {name for name, value in session.items() if type(value) is int} == {"gen", "payload_version", "late_count"}


async def test_no_token_can_be_found_by_an_export(running: SessionManager) -> None:
    issued = await log_in(running)
    (row,) = (await tables(running))["asgi_sessions_sessions"]
    written = json.dumps(await exported(running))
    token = running.lifecycle.keys.refresh_tokens.decode(issued.refresh_token.value)
    assert token is not None
    for secret in (token.secret, token.lineage.token_hash, bytes(row[3])):
        assert secret.hex() not in written
        assert repr(secret)[2:-1] not in written
    assert issued.access_token.value not in written


async def test_an_export_has_the_sessions_that_have_ended_too_and_nobody_elses(running: SessionManager) -> None:
    live, revoked, over = await kept(
        running, row_of(created_at=NOW), row_of(created_at=NOW - 1), row_of(created_at=NOW - 2, idle_expires_at=NOW - 1)
    )
    await running.revoke_session_using_session_handle(revoked)
    await kept(running, row_of("the-user-4711 "), row_of("THE-USER-4711"), row_of(OTHER), row_of(4711))
    found = await exported(running)
    assert [session["session_handle"] for session in found] == [live, revoked, over]
    assert [session["revoked_reason"] for session in found] == [None, "logout", None]
    assert await exported(running, "nobody") == []
    assert await exported(running, "x" * 1000) == []


async def test_ids_are_of_the_type_that_was_given(running: SessionManager) -> None:
    users: dict[UserId, Any] = {"42": "42", 42: 42, uuid.UUID(int=42): str(uuid.UUID(int=42))}
    for user in users:
        await log_in(running, user)
    for user, written in users.items():
        assert [session["user_id"] for session in await exported(running, user)] == [written]


async def test_sessions_in_which_the_user_acts_as_another_come_where_they_are_asked_for_and_last(
    running: SessionManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(personal_rows, "WALK_BATCH", 4)
    acting = await kept(running, *(row_of(OTHER, actor=user_id.encode(USER)) for _ in range(9)))
    await kept(running, *(row_of(OTHER) for _ in range(30)))
    (own,) = await kept(running, row_of())
    found = [session["session_handle"] for session in await exported(running, acting=True)]
    assert (found[0], sorted(found[1:])) == (own, sorted(acting))
    assert [session["session_handle"] for session in await exported(running)] == [own]


async def test_few_sessions_are_read_at_a_time_and_each_comes_once(
    running: SessionManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(personal_rows, "EXPORT_BATCH", 4)
    handles = await kept(running, *(row_of(created_at=NOW - number) for number in range(10)))
    found = running.export_user(USER)
    read = [(await anext(found))["session_handle"] for _ in range(4)]
    await running.lifecycle._sessions.purge(NOW + 100 * HOUR, 0)  # what is gone meanwhile does not come
    assert read == handles[:4]
    assert [session async for session in found] == []
    assert len(await kept(running, *(row_of() for _ in range(10)))) == len(await exported(running))


# -- erasure


async def test_nothing_of_the_user_is_left_and_others_keep_theirs(new_manager: NewManager, clock: MovableClock) -> None:
    async with new_manager(idle_timeout="1h") as sessions:
        handles = await kept(sessions, row_of(), row_of(revoked_at=1, revoked_reason="theft"), row_of(OTHER))
        handles += await kept(sessions, row_of(idle_expires_at=NOW - 24 * HOUR), row_of(USER, actor=b"s:bob"))
        issued = await log_in(sessions)
        bobs = await exported(sessions, OTHER)
        assert await sessions.erase_user(USER) == 5
        assert await exported(sessions) == []
        assert await exported(sessions, OTHER) == [session for session in bobs if session["user_id"] == OTHER]
        await sessions.revoke_all_sessions_for_user(OTHER)
        await sessions.erase_user(OTHER)
        await assert_no_trace(sessions, *TRACES, OTHER)
        written = {row[0]: row for row in (await tables(sessions))["asgi_sessions_sessions"]}
        assert set(written) == {*handles, issued.session.session_handle}
        clock.advance(days=1)
        await sessions.purge_expired_sessions()
        assert (await tables(sessions))["asgi_sessions_sessions"] == []
        await assert_no_trace(sessions, *TRACES, *handles, issued.session.session_handle)


async def test_an_erased_session_is_over_on_every_worker(new_manager: NewManager, clock: MovableClock) -> None:
    async with new_manager() as one, new_manager() as two, new_manager(revocation_check="database") as three:
        issued = await log_in(one)
        for worker in (one, two, three):
            await worker.get_session_without_request(issued.access_token.value)
        assert await one.erase_user(USER) == 1
        await poll(two)
        for worker in (one, two, three):
            with pytest.raises(Unauthorised) as refused:
                await worker.get_session_without_request(issued.access_token.value)
            assert refused.value.clear_cookies
        clock.advance(301)
        for worker in (one, two, three):
            with pytest.raises(Unauthorised) as refused:
                await worker.refresh_session_without_request(issued.refresh_token.value)
            assert refused.value.clear_cookies
            with pytest.raises(Unauthorised):
                await worker.update_session_info(issued.session.session_handle, "cart-of-the-user")
            assert not await worker.revoke_session_using_session_handle(issued.session.session_handle, user_id=USER)
        await assert_no_trace(one, *TRACES)


async def test_tombstones_stay_and_say_what_they_said(running: SessionManager) -> None:
    ended, live, expired = await kept(
        running, row_of(revoked_at=NOW, revoked_reason="theft"), row_of(), row_of(idle_expires_at=NOW - 24 * HOUR)
    )
    before = {row[0]: row for row in (await tables(running))["asgi_sessions_sessions"]}
    assert await running.erase_user(USER) == 3
    names = list(sessions_metadata().tables["asgi_sessions_sessions"].c.keys())
    for row in (await tables(running))["asgi_sessions_sessions"]:
        now, then = dict(zip(names, row, strict=True)), dict(zip(names, before[row[0]], strict=True))
        assert {name: now[name] for name in ERASED} == ERASED
        changed = {name for name in names if now[name] != then[name]}
        assert changed - set(ERASED) == (set() if row[0] == ended else {"revoked_at", "revoked_reason"})
        assert now["revoked_reason"] == {ended: "theft", live: "erased", expired: "erased"}[row[0]]


async def test_what_had_expired_is_over_for_a_worker_whose_clock_is_behind_too(
    running: SessionManager, clock: MovableClock
) -> None:
    (handle,) = await kept(running, row_of(idle_expires_at=NOW - HOUR))
    assert await running.erase_user(USER) == 1
    clock.advance(-2 * HOUR // 1000)
    with pytest.raises(Unauthorised):
        await running.get_session_info(handle)
    with pytest.raises(Unauthorised):
        await running.change_jwt_payload(handle, lambda payload: {"role": "user"})
    assert not await running.revoke_session_using_session_handle(handle)


def test_of_every_column_somebody_has_decided_whether_it_is_personal() -> None:
    for_the_tombstone = {"handle", "revoked_at", "revoked_reason", "idle_expires_at", "expires_at"}
    random_or_counted = {"cur", "prev", "gen", "payload_version", "late_gen", "late_count"}
    times = {"cur_iat", "promoted_at", "created_at", "last_active_at", "auth_time", "late_at"}
    how_long = {"idle_timeout", "persistent"}
    decided = [set(ERASED), for_the_tombstone, random_or_counted, times, how_long]
    assert sum(map(len, decided)) == len(set().union(*decided))
    assert {field.name for field in fields(SessionRow)} == set().union(*decided)


async def test_an_erased_user_has_no_name_that_another_one_could_have(running: SessionManager) -> None:
    await log_in(running, "")
    await log_in(running)
    await running.erase_user(USER)
    assert len(await exported(running, "")) == 1
    assert len(await running.get_all_session_handles_for_user("")) == 1
    with pytest.raises(ValueError, match="not a user id"):
        user_id.decode(NOBODY)
    assert NOBODY not in {user_id.encode(user) for user in ("", 0, uuid.UUID(int=0))}


async def test_an_administrator_who_is_erased_acts_as_nobody_any_more(running: SessionManager) -> None:
    staff = await log_in(running, 4711)
    acting = await log_in(running, OTHER, impersonation=await impersonation_by(staff.session, lifetime=HOUR))
    assert (await running.get_session_without_request(acting.access_token.value)).actor == 4711
    assert await running.erase_user(4711) == 2
    with pytest.raises(Unauthorised):
        await running.get_session_without_request(acting.access_token.value)
    with pytest.raises(Unauthorised):
        await running.refresh_session_without_request(acting.refresh_token.value)
    await assert_no_trace(running, *TRACES, "i:4711", OTHER)


async def test_sessions_in_which_the_user_acts_as_another_end_and_are_erased(
    running: SessionManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(personal_rows, "WALK_BATCH", 4)
    acting = await kept(running, *(row_of(OTHER, actor=user_id.encode(USER)) for _ in range(9)))
    bobs = await kept(running, *(row_of(OTHER, session_info="1", methods="{}") for _ in range(30)))
    assert await running.erase_user(USER) == 9
    assert sorted(await running.get_all_session_handles_for_user(OTHER)) == sorted(bobs)
    written = {row[0]: row for row in (await tables(running))["asgi_sessions_sessions"]}
    assert USER not in repr(written)
    assert not any(OTHER in repr(written[handle]) for handle in acting)


async def test_many_end_and_are_erased_in_parts(running: SessionManager, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(personal_rows, "REVOKE_BATCH", 3)
    running.lifecycle._sessions.at_once = 4
    await kept(running, *(row_of() for _ in range(20)), *(row_of(OTHER, actor=user_id.encode(USER)) for _ in range(8)))
    assert await running.erase_user(USER) == 28
    await assert_no_trace(running, *TRACES, OTHER)


async def test_who_logs_in_meanwhile_is_erased_too(running: SessionManager, monkeypatch: pytest.MonkeyPatch) -> None:
    await log_in(running)
    erase_of, left = PersonalRows.erase_of, [3]

    async def later(self: PersonalRows, owner: bytes, now: int) -> int:
        if left[0]:
            left[0] -= 1
            await log_in(running)
            await kept(running, row_of(OTHER, actor=user_id.encode(USER)))
        return await erase_of(self, owner, now)

    monkeypatch.setattr(PersonalRows, "erase_of", later)
    assert await running.erase_user(USER) == 7
    await assert_no_trace(running, *TRACES, OTHER)


async def test_who_begins_to_act_as_another_meanwhile_is_found_in_the_next_round(
    running: SessionManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(personal_rows, "WALK_BATCH", 2)
    await kept(running, *(row_of(OTHER, actor=user_id.encode(USER)) for _ in range(6)))
    erase, once = PersonalRows.erase, [True]

    async def later(self: PersonalRows, owner: bytes, handles: Any, now: int) -> int:
        if handles and once:  # its part has been gone through
            once.clear()
            await kept(running, replace(row_of(OTHER, actor=user_id.encode(USER)), handle="0" * 32))
        return await erase(self, owner, handles, now)

    monkeypatch.setattr(PersonalRows, "erase", later)
    assert await running.erase_user(USER) == 7
    await assert_no_trace(running, *TRACES, OTHER)


async def test_who_never_stops_logging_in_does_not_hold_the_call_up(
    running: SessionManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(personal_data, "MOST_ROUNDS", 3)
    erase_of = PersonalRows.erase_of
    await log_in(running)

    async def later(self: PersonalRows, owner: bytes, now: int) -> int:
        await log_in(running)
        return await erase_of(self, owner, now)

    monkeypatch.setattr(PersonalRows, "erase_of", later)
    assert await running.erase_user(USER) == 3
    assert len(await running.get_all_session_handles_for_user(USER)) == 1


async def test_a_live_session_is_never_blanked(running: SessionManager) -> None:
    (handle,) = await kept(running, row_of())
    owner = user_id.encode(USER)
    assert await running.lifecycle._sessions.erase_of(owner, NOW) == 0
    assert await running.lifecycle._sessions.erase(owner, [handle], NOW) == 0
    assert await running.lifecycle._sessions.erase(user_id.encode(OTHER), [handle], NOW + 100 * HOUR) == 0
    assert await running.get_session_info(handle) == ["cart-of-the-user"]


async def test_what_fails_half_way_is_ended_and_a_second_call_erases_the_rest(
    running: SessionManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    (handle,) = await kept(running, row_of())
    with monkeypatch.context() as patch:

        async def fail(*_: Any) -> int:
            raise StoreUnavailable

        patch.setattr(PersonalRows, "erase", fail)
        with pytest.raises(StoreUnavailable):
            await running.erase_user(USER)
    assert await running.get_all_session_handles_for_user(USER) == []
    assert [session["session_handle"] for session in await exported(running)] == [handle]
    assert await running.erase_user(USER) == 1
    assert await running.erase_user(USER) == 0
    await assert_no_trace(running, *TRACES)


async def test_the_reason_is_told_and_once(running: SessionManager) -> None:
    told: list[SessionEvent] = []

    @running.on_session_revoked
    async def note(event: SessionEvent) -> None:
        told.append(event)

    await log_in(running)
    await log_in(running)
    await running.erase_user(USER)
    await running._events.settle()
    ((name, user, details),) = [(event.name, event.user_id, dict(event.details)) for event in told]
    assert (name, user, details) == ("session.revoked", USER, {"reason": "erased", "count": 2})


async def test_a_user_of_the_same_text_is_named(running: SessionManager, caplog: pytest.LogCaptureFixture) -> None:
    await log_in(running, 42)
    with caplog.at_level(logging.WARNING, "asgi_sessions"):
        assert await running.erase_user("42") == 0
    assert "erase_user: user '42' (str) has no other live session. User 42 (int) has 1: is it meant?" in caplog.text
    assert await running.erase_user("x" * 1000) == 0


async def test_whoever_waits_for_the_end_is_told(running: SessionManager) -> None:
    issued = await log_in(running)
    access = await running.lifecycle.verifier.authentic(issued.access_token.value)
    assert access is not None
    over: list[bool] = []
    running.lifecycle.on_termination(access, lambda: over.append(True))
    await running.erase_user(USER)
    assert over == [True]
