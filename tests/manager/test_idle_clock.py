"""The idle end moves by requests that extend the session and by nothing else, on every engine."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from asgi_sessions import IssuedSession, SessionManager, StoreUnavailable, TryRefreshToken, Unauthorised
from asgi_sessions.manager import idle_clock
from tests.clocks import MovableClock
from tests.manager.conftest import NewManager
from tests.security.statements import counted

IDLE, LIFETIME = 900, 300

Issued = IssuedSession[Any, Any]


@pytest.fixture(params=["refresh", "first_use"])
async def running(new_manager: NewManager, request: pytest.FixtureRequest) -> AsyncIterator[SessionManager]:
    async with new_manager(idle_timeout=IDLE, promote_on=request.param) as sessions:
        yield sessions


async def seconds_left(sessions: SessionManager, issued: Issued, clock: MovableClock) -> float:
    return (await sessions.lifecycle.idle_expires_at(issued.session.session_handle) - clock()) / 1000


async def in_background(sessions: SessionManager, issued: Issued) -> Issued:
    """What a poll leaves behind whose access token has expired."""
    issued = await sessions.refresh_session_without_request(issued.refresh_token.value, extend=False)
    await sessions.get_session_without_request(issued.access_token.value, extend=False)
    return issued


async def test_a_background_refresh_moves_the_chain_and_not_the_clock(
    running: SessionManager, clock: MovableClock
) -> None:
    issued = await running.create_new_session_without_request("alice")
    created_at = clock()
    for passed in (LIFETIME, 2 * LIFETIME):
        clock.advance(LIFETIME)
        issued = await in_background(running, issued)
        assert await seconds_left(running, issued, clock) == IDLE - passed
    row = await running.lifecycle._sessions.find(issued.session.session_handle)
    assert row is not None
    assert row.gen >= 1
    assert row.last_active_at == created_at
    clock.advance(LIFETIME)
    with pytest.raises(TryRefreshToken):
        await running.get_session_without_request(issued.access_token.value, extend=False)
    with pytest.raises(Unauthorised):
        await in_background(running, issued)


async def test_a_use_with_the_access_token_of_a_background_refresh_moves_the_clock(
    running: SessionManager, clock: MovableClock
) -> None:
    issued = await running.create_new_session_without_request("alice")
    clock.advance(LIFETIME)
    issued = await in_background(running, issued)
    clock.advance(LIFETIME - 1)
    await running.get_session_without_request(issued.access_token.value)
    assert await seconds_left(running, issued, clock) == IDLE


async def test_a_use_with_an_expired_access_token_moves_the_clock_as_on_a_connection_that_goes_on(
    running: SessionManager, clock: MovableClock
) -> None:
    issued = await running.create_new_session_without_request("alice")
    access = issued.session._access
    lifecycle = running.lifecycle
    clock.advance(LIFETIME - 1)
    await lifecycle.check(access, extend=True)
    assert await seconds_left(running, issued, clock) == IDLE - LIFETIME + 1, "the login has extended it"
    clock.advance(1)
    await lifecycle.check(access)
    assert await seconds_left(running, issued, clock) == IDLE - LIFETIME
    sent = []
    for _ in range(8):
        with counted() as statements:
            await lifecycle.check(access, extend=True)
        sent.append([statement.split()[0] for statement in statements])
        clock.advance(LIFETIME / 6)
    asks, sets = ["SELECT"], ["SELECT", "SELECT", "UPDATE"]
    assert sent == [sets, asks, asks, ["SELECT", "SELECT"], asks, asks, sets, asks]
    assert await seconds_left(running, issued, clock) == IDLE - LIFETIME / 3


async def test_an_access_token_of_a_background_refresh_ends_with_the_session(
    running: SessionManager, clock: MovableClock
) -> None:
    issued = await running.create_new_session_without_request("alice")
    clock.advance(IDLE - 10)
    issued = await in_background(running, issued)
    assert (issued.access_token.expires_at.timestamp() * 1000 - clock()) == 10_000
    clock.advance(10)
    with pytest.raises(TryRefreshToken):
        await running.get_session_without_request(issued.access_token.value)


async def test_a_background_request_does_not_take_back_what_another_has_just_given(
    running: SessionManager, clock: MovableClock
) -> None:
    """The row that it has read is older than the other's write."""
    first = await running.create_new_session_without_request("alice")
    clock.advance(LIFETIME)
    issued = await running.refresh_session_without_request(first.refresh_token.value)
    clock.advance(LIFETIME)
    stale = await running.lifecycle._liveness.live_row(issued.session.session_handle)
    await running.refresh_session_without_request(first.refresh_token.value)
    assert await seconds_left(running, issued, clock) == IDLE
    found = await running.lifecycle.refresher.authentic(issued.refresh_token.value)
    assert found is not None
    assert await running.lifecycle.refresher._rotation.promote(
        found.handle, found.lineage, stale.lifetime, extend=False
    )
    assert await seconds_left(running, issued, clock) == IDLE


@pytest.mark.parametrize("presented", ["head", "child", "late parent"])
async def test_a_use_that_shares_what_a_background_request_has_begun_moves_the_clock(
    presented: str, running: SessionManager, clock: MovableClock
) -> None:
    """Both are served without tokens, as whoever asks late is."""
    issued = await running.create_new_session_without_request("alice")
    token = issued.refresh_token.value
    clock.advance(LIFETIME)
    if presented != "head":
        issued = await in_background(running, issued)
        token = issued.refresh_token.value if presented == "child" else token
    if presented == "late parent":
        await in_background(running, issued)
    refresher = running.lifecycle.refresher
    refresh_token = await refresher.authentic(token)
    assert refresh_token is not None

    async def served(*, extend: bool) -> float:
        refreshed = await refresher.refresh(refresh_token, issue=False, serves_parents=True, extend=extend)
        assert refreshed.served
        assert refreshed.tokens is None
        return await seconds_left(running, issued, clock)

    assert await served(extend=False) == IDLE - LIFETIME
    clock.advance(10)
    assert await served(extend=False) == IDLE - LIFETIME - 10
    assert await served(extend=True) == IDLE
    clock.advance(10)
    assert await served(extend=True) == IDLE - 10, "once per half lifetime"


async def test_each_use_is_noted_once_per_half_lifetime(running: SessionManager, clock: MovableClock) -> None:
    issued = await running.create_new_session_without_request("alice")
    clock.advance(LIFETIME)
    issued = await in_background(running, issued)
    sent = []
    for _ in range(10):
        with counted() as statements:
            await running.get_session_without_request(issued.access_token.value)
        sent.append([statement.split()[0] for statement in statements])
        clock.advance(LIFETIME / 12)
    assert sent == [["SELECT", "UPDATE"], *[[]] * 5, ["SELECT"], *[[]] * 3]


async def test_a_use_is_served_where_the_database_does_not_answer_and_noted_later(
    running: SessionManager,
    clock: MovableClock,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    issued = await running.create_new_session_without_request("alice")
    clock.advance(LIFETIME)
    issued = await in_background(running, issued)

    async def fails(*_: Any, **__: Any) -> None:
        raise StoreUnavailable

    with monkeypatch.context() as patching:
        patching.setattr(running.lifecycle._sessions, "touch", fails)
        assert (await running.get_session_without_request(issued.access_token.value)).user_id == "alice"
    assert "a request was served without extending it" in caplog.text
    assert await seconds_left(running, issued, clock) == IDLE - LIFETIME
    await running.get_session_without_request(issued.access_token.value)
    assert await seconds_left(running, issued, clock) == IDLE


async def test_a_use_of_a_session_that_has_ended_is_refused(running: SessionManager, clock: MovableClock) -> None:
    issued = await running.create_new_session_without_request("alice")
    clock.advance(LIFETIME)
    issued = await in_background(running, issued)
    await running.lifecycle._sessions.revoke(issued.session.session_handle, "logout", now=clock())  # another worker
    with pytest.raises(Unauthorised):
        await running.get_session_without_request(issued.access_token.value)


async def test_what_is_remembered_is_bounded(
    running: SessionManager, clock: MovableClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(idle_clock, "MOST_REMEMBERED", 2)
    for _ in range(4):
        issued = await running.create_new_session_without_request("alice")
        clock.advance(LIFETIME)
        issued = await in_background(running, issued)
        await running.get_session_without_request(issued.access_token.value)
    assert len(running.lifecycle.verifier._idle_clock._extended_at) == 2
