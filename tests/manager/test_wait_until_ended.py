"""`Session.wait_until_ended()`: returns when the session is over, and leaves nothing behind."""

import asyncio
import time

import pytest

from asgi_sessions import Session, SessionManager, StoreUnavailable, TokenTheftDetected
from asgi_sessions.manager import pending_termination
from asgi_sessions.protocol.clock import CLOCK_DIFFERENCE_MS
from asgi_sessions.revocation import liveness_sweep
from asgi_sessions.store.repository import SessionRepository
from tests.clocks import MovableClock
from tests.manager.conftest import NewManager, manager_builder
from tests.patience import PATIENCE


@pytest.fixture
def new_manager(clock: MovableClock) -> NewManager:
    """On a database in memory: what is asked here happens in one process."""
    return manager_builder("sqlite+aiosqlite://", clock)


@pytest.fixture
def quick_timers(monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock is moved, timers follow real time: they look often."""
    monkeypatch.setattr(pending_termination, "LONGEST_TIMER_SECONDS", 0.01)


def waiting(sessions: SessionManager) -> int:
    return len(sessions.lifecycle._listeners)


async def new_session(sessions: SessionManager) -> Session[str]:
    return (await sessions.create_new_session_without_request("alice")).session


async def returns(wait: "asyncio.Task[None]") -> None:
    await asyncio.wait_for(wait, PATIENCE)


@pytest.mark.parametrize("check", ["feed", "database", "none"])
async def test_it_returns_when_the_session_is_revoked(new_manager: NewManager, check: str) -> None:
    async with new_manager(revocation_check=check) as sessions:
        session, other = await new_session(sessions), await new_session(sessions)
        waits = [asyncio.create_task(session.wait_until_ended()) for _ in range(3)]
        kept = asyncio.create_task(other.wait_until_ended())
        while waiting(sessions) < 4:
            await asyncio.sleep(0.001)
        await session.revoke_session()
        for wait in waits:
            await returns(wait)
        assert not kept.done()
        assert waiting(sessions) == 1
        await sessions.revoke_session_using_session_handle(other.session_handle)
        await returns(kept)


async def test_it_returns_when_all_of_a_users_sessions_are(new_manager: NewManager) -> None:
    async with new_manager() as sessions:
        session = await new_session(sessions)
        wait = asyncio.create_task(session.wait_until_ended())
        await asyncio.sleep(0)
        await sessions.revoke_all_sessions_for_user("alice")
        await returns(wait)


async def test_it_returns_at_a_theft(new_manager: NewManager, clock: MovableClock) -> None:
    async with new_manager() as sessions:
        issued = await sessions.create_new_session_without_request("alice")
        wait = asyncio.create_task(issued.session.wait_until_ended())
        mine = issued.refresh_token.value
        for _ in range(2):
            clock.advance(250)
            mine = (await sessions.refresh_session_without_request(mine)).refresh_token.value
        clock.advance(250)
        assert not wait.done()
        with pytest.raises(TokenTheftDetected):
            await sessions.refresh_session_without_request(issued.refresh_token.value)
        await returns(wait)


@pytest.mark.usefixtures("quick_timers")
async def test_it_returns_at_the_absolute_timeout_and_not_before(new_manager: NewManager, clock: MovableClock) -> None:
    async with new_manager() as sessions:
        session = await new_session(sessions)
        wait = asyncio.create_task(session.wait_until_ended())
        await asyncio.sleep(0)
        clock.advance(-1, days=100)
        await asyncio.sleep(0.05)
        assert not wait.done()
        clock.advance(1)
        await returns(wait)
        assert waiting(sessions) == 0


async def test_it_returns_after_the_idle_timeout_at_the_next_liveness_sweep(
    new_manager: NewManager, clock: MovableClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(liveness_sweep, "LIVENESS_SWEEP_SECONDS", 0.0)
    async with new_manager(idle_timeout="1h", revocation_poll_interval="10ms") as sessions:
        session = await new_session(sessions)
        wait = asyncio.create_task(session.wait_until_ended())
        await asyncio.sleep(0)
        clock.advance(3600)
        await asyncio.sleep(0.05)
        assert not wait.done()  # by another worker's clock it may live
        clock.advance(CLOCK_DIFFERENCE_MS / 1000)
        await returns(wait)


async def test_a_clock_that_is_set_back_meanwhile_does_not_end_it_early(
    new_manager: NewManager, clock: MovableClock
) -> None:
    async with new_manager(absolute_timeout=1, idle_timeout=1, access_token_lifetime=1) as sessions:
        session = await new_session(sessions)
        wait = asyncio.create_task(session.wait_until_ended())
        await asyncio.sleep(0)
        clock.advance(-10)
        await asyncio.sleep(1.1)  # the first timer has run out by now
        assert not wait.done()
        wait.cancel()


async def test_it_returns_within_real_time() -> None:
    sessions = manager_builder("sqlite+aiosqlite://", MovableClock())(
        absolute_timeout=1, idle_timeout=1, access_token_lifetime=1
    )
    async with SessionManager(sessions.settings) as real:
        session = await new_session(real)
        began = time.monotonic()
        await asyncio.wait_for(session.wait_until_ended(), PATIENCE)
        assert time.monotonic() - began > 0.9


async def test_cancelled_it_leaves_no_listener_and_no_timer(new_manager: NewManager) -> None:
    async with new_manager() as sessions:
        session = await new_session(sessions)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(session.wait_until_ended(), 0.01)
        assert waiting(sessions) == 0
        loop = asyncio.get_running_loop()
        timers = [timer for timer in loop._scheduled if not timer.cancelled()]  # type: ignore[attr-defined]
        assert not any("Watch" in repr(timer) for timer in timers)


async def test_of_a_session_that_is_over_it_returns_at_once(new_manager: NewManager) -> None:
    async with new_manager() as sessions:
        session = await new_session(sessions)
        await session.revoke_session()
        for _ in range(2):
            await asyncio.wait_for(session.wait_until_ended(), PATIENCE)
        assert waiting(sessions) == 0


@pytest.mark.parametrize("check", ["feed", "database", "none"])
async def test_also_where_that_is_so_long_ago_that_the_feed_has_forgotten_it(
    new_manager: NewManager, clock: MovableClock, check: str
) -> None:
    async with new_manager(revocation_check=check) as sessions:
        session = await new_session(sessions)
        await session.revoke_session()
        if sessions.lifecycle._feed is not None:
            for _ in range(2):
                sessions.lifecycle._feed._noted.age()
        clock.advance(3600)
        await asyncio.wait_for(session.wait_until_ended(), PATIENCE)


async def test_of_an_old_session_that_stands_it_waits(new_manager: NewManager, clock: MovableClock) -> None:
    async with new_manager() as sessions:
        session = await new_session(sessions)
        clock.advance(3600)
        wait = asyncio.create_task(session.wait_until_ended())
        await asyncio.sleep(0.05)
        assert not wait.done()
        await session.revoke_session()
        await returns(wait)


async def test_of_an_old_session_it_says_when_the_database_cannot_be_asked(
    new_manager: NewManager, clock: MovableClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def unavailable(*_: object, **__: object) -> None:
        raise StoreUnavailable

    async with new_manager() as sessions:
        session = await new_session(sessions)
        clock.advance(3600)
        monkeypatch.setattr(SessionRepository, "find", unavailable)
        with pytest.raises(StoreUnavailable):
            await asyncio.wait_for(session.wait_until_ended(), PATIENCE)
        assert waiting(sessions) == 0


async def test_it_returns_when_another_process_ends_the_session(store_url: str, clock: MovableClock) -> None:
    build = manager_builder(store_url, clock)
    quick = {"revocation_poll_interval": 0.1}
    async with build(**quick) as here, build(**quick) as there:
        session = await new_session(here)
        wait = asyncio.create_task(session.wait_until_ended())
        await asyncio.sleep(0)
        assert await there.revoke_all_sessions_for_user("alice") == 1
        await returns(wait)


async def test_the_name_of_before_still_works_and_says_what_it_is_called_now(new_manager: NewManager) -> None:
    async with new_manager() as sessions:
        session = await new_session(sessions)
        await session.revoke_session()
        with pytest.warns(DeprecationWarning, match="wait_until_ended"):
            await asyncio.wait_for(session.ended(), PATIENCE)
