"""Payloads that somebody else changes: in effect at the next request of each session, on every worker; none comes back.

A worker is told as of revocations. No test waits for that: `poll` is what happens within ``revocation_poll_interval``.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from sqlalchemy import text

from asgi_sessions import (
    IssuedSession,
    PayloadChanged,
    PayloadTooLarge,
    SessionManager,
    StoreUnavailable,
    Unauthorised,
)
from asgi_sessions.manager import changing, payload_changing
from asgi_sessions.store.payload_changes import PayloadChangeStore
from asgi_sessions.store.repository import SessionRepository
from tests.clocks import MovableClock
from tests.manager.conftest import NewManager
from tests.revocation.polling import feed_of, poll, stop_polling
from tests.security.statements import counted

LIFETIME = 301
CHECKS = ["feed", "database"]

Workers = tuple[SessionManager, SessionManager]
Issued = IssuedSession[Any, Any]


def demoted(payload: Any) -> Any:
    return {**payload, "role": "user"}


@pytest.fixture
async def workers(new_manager: NewManager) -> AsyncIterator[Workers]:
    """Two of them, which hear of each other when a test lets them."""
    async with new_manager() as one, new_manager() as two:
        for worker in (one, two):
            await stop_polling(worker)
        await poll(one, two)
        yield one, two


async def admin(sessions: SessionManager, user: Any = "alice", **payload: Any) -> Issued:
    return await sessions.create_new_session_without_request(user, jwt_payload={"role": "admin", **payload})


async def seen(sessions: SessionManager, issued: Issued) -> Any:
    """The payload that a request with this token has on a worker."""
    return (await sessions.get_session_without_request(issued.access_token.value)).jwt_payload


async def stored(sessions: SessionManager, issued: Issued) -> tuple[str, int]:
    row = await sessions.lifecycle._sessions.find(issued.session.session_handle, fresh=True)
    assert row is not None
    return row.jwt_payload, row.payload_version


def before_the_next(
    monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, happens: Callable[[], Any], *, times: int = 1
) -> None:
    """Have something happen just before a statement of the store is sent."""
    sends, left = getattr(owner, name), [times]

    async def later(*arguments: Any, **options: Any) -> Any:
        if left[0]:
            left[0] -= 1
            await happens()
        return await sends(*arguments, **options)

    monkeypatch.setattr(owner, name, later)


# -- when it takes effect


async def test_the_worker_that_changes_it_knows_at_once_and_the_others_after_a_poll(workers: Workers) -> None:
    here, there = workers
    issued = await admin(here)
    assert await seen(there, issued) == {"role": "admin"}
    assert await here.change_jwt_payload(issued.session.session_handle, demoted) == {"role": "user"}
    assert await seen(here, issued) == {"role": "user"}
    await poll(there)
    for _ in range(2):
        assert await seen(there, issued) == {"role": "user"}
    await issued.session.check()
    assert issued.session.jwt_payload == {"role": "user"}


async def test_all_sessions_of_the_user_and_of_nobody_else(workers: Workers) -> None:
    here, there = workers
    mine = [await admin(worker, 1, device=number) for number, worker in enumerate((here, there, there))]
    others = [await admin(here, user) for user in ("1", 2)]
    assert await here.change_jwt_payload_for_user(1, demoted) == 3
    await poll(there)
    for worker in workers:
        assert [await seen(worker, each) for each in mine] == [{"role": "user", "device": n} for n in range(3)]
        assert [await seen(worker, each) for each in others] == [{"role": "admin"}] * 2
    assert await there.change_jwt_payload_for_user(1, demoted) == 0
    assert await here.change_jwt_payload_for_user("nobody", demoted) == 0
    assert await here.change_jwt_payload_for_user("x" * 9000, demoted) == 0


async def test_a_payload_that_stays_the_same_is_not_written(workers: Workers) -> None:
    here, _ = workers
    issued = await admin(here)
    with counted() as statements:
        assert await here.change_jwt_payload(issued.session.session_handle, dict) == {"role": "admin"}
    assert [statement.split()[0] for statement in statements] == ["SELECT"]
    assert (await stored(here, issued))[1] == 0


async def test_a_worker_that_starts_afterwards_knows(workers: Workers, new_manager: NewManager) -> None:
    here, _ = workers
    issued = await admin(here)
    await here.change_jwt_payload(issued.session.session_handle, demoted)
    async with new_manager() as third:
        assert await seen(third, issued) == {"role": "user"}


async def test_after_an_outage_of_the_feed_the_first_poll_tells(
    workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = workers
    issued = await admin(here)
    reads = there.lifecycle._feed._reader._tombstones  # type: ignore[union-attr]

    async def unavailable(*_: Any, **__: Any) -> Any:
        raise StoreUnavailable

    with monkeypatch.context() as outage:
        outage.setattr(reads, "page", unavailable)
        await here.change_jwt_payload(issued.session.session_handle, demoted)
        with pytest.raises(StoreUnavailable):
            await poll(there)
    await poll(there)
    assert await seen(there, issued) == {"role": "user"}


async def test_with_the_database_asked_each_time_it_is_in_effect_at_once(new_manager: NewManager) -> None:
    async with new_manager(revocation_check="database") as here, new_manager(revocation_check="database") as there:
        issued = await admin(here)
        await here.change_jwt_payload(issued.session.session_handle, demoted)
        assert await seen(there, issued) == {"role": "user"}


async def test_a_request_that_asks_the_database_has_it_at_once(workers: Workers) -> None:
    here, there = workers
    issued = await admin(here)
    await here.change_jwt_payload(issued.session.session_handle, demoted)
    token = issued.access_token.value
    assert (await there.get_session_without_request(token, check_database=True)).jwt_payload == {"role": "user"}


async def test_where_nobody_is_told_the_next_refresh_has_it(new_manager: NewManager) -> None:
    async with new_manager(revocation_check="none") as here, new_manager(revocation_check="none") as there:
        issued = await admin(here)
        await here.change_jwt_payload(issued.session.session_handle, demoted)
        assert await seen(there, issued) == {"role": "admin"}
        refreshed = await there.refresh_session_without_request(issued.refresh_token.value)
        assert refreshed.session.jwt_payload == {"role": "user"}


async def test_where_more_was_changed_than_the_memory_holds_each_request_asks(
    workers: Workers,
) -> None:
    here, there = workers
    issued = await admin(here)
    feed_of(there)._handles._max_bytes = 0
    await here.change_jwt_payload(issued.session.session_handle, demoted)
    await poll(there)
    assert feed_of(there).is_overflowing
    assert await seen(there, issued) == {"role": "user"}


async def test_a_token_of_the_new_payload_costs_no_statement(workers: Workers) -> None:
    here, there = workers
    issued = await admin(here)
    await here.change_jwt_payload(issued.session.session_handle, demoted)
    await poll(there)
    new = await there.refresh_session_without_request(issued.refresh_token.value)
    with counted() as statements:
        assert await seen(there, new) == {"role": "user"}
        assert await seen(there, new) == {"role": "user"}
    assert statements == []
    with counted() as statements:
        assert await seen(there, issued) == {"role": "user"}
    assert len(statements) == 1


async def test_sessions_that_nobody_has_changed_cost_no_statement(workers: Workers) -> None:
    here, there = workers
    one, other = await admin(here), await admin(here)
    await here.change_jwt_payload(one.session.session_handle, demoted)
    await poll(there)
    await seen(there, other)
    with counted() as statements:
        assert await seen(there, other) == {"role": "admin"}
    assert statements == []


# -- the payload of before does not come back


async def test_a_refresh_that_has_read_it_before_the_change(workers: Workers, monkeypatch: pytest.MonkeyPatch) -> None:
    here, there = workers
    issued = await admin(here)
    handle = issued.session.session_handle
    find = SessionRepository.find
    old = await find(there.lifecycle._sessions, handle)
    await here.change_jwt_payload(handle, demoted)
    await poll(there)

    read_before = iter([old])

    async def reading(self: SessionRepository, handle: str, *, fresh: bool = False) -> Any:
        return next(read_before, None) or await find(self, handle, fresh=fresh)

    monkeypatch.setattr(SessionRepository, "find", reading)
    refreshed = await there.refresh_session_without_request(issued.refresh_token.value)
    assert refreshed.session.jwt_payload == {"role": "admin"}, "what it has read"
    assert await seen(there, refreshed) == {"role": "user"}
    assert await seen(here, refreshed) == {"role": "user"}


async def test_for_as_long_as_a_token_of_before_may_be_good(
    workers: Workers, clock: MovableClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = workers
    issued = await admin(here)
    await here.change_jwt_payload(issued.session.session_handle, demoted)
    await poll(there)
    kept = there.lifecycle._feed._kept_ms  # type: ignore[union-attr]
    assert kept >= 2 * there.settings.access_token_lifetime_ms
    feed_of(there)._noted.age()
    assert await seen(there, issued) == {"role": "user"}


async def test_a_sessions_own_update_does_not_undo_it(workers: Workers) -> None:
    here, there = workers
    issued = await admin(here)
    session = await there.get_session_without_request(issued.access_token.value)
    await here.change_jwt_payload(issued.session.session_handle, demoted)
    with pytest.raises(PayloadChanged) as caught:
        await session.update_jwt_payload({**session.jwt_payload, "theme": "dark"})
    assert caught.value.session_handle == issued.session.session_handle
    assert session.jwt_payload == {"role": "user"}
    await session.update_jwt_payload({**session.jwt_payload, "theme": "dark"})
    assert await stored(here, issued) == ('{"role":"user","theme":"dark"}', 2)


async def test_one_that_this_worker_has_no_room_for_is_told_all_the_same(workers: Workers) -> None:
    """A worker with other settings has accepted it."""
    here, there = workers
    issued = await admin(here)
    held = await there.get_session_without_request(issued.access_token.value)
    await here.change_jwt_payload(held.session_handle, demoted)
    large = "x" * 4_000
    assert await here.lifecycle._sessions.swap_payload(held.session_handle, f'"{large}"', here.time(), version=1)
    with pytest.raises(PayloadChanged):
        await held.update_jwt_payload({**held.jwt_payload, "theme": "dark"})
    assert held.jwt_payload == large
    await held.update_jwt_payload({"role": "user"})
    assert await stored(here, issued) == ('{"role":"user"}', 3)


async def test_nor_does_an_update_at_the_same_time_over_one_of_its_own(workers: Workers) -> None:
    here, there = workers
    for _ in range(5):
        issued = await admin(here)
        one, other = [await there.get_session_without_request(issued.access_token.value) for _ in range(2)]
        await one.update_jwt_payload({"role": "admin", "theme": "light"})
        changed, _ = await asyncio.gather(
            other.update_jwt_payload({"role": "admin", "theme": "dark"}),
            here.change_jwt_payload(one.session_handle, demoted),
            return_exceptions=True,
        )
        theme = "light" if isinstance(changed, PayloadChanged) else "dark"
        assert await stored(here, issued) == (f'{{"role":"user","theme":"{theme}"}}', 2 if theme == "light" else 3)


async def test_of_a_sessions_own_updates_the_last_one_counts(workers: Workers, monkeypatch: pytest.MonkeyPatch) -> None:
    here, there = workers
    issued = await admin(here)
    one, other = [await there.get_session_without_request(issued.access_token.value) for _ in range(2)]
    await one.update_jwt_payload(1)
    before_the_next(monkeypatch, SessionRepository, "swap_own_payload", lambda: one.update_jwt_payload(2))
    await other.update_jwt_payload(3)
    assert await stored(here, issued) == ("3", 3)
    assert (other.jwt_payload, other._access.payload_version) == (3, 3)


async def test_a_held_session_updates_a_payload_that_nobody_has_changed_however_old_it_is(
    workers: Workers, clock: MovableClock
) -> None:
    here, _ = workers
    issued = await admin(here)
    held = await here.get_session_without_request(issued.access_token.value)
    await issued.session.add_authentication_method("otp")
    clock.advance(here.settings.access_token_lifetime_ms / 1000)
    await held.update_jwt_payload({"role": "admin", "theme": "dark"})
    assert await stored(here, issued) == ('{"role":"admin","theme":"dark"}', 2)


async def test_nor_does_a_session_that_is_held_until_the_change_is_forgotten(
    workers: Workers, clock: MovableClock
) -> None:
    here, there = workers
    issued = await admin(here)
    held = await there.get_session_without_request(issued.access_token.value)
    await here.change_jwt_payload(held.session_handle, demoted)
    clock.advance(here.settings.access_token_lifetime_ms)
    await here.lifecycle.payloads._changes.purge(2**62)
    with pytest.raises(PayloadChanged):
        await held.update_jwt_payload({**held.jwt_payload, "theme": "dark"})
    assert held.jwt_payload == {"role": "user"}
    assert await stored(here, issued) == ('{"role":"user"}', 1)


async def test_a_sessions_own_change_keeps_it(workers: Workers, monkeypatch: pytest.MonkeyPatch) -> None:
    here, there = workers
    issued = await admin(here)
    session = await there.get_session_without_request(issued.access_token.value)
    handle = session.session_handle
    before_the_next(monkeypatch, SessionRepository, "swap_payload", lambda: here.change_jwt_payload(handle, demoted))
    token = await session.change_jwt_payload(lambda payload: {**payload, "theme": "dark"})
    assert session.jwt_payload == {"role": "user", "theme": "dark"}
    found = await there.get_session_without_request(token.value)
    assert found.jwt_payload == {"role": "user", "theme": "dark"}


async def test_a_sessions_own_update_just_before_it_is_what_it_changes(
    workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = workers
    issued = await admin(here)
    own = await there.get_session_without_request(issued.access_token.value)
    update = {"role": "admin", "theme": "dark"}
    # After the others were told, and before the payload was replaced.
    before_the_next(monkeypatch, SessionRepository, "swap_payload", lambda: own.update_jwt_payload(update))
    await here.change_jwt_payload(own.session_handle, demoted)
    assert await stored(here, issued) == ('{"role":"user","theme":"dark"}', 2)
    await poll(there)
    assert await seen(there, issued) == {"role": "user", "theme": "dark"}


async def test_of_changes_at_once_on_two_workers_none_is_lost(workers: Workers) -> None:
    here, there = workers
    issued = await admin(here, changes=0)
    own = await there.get_session_without_request(issued.access_token.value)

    def one_more(payload: Any) -> Any:
        return {**payload, "changes": payload["changes"] + 1}

    handle = own.session_handle
    await asyncio.gather(
        *(here.change_jwt_payload(handle, one_more) for _ in range(6)),
        *(there.change_jwt_payload_for_user("alice", one_more) for _ in range(3)),
        *(own.change_jwt_payload(one_more) for _ in range(6)),
    )
    assert await stored(here, issued) == ('{"role":"admin","changes":15}', 15)
    await poll(here, there)
    for worker in workers:
        assert (await seen(worker, issued))["changes"] == 15


async def test_the_others_are_told_before_it_is_replaced(workers: Workers, monkeypatch: pytest.MonkeyPatch) -> None:
    here, there = workers
    issued = await admin(here)
    handle = issued.session.session_handle

    async def dies() -> None:
        raise StoreUnavailable

    before_the_next(monkeypatch, SessionRepository, "swap_payload", dies)
    with pytest.raises(StoreUnavailable):
        await here.change_jwt_payload(handle, demoted)
    await poll(there)
    assert await seen(there, issued) == {"role": "admin"}
    # As if the statement had been done, and its answer lost.
    assert await here.lifecycle._sessions.swap_payload(handle, '{"role":"user"}', here.time(), version=0)
    for worker in workers:
        assert await seen(worker, issued) == {"role": "user"}


# -- what does not work


async def test_a_session_that_is_gone_is_no_session(workers: Workers) -> None:
    here, _ = workers
    issued = await admin(here)
    await here.revoke_session_using_session_handle(issued.session.session_handle)
    for gone in (issued.session.session_handle, "0" * 32, "no handle", "\0", "x" * 500):
        with pytest.raises(Unauthorised):
            await here.change_jwt_payload(gone, demoted)
    with pytest.raises(Unauthorised):
        await issued.session.change_jwt_payload(demoted)
    assert await here.change_jwt_payload_for_user("alice", demoted) == 0


async def test_a_session_that_ends_meanwhile_does_not_keep_the_others(
    workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, _ = workers
    issued = [await admin(here) for _ in range(3)]
    handles = [each.session.session_handle for each in issued]
    before_the_next(monkeypatch, PayloadChangeStore, "note", lambda: here.revoke_multiple_sessions(handles[1:2]))
    assert await here.change_jwt_payload_for_user("alice", demoted) == 2


async def test_sessions_without_room_keep_no_others_from_their_new_payload_and_are_named(workers: Workers) -> None:
    here, _ = workers
    full, roomy, also_full, newest = [await admin(here, much="x" * size) for size in (2_000, 10, 2_100, 10)]

    def longer(payload: Any) -> Any:
        return {**payload, "role": "y" * 1_500}

    with pytest.raises(PayloadTooLarge) as caught:
        await here.change_jwt_payload_for_user("alice", longer)
    without_room = {each.session.session_handle for each in (full, also_full)}
    assert set(caught.value.session_handles) == without_room
    assert all(handle in str(caught.value) for handle in without_room)
    assert [(await stored(here, each))[1] for each in (full, roomy, also_full, newest)] == [0, 1, 0, 1]
    assert (await seen(here, roomy))["role"] == "y" * 1_500
    assert await here.revoke_multiple_sessions(caught.value.session_handles) == 2
    assert await here.change_jwt_payload_for_user("alice", longer) == 0


async def test_a_session_without_room_is_named_by_its_own_change_too(workers: Workers) -> None:
    here, _ = workers
    full = await admin(here)
    with pytest.raises(PayloadTooLarge) as caught:
        await here.change_jwt_payload(full.session.session_handle, lambda _: "x" * 4_000)
    assert list(caught.value.session_handles) == [full.session.session_handle]
    with pytest.raises(PayloadTooLarge):
        await full.session.change_jwt_payload(lambda payload: "x" * 4_000)
    assert (await stored(here, full))[1] == 0


async def test_a_mistake_for_one_session_changes_none_also_where_another_has_no_room(workers: Workers) -> None:
    here, _ = workers
    issued = [await admin(here, much=much) for much in ("x" * 2_000, "", None, "")]

    def longer(payload: Any) -> Any:
        return {**payload, "more": "y" * 1_500, "much": payload["much"] + ""}

    with pytest.raises(TypeError):
        await here.change_jwt_payload_for_user("alice", longer)
    assert [(await stored(here, each))[1] for each in issued] == [0, 0, 0, 0]


async def test_the_text_names_some_of_many_without_room(workers: Workers, monkeypatch: pytest.MonkeyPatch) -> None:
    here, _ = workers
    monkeypatch.setattr(payload_changing, "_NAMED", 2)
    for count in (2, 3):
        await here.revoke_all_sessions_for_user("alice")
        for _ in range(count):
            await admin(here)
        with pytest.raises(PayloadTooLarge) as caught:
            await here.change_jwt_payload_for_user("alice", lambda _: "x" * 4_000)
        handles = caught.value.session_handles
        assert len(handles) == count
        assert f"for {count} of" in str(caught.value)
        assert [handle in str(caught.value) for handle in handles] == [True, True, False][:count]
        assert ("…" in str(caught.value)) == (count > 2)


async def largest(sessions: SessionManager, handle: str) -> int:
    """How long a text there is room for; it is the session's payload then."""
    fits, too_much = 1_000, 4_096
    while too_much - fits > 1:
        size = (fits + too_much) // 2
        try:
            await sessions.change_jwt_payload(handle, lambda _, size=size: "x" * size)  # type: ignore[misc]
            fits = size
        except PayloadTooLarge:
            too_much = size
    await sessions.change_jwt_payload(handle, lambda _: "x" * fits)
    return fits


@pytest.mark.parametrize("settings", [{}, {"csrf": "token"}, {"promote_on": "first_use"}], ids=str)
async def test_what_there_is_room_for_fits_into_every_later_token(
    new_manager: NewManager, settings: dict[str, Any], clock: MovableClock
) -> None:
    async with new_manager(**settings) as sessions:
        issued = await admin(sessions)
        size = await largest(sessions, issued.session.session_handle)
        for _ in range(3):
            clock.advance(LIFETIME)
            issued = await sessions.refresh_session_without_request(issued.refresh_token.value)
            access = issued.access_token.value
            found = await sessions.get_session_without_request(access, csrf=False)
            assert found.jwt_payload == "x" * size


async def test_a_payload_that_is_no_longer_than_before_always_has_room(
    new_manager: NewManager, clock: MovableClock
) -> None:
    """Whoever fills the cookie to the last byte, and waits until its counters have grown, holds on to nothing."""
    async with new_manager() as sessions:
        issued = await admin(sessions)
        handle = issued.session.session_handle
        size = await largest(sessions, handle)
        for _ in range(11):
            clock.advance(LIFETIME)
            issued = await sessions.refresh_session_without_request(issued.refresh_token.value)
        await sessions.change_jwt_payload(handle, lambda _: "y" * size)
        with pytest.raises(PayloadTooLarge):
            await sessions.change_jwt_payload(handle, lambda _: "y" * (size + 1))
        clock.advance(LIFETIME)
        issued = await sessions.refresh_session_without_request(issued.refresh_token.value)
        assert await seen(sessions, issued) == "y" * size


async def test_whoever_is_overtaken_each_time_is_told_to_try_again(
    workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, _ = workers
    issued = await admin(here)
    own = issued.session
    monkeypatch.setattr(changing, "MOST_TRIES", 3)
    sends = SessionRepository.swap_payload

    async def overtaken(self: SessionRepository, handle: str, text: str, now: int, *, version: int) -> bool:
        await sends(self, handle, f'{{"role":"admin","at":{version}}}', now, version=version)
        return await sends(self, handle, text, now, version=version)

    monkeypatch.setattr(SessionRepository, "swap_payload", overtaken)
    with pytest.raises(StoreUnavailable):
        await here.change_jwt_payload(own.session_handle, demoted)
    assert await stored(here, issued) == ('{"role":"admin","at":2}', 3)


def nothing(payload: Any) -> None:
    payload["role"] = "user"


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (nothing, TypeError),
        (lambda payload: {1, 2}, TypeError),
        (lambda payload: float("nan"), TypeError),
        (lambda payload: payload["missing"], KeyError),
    ],
    ids=["returns nothing", "no JSON", "no number", "raises"],
)
async def test_a_function_that_makes_no_payload_changes_nothing(
    change: Any, error: type[Exception], workers: Workers
) -> None:
    here, _ = workers
    issued = await admin(here)
    for attempt in (
        here.change_jwt_payload(issued.session.session_handle, change),
        here.change_jwt_payload_for_user("alice", change),
        issued.session.change_jwt_payload(change),
    ):
        with pytest.raises(error):
            await attempt
    assert await stored(here, issued) == ('{"role":"admin"}', 0)


# -- what is left of it


async def test_the_audit_log_names_the_session_and_its_user(workers: Workers, caplog: pytest.LogCaptureFixture) -> None:
    here, _ = workers
    issued = await admin(here, 42)
    caplog.set_level(logging.INFO, "asgi_sessions.audit")
    caplog.clear()
    await here.change_jwt_payload(issued.session.session_handle, demoted)
    await here.change_jwt_payload(issued.session.session_handle, demoted)
    (told,) = [record for record in caplog.records if record.name == "asgi_sessions.audit"]
    assert (told.event, told.session_handle, told.user_id) == (  # type: ignore[attr-defined]
        "session.payload_changed",
        issued.session.session_handle,
        42,
    )
    assert "admin" not in told.getMessage()


async def test_a_purge_takes_what_nobody_needs(workers: Workers, clock: MovableClock) -> None:
    here, _ = workers
    issued = await admin(here)
    await here.change_jwt_payload(issued.session.session_handle, demoted)
    count = text("SELECT COUNT(*) FROM asgi_sessions_payload_changes")
    run = here.lifecycle._sessions._run
    # The test's clock stands for the database's, which has written another time.
    await run(text("UPDATE asgi_sessions_payload_changes SET changed_at = :now"), {"now": clock()})
    clock.advance(600)
    await here.purge_expired_sessions()
    assert (await run(count)).rows[0][0] == 1
    clock.advance(600)
    await here.purge_expired_sessions()
    assert (await run(count)).rows[0][0] == 0
