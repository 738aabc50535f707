"""A payload that somebody else has changed: the next request has it, and its response the access token for it."""

import logging
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocket

from asgi_sessions import SessionManager, get_session, require_session
from tests.asgi.apps import ACCESS, LIFETIME, application, cookies_set, manager_of, new_manager
from tests.asgi.conftest import OpenClient
from tests.clocks import MovableClock
from tests.security.statements import counted


async def change_of(connection: Any, handle: str, **values: Any) -> None:
    await manager_of(connection).change_jwt_payload(handle, lambda payload: {**payload, **values})


async def demote(request: Request) -> Response:
    """As an administrator does; the request needs no session of its own."""
    await change_of(request, request.query_params["handle"], role="user")
    return JSONResponse({})


async def prefer_dark(request: Request) -> Response:
    session = await get_session(request)
    if request.query_params.get("meanwhile"):
        await change_of(request, session.session_handle, role="user")
    await session.update_jwt_payload({**session.jwt_payload, "theme": "dark"})
    return JSONResponse({})


async def twice(request: Request) -> Response:
    before = (await get_session(request)).jwt_payload
    await change_of(request, (await get_session(request)).session_handle, role="user")
    session = await get_session(request)
    assert session is not None
    return JSONResponse([before, session.jwt_payload, (await get_session(request)).jwt_payload])


async def stream(request: Request) -> Response:
    async def parts() -> Any:
        session = await get_session(request)
        yield session.jwt_payload["role"]
        await change_of(request, session.session_handle, role="user")
        yield " " + (await get_session(request)).jwt_payload["role"]

    return StreamingResponse(parts())


async def socket(websocket: WebSocket) -> None:
    session = await get_session(websocket)
    await websocket.accept()
    async for what in websocket.iter_text():
        if what == "check":
            await session.check()
        elif what == "ask":
            session = await get_session(websocket)
        await websocket.send_text(session.jwt_payload["role"])


ONLY_ADMINS = require_session(claims={"role": "admin"})


async def office(request: Request) -> Response:
    await ONLY_ADMINS(request)
    return JSONResponse({})


ROUTES = [
    Route("/demote", demote, methods=["POST"]),
    Route("/dark", prefer_dark),
    Route("/twice", twice),
    Route("/stream", stream),
    Route("/office", office),
    WebSocketRoute("/socket", socket),
]


def logged_in(open_client: OpenClient, sessions: SessionManager, **headers: str) -> tuple[TestClient, str]:
    client = open_client(application(sessions, *ROUTES))
    given = {"user_id": "alice", "jwt_payload": {"role": "admin"}}
    handle = client.post("/login", json=given, headers=headers).json()["handle"]
    return client, handle


@pytest.fixture
def alice(open_client: OpenClient, sessions: SessionManager) -> tuple[TestClient, str]:
    return logged_in(open_client, sessions)


def role(client: TestClient) -> str:
    said: str = client.get("/me").json()["payload"]["role"]
    return said


def test_the_next_request_has_it_and_gets_the_new_access_token_alone(alice: tuple[TestClient, str]) -> None:
    client, handle = alice
    client.post(f"/demote?handle={handle}")
    response = client.get("/me")
    assert response.json()["payload"] == {"role": "user"}
    assert cookies_set(response).keys() == {ACCESS}
    assert response.headers["cache-control"] == "no-store"
    with counted() as statements:
        response = client.get("/me")
    assert response.json()["payload"] == {"role": "user"}
    assert cookies_set(response) == {}
    assert statements == []


def test_what_requires_the_role_refuses_it_and_hands_out_the_new_token_all_the_same(
    alice: tuple[TestClient, str],
) -> None:
    client, handle = alice
    assert client.get("/office").status_code == 200
    client.post(f"/demote?handle={handle}")
    response = client.get("/office")
    assert (response.status_code, response.json()["code"]) == (403, "invalid_claim")
    assert cookies_set(response).keys() == {ACCESS}


def test_the_new_access_token_lasts_no_longer(open_client: OpenClient, clock: MovableClock) -> None:
    client, handle = logged_in(open_client, new_manager(clock, refresh="endpoint"))
    clock.advance(LIFETIME - 2)
    client.post(f"/demote?handle={handle}")
    assert role(client) == "user"
    clock.advance(2)
    assert client.get("/me").json()["code"] == "try_refresh_token"


def test_a_client_that_keeps_its_old_token_has_the_new_payload_all_the_same(alice: tuple[TestClient, str]) -> None:
    client, handle = alice
    old = client.cookies[ACCESS]
    client.post(f"/demote?handle={handle}")
    for _ in range(3):
        client.cookies.clear()
        client.cookies.set(ACCESS, old)
        assert role(client) == "user"


@pytest.mark.parametrize("check", ["feed", "database"])
def test_a_native_client_gets_it_in_a_header(open_client: OpenClient, clock: MovableClock, check: str) -> None:
    sessions = new_manager(clock, token_transport="any", revocation_check=check)
    client = open_client(application(sessions, *ROUTES))
    given = {"user_id": "alice", "jwt_payload": {"role": "admin"}}
    response = client.post("/login", json=given, headers={"st-auth-mode": "header"})
    old = response.headers["st-access-token"]
    client.post(f"/demote?handle={response.json()['handle']}")
    response = client.get("/me", headers={"authorization": f"Bearer {old}"})
    assert response.json()["payload"] == {"role": "user"}
    assert cookies_set(response) == {}
    new = response.headers["st-access-token"]
    response = client.get("/me", headers={"authorization": f"Bearer {new}"})
    assert response.json()["payload"] == {"role": "user"}
    assert "st-access-token" not in response.headers


@pytest.mark.parametrize("promote_on", ["refresh", "first_use"])
def test_it_stays_after_refreshes(open_client: OpenClient, clock: MovableClock, promote_on: str) -> None:
    client, handle = logged_in(open_client, new_manager(clock, promote_on=promote_on))
    client.post(f"/demote?handle={handle}")
    for _ in range(3):
        assert role(client) == "user"
        clock.advance(LIFETIME)


def test_within_one_request_it_is_known_when_it_is_asked_for_again(alice: tuple[TestClient, str]) -> None:
    client, _ = alice
    response = client.get("/twice")
    assert response.json() == [{"role": "admin"}, {"role": "user"}, {"role": "user"}]
    assert cookies_set(response).keys() == {ACCESS}
    with counted() as statements:
        assert role(client) == "user"
    assert statements == []


def test_an_update_that_would_undo_it_is_answered_409_and_goes_through_when_repeated(
    alice: tuple[TestClient, str],
) -> None:
    client, _ = alice
    response = client.get("/dark?meanwhile=yes")
    assert (response.status_code, response.json()["code"]) == (409, "payload_changed")
    assert cookies_set(response).keys() == {ACCESS}
    assert client.get("/dark").status_code == 200
    assert client.get("/me").json()["payload"] == {"role": "user", "theme": "dark"}


def test_an_open_stream_has_it_when_it_asks_and_says_nothing_of_a_token_that_cannot_leave(
    alice: tuple[TestClient, str], caplog: pytest.LogCaptureFixture
) -> None:
    client, _ = alice
    caplog.clear()
    response = client.get("/stream")
    assert response.text == "admin user"
    assert cookies_set(response) == {}
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []
    assert role(client) == "user"


def test_an_open_socket_has_it_when_it_checks_or_asks(alice: tuple[TestClient, str]) -> None:
    client, handle = alice
    for question in ("check", "ask"):
        with client.websocket_connect("wss://testserver/socket") as websocket:
            websocket.send_text("hello")
            assert websocket.receive_text() == "admin"
            client.post(f"/demote?handle={handle}")
            websocket.send_text("hello")
            assert websocket.receive_text() == "admin"
            websocket.send_text(question)
            assert websocket.receive_text() == "user"
        client.post("/login", json={"user_id": "alice", "jwt_payload": {"role": "admin"}})
        handle = client.get("/me").json()["handle"]
