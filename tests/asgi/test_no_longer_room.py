"""A payload that was accepted by other settings and fits into no cookie by these: nobody is logged out, no 500."""

from pathlib import Path
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient

from asgi_sessions import PayloadTooLarge, SessionManager
from asgi_sessions.manager import refreshing
from tests.asgi.apps import (
    ACCESS,
    BASE_URL,
    LIFETIME,
    MARKER,
    REFRESH,
    Jar,
    application,
    cookies_set,
    described,
    manager_of,
    new_manager,
)
from tests.asgi.conftest import OpenClient
from tests.clocks import MovableClock

SECRET = "0123456789abcdef0123456789abcdef-first"
LARGE = "x" * 2_680
LONGER_TOKENS = {"promote_on": "first_use"}
IDLE = 14 * 24 * 3600


pytestmark = pytest.mark.usefixtures("at_the_time_of_day")


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite+aiosqlite:///{tmp_path / 'sessions.db'}"


@pytest.fixture
def jar(clock: MovableClock, url: str) -> Jar:
    """Of somebody who has logged in when tokens were shorter."""
    with TestClient(application(_manager(clock, url)), base_url=BASE_URL) as client:
        return Jar().take(client.post("/login", json={"user_id": "alice", "jwt_payload": LARGE}))


def _manager(clock: MovableClock, url: str, **settings: Any) -> SessionManager:
    return new_manager(clock, database_url=url, secret_key=SECRET, **settings)


def test_requests_are_served_without_tokens_until_the_refresh_token_expires(
    open_client: OpenClient, clock: MovableClock, url: str, jar: Jar, caplog: pytest.LogCaptureFixture
) -> None:
    client = open_client(application(_manager(clock, url, **LONGER_TOKENS)))
    clock.advance(LIFETIME)
    for _ in range(3):
        answer = client.get("/me", headers=jar.header)
        assert (answer.status_code, answer.json()["payload"]) == (200, LARGE)
        assert cookies_set(answer) == {}
        clock.advance(10)
    clock.advance(IDLE)
    assert client.get("/me", headers=jar.header).status_code == 401
    [said] = [record for record in caplog.records if record.name == refreshing.__name__]
    assert said.levelname == "ERROR"
    assert "no longer fits into a cookie" in said.getMessage()
    assert LARGE not in caplog.text


def test_a_refresh_that_was_asked_for_gives_nothing(
    open_client: OpenClient, clock: MovableClock, url: str, jar: Jar
) -> None:
    async def refresh(request: Request) -> Response:
        return JSONResponse(described(await manager_of(request).refresh_session(request)))

    sessions = _manager(clock, url, **LONGER_TOKENS)
    client = open_client(application(sessions, Route("/refresh", refresh, methods=["POST"])))
    clock.advance(LIFETIME)
    for _ in range(2):
        answer = client.post("/refresh", headers={**jar.header, "sec-fetch-site": "same-origin"})
        assert (answer.status_code, cookies_set(answer)) == (200, {})
    assert client.get("/me", headers=jar.header).status_code == 200


def test_with_the_settings_of_before_all_is_as_before(
    open_client: OpenClient, clock: MovableClock, url: str, jar: Jar
) -> None:
    with TestClient(application(_manager(clock, url, **LONGER_TOKENS)), base_url=BASE_URL) as client:
        clock.advance(LIFETIME)
        assert client.get("/me", headers=jar.header).status_code == 200
    client = open_client(application(_manager(clock, url)))
    answer = client.get("/me", headers=jar.header)
    assert cookies_set(answer).keys() - {MARKER} == {ACCESS, REFRESH}
    assert client.get("/me", headers=jar.take(answer).header).status_code == 200


async def test_without_a_request_the_caller_is_told(clock: MovableClock, url: str) -> None:
    async with _manager(clock, url) as sessions:
        issued = await sessions.create_new_session_without_request("alice", jwt_payload=LARGE)
    async with _manager(clock, url, **LONGER_TOKENS) as sessions:
        clock.advance(LIFETIME)
        with pytest.raises(PayloadTooLarge):
            await sessions.refresh_session_without_request(issued.refresh_token.value)
    async with _manager(clock, url) as sessions:
        again = await sessions.refresh_session_without_request(issued.refresh_token.value)
        assert again.session.jwt_payload == LARGE
