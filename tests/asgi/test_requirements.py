"""What get_optional_session and require_session ask for beyond a session."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from asgi_sessions import SessionManager, get_optional_session, require_session
from asgi_sessions.asgi.dependency import SessionDependency
from tests.asgi.apps import LIFETIME, application, cookies_set, described, new_manager
from tests.asgi.conftest import OpenClient
from tests.clocks import MovableClock

FROM_ELSEWHERE = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}


def guarded(dependency: SessionDependency[Any]) -> Route:
    async def endpoint(request: Request) -> Response:
        session = await dependency(request)
        return JSONResponse(described(session) if session else None)

    return Route("/guarded", endpoint, methods=["GET", "POST"])


def test_an_optional_session_is_none_for_guests_and_the_session_otherwise(
    open_client: OpenClient, sessions: SessionManager
) -> None:
    client = open_client(application(sessions, guarded(get_optional_session)))
    assert client.get("/guarded").json() is None
    client.post("/login")
    assert client.get("/guarded").json()["user"] == "alice"


def test_an_optional_session_does_not_swallow_csrf(open_client: OpenClient, sessions: SessionManager) -> None:
    client = open_client(application(sessions, guarded(get_optional_session)))
    client.post("/login")
    response = client.post("/guarded", headers={"sec-fetch-site": "cross-site"})
    assert (response.status_code, response.json()["code"]) == (403, "csrf_rejected")
    assert cookies_set(response) == {}


def test_an_optional_session_asks_guests_for_no_origin(open_client: OpenClient, sessions: SessionManager) -> None:
    client = open_client(application(sessions, guarded(get_optional_session)))
    assert client.post("/guarded", headers={"sec-fetch-site": "cross-site"}).json() is None


def test_an_optional_session_says_when_it_must_be_refreshed(open_client: OpenClient, clock: MovableClock) -> None:
    # None would show a logged-in user the page for guests, every five minutes.
    client = open_client(application(new_manager(clock, refresh="endpoint"), guarded(get_optional_session)))
    client.post("/login")
    clock.advance(LIFETIME)
    assert client.get("/guarded").json()["code"] == "try_refresh_token"


def test_an_optional_session_does_not_swallow_theft(
    open_client: OpenClient, sessions: SessionManager, clock: MovableClock
) -> None:
    client = open_client(application(sessions, guarded(get_optional_session)))
    client.post("/login")
    old = "; ".join(f"{cookie.name}={cookie.value}" for cookie in client.cookies.jar)
    for _ in range(3):
        clock.advance(LIFETIME)
        client.get("/me")
    assert client.get("/guarded", headers={"cookie": old}).json()["code"] == "token_theft_detected"


@pytest.mark.parametrize(
    ("csrf", "method", "status"),
    [
        (None, "GET", 200),
        (None, "POST", 403),
        (True, "GET", 403),
        (True, "POST", 403),
        (False, "GET", 200),
        (False, "POST", 200),
    ],
)
def test_csrf_is_checked_as_asked(
    csrf: bool | None, method: str, status: int, open_client: OpenClient, sessions: SessionManager
) -> None:
    client = open_client(application(sessions, guarded(require_session(csrf=csrf))))
    client.post("/login")
    assert client.request(method, "/guarded", headers=FROM_ELSEWHERE).status_code == status


def test_with_csrf_off_a_route_can_still_ask_for_it(open_client: OpenClient, clock: MovableClock) -> None:
    sessions = new_manager(clock, csrf="off")
    client = open_client(application(sessions, guarded(require_session(csrf=True))))
    client.post("/login", headers=FROM_ELSEWHERE)
    assert client.post("/me", headers=FROM_ELSEWHERE).status_code == 200
    assert client.post("/guarded", headers=FROM_ELSEWHERE).status_code == 403
    assert client.post("/guarded", headers={"sec-fetch-site": "same-origin"}).status_code == 200


@pytest.mark.parametrize("mode", ["token", "both"])
def test_the_csrf_token_comes_with_login_and_refresh_and_is_demanded(
    mode: str, open_client: OpenClient, clock: MovableClock
) -> None:
    client = open_client(application(new_manager(clock, csrf=mode)))
    token = client.post("/login").headers["anti-csrf"]
    assert client.post("/me", headers={"anti-csrf": token}).status_code == 200
    for headers in ({}, {"anti-csrf": "wrong"}):
        response = client.get("/me", headers=headers)
        assert (response.status_code, response.json()["code"]) == (401, "try_refresh_token")
        assert cookies_set(response) == {}
    clock.advance(LIFETIME)
    refreshed = client.get("/me", headers={"anti-csrf": token})
    assert refreshed.status_code == 200
    assert client.get("/me", headers={"anti-csrf": refreshed.headers["anti-csrf"]}).status_code == 200


def test_require_origin_refuses_scripts_that_send_none(open_client: OpenClient, clock: MovableClock) -> None:
    client = open_client(application(new_manager(clock, require_origin=True)))
    assert client.post("/login").status_code == 403
    assert client.post("/login", headers={"origin": "https://testserver"}).status_code == 200
    assert client.post("/me").status_code == 403
    assert client.get("/me").status_code == 200


def test_a_trusted_origin_passes(open_client: OpenClient, clock: MovableClock) -> None:
    client = open_client(application(new_manager(clock, trusted_origins="https://shop.example")))
    headers = {"origin": "https://shop.example", "sec-fetch-site": "cross-site"}
    assert client.post("/login", headers=headers).status_code == 200
    assert client.post("/me", headers=headers).status_code == 200


@pytest.mark.parametrize("headers", [FROM_ELSEWHERE, {"origin": "null"}, {"origin": "https://evil.example"}])
def test_another_site_can_neither_log_in_nor_out(
    headers: dict[str, str], open_client: OpenClient, sessions: SessionManager
) -> None:
    client = open_client(application(sessions))
    assert client.post("/login", headers=headers).json()["code"] == "csrf_rejected"
    client.post("/login")
    assert client.post("/logout", headers=headers).json()["code"] == "csrf_rejected"
    assert client.get("/me").status_code == 200


def test_check_database_sees_a_revocation_at_once(open_client: OpenClient, clock: MovableClock) -> None:
    sessions = new_manager(clock, revocation_check="none")
    client = open_client(application(sessions, guarded(require_session(check_database=True))))
    client.post("/login")
    assert client.get("/guarded").status_code == 200
    client.portal.call(sessions.revoke_all_sessions_for_user, "alice")  # type: ignore[union-attr]
    assert client.get("/me").status_code == 200
    assert client.get("/guarded").status_code == 401


@pytest.mark.parametrize("max_auth_age", [timedelta(minutes=1), 60, 60.0])
def test_a_login_that_is_too_old_must_be_repeated(
    max_auth_age: timedelta | float, open_client: OpenClient, sessions: SessionManager, clock: MovableClock
) -> None:
    client = open_client(application(sessions, guarded(require_session(max_auth_age=max_auth_age))))
    client.post("/login")
    clock.advance(60)
    assert client.get("/guarded").status_code == 200
    clock.advance(0.001)
    response = client.get("/guarded")
    assert (response.status_code, response.json()["code"]) == (403, "reauthentication_required")
    assert cookies_set(response) == {}


def test_no_refresh_makes_a_login_younger(
    open_client: OpenClient, sessions: SessionManager, clock: MovableClock
) -> None:
    client = open_client(application(sessions, guarded(require_session(max_auth_age=60))))
    client.post("/login")
    clock.advance(LIFETIME)
    assert client.get("/me").status_code == 200
    assert client.get("/guarded").json()["code"] == "reauthentication_required"
    client.post("/login")
    assert client.get("/guarded").status_code == 200


def test_a_negative_age_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="max_auth_age"):
        require_session(max_auth_age=-1)


def longer_than_two(value: Any) -> bool:
    return len(value) > 2


@pytest.mark.parametrize(
    ("claims", "payload", "good"),
    [
        ({"role": "admin"}, {"role": "admin", "more": 1}, True),
        ({"role": "admin"}, {"role": "user"}, False),
        ({"role": "admin"}, {}, False),
        ({"role": "admin"}, None, False),
        ({"role": "admin"}, ["role", "admin"], False),
        ({"level": 1}, {"level": True}, False),
        ({"level": 1}, {"level": 1.0}, False),
        ({"level": None}, {}, False),
        ({"level": None}, {"level": None}, True),
        ({"name": longer_than_two}, {"name": "abc"}, True),
        ({"name": longer_than_two}, {"name": "a"}, False),
        ({"role": "admin", "name": longer_than_two}, {"role": "admin", "name": "a"}, False),
    ],
)
def test_claims_must_be_held(
    claims: dict[str, Any | Callable[[Any], bool]],
    payload: Any,
    good: bool,
    open_client: OpenClient,
    sessions: SessionManager,
) -> None:
    client = open_client(application(sessions, guarded(require_session(claims=claims))))
    client.post("/login", json={"user_id": "alice", "jwt_payload": payload})
    response = client.get("/guarded")
    if good:
        assert response.status_code == 200
    else:
        assert (response.status_code, response.json()["code"]) == (403, "invalid_claim")
        assert cookies_set(response) == {}
