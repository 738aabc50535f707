"""The cookies leave with whatever response goes out after ``session.revoke_session()``, as long as one can."""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from starlette.background import BackgroundTask
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import (
    FileResponse,
    JSONResponse,
    PlainTextResponse,
    RedirectResponse,
    Response,
    StreamingResponse,
)
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient, WebSocketDenialResponse
from starlette.websockets import WebSocket, WebSocketDisconnect

from asgi_sessions import InvalidClaim, SessionManager, get_optional_session, get_session
from tests.asgi.apps import CLEARED, Jar, application, cookies_set, new_manager, set_cookie_headers
from tests.asgi.conftest import OpenClient
from tests.clocks import MovableClock

Ending = Callable[[Request], Awaitable[Response]]


class OutOfStock(Exception):
    """An application's own error."""


async def out_of_stock(_: Request, error: Exception) -> Response:
    return PlainTextResponse(str(error), 410)


async def _chunks() -> AsyncIterator[str]:
    yield "one"
    yield "two"


async def returned(_: Request) -> Response:
    return JSONResponse({})


async def redirected(_: Request) -> Response:
    return RedirectResponse("/public", 303)


async def streamed(_: Request) -> Response:
    return StreamingResponse(_chunks())


async def a_file(_: Request) -> Response:
    return FileResponse(Path(__file__))


async def no_content(_: Request) -> Response:
    return Response(status_code=204)


async def not_modified(_: Request) -> Response:
    return Response(status_code=304)


async def handled_exception(_: Request) -> Response:
    raise OutOfStock("gone")


async def http_exception(_: Request) -> Response:
    raise HTTPException(418)


async def session_error(_: Request) -> Response:
    raise InvalidClaim("role")


def after_revoking(ending: Ending) -> Ending:
    async def endpoint(request: Request) -> Response:
        await (await get_session(request)).revoke_session()
        return await ending(request)

    return endpoint


def logged_in(open_client: OpenClient, sessions: SessionManager, ending: Ending, **options: bool) -> TestClient:
    app = application(sessions, Route("/end", ending), exception_handlers={OutOfStock: out_of_stock})
    client = open_client(app, follow_redirects=False, **options)
    client.post("/login")
    return client


@pytest.mark.parametrize(
    ("ending", "status"),
    [
        (returned, 200),
        (redirected, 303),
        (streamed, 200),
        (a_file, 200),
        (no_content, 204),
        (not_modified, 304),
        (handled_exception, 410),
        (http_exception, 418),
        (session_error, 403),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_the_cookies_leave_with(ending: Ending, status: int, open_client: OpenClient, sessions: SessionManager) -> None:
    client = logged_in(open_client, sessions, after_revoking(ending))
    response = client.get("/end")
    assert response.status_code == status
    assert cookies_set(response) == CLEARED
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["clear-site-data"] == '"prefetchCache", "prerenderCache"'


def test_the_cookies_leave_with_the_answer_to_head(open_client: OpenClient, sessions: SessionManager) -> None:
    client = logged_in(open_client, sessions, after_revoking(returned))
    assert cookies_set(client.head("/end")) == CLEARED


def test_clearing_repeats_name_path_and_attributes(open_client: OpenClient, sessions: SessionManager) -> None:
    client = logged_in(open_client, sessions, after_revoking(returned))
    end = "=; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=0; HttpOnly; Secure; SameSite=Lax"
    assert set_cookie_headers(client.get("/end")) == [name + end for name in CLEARED]


def test_after_logout_nobody_is_logged_in(open_client: OpenClient, sessions: SessionManager) -> None:
    client = logged_in(open_client, sessions, after_revoking(returned))
    client.get("/end")
    assert client.get("/me").status_code == 401


def test_with_an_unhandled_error_the_session_is_revoked_and_the_next_request_clears_the_cookies(
    open_client: OpenClient, sessions: SessionManager
) -> None:
    async def crash(_: Request) -> Response:
        raise OSError("disk")

    client = logged_in(open_client, sessions, after_revoking(crash), raise_server_exceptions=False)
    crashed = client.get("/end")
    assert crashed.status_code == 500
    assert cookies_set(crashed) == {}
    following = client.get("/me")
    assert following.status_code == 401
    assert cookies_set(following) == CLEARED


def test_revoking_in_a_started_stream_ends_the_session_and_says_that_the_cookies_stayed(
    open_client: OpenClient, sessions: SessionManager, caplog: pytest.LogCaptureFixture
) -> None:
    async def endpoint(request: Request) -> Response:
        session = await get_session(request)

        async def chunks() -> AsyncIterator[str]:
            yield "one"
            await session.revoke_session()
            yield "two"

        return StreamingResponse(chunks())

    client = logged_in(open_client, sessions, endpoint)
    with caplog.at_level(logging.WARNING, "asgi_sessions"):
        response = client.get("/end")
    assert response.text == "onetwo", "whoever ends the session in a stream knows what is to follow"
    assert cookies_set(response) == {}
    assert "already started" in caplog.text
    assert cookies_set(client.get("/me")) == CLEARED


def test_revoking_in_a_background_task_ends_the_session(
    open_client: OpenClient, sessions: SessionManager, caplog: pytest.LogCaptureFixture
) -> None:
    async def endpoint(request: Request) -> Response:
        session = await get_session(request)
        return JSONResponse({}, background=BackgroundTask(session.revoke_session))

    client = logged_in(open_client, sessions, endpoint)
    assert cookies_set(client.get("/end")) == {}
    assert [record.levelname for record in caplog.records if "already started" in record.message] == ["WARNING"]
    assert client.get("/me").status_code == 401


def test_revoking_twice_is_no_error(open_client: OpenClient, sessions: SessionManager) -> None:
    client = logged_in(open_client, sessions, after_revoking(after_revoking_again))
    assert cookies_set(client.get("/end")) == CLEARED


async def after_revoking_again(request: Request) -> Response:
    return JSONResponse({"gone": await get_optional_session(request) is None})


@pytest.mark.parametrize("revocation_check", ["database", "none"])
def test_a_session_that_this_request_has_ended_is_not_found_again(
    revocation_check: str, open_client: OpenClient, clock: MovableClock
) -> None:
    sessions = new_manager(clock, revocation_check=revocation_check)
    client = logged_in(open_client, sessions, after_revoking(after_revoking_again))
    assert client.get("/end").json() == {"gone": True}


def test_revoking_by_handle_touches_no_cookie(open_client: OpenClient, sessions: SessionManager) -> None:
    async def endpoint(request: Request) -> Response:
        session = await get_session(request)
        assert await sessions.revoke_session_using_session_handle(session.session_handle)
        assert await sessions.revoke_all_sessions_for_user("alice") == 0
        return JSONResponse({})

    client = logged_in(open_client, sessions, endpoint)
    assert cookies_set(client.get("/end")) == {}


def test_revoking_when_the_session_is_already_gone_clears_the_cookies(
    open_client: OpenClient, sessions: SessionManager
) -> None:
    async def endpoint(request: Request) -> Response:
        session = await get_session(request)
        await sessions.revoke_session_using_session_handle(session.session_handle)
        await session.revoke_session()
        return JSONResponse({})

    client = logged_in(open_client, sessions, endpoint)
    assert cookies_set(client.get("/end")) == CLEARED


def test_ending_the_old_session_after_a_new_login_keeps_the_new_cookies(
    open_client: OpenClient, sessions: SessionManager
) -> None:
    async def endpoint(request: Request) -> Response:
        old = await get_session(request)
        await sessions.create_new_session(request, "bob")
        await old.revoke_session()
        return JSONResponse({})

    client = logged_in(open_client, sessions, endpoint)
    client.get("/end")
    assert client.get("/me").json()["user"] == "bob"


async def refusing_socket(websocket: WebSocket) -> None:
    await (await get_session(websocket)).revoke_session()
    await websocket.close(4000)


def test_a_websocket_closed_before_accept_becomes_a_denial_that_clears_the_cookies(
    open_client: OpenClient, sessions: SessionManager
) -> None:
    client = open_client(application(sessions, WebSocketRoute("/socket", refusing_socket)))
    client.post("/login")
    with pytest.raises(WebSocketDenialResponse) as denied, client.websocket_connect("wss://testserver/socket"):
        pass
    assert denied.value.status_code == 403
    assert cookies_set(denied.value) == CLEARED


def test_a_websocket_denial_response_carries_the_cookies(open_client: OpenClient, sessions: SessionManager) -> None:
    async def socket(websocket: WebSocket) -> None:
        await (await get_session(websocket)).revoke_session()
        await websocket.send_denial_response(PlainTextResponse("no", 451))

    client = open_client(application(sessions, WebSocketRoute("/socket", socket)))
    client.post("/login")
    with pytest.raises(WebSocketDenialResponse) as denied, client.websocket_connect("wss://testserver/socket"):
        pass
    assert denied.value.status_code == 451
    assert cookies_set(denied.value) == CLEARED


def test_a_websocket_that_only_looked_is_closed_with_its_own_code(
    open_client: OpenClient, sessions: SessionManager
) -> None:
    async def socket(websocket: WebSocket) -> None:
        await get_session(websocket)
        await websocket.close(4000)

    client = open_client(application(sessions, WebSocketRoute("/socket", socket)))
    client.post("/login")
    with pytest.raises(WebSocketDisconnect) as closed, client.websocket_connect("wss://testserver/socket"):
        pass
    assert not isinstance(closed.value, WebSocketDenialResponse)
    assert closed.value.code == 4000


async def test_where_the_server_offers_no_denial_the_websocket_is_closed(sessions: SessionManager) -> None:
    app = application(sessions, WebSocketRoute("/socket", refusing_socket))
    async with sessions:
        issued = await sessions.create_new_session_without_request("alice")
        jar = Jar({"__Host-sAccessToken": issued.access_token.value})
        sent = await opened_socket(app, jar)
    assert sent == [{"type": "websocket.close", "code": 4000, "reason": ""}]


async def opened_socket(app: object, jar: Jar) -> list[dict[str, object]]:
    """What a server without the denial extension is told when a socket is opened."""
    sent: list[dict[str, object]] = []

    async def receive() -> dict[str, object]:
        return {"type": "websocket.connect"}

    async def send(message: dict[str, object]) -> None:
        sent.append(message)

    scope = {
        "type": "websocket",
        "path": "/socket",
        "headers": [(b"host", b"testserver"), *((name.encode(), value.encode()) for name, value in jar.header.items())],
        "query_string": b"",
        "scheme": "wss",
        "subprotocols": [],
    }
    await app(scope, receive, send)  # type: ignore[operator]  # any ASGI application
    return sent
