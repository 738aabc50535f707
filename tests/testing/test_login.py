"""`login`: one line, and the client is where a browser would be after the application's own login."""

import uuid
from datetime import timedelta
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Mount, Route
from starlette.testclient import TestClient

from asgi_sessions import (
    ConfigurationError,
    PayloadTooLarge,
    SessionLimitReached,
    SessionManager,
    SessionMiddleware,
    Unauthorised,
    get_session,
)
from asgi_sessions.protocol.user_id import UserId
from asgi_sessions.testing import MovableClock, login
from tests.testing.conftest import NewManager, application


async def who(request: Request) -> JSONResponse:
    session = await get_session(request)
    return JSONResponse({"user": session.user_id, "payload": session.jwt_payload})


def test_login_is_one_line(app: FastAPI) -> None:
    with TestClient(app) as client:
        login(client, "42", jwt_payload={"role": "admin"})
        assert client.get("/me").json() == {"user": "42", "payload": {"role": "admin"}}


def test_a_client_that_has_not_logged_in_is_nobody(app: FastAPI) -> None:
    with TestClient(app) as client:
        assert client.get("/me").status_code == 401


@pytest.mark.parametrize("user_id", ["42", 42, uuid.UUID(int=42)])
def test_login_returns_the_session_with_the_user_id_as_given(app: FastAPI, user_id: UserId) -> None:
    with TestClient(app) as client:
        session = login(client, user_id, jwt_payload=[1])
        assert session.user_id == user_id
        assert type(session.user_id) is type(user_id)
        assert session.jwt_payload == [1]
        assert client.get("/auth/session").json()["session_handle"] == session.session_handle


def test_the_returned_session_works_on_the_clients_event_loop(app: FastAPI) -> None:
    with TestClient(app) as client:
        session = login(client, "42")
        assert client.portal is not None
        client.portal.call(session.update_session_info, {"basket": 3})
        assert client.get("/info").json() == {"basket": 3}


def test_the_cookies_are_in_the_jar_with_the_attributes_that_were_set(app: FastAPI) -> None:
    with TestClient(app) as client:
        login(client, "42")
        cookies = {cookie.name: cookie for cookie in client.cookies.jar}
        assert set(cookies) == {"__Host-sAccessToken", "__Host-sRefreshToken"}
        assert all(cookie.secure and cookie.path == "/" for cookie in cookies.values())
        assert all(cookie.has_nonstandard_attr("HttpOnly") for cookie in cookies.values())


def test_an_http_base_url_becomes_https_where_cookies_are_secure(app: FastAPI) -> None:
    with TestClient(app, base_url="http://shop.example:8000/api") as client:
        login(client, "42")
        assert str(client.base_url) == "https://shop.example:8000/api/"


def test_an_http_base_url_stays_where_cookies_are_not_secure(new_manager: NewManager) -> None:
    with TestClient(application(new_manager(cookie_secure=False))) as client:
        login(client, "42")
        assert client.base_url.scheme == "http"
        assert client.get("/me").status_code == 200


def test_a_base_url_with_a_path_is_no_hindrance(sessions: SessionManager) -> None:
    app = Starlette(routes=[Mount("/api", routes=[Route("/me", who)])])
    app.add_middleware(SessionMiddleware, manager=sessions)
    with TestClient(app, base_url="http://testserver/api") as client:
        login(client, "42")
        assert client.get("/me").json()["user"] == "42"


def test_logging_out_through_the_application_empties_the_jar(app: FastAPI) -> None:
    with TestClient(app) as client:
        login(client, "42")
        assert client.post("/logout").status_code == 200
        assert not list(client.cookies.jar)
        assert client.get("/me").status_code == 401


def test_cookies_of_earlier_settings_are_no_hindrance(new_manager: NewManager) -> None:
    with TestClient(application(new_manager(older_cookie_prefixes="none", older_cookie_paths="/earlier"))) as client:
        login(client, "42")
        assert client.get("/me").status_code == 200


def test_a_second_login_ends_the_session_before(app: FastAPI, sessions: SessionManager) -> None:
    with TestClient(app) as client:
        first = login(client, "42")
        login(client, "43")
        assert client.get("/me").json()["user"] == "43"
        assert client.portal is not None
        assert client.portal.call(sessions.revoke_session_using_session_handle, first.session_handle) is False


def test_the_session_refreshes_by_itself_when_time_passes(app: FastAPI, clock: MovableClock) -> None:
    with TestClient(app) as client:
        login(client, "42")
        before = client.cookies["__Host-sAccessToken"]
        clock.advance(timedelta(minutes=6))
        assert client.get("/me").status_code == 200
        assert client.cookies["__Host-sAccessToken"] != before


def test_the_session_ends_when_it_has_been_idle_for_too_long(app: FastAPI, clock: MovableClock) -> None:
    with TestClient(app) as client:
        login(client, "42")
        clock.advance(timedelta(days=14))
        assert client.get("/me").status_code == 401


def test_a_websocket_carries_the_session(app: FastAPI) -> None:
    with TestClient(app) as client:
        login(client, "42")
        with client.websocket_connect("wss://testserver/socket") as socket:
            assert socket.receive_json() == {"user": "42"}


def test_with_header_transport_the_client_sends_the_bearer_token(new_manager: NewManager) -> None:
    with TestClient(application(new_manager(token_transport="header"))) as client:
        login(client, "42")
        assert client.headers["authorization"].startswith("Bearer ")
        assert not list(client.cookies.jar)
        assert client.base_url.scheme == "http"
        assert client.get("/me").json()["user"] == "42"


def test_with_either_transport_the_client_is_a_browser(new_manager: NewManager) -> None:
    with TestClient(application(new_manager(token_transport="any"))) as client:
        login(client, "42")
        assert "authorization" not in client.headers
        assert client.get("/me").json()["user"] == "42"


def test_with_either_transport_a_client_that_asks_for_headers_gets_them(new_manager: NewManager) -> None:
    app = application(new_manager(token_transport="any"))
    with TestClient(app, headers={"st-auth-mode": "header"}) as client:
        login(client, "42")
        assert client.headers["authorization"].startswith("Bearer ")
        assert client.get("/me").json()["user"] == "42"


@pytest.mark.parametrize("mode", ["token", "both"])
def test_the_client_sends_the_anti_csrf_token(new_manager: NewManager, mode: str) -> None:
    with TestClient(application(new_manager(csrf=mode))) as client:
        login(client, "42")
        assert client.post("/logout").status_code == 200


def test_login_works_where_an_origin_is_required(new_manager: NewManager) -> None:
    with TestClient(application(new_manager(require_origin=True))) as client:
        login(client, "42")
        assert client.get("/me").json()["user"] == "42"


def test_login_speaks_the_supertokens_protocol(new_manager: NewManager) -> None:
    sessions = new_manager(client_protocol="supertokens", csrf="token", refresh="endpoint", cookie_prefix="none")
    with TestClient(application(sessions)) as client:
        login(client, "42")
        assert {cookie.name for cookie in client.cookies.jar} == {"sAccessToken", "sRefreshToken", "sIdRefreshToken"}
        assert client.get("/me").json()["user"] == "42"


def test_the_refresh_endpoint_gets_the_refresh_cookie(new_manager: NewManager, clock: MovableClock) -> None:
    with TestClient(application(new_manager(refresh="endpoint"))) as client:
        login(client, "42")
        clock.advance(301)
        assert client.get("/me").json()["code"] == "try_refresh_token"
        assert client.post("/auth/session/refresh").status_code == 200
        assert client.get("/me").status_code == 200


def test_an_access_cookie_for_one_path_goes_there(new_manager: NewManager) -> None:
    app = Starlette(routes=[Route("/app/me", who)])
    app.add_middleware(SessionMiddleware, manager=new_manager(access_token_path="/app"))
    with TestClient(app) as client:
        login(client, "42")
        assert client.get("/app/me").json()["user"] == "42"


def test_a_cookie_domain_goes_with_a_base_url_of_that_domain(new_manager: NewManager) -> None:
    app = application(new_manager(cookie_domain="shop.example"))
    with TestClient(app, base_url="https://www.shop.example") as client:
        login(client, "42")
        assert client.get("/me").json()["user"] == "42"


def test_a_cookie_domain_that_is_not_the_clients_is_an_error(new_manager: NewManager) -> None:
    with (
        TestClient(application(new_manager(cookie_domain="shop.example"))) as client,
        pytest.raises(ConfigurationError, match="cookie_domain"),
    ):
        login(client, "42")


# -- finding the manager


def test_starlettes_middleware_list_is_looked_into(sessions: SessionManager) -> None:
    app = Starlette(routes=[Route("/me", who)], middleware=[Middleware(SessionMiddleware, manager=sessions)])
    with TestClient(app) as client:
        login(client, "42")
        assert client.get("/me").json()["user"] == "42"


def test_a_manager_given_by_position_is_found(sessions: SessionManager) -> None:
    app = Starlette(routes=[Route("/me", who)], middleware=[Middleware(SessionMiddleware, sessions)])
    with TestClient(app) as client:
        assert login(client, "42").user_id == "42"


def test_wrapped_applications_are_looked_into(sessions: SessionManager) -> None:
    app = CORSMiddleware(SessionMiddleware(Starlette(routes=[Route("/me", who)]), sessions))
    with TestClient(app) as client:
        login(client, "42")
        assert client.get("/me").json()["user"] == "42"


def test_mounted_applications_are_looked_into(sessions: SessionManager) -> None:
    inner = Starlette(routes=[Route("/me", who)])
    inner.add_middleware(SessionMiddleware, manager=sessions)
    # The lifespan reaches the outer middleware alone.
    app = SessionMiddleware(Starlette(routes=[Mount("/inner", inner)]), sessions)
    with TestClient(app) as client:
        login(client, "42")
        assert client.get("/inner/me").json()["user"] == "42"


def test_an_application_without_the_middleware_is_an_error() -> None:
    with (
        TestClient(Starlette()) as client,
        pytest.raises(ConfigurationError, match="found no SessionMiddleware"),
    ):
        login(client, "42")


def test_of_several_managers_one_must_be_named(new_manager: NewManager) -> None:
    customers, staff = new_manager(), new_manager(cookie_prefix="__Secure-staff-", table_prefix="staff_")
    app = Starlette(routes=[Route("/me", who)])
    app.add_middleware(SessionMiddleware, manager=customers)
    app.add_middleware(SessionMiddleware, manager=staff)
    with TestClient(app) as client:
        with pytest.raises(ConfigurationError, match="2 session managers"):
            login(client, "42")
        login(client, "42", manager=customers)
        assert client.get("/me").json()["user"] == "42"


def test_a_manager_out_of_sight_can_be_named(sessions: SessionManager) -> None:
    inside = SessionMiddleware(Starlette(routes=[Route("/me", who)]), sessions)

    async def hidden(scope: Any, receive: Any, send: Any) -> None:
        await inside(scope, receive, send)

    with TestClient(hidden) as client:
        with pytest.raises(ConfigurationError, match="manager=sessions"):
            login(client, "42")
        login(client, "42", manager=sessions)
        assert client.get("/me").json()["user"] == "42"


# -- what can go wrong


def test_a_client_without_with_is_an_error_that_names_it(app: FastAPI) -> None:
    with pytest.raises(ConfigurationError, match=r"with testing.client\(app\)"):
        login(TestClient(app), "42")


def test_a_manager_that_is_not_running_is_an_error_that_names_the_cure(new_manager: NewManager) -> None:
    with (
        TestClient(Starlette()) as client,
        pytest.raises(ConfigurationError, match="async with sessions"),
    ):
        login(client, "42", manager=new_manager())


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"user_id": True}, TypeError),
        ({"user_id": "x" * 256}, ValueError),
        ({"user_id": "42", "jwt_payload": {1: 2}}, TypeError),
        ({"user_id": "42", "jwt_payload": "x" * 4096}, PayloadTooLarge),
    ],
)
def test_what_create_new_session_refuses_is_raised(
    app: FastAPI, arguments: dict[str, Any], error: type[Exception]
) -> None:
    with TestClient(app) as client:
        with pytest.raises(error):
            login(client, **arguments)
        assert not list(client.cookies.jar)


def test_session_errors_are_raised_and_not_answered(new_manager: NewManager) -> None:
    app = application(new_manager(max_sessions_per_user=1, max_sessions_action="reject"))
    with TestClient(app) as client:
        login(client, "42")
        client.cookies.clear()
        with pytest.raises(SessionLimitReached):
            login(client, "42")


def test_a_revoked_session_of_the_test_is_gone_for_the_client(app: FastAPI) -> None:
    with TestClient(app) as client:
        session = login(client, "42")
        assert client.portal is not None
        client.portal.call(session.revoke_session)
        assert client.get("/me").status_code == 401
        with pytest.raises(Unauthorised):
            client.portal.call(session.check)
