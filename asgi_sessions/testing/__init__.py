"""Helpers for the tests of applications: log in within one line, use a second browser, move the time, fake a session.

To get the fixtures `session_clock`, `session_settings` and `session_manager`, add a line to conftest.py:
``pytest_plugins = ["asgi_sessions.testing.pytest_plugin"]``.
"""

from asgi_sessions.testing.clients import async_login, client, login, second_client
from asgi_sessions.testing.clock import MovableClock
from asgi_sessions.testing.fake import FakeSession, fake_session

__all__ = ["FakeSession", "MovableClock", "async_login", "client", "fake_session", "login", "second_client"]
