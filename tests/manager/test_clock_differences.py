"""A revocation reaches what is over by this worker's clock alone, else another worker would still refresh it."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import pytest

from asgi_sessions import IssuedSession, SessionManager, TokenTheftDetected, Unauthorised
from asgi_sessions.manager.rotating import Rotation
from tests.clocks import MovableClock
from tests.manager.conftest import manager_builder

AHEAD = 60.0
IDLE_TIMEOUT = 14 * 86_400.0


@dataclass
class Workers:
    """Two on one database, and the clock of each."""

    right: SessionManager
    right_clock: MovableClock
    ahead: SessionManager
    ahead_clock: MovableClock

    async def login_that_is_over_for_one(self) -> IssuedSession[Any, Any]:
        """A session that has expired by the one clock and not by the other."""
        issued = await self.right.create_new_session_without_request("alice")
        self.right_clock.advance(IDLE_TIMEOUT - 0.001)
        self.ahead_clock.now = self.right_clock.now + round(AHEAD * 1000)
        with pytest.raises(Unauthorised):
            await self.ahead.refresh_session_without_request(issued.refresh_token.value)
        return issued


@pytest.fixture
async def workers(store_url: str) -> AsyncIterator[Workers]:
    right_clock, ahead_clock = MovableClock(), MovableClock()
    async with AsyncExitStack() as stack:
        right = await stack.enter_async_context(manager_builder(store_url, right_clock)())
        ahead = await stack.enter_async_context(manager_builder(store_url, ahead_clock)())
        yield Workers(right, right_clock, ahead, ahead_clock)


async def by_handle(sessions: SessionManager, handle: str) -> int:
    return int(await sessions.revoke_session_using_session_handle(handle))


async def many(sessions: SessionManager, handle: str) -> int:
    return await sessions.revoke_multiple_sessions([handle])


async def all_of_the_user(sessions: SessionManager, _handle: str) -> int:
    return await sessions.revoke_all_sessions_for_user("alice")


Revoke = Callable[[SessionManager, str], Awaitable[int]]


@pytest.mark.parametrize("revoke", [by_handle, many, all_of_the_user])
async def test_a_worker_whose_clock_is_ahead_ends_for_all_what_has_expired_for_itself(
    revoke: Revoke, workers: Workers
) -> None:
    issued = await workers.login_that_is_over_for_one()
    assert await revoke(workers.ahead, issued.session.session_handle) == 1
    with pytest.raises(Unauthorised):
        await workers.right.refresh_session_without_request(issued.refresh_token.value)


@pytest.mark.parametrize("revoke", [by_handle, many, all_of_the_user])
async def test_it_does_so_where_clocks_may_be_twenty_minutes_apart(revoke: Revoke, store_url: str) -> None:
    right_clock, ahead_clock = MovableClock(), MovableClock()
    async with (
        manager_builder(store_url, right_clock)(max_clock_difference="10m") as right,
        manager_builder(store_url, ahead_clock)(max_clock_difference="10m") as ahead,
    ):
        issued = await right.create_new_session_without_request("alice")
        right_clock.advance(IDLE_TIMEOUT - 0.001)
        ahead_clock.now = right_clock.now + 20 * 60_000
        assert await revoke(ahead, issued.session.session_handle) == 1
        with pytest.raises(Unauthorised):
            await right.refresh_session_without_request(issued.refresh_token.value)


@pytest.mark.parametrize("revoke", [by_handle, many, all_of_the_user])
async def test_what_is_over_on_every_clock_is_not_ended_again(revoke: Revoke, workers: Workers) -> None:
    issued = await workers.login_that_is_over_for_one()
    workers.ahead_clock.advance(0.001)
    assert await revoke(workers.ahead, issued.session.session_handle) == 0


async def test_theft_ends_a_session_that_has_just_expired_by_this_workers_clock(
    workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await workers.right.create_new_session_without_request("alice")
    issued = first
    for _ in range(2):
        workers.right_clock.advance(301)
        issued = await workers.right.refresh_session_without_request(issued.refresh_token.value)
    workers.right_clock.advance(IDLE_TIMEOUT - 0.001)  # since the promotion a moment ago
    workers.ahead_clock.advance(IDLE_TIMEOUT - 0.001)  # the first token has not expired yet, nor has the session
    theft = Rotation.theft

    async def theft_after_the_end(self: Rotation, *arguments: Any) -> Any:
        workers.ahead_clock.now = workers.right_clock.now + round(AHEAD * 1000)
        await theft(self, *arguments)

    monkeypatch.setattr(Rotation, "theft", theft_after_the_end)
    with pytest.raises(TokenTheftDetected):
        await workers.ahead.refresh_session_without_request(first.refresh_token.value)
    with pytest.raises(Unauthorised):
        await workers.right.refresh_session_without_request(issued.refresh_token.value)
