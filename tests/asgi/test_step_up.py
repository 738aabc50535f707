"""Routes that ask for more than a login, and how a session comes to have it."""

from datetime import timedelta
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route

from asgi_sessions import SessionManager, error_answer, get_session, require_session, session_routes
from asgi_sessions.errors import ReauthenticationRequired
from asgi_sessions.protocol.durations import from_ms
from tests.asgi.apps import ACCESS, LIFETIME, REFRESH, application, cookies_set, described, new_manager
from tests.asgi.conftest import OpenClient
from tests.clocks import MovableClock


async def step_up(request: Request) -> Response:
    session = await get_session(request)
    await session.add_authentication_method(request.query_params["method"])
    return JSONResponse({"level": session.authentication_level})


def steps(**requirements: Any) -> list[Route]:
    dependency = require_session(**requirements)

    async def endpoint(request: Request) -> Response:
        return JSONResponse(described(await dependency(request)))

    return [Route("/guarded", endpoint, methods=["GET", "POST"]), Route("/step-up", step_up, methods=["POST"])]


def answer(client: Any) -> tuple[int, dict[str, Any], str | None]:
    response = client.get("/guarded")
    assert cookies_set(response) == {} or response.status_code == 200
    told = {name: value for name, value in response.json().items() if name not in {"detail", "code"}}
    if response.status_code == 403:
        assert response.json()["code"] == "reauthentication_required"
    return response.status_code, told, response.headers.get("www-authenticate")


CHALLENGE = 'Bearer realm="session", error="insufficient_user_authentication"'


def test_a_method_is_asked_for_added_and_enough(open_client: OpenClient, sessions: SessionManager) -> None:
    client = open_client(application(sessions, *steps(methods={"otp"})))
    client.post("/login", json={"user_id": "alice", "authentication_methods": ["pwd"]})
    refresh = client.cookies[REFRESH]
    assert answer(client) == (403, {"methods": ["otp"]}, CHALLENGE)
    raised = client.post("/step-up?method=otp")
    assert raised.json() == {"level": 2}
    assert set(cookies_set(raised)) == {ACCESS}
    assert client.cookies[REFRESH] == refresh
    assert client.get("/guarded").status_code == 200


def test_a_raised_session_stays_raised_through_refreshes(
    open_client: OpenClient, sessions: SessionManager, clock: MovableClock
) -> None:
    client = open_client(application(sessions, *steps(methods={"pwd", "otp"}, level=2)))
    client.post("/login", json={"user_id": "alice", "authentication_methods": ["pwd"]})
    client.post("/step-up?method=otp")
    for _ in range(3):
        clock.advance(LIFETIME)
        assert client.get("/guarded").status_code == 200


def test_an_answer_that_was_made_before_does_not_take_the_method_away(
    open_client: OpenClient, sessions: SessionManager, clock: MovableClock
) -> None:
    async def slow(request: Request) -> Response:
        await get_session(request)  # refreshes: its tokens are made before the method is added in another tab
        other = await sessions.get_session_without_request(other_tab)
        await other.add_authentication_method("otp")
        return JSONResponse({})

    client = open_client(application(sessions, *steps(methods={"otp"}), Route("/slow", slow)))
    client.post("/login")
    other_tab = client.cookies[ACCESS]
    clock.advance(LIFETIME - 2)
    client.cookies.delete(ACCESS)
    assert set(cookies_set(client.get("/slow"))) == {ACCESS, REFRESH}
    assert client.get("/guarded").status_code == 200


def test_every_method_that_is_missing_is_named(open_client: OpenClient, sessions: SessionManager) -> None:
    client = open_client(application(sessions, *steps(methods=["otp", "my-own", "pwd"])))
    client.post("/login", json={"user_id": "alice", "authentication_methods": ["pwd"]})
    assert answer(client)[1] == {"methods": ["otp", "my-own"]}


@pytest.mark.parametrize("within", [timedelta(minutes=1), 60, 60.0])
def test_a_method_has_to_be_recent(
    within: timedelta | float, open_client: OpenClient, sessions: SessionManager, clock: MovableClock
) -> None:
    client = open_client(application(sessions, *steps(methods={"otp"}, within=within)))
    client.post("/login", json={"user_id": "alice", "authentication_methods": ["otp"]})
    clock.advance(60)
    assert client.get("/guarded").status_code == 200
    clock.advance(0.001)
    client.post("/step-up?method=pwd")  # another one does not make it younger
    assert answer(client) == (403, {"methods": ["otp"], "max_age": 60}, f'{CHALLENGE}, max_age="60"')
    client.post("/step-up?method=otp")
    assert client.get("/guarded").status_code == 200


def test_a_level_asks_for_different_factors(open_client: OpenClient, sessions: SessionManager) -> None:
    client = open_client(application(sessions, *steps(level=2)))
    client.post("/login", json={"user_id": "alice", "authentication_methods": ["pwd"]})
    client.post("/step-up?method=pin")  # one more thing that is known
    assert answer(client) == (403, {"level": 2}, CHALLENGE)
    client.post("/step-up?method=hwk")
    assert client.get("/guarded").status_code == 200


def test_for_a_recent_level_each_factor_has_to_be_recent(
    open_client: OpenClient, sessions: SessionManager, clock: MovableClock
) -> None:
    client = open_client(application(sessions, *steps(level=2, within=60)))
    client.post("/login", json={"user_id": "alice", "authentication_methods": ["pwd", "otp"]})
    clock.advance(61)
    client.post("/step-up?method=otp")
    assert answer(client)[1] == {"level": 2, "max_age": 60}
    client.post("/step-up?method=pwd")
    assert client.get("/guarded").status_code == 200


def test_any_method_makes_the_last_authentication_recent(
    open_client: OpenClient, sessions: SessionManager, clock: MovableClock
) -> None:
    client = open_client(application(sessions, *steps(max_auth_age=60)))
    client.post("/login")
    clock.advance(61)
    assert answer(client) == (403, {"max_age": 60}, f'{CHALLENGE}, max_age="60"')
    client.post("/step-up?method=otp")
    assert client.get("/guarded").status_code == 200


def test_a_session_without_methods_has_none_that_is_asked_for(
    open_client: OpenClient, sessions: SessionManager
) -> None:
    client = open_client(application(sessions, *steps(methods={"pwd"})))
    client.post("/login")
    assert answer(client)[1] == {"methods": ["pwd"]}


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"methods": ["OTP"]}, "methods"),
        ({"methods": []}, "methods"),
        ({"methods": [f"m{number}" for number in range(11)]}, "methods"),
        ({"level": 0}, "level"),
        ({"level": 4}, "level"),
        ({"within": 60}, "within"),
        ({"within": 60, "max_auth_age": 60}, "within"),
        ({"methods": ["otp"], "within": -1}, "within"),
    ],
)
def test_a_requirement_that_makes_no_sense_is_a_mistake(wrong: dict[str, Any], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        require_session(**wrong)


def test_who_am_i_and_my_devices_tell_of_the_methods(
    open_client: OpenClient, sessions: SessionManager, clock: MovableClock
) -> None:
    client = open_client(application(sessions, *steps(), Mount("/auth", routes=session_routes())))
    client.post("/login", json={"user_id": "alice", "authentication_methods": ["pwd"]})
    at = from_ms(clock()).isoformat()
    assert client.get("/auth/session").json()["authentication_methods"] == {"pwd": at}
    assert [device["authentication_methods"] for device in client.get("/auth/sessions").json()] == [{"pwd": at}]


def test_headers_carry_the_raised_token(open_client: OpenClient, clock: MovableClock) -> None:
    sessions = new_manager(clock, token_transport="header")
    client = open_client(application(sessions, *steps(methods={"otp"})))
    token = client.post("/login").headers["st-access-token"]
    raised = client.post("/step-up?method=otp", headers={"authorization": f"Bearer {token}"})
    bearer = {"authorization": f"Bearer {raised.headers['st-access-token']}"}
    assert client.get("/guarded", headers=bearer).status_code == 200
    assert client.get("/guarded", headers={"authorization": f"Bearer {token}"}).status_code == 403


def test_other_frameworks_get_the_same_answer() -> None:
    error = ReauthenticationRequired(methods=("otp",), level=2, max_age=0)
    told = error_answer(Request({"type": "http", "headers": []}), error)
    assert (told.status_code, told.headers["WWW-Authenticate"]) == (403, f'{CHALLENGE}, max_age="0"')
    assert told.content == {
        "detail": error.detail,
        "code": "reauthentication_required",
        "methods": ["otp"],
        "level": 2,
        "max_age": 0,
    }
