"""The pytest plugin. Outside the package, and importing nothing: pytest loads it at every start, wanted or not.

A plugin in the package would import all of it first: a second for every test run of the environment, before warnings
filters and coverage are set up.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from asgi_sessions import SessionManager, SessionSettings
    from asgi_sessions.testing import MovableClock


@pytest.fixture
def session_clock() -> MovableClock:
    """The time of `session_manager`: stands until ``session_clock.advance(…)``."""
    from asgi_sessions.testing import MovableClock  # noqa: PLC0415

    return MovableClock()


@pytest.fixture
def session_settings(tmp_path: Path) -> SessionSettings:
    """Settings with an empty SQLite database of this test alone; the rest as ``ASGI_SESSIONS_*`` says.

    Override the fixture to test with other settings.
    """
    from sqlalchemy import URL  # noqa: PLC0415

    from asgi_sessions import SessionSettings  # noqa: PLC0415

    return SessionSettings(
        database_url=URL.create("sqlite+aiosqlite", database=str(tmp_path / "sessions.db")),
        secret_key=secrets.token_urlsafe(48),
    )


@pytest.fixture
def session_manager(session_settings: SessionSettings, session_clock: MovableClock) -> SessionManager:
    """A manager for `SessionMiddleware`, which starts it, or for ``async with session_manager:``."""
    from asgi_sessions import SessionManager  # noqa: PLC0415

    return SessionManager(session_settings, clock=session_clock)
