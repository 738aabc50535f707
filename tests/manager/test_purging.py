"""What ended is deleted in time, tombstones later, by one worker."""

import asyncio
import logging
from typing import Any

import pytest

from asgi_sessions import SessionManager, StoreUnavailable
from asgi_sessions.manager.runtime import Runtime
from asgi_sessions.store.repository import SessionRepository
from tests.clocks import MovableClock
from tests.manager.conftest import NewManager
from tests.patience import PATIENCE


async def test_expired_sessions_are_purged_and_live_ones_are_not(sessions: SessionManager, clock: MovableClock) -> None:
    async with sessions:
        for _ in range(3):
            await sessions.create_new_session_without_request("alice")
        clock.advance(days=13)
        await sessions.create_new_session_without_request("alice")
        assert await sessions.purge_expired_sessions() == 0
        clock.advance(days=1)
        assert await sessions.purge_expired_sessions() == 3
        assert await sessions.purge_expired_sessions() == 0
        assert len(await sessions.get_all_session_handles_for_user("alice")) == 1


async def test_no_more_are_purged_than_asked(sessions: SessionManager, clock: MovableClock) -> None:
    async with sessions:
        for _ in range(3):
            await sessions.create_new_session_without_request("alice")
        clock.advance(days=14)
        assert await sessions.purge_expired_sessions(limit=2) == 2
        assert await sessions.purge_expired_sessions(limit=2) == 1


async def test_tombstones_stay_two_access_lifetimes_and_the_staleness(
    new_manager: NewManager, clock: MovableClock
) -> None:
    settings = {"access_token_lifetime": "5m", "revocation_max_staleness": "30s"}
    async with new_manager(**settings) as sessions:
        issued = await sessions.create_new_session_without_request("alice")
        await sessions.revoke_session_using_session_handle(issued.session.session_handle)
        row = await sessions.lifecycle._sessions.find(issued.session.session_handle)
        assert row is not None
        assert row.revoked_at is not None
        clock.now = row.revoked_at + 630_000  # revoked_at is the database's clock
        assert await sessions.purge_expired_sessions() == 0
        clock.advance(0.001)
        assert await sessions.purge_expired_sessions() == 1


class Purges:
    """Counts the purges of the background tasks."""

    def __init__(self) -> None:
        self.by: list[Any] = []
        self.enough = asyncio.Event()
        self.wanted = 1

    def seen(self, who: Any) -> None:
        self.by.append(who)
        if len(self.by) >= self.wanted:
            self.enough.set()


@pytest.fixture
def purges(monkeypatch: pytest.MonkeyPatch) -> Purges:
    seen = Purges()
    purge = Runtime.purge

    async def counted(self: Runtime, *, limit: int | None = None) -> int:
        try:
            return await purge(self, limit=limit)
        finally:
            seen.seen(self)

    monkeypatch.setattr(Runtime, "purge", counted)
    return seen


async def test_one_worker_purges_at_a_time(
    new_manager: NewManager, purges: Purges, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("asgi_sessions.manager.runtime.FIRST_PURGE_MS", 10)
    async with new_manager(purge_interval="1h") as one, new_manager(purge_interval="1h") as two:
        await asyncio.wait_for(purges.enough.wait(), PATIENCE)
        first = purges.by[0]
        for worker in (one, two):
            runtime = worker._runtime()
            assert await runtime._leases.acquire("purge", runtime._name, 3_600_000) is (runtime is first)


async def test_the_purge_goes_on_after_the_store_was_away(
    new_manager: NewManager, purges: Purges, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    failures: list[Exception] = [OSError("disk"), StoreUnavailable()]
    purge = SessionRepository.purge

    async def fail_twice(self: SessionRepository, *arguments: Any, **options: Any) -> int:
        if failures:
            raise failures.pop()
        return await purge(self, *arguments, **options)

    monkeypatch.setattr(SessionRepository, "purge", fail_twice)
    purges.wanted = 3
    with caplog.at_level(logging.WARNING, "asgi_sessions"):
        async with new_manager(purge_interval="10ms"):
            await asyncio.wait_for(purges.enough.wait(), PATIENCE)
    assert "The purge was put off" in caplog.text
    assert "The purge failed" in caplog.text


async def test_no_interval_means_no_purge(new_manager: NewManager) -> None:
    async with new_manager(purge_interval=0) as sessions:
        await sessions.create_new_session_without_request("alice")
        assert not purges_in_background()
    async with new_manager(purge_interval="1h"):
        assert purges_in_background()
    assert not purges_in_background()


def purges_in_background() -> bool:
    return any(task.get_name() == "asgi_sessions purge" for task in asyncio.all_tasks())
