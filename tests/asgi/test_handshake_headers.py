"""Where a server drops the headers of an accepted WebSocket, no token is made for it, and a logout is a denial."""

from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import WebSocketRoute
from starlette.testclient import TestClient
from starlette.types import ASGIApp
from starlette.websockets import WebSocket

from asgi_sessions import (
    ConfigurationError,
    SessionManager,
    SessionMiddleware,
    get_optional_session,
    get_session,
)
from asgi_sessions.asgi import handshake
from asgi_sessions.asgi.handshake import accepts_with_headers, can_deny
from tests.asgi.apps import ACCESS, CLEARED, LIFETIME, REFRESH, application, new_manager, parsed_cookies
from tests.asgi.connections import Socket, login_cookie
from tests.clocks import MovableClock

UVICORN = {"asgi": {"version": "3.0", "spec_version": "2.4"}, "extensions": {"websocket.http.response": {}}}
GRANIAN = {
    "asgi": {"version": "3.0", "spec_version": "2.3"},
    "extensions": {"http.response.pathsend": {}, "websocket.http.response": {}},
}
DAPHNE: dict[str, Any] = {"asgi": {"version": "3.0"}, "extensions": None}
DROP = pytest.mark.parametrize("server", [GRANIAN, DAPHNE], ids=["granian", "daphne"])


@pytest.fixture(autouse=True)
def granian(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str | None], None]]:
    """Have the installed version of granian be another; None for none."""

    def install(number: str | None) -> None:
        def version(_: str) -> str:
            if number is None:
                raise PackageNotFoundError
            return number

        monkeypatch.setattr(handshake, "version", version)
        handshake._granian.cache_clear()

    install("2.8.9")
    yield install
    handshake._granian.cache_clear()


@pytest.mark.parametrize(
    ("scope", "delivers"),
    [
        (UVICORN, True),
        (GRANIAN, False),
        (DAPHNE, False),
        ({"asgi": {"version": "3.0", "spec_version": "2.0"}}, False),
        ({"asgi": {"version": "3.0", "spec_version": "2.1"}}, True),
        ({"asgi": {"version": "3.0", "spec_version": "2.10"}}, True),
        ({"asgi": {"version": "4.0", "spec_version": "3.0"}}, True),
        ({"asgi": {"version": "4.0", "spec_version": "next"}}, True),
        ({}, True),
    ],
)
def test_what_a_scope_tells(scope: dict[str, Any], delivers: bool) -> None:
    assert accepts_with_headers(scope) is delivers


class On(Socket):
    """A handshake at a server, with what that one says of itself, and not more."""

    def __init__(self, server: dict[str, Any], app: ASGIApp, cookie: str) -> None:
        super().__init__(app, cookie)
        self._scope |= server
        if server is DAPHNE:
            del self._scope["scheme"], self._scope["http_version"]
            self._scope["headers"] = [(b"host", b"testserver"), (b"origin", b"http://testserver"), self._cookie]
        if self._scope["extensions"] is None:
            del self._scope["extensions"]

    @property
    def _cookie(self) -> tuple[bytes, bytes]:
        return next((name, value) for name, value in self._scope["headers"] if name == b"cookie")

    def cookies_of(self, kind: str) -> dict[str, str]:
        (message,) = (message for message in self.heard if message["type"] == kind)
        return parsed_cookies([value.decode() for name, value in message["headers"] if name == b"set-cookie"])


async def echo(websocket: WebSocket) -> None:
    session = await get_session(websocket)
    await websocket.accept()
    await websocket.send_text(session.user_id)
    async for text in websocket.iter_text():
        await session.update_jwt_payload({"said": text})
        await websocket.send_text(text)


async def changes(websocket: WebSocket) -> None:
    session = await get_session(websocket)
    await session.update_jwt_payload({"role": "editor"})
    await websocket.accept()
    await websocket.send_text("changed")


async def parts(websocket: WebSocket) -> None:
    session = await get_session(websocket)
    await session.revoke_session()
    await websocket.accept()
    await websocket.send_text("farewell")


async def for_everybody(websocket: WebSocket) -> None:
    session = await get_optional_session(websocket)
    await websocket.accept()
    await websocket.send_text("nobody" if session is None else session.user_id)


def with_socket(sessions: SessionManager, endpoint: Any) -> Starlette:
    return application(sessions, WebSocketRoute("/socket", endpoint))


@DROP
async def test_a_handshake_with_an_expired_access_token_is_served_without_tokens(
    sessions: SessionManager, clock: MovableClock, server: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "asgi_sessions.audit")
    async with sessions:
        _, cookie = await login_cookie(sessions)
        clock.advance(LIFETIME)
        async with On(server, with_socket(sessions, echo), cookie) as socket:
            await socket.hears("alice")
            assert socket.cookies_of("websocket.accept") == {}
    assert "session.served_late" in caplog.text
    assert "session.refreshed" not in caplog.text


async def test_on_other_servers_it_is_refreshed(sessions: SessionManager, clock: MovableClock) -> None:
    async with sessions:
        _, cookie = await login_cookie(sessions)
        clock.advance(LIFETIME)
        async with On(UVICORN, with_socket(sessions, echo), cookie) as socket:
            await socket.hears("alice")
            assert socket.cookies_of("websocket.accept").keys() == {ACCESS, REFRESH}


@DROP
async def test_it_is_served_so_for_one_access_token_lifetime_and_then_told_to_refresh(
    sessions: SessionManager, clock: MovableClock, server: Any
) -> None:
    async with sessions:
        _, cookie = await login_cookie(sessions)
        app = with_socket(sessions, echo)
        clock.advance(LIFETIME)
        async with On(server, app, cookie) as socket:
            await socket.hears("alice")
        clock.advance(LIFETIME)
        async with On(server, app, cookie) as socket:
            await socket.returned()
            assert socket.texts == []
            if server is GRANIAN:
                (start, body) = socket.heard
                assert (start["status"], b"try_refresh_token" in body["body"]) == (401, True)
                assert socket.cookies_of("websocket.http.response.start") == {}
            else:
                assert socket.closes == [(1008, "try_refresh_token")]


@DROP
async def test_a_handshake_that_is_served_without_tokens_does_not_extend_the_session(
    sessions: SessionManager, clock: MovableClock, server: Any
) -> None:
    async with sessions:
        handle, cookie = await login_cookie(sessions)
        ends_at = await sessions.lifecycle.idle_expires_at(handle)
        clock.advance(LIFETIME)
        async with On(server, with_socket(sessions, echo), cookie) as socket:
            await socket.hears("alice")
        assert await sessions.lifecycle.idle_expires_at(handle) == ends_at


@DROP
async def test_a_changed_payload_waits_in_the_row(sessions: SessionManager, server: Any) -> None:
    async with sessions:
        _, cookie = await login_cookie(sessions)
        async with On(server, with_socket(sessions, changes), cookie) as socket:
            await socket.hears("changed")
            assert socket.cookies_of("websocket.accept") == {}
        issued = await sessions.refresh_session_without_request(cookie.rpartition("=")[2])
        assert issued.session.jwt_payload == {"role": "editor"}


@pytest.mark.parametrize(("server", "made"), [(GRANIAN, set()), (DAPHNE, set()), (UVICORN, {"sAccessToken"})])
async def test_a_first_use_makes_no_token(clock: MovableClock, server: Any, made: set[str]) -> None:
    sessions = new_manager(clock, promote_on="first_use", client_protocol="supertokens")
    async with sessions:
        issued = await sessions.create_new_session_without_request("alice")
        clock.advance(LIFETIME)
        child = await sessions.refresh_session_without_request(issued.refresh_token.value)
        assert child.id_refresh_token is not None
        cookie = f"sAccessToken={child.access_token.value}; sIdRefreshToken={child.id_refresh_token.value}"
        async with On(server, with_socket(sessions, echo), cookie) as socket:
            await socket.hears("alice")
            assert socket.cookies_of("websocket.accept").keys() == made


async def test_a_logout_before_the_acceptance_is_a_denial_that_clears_the_cookies(sessions: SessionManager) -> None:
    async with sessions:
        _, cookie = await login_cookie(sessions)
        async with On(GRANIAN, with_socket(sessions, parts), cookie) as socket:
            await socket.returned()
            assert [message["type"] for message in socket.heard] == [
                "websocket.http.response.start",
                "websocket.http.response.body",
            ]
            assert socket.heard[0]["status"] == 403
            assert socket.cookies_of("websocket.http.response.start") == CLEARED


async def test_where_no_denial_can_be_sent_the_cookies_stay_and_the_log_says_so(
    sessions: SessionManager, caplog: pytest.LogCaptureFixture
) -> None:
    async with sessions:
        handle, cookie = await login_cookie(sessions)
        async with On(DAPHNE, with_socket(sessions, parts), cookie) as socket:
            await socket.hears("farewell")
    assert f"Session {handle}: the acceptance clears no cookies on this server." in caplog.text


async def test_on_other_servers_the_acceptance_clears_them(
    sessions: SessionManager, caplog: pytest.LogCaptureFixture
) -> None:
    async with sessions:
        _, cookie = await login_cookie(sessions)
        async with On(UVICORN, with_socket(sessions, parts), cookie) as socket:
            await socket.hears("farewell")
            assert socket.cookies_of("websocket.accept") == CLEARED
    assert "clears no cookies" not in caplog.text


@DROP
async def test_who_is_not_logged_in_any_more_is_let_in_where_everybody_is(
    sessions: SessionManager, server: Any
) -> None:
    async with sessions:
        handle, cookie = await login_cookie(sessions)
        await sessions.revoke_session_using_session_handle(handle)
        async with On(server, with_socket(sessions, for_everybody), cookie) as socket:
            await socket.hears("nobody")


@DROP
@pytest.mark.parametrize("method", ["create_new_session", "refresh_session"])
async def test_a_login_or_refresh_that_was_asked_for_is_the_applications_mistake(
    sessions: SessionManager, server: Any, method: str
) -> None:
    async def endpoint(websocket: WebSocket) -> None:
        arguments = ["bob"] if method == "create_new_session" else []
        await getattr(sessions, method)(websocket, *arguments)

    async with sessions:
        _, cookie = await login_cookie(sessions)
        async with On(server, with_socket(sessions, endpoint), cookie) as socket:
            with pytest.raises(ConfigurationError, match=f"{method}: this server drops the headers"):
                await socket.returned()
        assert await sessions.get_all_session_handles_for_user("bob") == []


# -- granian before 2.8.9


@pytest.mark.parametrize(
    ("number", "denies"), [("2.8.7", False), ("2.8.9", True), ("2.9.0rc1", True), ("2.10", True), (None, False)]
)
def test_which_versions_deny(granian: Callable[[str | None], None], number: str | None, denies: bool) -> None:
    granian(number)
    assert can_deny(GRANIAN) is denies
    assert can_deny(UVICORN)
    assert not can_deny(DAPHNE)


async def denies_itself(websocket: WebSocket) -> None:
    await get_optional_session(websocket)
    await websocket.send_denial_response(PlainTextResponse("no", 404, headers={"x-own": "yes"}))


@pytest.mark.parametrize("number", ["2.8.7", "2.8.9"])
async def test_an_older_one_is_sent_no_cookies_with_a_denial(
    sessions: SessionManager, granian: Callable[[str | None], None], number: str
) -> None:
    granian(number)
    older = number == "2.8.7"
    async with sessions:
        handle, cookie = await login_cookie(sessions)
        await sessions.revoke_session_using_session_handle(handle)
        async with On(GRANIAN, with_socket(sessions, echo), cookie) as socket:
            await socket.returned()
            if older:
                assert socket.heard == [{"type": "websocket.close", "code": 1008, "reason": "unauthorised"}]
            else:
                assert socket.cookies_of("websocket.http.response.start") == CLEARED
        async with On(GRANIAN, with_socket(sessions, denies_itself), cookie) as socket:
            await socket.returned()
            assert socket.cookies_of("websocket.http.response.start") == ({} if older else CLEARED)
            assert (b"x-own", b"yes") in socket.heard[0]["headers"]


def test_a_test_client_delivers_them(sessions: SessionManager) -> None:
    async def login(websocket: WebSocket) -> None:
        await sessions.create_new_session(websocket, "alice")
        await websocket.accept()

    app = Starlette(routes=[WebSocketRoute("/socket", login)])
    with (
        TestClient(SessionMiddleware(app, sessions), base_url="https://testserver") as client,
        client.websocket_connect("/socket") as socket,
    ):
        headers: Any = socket.extra_headers  # Starlette's annotation says None
    assert {value.split(b"=")[0].decode() for name, value in headers if name == b"set-cookie"} == {ACCESS, REFRESH}
