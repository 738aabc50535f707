"""A replica that lags may delay an alarm, never cause one, and never log anybody out."""

from collections.abc import AsyncIterator, Callable
from dataclasses import replace

import pytest

from asgi_sessions import IssuedSession, SessionManager, StoreUnavailable
from asgi_sessions.store.repository import SessionRepository, SessionRow
from tests.clocks import MovableClock

Lag = Callable[[SessionRow], SessionRow | None]

LAGS: dict[str, Lag] = {
    "no row yet": lambda row: None,
    "an expired row": lambda row: replace(row, idle_expires_at=0),
    "a row that makes the token a copy": lambda row: replace(row, cur=bytes(32), prev=bytes(32)),
    "a row from before the last rotations": lambda row: replace(row, gen=row.gen - 2, cur=bytes(32)),
}


@pytest.fixture
async def running(sessions: SessionManager) -> AsyncIterator[SessionManager]:
    async with sessions:
        yield sessions


@pytest.fixture(params=LAGS)
def behind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Lets ordinary reads lag from now on; fresh ones tell the truth."""
    lag, find = LAGS[request.param], SessionRepository.find

    async def lagging(self: SessionRepository, handle: str, *, fresh: bool = False) -> SessionRow | None:
        row = await find(self, handle, fresh=fresh)
        return row if fresh or row is None else lag(row)

    return lambda: monkeypatch.setattr(SessionRepository, "find", lagging)


async def an_old_session(sessions: SessionManager, clock: MovableClock) -> IssuedSession:
    """One that has been refreshed three times."""
    issued = await sessions.create_new_session_without_request("alice")
    for _ in range(3):
        clock.advance(301)
        issued = await sessions.refresh_session_without_request(issued.refresh_token.value)
    return issued


async def test_nobody_is_judged_on_a_stale_read(
    running: SessionManager, clock: MovableClock, behind: Callable[[], None]
) -> None:
    issued = await an_old_session(running, clock)
    behind()
    for _ in range(3):
        clock.advance(301)
        issued = await running.refresh_session_without_request(issued.refresh_token.value)
        await running.get_session_without_request(issued.access_token.value, check_database=True)


async def test_without_the_fresh_read_there_is_no_verdict(
    running: SessionManager, clock: MovableClock, behind: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    issued = await an_old_session(running, clock)
    behind()
    find = SessionRepository.find

    async def unreachable(self: SessionRepository, handle: str, *, fresh: bool = False) -> SessionRow | None:
        if fresh:
            raise StoreUnavailable
        return await find(self, handle)

    with monkeypatch.context() as patch:
        patch.setattr(SessionRepository, "find", unreachable)
        with pytest.raises(StoreUnavailable):
            await running.refresh_session_without_request(issued.refresh_token.value)
    await running.refresh_session_without_request(issued.refresh_token.value)
