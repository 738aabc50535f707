"""Fixtures, enabled by ``pytest_plugins = ["asgi_sessions.testing.pytest_plugin"]`` in conftest.py.

The package does not announce them to pytest by an entry point. That would import the package at every start of pytest
in the environment, before warnings and coverage are set up.
"""

import secrets
from pathlib import Path

import pytest
from sqlalchemy import URL

from asgi_sessions import SessionManager, SessionSettings
from asgi_sessions.testing import MovableClock


@pytest.fixture
def session_clock() -> MovableClock:
    """The clock of `session_manager`. It stands still until ``session_clock.advance(…)``."""
    return MovableClock()


@pytest.fixture
def session_settings(tmp_path: Path) -> SessionSettings:
    """Settings with an empty SQLite database for this test alone; the other settings come from ``ASGI_SESSIONS_*``.

    Override the fixture to test with other settings.
    """
    return SessionSettings(
        database_url=URL.create("sqlite+aiosqlite", database=str(tmp_path / "sessions.db")),
        secret_key=secrets.token_urlsafe(48),
    )


@pytest.fixture
def session_manager(session_settings: SessionSettings, session_clock: MovableClock) -> SessionManager:
    """A manager that `SessionMiddleware` starts; without a middleware use ``async with session_manager:``."""
    return SessionManager(session_settings, clock=session_clock)
