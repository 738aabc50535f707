"""Errors that nobody handled become answers, in the right place; applications' own handlers come first."""

import re
from typing import Any

import pytest
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse as FastJSONResponse
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.testclient import TestClient, WebSocketDenialResponse
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect

from asgi_sessions import (
    AlreadyRotated,
    ConfigurationError,
    CsrfRejected,
    FetchedAhead,
    GeneralError,
    ImpersonationRefused,
    InvalidClaim,
    PayloadTooLarge,
    ReauthenticationRequired,
    SessionError,
    SessionLimitReached,
    SessionManager,
    SessionMiddleware,
    StoreUnavailable,
    TokenTheftDetected,
    TryRefreshToken,
    Unauthorised,
    get_optional_session,
    get_session,
    session_exception_handler,
    session_routes,
)
from asgi_sessions.fastapi import CurrentSession
from asgi_sessions.store.repository import SessionRepository
from asgi_sessions.store.tombstones import TombstoneStore
from tests.asgi.apps import CLEARED, LIFETIME, Jar, application, cookies_set, me, new_manager
from tests.asgi.conftest import OpenClient
from tests.clocks import MovableClock
from tests.revocation.polling import grow_old, poll, stop_polling

UNAUTHORISED = {"detail": "Not logged in.", "code": "unauthorised"}


def raising(error: Exception) -> Route:
    async def endpoint(request: Request) -> Response:
        raise error

    return Route("/raise", endpoint)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (Unauthorised("secret reason"), 401),
        (TryRefreshToken("secret reason"), 401),
        (TokenTheftDetected("h" * 32, "alice"), 401),
        (FetchedAhead("secret reason"), 503),
        (AlreadyRotated("h" * 32, 3), 409),
        (CsrfRejected("secret reason"), 403),
        (InvalidClaim("role"), 403),
        (ReauthenticationRequired(), 403),
        (SessionLimitReached(), 403),
        (ImpersonationRefused(), 403),
        (StoreUnavailable("secret reason", retry_after=7), 503),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
def test_an_error_becomes_detail_and_code(
    error: SessionError, status: int, open_client: OpenClient, sessions: SessionManager
) -> None:
    response = open_client(application(sessions, raising(error))).get("/raise")
    assert response.status_code == status
    assert response.json() == {"detail": type(error).detail, "code": error.code}
    assert response.headers["cache-control"] == "no-store"
    assert ("www-authenticate" in response.headers) == (status == 401 or isinstance(error, ReauthenticationRequired))
    assert response.headers.get("retry-after") == ("7" if isinstance(error, StoreUnavailable) else None)


def test_www_authenticate_is_not_basic(open_client: OpenClient, sessions: SessionManager) -> None:
    response = open_client(application(sessions)).get("/me")
    assert response.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize("error", [ConfigurationError("x: wrong"), PayloadTooLarge("too large"), GeneralError()])
def test_a_mistake_of_the_application_is_a_500_with_its_traceback(
    error: SessionError, open_client: OpenClient, sessions: SessionManager
) -> None:
    app = application(sessions, raising(error))
    with pytest.raises(type(error)):
        open_client(app).get("/raise")
    assert open_client(app, raise_server_exceptions=False).get("/raise").status_code == 500


def test_a_refusal_names_no_token(
    open_client: OpenClient, sessions: SessionManager, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(0)
    client = open_client(application(sessions))
    jar = Jar().take(client.post("/login"))
    client.portal.call(sessions.revoke_all_sessions_for_user, "alice")  # type: ignore[union-attr]
    response = client.get("/me")
    assert response.json() == UNAUTHORISED
    told = response.text + caplog.text
    assert not [value for value in jar.cookies.values() if value in told]


def test_the_log_tells_of_answers_with_503_once_a_minute(
    open_client: OpenClient, sessions: SessionManager, clock: MovableClock, caplog: pytest.LogCaptureFixture
) -> None:
    client = open_client(application(sessions, raising(StoreUnavailable())))
    for _ in range(2):
        for _ in range(20):
            assert client.get("/raise").status_code == 503
        clock.advance(60)
    client.get("/raise")
    told = [message for message in caplog.messages if "503" in message]
    assert told[0].startswith("Answered 503")
    assert [message.split()[0] for message in told[1:]] == ["19", "20"]


# -- whose handler


async def own_answer(_: Any, error: Exception) -> Response:
    return PlainTextResponse(f"own {type(error).__name__}", 418)


@pytest.mark.parametrize("handled", [Unauthorised, SessionError])
def test_the_applications_own_handler_comes_first(
    handled: type[SessionError], open_client: OpenClient, sessions: SessionManager
) -> None:
    client = open_client(application(sessions, exception_handlers={handled: own_answer}))
    response = client.get("/me", headers={"cookie": "; ".join(f"{name}=x" for name in CLEARED)})
    assert (response.status_code, response.text) == (418, "own Unauthorised")
    assert cookies_set(response) == CLEARED


@pytest.mark.parametrize("handled", [Exception, 401, 500])
def test_a_handler_for_everything_does_not_get_our_errors(
    handled: type[Exception] | int, open_client: OpenClient, sessions: SessionManager
) -> None:
    client = open_client(application(sessions, exception_handlers={handled: own_answer}))
    response = client.get("/me")
    assert (response.status_code, response.json()) == (401, UNAUTHORISED)


def test_a_handler_may_send_pages_to_the_login_form_and_leave_the_rest_to_ours(
    open_client: OpenClient, sessions: SessionManager
) -> None:
    async def to_the_form(request: Request, error: Exception) -> Response | None:
        if "text/html" in request.headers.get("accept", ""):
            return RedirectResponse("/login-form", 303)
        return await session_exception_handler(request, error)

    client = open_client(application(sessions, exception_handlers={Unauthorised: to_the_form}), follow_redirects=False)
    cookie = "; ".join(f"{name}=x" for name in CLEARED)
    page = client.get("/me", headers={"accept": "text/html", "cookie": cookie})
    assert (page.status_code, page.headers["location"]) == (303, "/login-form")
    assert cookies_set(page) == CLEARED
    assert client.get("/me").json() == UNAUTHORISED


async def test_the_public_handler_raises_what_is_not_its_own() -> None:
    request = Request({"type": "http", "headers": []})
    with pytest.raises(KeyError):
        await session_exception_handler(request, KeyError("x"))


# -- where


def fastapi_inside(sessions: SessionManager) -> FastAPI:
    inner = FastAPI()

    @inner.get("/who")
    async def who(session: CurrentSession) -> Any:
        return session.user_id

    return inner


def starlette_inside(_: SessionManager) -> Starlette:
    return Starlette(routes=[Route("/who", me)])


@pytest.mark.parametrize("inside", [fastapi_inside, starlette_inside])
def test_a_mounted_application_answers_itself(inside: Any, open_client: OpenClient, sessions: SessionManager) -> None:
    client = open_client(application(sessions, Mount("/inner", inside(sessions))))
    response = client.get("/inner/who", headers={"cookie": "; ".join(f"{name}=x" for name in CLEARED)})
    assert (response.status_code, response.json()) == (401, UNAUTHORISED)
    assert cookies_set(response) == CLEARED
    client.post("/login")
    assert client.get("/inner/who").status_code == 200


def test_a_mounted_applications_own_handler_comes_first(open_client: OpenClient, sessions: SessionManager) -> None:
    inner = Starlette(routes=[Route("/who", me)], exception_handlers={SessionError: own_answer})
    assert open_client(application(sessions, Mount("/inner", inner))).get("/inner/who").text == "own Unauthorised"


class Renaming(BaseHTTPMiddleware):
    async def dispatch(self, request: Request, call_next: RequestResponseEndpoint) -> Response:
        response = await call_next(request)
        response.headers["x-seen"] = str(response.status_code)
        return response


def test_a_base_http_middleware_inside_sees_the_answer(open_client: OpenClient, sessions: SessionManager) -> None:
    client = open_client(application(sessions, middleware=[Middleware(Renaming)]))
    response = client.get("/me", headers={"cookie": "; ".join(f"{name}=x" for name in CLEARED)})
    assert (response.status_code, response.json()) == (401, UNAUTHORISED)
    assert response.headers["x-seen"] == "401"
    assert cookies_set(response) == CLEARED
    client.post("/login")
    assert cookies_set(client.get("/logout")) == CLEARED


def test_a_base_http_middleware_outside_sees_the_answer(open_client: OpenClient, sessions: SessionManager) -> None:
    app = application(sessions)
    app.add_middleware(Renaming)
    client = open_client(app)
    assert client.get("/me").headers["x-seen"] == "401"
    client.post("/login")
    response = client.get("/logout")
    assert response.headers["x-seen"] == "200"
    assert cookies_set(response) == CLEARED


class Asking(BaseHTTPMiddleware):
    async def dispatch(self, request: Request, call_next: RequestResponseEndpoint) -> Response:
        await get_session(request)
        return await call_next(request)


def test_a_base_http_middleware_inside_may_ask_for_the_session(
    open_client: OpenClient, sessions: SessionManager
) -> None:
    client = open_client(application(sessions, middleware=[Middleware(Asking)]))
    assert client.get("/public").json() == UNAUTHORISED


def test_a_base_http_middleware_outside_that_asks_is_told_why_it_cannot(
    open_client: OpenClient, sessions: SessionManager
) -> None:
    app = application(sessions)
    app.add_middleware(Asking)
    with pytest.raises(ConfigurationError, match="add SessionMiddleware last"):
        open_client(app).get("/public")


def test_error_answers_pass_through_cors_inside(open_client: OpenClient, sessions: SessionManager) -> None:
    cors = Middleware(CORSMiddleware, allow_origins=["https://shop.example"], allow_credentials=True)
    client = open_client(application(sessions, middleware=[cors]))
    response = client.get("/me", headers={"origin": "https://shop.example"})
    assert response.status_code == 401
    assert response.headers["access-control-allow-origin"] == "https://shop.example"
    assert {part.strip() for part in ",".join(response.headers.get_list("vary")).split(",")} == {"Origin", "Cookie"}


class CopiesTheScope:
    """As some third-party middleware does."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(dict(scope), receive, send)


def test_a_middleware_that_copies_the_scope_changes_nothing(open_client: OpenClient, sessions: SessionManager) -> None:
    inner = Starlette(routes=[Route("/who", me)], middleware=[Middleware(CopiesTheScope)])
    client = open_client(application(sessions, Mount("/inner", inner), middleware=[Middleware(CopiesTheScope)]))
    assert client.get("/me").json() == UNAUTHORISED
    assert client.get("/inner/who").json() == UNAUTHORISED


def test_an_error_in_an_application_without_error_handling_is_answered_by_the_middleware(
    open_client: OpenClient, sessions: SessionManager
) -> None:
    async def bare(scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["type"] == "http"
        session = await get_session(Request(scope))
        await JSONResponse({"user": session.user_id})(scope, receive, send)

    client = open_client(SessionMiddleware(bare, sessions))
    response = client.get("/", headers={"cookie": "; ".join(f"{name}=x" for name in CLEARED)})
    assert (response.status_code, response.json()) == (401, UNAUTHORISED)
    assert cookies_set(response) == CLEARED


def test_an_unhandled_error_in_a_mounted_application_clears_the_cookies(
    open_client: OpenClient, sessions: SessionManager
) -> None:
    # Its answer is made inside the middleware, unlike that of the outermost application.
    async def endpoint(request: Request) -> Response:
        await (await get_session(request)).revoke_session()
        raise OSError

    inner = Starlette(routes=[Route("/crash", endpoint)])
    client = open_client(application(sessions, Mount("/inner", inner)), raise_server_exceptions=False)
    client.post("/login")
    response = client.get("/inner/crash")
    assert response.status_code == 500
    assert cookies_set(response) == CLEARED


# -- WebSockets


async def asking_socket(websocket: WebSocket) -> None:
    await get_session(websocket)


def test_on_a_websocket_an_error_denies_the_handshake(open_client: OpenClient, sessions: SessionManager) -> None:
    client = open_client(application(sessions, WebSocketRoute("/socket", asking_socket)))
    with (
        pytest.raises(WebSocketDenialResponse) as denied,
        client.websocket_connect(
            "/socket", headers={"cookie": "; ".join(f"{name}=x" for name in CLEARED), "origin": "http://testserver"}
        ),
    ):
        pass
    assert (denied.value.status_code, denied.value.json()) == (401, UNAUTHORISED)
    assert cookies_set(denied.value) == CLEARED


async def without_denial(app: Any) -> list[Any]:
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "websocket", "path": "/socket", "headers": [], "query_string": b"", "scheme": "wss"}
    await app({**scope, "subprotocols": []}, receive, send)
    return sent


async def test_where_the_server_offers_no_denial_the_websocket_is_closed_with_1008(sessions: SessionManager) -> None:
    async def bare(scope: Scope, receive: Receive, send: Send) -> None:
        await get_session(WebSocket(scope, receive, send))

    expected = [{"type": "websocket.close", "code": 1008, "reason": "unauthorised"}]
    async with sessions:
        assert await without_denial(application(sessions, WebSocketRoute("/socket", asking_socket))) == expected
        assert await without_denial(SessionMiddleware(bare, sessions)) == expected


def test_an_error_after_accept_closes_the_websocket_with_1008(
    open_client: OpenClient, sessions: SessionManager
) -> None:
    async def socket(websocket: WebSocket) -> None:
        await websocket.accept()
        await get_session(websocket)

    client = open_client(application(sessions, WebSocketRoute("/socket", socket)))
    with client.websocket_connect("/socket") as websocket, pytest.raises(WebSocketDisconnect) as closed:
        websocket.receive_text()
    assert (closed.value.code, closed.value.reason) == (1008, "unauthorised")


# -- FastAPI


def test_fastapis_own_handler_comes_first(open_client: OpenClient, sessions: SessionManager) -> None:
    app = fastapi_inside(sessions)
    app.add_middleware(SessionMiddleware, manager=sessions)

    @app.exception_handler(Unauthorised)
    async def handle(request: Request, error: Unauthorised) -> FastJSONResponse:
        return FastJSONResponse({"own": error.code}, 418)

    assert open_client(app).get("/who").json() == {"own": "unauthorised"}


def test_without_the_middleware_there_is_one_clear_error(sessions: SessionManager) -> None:
    app = fastapi_inside(sessions)
    with (
        TestClient(app) as client,
        pytest.raises(ConfigurationError, match=re.escape("`app.add_middleware(SessionMiddleware, manager=sessions)`")),
    ):
        client.get("/who")


def test_the_middleware_wants_a_manager() -> None:
    with pytest.raises(ConfigurationError, match="manager"):
        SessionMiddleware(Starlette(), None)  # type: ignore[arg-type]


# -- while the store is down


async def unavailable(*_: Any, **__: Any) -> Any:
    raise StoreUnavailable(retry_after=2)


async def guest(request: Request) -> Response:
    return JSONResponse({"guest": await get_optional_session(request) is None})


def without_a_store(clock: MovableClock, open_client: OpenClient, **settings: Any) -> tuple[SessionManager, TestClient]:
    """An application to which somebody has logged in, and which has a page for guests."""
    sessions = new_manager(clock, **settings)
    client = open_client(application(sessions, Route("/guest", guest), Mount("/auth", routes=session_routes())))
    client.post("/login")
    return sessions, client


def fail(outage: pytest.MonkeyPatch) -> None:
    for name in ("find", "insert", "promote", "revoke"):
        outage.setattr(SessionRepository, name, unavailable)


@pytest.mark.usefixtures("pauses_are_short")
@pytest.mark.parametrize("check", ["feed", "database"])
@pytest.mark.parametrize(
    ("method", "path", "later"),
    [
        ("GET", "/me", 0),
        ("GET", "/me", LIFETIME),
        ("GET", "/guest", 0),
        ("POST", "/logout", 0),
        ("POST", "/login", 0),
        ("POST", "/auth/session/refresh", 0),
        ("POST", "/auth/signout", 0),
    ],
)
def test_while_the_store_is_down_nothing_is_decided_and_the_cookies_stay(
    method: str,
    path: str,
    later: float,
    check: str,
    open_client: OpenClient,
    clock: MovableClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _, client = without_a_store(clock, open_client, revocation_check=check)
    clock.advance(later)
    verified_only = check == "feed" and path in {"/me", "/guest"} and not later
    with monkeypatch.context() as outage:
        fail(outage)
        response = client.request(method, path)
    if verified_only:
        assert response.status_code == 200, "the database is not asked"
    else:
        assert (response.status_code, response.json()["code"]) == (503, "store_unavailable")
        assert response.headers["retry-after"] == "2"
    assert cookies_set(response) == {}
    assert client.get("/me").status_code == 200


@pytest.mark.parametrize("path", ["/me", "/guest"])
def test_while_the_store_is_down_for_too_long_nobody_is_served_on_old_news_and_the_cookies_stay(
    path: str, open_client: OpenClient, clock: MovableClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    sessions, client = without_a_store(clock, open_client)
    portal = client.portal
    assert portal is not None
    portal.call(stop_polling, sessions)
    with monkeypatch.context() as outage:
        fail(outage)
        outage.setattr(TombstoneStore, "page", unavailable)
        with pytest.raises(StoreUnavailable):
            portal.call(poll, sessions)
        assert client.get(path).status_code == 200
        portal.call(grow_old, sessions, 30.001)
        response = client.get(path)
        assert client.get("/public").status_code == 200, "a page that asks for no session needs no store"
    assert (response.status_code, response.json()["code"]) == (503, "store_unavailable")
    assert int(response.headers["retry-after"]) >= 1
    assert cookies_set(response) == {}
    portal.call(poll, sessions)
    assert client.get(path).status_code == 200
