"""What a browser fetches before anybody wants it makes no tokens, and no session lasts longer by it."""

from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.testclient import TestClient

from asgi_sessions import SessionManager, get_optional_session, require_session, session_routes
from tests.asgi.apps import ACCESS, LIFETIME, Jar, application, cookies_set, described
from tests.asgi.conftest import OpenClient
from tests.clocks import MovableClock
from tests.security.statements import counted

AHEAD = {"sec-purpose": "prefetch;prerender", "sec-fetch-site": "none"}
ANSWER = {"detail": "Not ahead of time. Ask again when the page is wanted.", "code": "fetched_ahead"}
carefully = require_session(csrf=True)


async def guest(request: Request) -> Response:
    session = await get_optional_session(request)
    return JSONResponse({"user": session.user_id if session else None})


async def careful(request: Request) -> Response:
    return JSONResponse(described(await carefully(request)))


@pytest.fixture
def client(open_client: OpenClient, sessions: SessionManager) -> TestClient:
    return open_client(
        application(
            sessions,
            Route("/guest", guest),
            Route("/careful", careful),
            Mount("/auth", routes=session_routes()),
        )
    )


@pytest.mark.parametrize("path", ["/me", "/guest"])
@pytest.mark.parametrize(
    "headers", [AHEAD, {"sec-purpose": "prefetch"}, {"purpose": "prefetch"}, {"x-moz": "prefetch"}]
)
def test_a_page_that_is_fetched_ahead_rotates_nothing(
    headers: dict[str, str], path: str, client: TestClient, clock: MovableClock
) -> None:
    """Nor is it shown as nobody's at the click: an answer of 503 is dropped."""
    client.post("/login")
    clock.advance(LIFETIME)
    with counted() as statements:
        for _ in range(3):
            response = client.get(path, headers=headers)
            assert (response.status_code, response.json()) == (503, ANSWER)
            assert response.headers.get_list("cache-control") == ["no-store"]
            assert cookies_set(response) == {}
    assert statements == []
    # The click, and a tab beside it, refresh as before.
    before = Jar(dict(client.cookies))
    response = client.get(path)
    assert response.json()["user"] == "alice"
    assert ACCESS in cookies_set(response)
    late = client.get(path, headers=before.header)
    assert late.json()["user"] == "alice"


def test_with_a_good_access_token_it_is_served(client: TestClient) -> None:
    client.post("/login")
    for path in ("/me", "/guest"):
        response = client.get(path, headers=AHEAD)
        assert (response.status_code, response.json()["user"]) == (200, "alice")
        assert cookies_set(response) == {}


def test_nobody_is_nobody(client: TestClient) -> None:
    assert client.get("/guest", headers=AHEAD).json() == {"user": None}
    assert client.get("/me", headers=AHEAD).status_code == 401


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_it_logs_nobody_in(method: str, client: TestClient) -> None:
    client.post("/login")
    headers = AHEAD | {"sec-fetch-site": "same-origin"}
    response = client.request(method, "/login", params={"user": "bob"}, headers=headers)
    assert (response.status_code, cookies_set(response)) == (503, {})
    assert client.get("/me").json()["user"] == "alice"


def test_it_refreshes_and_logs_out_nobody_where_the_site_is_none(client: TestClient, clock: MovableClock) -> None:
    client.post("/login")
    for path in ("/auth/session/refresh", "/auth/signout"):
        response = client.post(path, headers=AHEAD)
        assert (response.status_code, response.json()["code"]) == (403, "csrf_rejected")
    response = client.post("/auth/session/refresh", headers=AHEAD | {"sec-fetch-site": "same-origin"})
    assert (response.status_code, cookies_set(response)) == (503, {})
    assert client.get("/me").json()["user"] == "alice"


def test_none_is_not_the_address_bar_where_safe_methods_are_checked_too(client: TestClient) -> None:
    client.post("/login")
    assert client.get("/careful", headers={"sec-fetch-site": "none"}).status_code == 200
    assert client.get("/careful", headers=AHEAD).json()["code"] == "csrf_rejected"


@pytest.mark.parametrize("ahead", [True, False])
def test_a_session_lasts_no_longer_by_it(ahead: bool, client: TestClient, clock: MovableClock) -> None:
    client.post("/login")
    clock.advance(LIFETIME)
    assert client.get("/me", headers={"x-background-request": "1"}).status_code == 200  # a token that still may extend
    before: Any = client.get("/auth/session").json()["idle_expires_at"]
    assert client.get("/me", headers=AHEAD if ahead else {}).status_code == 200
    assert (client.get("/auth/session").json()["idle_expires_at"] == before) == ahead
