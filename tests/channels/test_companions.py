"""What runs beside a manager is woken by each end of a session: its own worker's, and by a channel those of others."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from asgi_sessions import SessionManager, SessionSettings
from asgi_sessions.manager.companions import Opened
from tests.channels.conftest import Wire, new_worker, until
from tests.patience import PATIENCE


def woken_beside(sessions: SessionManager) -> asyncio.Event:
    """Set whenever what runs beside this manager is woken."""
    woken = asyncio.Event()

    @asynccontextmanager
    async def companion(opened: Opened) -> AsyncIterator[None]:
        opened.wakes.append(woken.set)
        yield

    sessions.companions.add("tests", companion)
    return woken


@pytest.mark.parametrize("revocation_check", ["feed", "none"])
async def test_an_end_on_its_own_worker_wakes_it(revocation_check: str) -> None:
    settings = SessionSettings(database_url="sqlite+aiosqlite://", purge_interval=0, revocation_check=revocation_check)
    sessions = SessionManager(settings)
    woken = woken_beside(sessions)
    async with sessions:
        issued = await sessions.create_new_session_without_request("alice")
        assert not woken.is_set()
        await sessions.revoke_session_using_session_handle(issued.session.session_handle)
        assert woken.is_set()


@pytest.mark.parametrize("revocation_check", ["feed", "none"])
async def test_an_end_on_another_worker_wakes_it_where_there_is_a_channel(revocation_check: str, wire: Wire) -> None:
    here, there = (new_worker(wire.settings, revocation_check=revocation_check) for _ in range(2))
    own, others = woken_beside(here), woken_beside(there)
    async with here, there, asyncio.timeout(PATIENCE):
        await until(lambda: wire.listeners() == 2)
        issued = await here.create_new_session_without_request("alice")
        await here.revoke_session_using_session_handle(issued.session.session_handle)
        assert own.is_set()
        await others.wait()


async def test_its_own_workers_end_wakes_it_though_the_channel_hangs(wire: Wire) -> None:
    sessions = new_worker(wire.settings)
    woken = woken_beside(sessions)
    async with sessions:
        await until(lambda: wire.listeners() == 1)
        issued = await sessions.create_new_session_without_request("alice")
        wire.silence()
        woken.clear()  # the channel was proved by a message
        await sessions.revoke_session_using_session_handle(issued.session.session_handle)
        assert woken.is_set()
        wire.speak()
