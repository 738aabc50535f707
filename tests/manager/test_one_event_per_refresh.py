"""A browser that wakes up refreshes with many requests at once: that is one event for each generation and worker."""

import asyncio
import logging

import pytest

from asgi_sessions import SessionManager
from asgi_sessions.manager import once_per_generation
from asgi_sessions.manager.once_per_generation import OncePerGeneration
from tests.clocks import MovableClock


@pytest.fixture
def told(caplog: pytest.LogCaptureFixture) -> list[int]:
    caplog.set_level(logging.INFO, "asgi_sessions.audit")
    generations: list[int] = []

    def note(record: logging.LogRecord) -> bool:
        if vars(record).get("event") == "session.refreshed":
            generations.append(vars(record)["generation"])
        return True

    caplog.handler.addFilter(note)
    return generations


async def test_a_wave_of_refreshes_is_one_event(sessions: SessionManager, clock: MovableClock, told: list[int]) -> None:
    async with sessions:
        lifecycle = sessions.lifecycle
        issued = await sessions.create_new_session_without_request("alice")
        other = await sessions.create_new_session_without_request("bob")
        token = await lifecycle.refresher.authentic(issued.refresh_token.value)
        assert token is not None
        children = await asyncio.gather(*(lifecycle.refresher.refresh(token) for _ in range(30)))
        values = {child.tokens.refresh_token.value for child in children if child.tokens is not None}
        assert len(values) == 30
        assert told == [1]

        # A twin is of the same generation; the next child is not, and another session has its own.
        child = await lifecycle.refresher.authentic(values.pop())
        assert child is not None
        await lifecycle.refresher.refresh(child)
        assert told == [1]
        clock.advance(301)
        await asyncio.gather(*(lifecycle.refresher.refresh(child) for _ in range(5)))
        bobs = await lifecycle.refresher.authentic(other.refresh_token.value)
        assert bobs is not None
        await lifecycle.refresher.refresh(bobs)
        assert told == [1, 2, 1]


def test_what_is_remembered_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(once_per_generation, "MOST_REMEMBERED", 2)
    told = OncePerGeneration()
    assert told.is_new("a", 1)
    assert told.is_new("b", 1)
    assert not told.is_new("a", 1)
    assert told.is_new("a", 2)
    assert not told.is_new("a", 1)
    assert told.is_new("c", 1)  # forgets b, which was refreshed the longest ago
    assert not told.is_new("a", 2)
    assert told.is_new("b", 1)
