"""A login over plain http, whose Secure cookies the client will not send back, is told once in the log."""

import logging

import pytest

from asgi_sessions import SessionManager
from tests.asgi.apps import application, new_manager
from tests.asgi.conftest import OpenClient
from tests.clocks import MovableClock


def told(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    return [record for record in caplog.records if "came over plain http" in record.message]


def test_it_is_told_once_with_the_remedies(
    open_client: OpenClient, sessions: SessionManager, caplog: pytest.LogCaptureFixture
) -> None:
    client = open_client(application(sessions), base_url="http://testserver")
    for _ in range(2):
        assert client.post("/login").status_code == 200
        assert client.get("/me").status_code == 401
    (record,) = told(caplog)
    assert "http://testserver" in record.message
    assert "testing.client(app)" in record.message
    assert (record.name, record.levelname) == ("asgi_sessions", "WARNING")


@pytest.mark.parametrize(
    ("scheme", "headers"),
    [
        ("https", {}),
        ("http", {"host": "localhost:8000"}),
        ("http", {"host": "shop.localhost"}),
        ("http", {"host": "127.0.0.1:8000"}),
        ("http", {"host": "[::1]:8000"}),
        ("http", {"host": "[::1]"}),
        ("http", {"x-forwarded-proto": "https"}),
        ("http", {"x-forwarded-for": "203.0.113.7"}),
        ("http", {"forwarded": "proto=https"}),
    ],
)
def test_it_is_not_told_where_the_cookies_come_back(
    scheme: str,
    headers: dict[str, str],
    open_client: OpenClient,
    sessions: SessionManager,
    caplog: pytest.LogCaptureFixture,
) -> None:
    client = open_client(application(sessions), base_url=f"{scheme}://testserver")
    assert client.post("/login", headers=headers | {"user-agent": "Mozilla/5.0"}).status_code == 200
    assert told(caplog) == []


@pytest.mark.parametrize("agent", ["python-httpx/0.28.1", "python-requests/2.32.3", "Python/3.11 aiohttp/3.9", None])
def test_to_pythons_clients_localhost_is_like_any_host(
    agent: str | None, open_client: OpenClient, sessions: SessionManager, caplog: pytest.LogCaptureFixture
) -> None:
    client = open_client(application(sessions), base_url="http://localhost:8000")
    if agent is not None:  # else this very client's own
        client.headers["user-agent"] = agent
    assert client.post("/login").status_code == 200
    assert client.get("/me").status_code == 401
    (record,) = told(caplog)
    assert "http://localhost:8000" in record.message
    assert "ASGI_SESSIONS_COOKIE_SECURE=false" in record.message


def test_no_host_breaks_out_of_its_line(
    open_client: OpenClient, sessions: SessionManager, caplog: pytest.LogCaptureFixture
) -> None:
    client = open_client(application(sessions), base_url="http://testserver")
    assert client.post("/login", headers={b"host": b"a\x85\x1b[2Jb' c"}).status_code == 200
    (record,) = told(caplog)
    assert record.message.isprintable()


@pytest.mark.parametrize("settings", [{"cookie_secure": False}, {"token_transport": "header"}])
def test_it_is_not_told_where_no_secure_cookie_was_set(
    settings: dict[str, object], open_client: OpenClient, clock: MovableClock, caplog: pytest.LogCaptureFixture
) -> None:
    client = open_client(application(new_manager(clock, **settings)), base_url="http://testserver")
    assert client.post("/login").status_code == 200
    assert told(caplog) == []
