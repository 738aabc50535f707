"""Login, refresh, sign-out and look-ups on one connection take turns; what they leave in the scope leaves with it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Any

import httpx2
import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.testclient import TestClient
from starlette.types import ASGIApp, Receive, Scope, Send

from asgi_sessions import ConfigurationError, SessionManager, SessionMiddleware, get_optional_session, get_session
from asgi_sessions.asgi import session_operations as operations
from asgi_sessions.manager.connection import SCOPE_KEY, innermost
from asgi_sessions.manager.refreshing import Refresher
from tests.asgi.apps import (
    ACCESS,
    CLEARED,
    LIFETIME,
    REFRESH,
    Jar,
    application,
    cookies_set,
    new_manager,
)
from tests.asgi.conftest import OpenClient
from tests.clocks import MovableClock

PAIR = {ACCESS, REFRESH}
TURN_SECONDS = 0.3
"""For how long a refresh waits for another that would overtake it, which has to wait for the refresh."""


def live(client: TestClient, sessions: SessionManager, user: str) -> list[str]:
    assert client.portal is not None
    handles: list[str] = client.portal.call(sessions.get_all_session_handles_for_user, user)
    return handles


@pytest.fixture
def overtaken(monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """Holds back the outcome of each refresh until this is set: something else on the connection is through."""
    through = asyncio.Event()
    refresh = Refresher.refresh

    async def late(self: Refresher, *arguments: Any, **options: Any) -> Any:
        refreshed = await refresh(self, *arguments, **options)
        with suppress(TimeoutError):
            await asyncio.wait_for(through.wait(), TURN_SECONDS)
        return refreshed

    monkeypatch.setattr(Refresher, "refresh", late)
    return through


def test_a_login_beside_a_look_up_that_refreshes_leaves_with_the_new_sessions_tokens(
    open_client: OpenClient, clock: MovableClock, sessions: SessionManager, overtaken: asyncio.Event
) -> None:
    async def both(request: Request) -> Response:
        async def log_in() -> str:
            session = await sessions.create_new_session(request, "bob")
            overtaken.set()
            return session.session_handle

        _, handle = await asyncio.gather(get_optional_session(request), log_in())
        return JSONResponse(handle)

    client = open_client(application(sessions, Route("/both", both)))
    client.post("/login")
    clock.advance(LIFETIME)
    response = client.get("/both")
    assert cookies_set(response).keys() == PAIR
    found = client.get("/me", headers=Jar().take(response).header).json()
    assert (found["user"], found["handle"]) == ("bob", response.json())


def test_a_sign_out_beside_a_look_up_that_refreshes_clears_the_cookies_and_ends_the_session(
    open_client: OpenClient, clock: MovableClock, sessions: SessionManager, overtaken: asyncio.Event
) -> None:
    async def both(request: Request) -> Response:
        async def sign_out() -> None:
            await operations.sign_out(request)
            overtaken.set()

        await asyncio.gather(get_optional_session(request), sign_out())
        return JSONResponse({})

    client = open_client(application(sessions, Route("/both", both)))
    client.post("/login")
    clock.advance(LIFETIME)
    assert cookies_set(client.get("/both")) == CLEARED
    assert live(client, sessions, "alice") == []


def test_of_two_logins_at_once_one_session_lives_and_its_tokens_leave(
    open_client: OpenClient, sessions: SessionManager
) -> None:
    async def twice(request: Request) -> Response:
        await asyncio.gather(*(sessions.create_new_session(request, "alice") for _ in range(2)))
        return JSONResponse({})

    client = open_client(application(sessions, Route("/twice", twice)))
    response = client.get("/twice")
    assert live(client, sessions, "alice") == [
        client.get("/me", headers=Jar().take(response).header).json()["handle"],
    ]


def test_a_login_and_then_a_sign_out_in_one_request_end_the_new_session(
    open_client: OpenClient, sessions: SessionManager
) -> None:
    async def in_and_out(request: Request) -> Response:
        await sessions.create_new_session(request, "alice")
        return JSONResponse(await operations.sign_out(request))

    client = open_client(application(sessions, Route("/in-and-out", in_and_out)))
    response = client.get("/in-and-out")
    assert response.json() is True
    assert live(client, sessions, "alice") == []


def test_a_login_after_the_response_has_started_is_an_error_and_stores_nothing(
    open_client: OpenClient, sessions: SessionManager
) -> None:
    async def stream(request: Request) -> Response:
        async def chunks() -> AsyncIterator[str]:
            yield "started, "
            try:
                await sessions.create_new_session(request, "alice")
            except ConfigurationError:
                yield "refused"

        return StreamingResponse(chunks())

    client = open_client(application(sessions, Route("/stream", stream)))
    assert client.get("/stream").text == "started, refused"
    assert live(client, sessions, "alice") == []


def test_with_csrf_tokens_a_request_that_has_refreshed_knows_its_session(
    open_client: OpenClient, clock: MovableClock
) -> None:
    sessions = new_manager(clock, csrf="token")

    async def refresh(request: Request) -> Response:
        refreshed = await sessions.refresh_session(request)
        return JSONResponse((await get_session(request)).session_handle == refreshed.session_handle)

    client = open_client(application(sessions, Route("/refresh", refresh, methods=["POST"])))
    client.post("/login")
    clock.advance(LIFETIME)
    response = client.post("/refresh")
    assert (response.status_code, response.json()) == (200, True)


@pytest.fixture
def left_behind(open_client: OpenClient, clock: MovableClock) -> Callable[..., httpx2.Response]:
    """A late parent that looks up the session twice in one request; called with its anti-CSRF token or another."""
    sessions = new_manager(clock, csrf="token")

    async def twice(request: Request) -> Response:
        first, second = await get_session(request), await get_session(request)
        return JSONResponse(first.user_id + second.user_id)

    client = open_client(application(sessions, Route("/twice", twice)))
    response = client.post("/login")
    current, token = Jar().take(response), {"anti-csrf": response.headers["anti-csrf"]}
    old = current.copy()
    for _ in range(2):
        clock.advance(LIFETIME)
        client.cookies.clear()
        current.take(client.get("/me", headers={**current.header, **token}))

    def ask(**headers: str) -> httpx2.Response:
        client.cookies.clear()
        answer: httpx2.Response = client.get("/twice", headers={**old.header, **token, **headers})
        return answer

    return ask


def test_with_csrf_tokens_a_late_parent_may_look_up_its_session_twice(
    left_behind: Callable[..., httpx2.Response],
) -> None:
    response = left_behind()
    assert (response.status_code, response.json()) == (200, "alicealice")


def test_with_csrf_tokens_a_late_parent_needs_its_own_token(left_behind: Callable[..., httpx2.Response]) -> None:
    assert left_behind(**{"anti-csrf": "another"}).status_code == 401


async def call(app: ASGIApp, scope: Scope) -> None:
    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        pass

    await app(scope, receive, send)


def get_scope(path: str) -> Scope:
    return {
        "type": "http",
        "method": "GET",
        "scheme": "https",
        "path": path,
        "query_string": b"",
        "headers": [(b"host", b"testserver")],
    }


async def test_the_exchange_leaves_the_scope_with_its_request(sessions: SessionManager) -> None:
    scope = get_scope("/public")
    await call(application(sessions), scope)
    assert scope[SCOPE_KEY] is None


async def test_the_exchange_leaves_the_scope_of_a_request_that_fails(sessions: SessionManager) -> None:
    async def fail(scope: Scope, receive: Receive, send: Send) -> None:
        assert SCOPE_KEY in scope
        raise OSError("no")

    scope = get_scope("/")
    with pytest.raises(OSError, match="no"):
        await call(SessionMiddleware(fail, sessions), scope)
    assert scope[SCOPE_KEY] is None


async def test_after_a_nested_managers_middleware_the_outer_ones_exchange_is_back(
    clock: MovableClock, sessions: SessionManager
) -> None:
    outside = new_manager(clock, cookie_prefix="__Host-staff-")
    nested = SessionMiddleware(application(sessions), sessions)
    seen: list[object] = []

    async def between(scope: Scope, receive: Receive, send: Send) -> None:
        await nested(scope, receive, send)
        seen.append(innermost(scope).manager)

    scope = get_scope("/public")
    await call(SessionMiddleware(between, outside), scope)
    assert seen == [outside]
    assert scope[SCOPE_KEY] is None


def refreshing(sessions: SessionManager) -> Route:
    async def refresh(request: Request) -> Response:
        await sessions.refresh_session(request)
        return JSONResponse({})

    return Route("/by-get", refresh, methods=["GET"])


async def _sign_out(request: Request) -> Response:
    return JSONResponse(await operations.sign_out(request))


CROSS_SITE = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors", "sec-fetch-dest": "image"}


def test_another_site_may_not_refresh_through_a_get_route(open_client: OpenClient, sessions: SessionManager) -> None:
    client = open_client(application(sessions, refreshing(sessions)))
    client.post("/login")
    response = client.get("/by-get", headers=CROSS_SITE)
    assert (response.status_code, cookies_set(response)) == (403, {})
    assert cookies_set(client.get("/by-get")).keys() == PAIR


def test_another_site_may_not_sign_out_through_a_get_route(open_client: OpenClient, sessions: SessionManager) -> None:
    client = open_client(application(sessions, Route("/by-get", _sign_out, methods=["GET"])))
    client.post("/login")
    response = client.get("/by-get", headers=CROSS_SITE)
    assert (response.status_code, cookies_set(response)) == (403, {})
    assert client.get("/me").status_code == 200


def test_a_login_by_get_may_come_from_an_identity_provider(open_client: OpenClient, sessions: SessionManager) -> None:
    client = open_client(application(sessions))
    headers = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
    response = client.get("/login", headers=headers)
    assert response.status_code == 200
    assert cookies_set(response).keys() == PAIR


async def _who(request: Request) -> Response:
    session = await get_optional_session(request)
    return JSONResponse(None if session is None else session.user_id)


def test_another_sites_image_that_would_have_to_refresh_is_anonymous_where_a_session_is_optional(
    open_client: OpenClient, clock: MovableClock, sessions: SessionManager
) -> None:
    client = open_client(application(sessions, Route("/who", _who)))
    client.post("/login")
    clock.advance(LIFETIME)
    response = client.get("/who", headers=CROSS_SITE)
    assert (response.status_code, response.json(), cookies_set(response)) == (200, None, {})
    assert client.get("/who").json() == "alice"


def test_a_bearer_token_of_somebody_else_is_anonymous_where_a_session_is_optional(
    open_client: OpenClient, clock: MovableClock
) -> None:
    client = open_client(application(new_manager(clock, token_transport="any"), Route("/who", _who)))
    bearer = {"authorization": "Bearer somebody-elses"}
    response = client.get("/who", headers=bearer)
    assert (response.status_code, response.json()) == (200, None)
    assert client.get("/me", headers=bearer).status_code == 401


def test_a_host_only_cookie_of_before_is_cleared_by_the_name_that_it_had(
    open_client: OpenClient, clock: MovableClock
) -> None:
    sessions = new_manager(clock, cookie_domain="testserver.local", older_cookie_domains="host-only")
    client = open_client(application(sessions), base_url="https://testserver.local")
    response = client.post("/login", headers={"cookie": "; ".join(f"{name}=old" for name in PAIR)})
    cleared = {name for name, value in cookies_set(response).items() if not value}
    assert cleared == PAIR
    for header in response.headers.get_list("set-cookie"):
        if header.startswith("__Host-"):
            assert "; Path=/;" in header
            assert "Domain" not in header


def test_the_old_browser_clients_cookies_have_no_prefix(open_client: OpenClient, clock: MovableClock) -> None:
    client = open_client(application(new_manager(clock, client_protocol="supertokens")))
    assert cookies_set(client.post("/login")).keys() == {"sAccessToken", "sRefreshToken", "sIdRefreshToken"}
