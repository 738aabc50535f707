"""Nothing private after a logout: what browsers may store of answers, and what they are told to drop."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.testclient import WebSocketDenialResponse
from starlette.websockets import WebSocket

from asgi_sessions import (
    SessionManager,
    SessionMiddleware,
    get_optional_session,
    get_session,
    session_routes,
)
from asgi_sessions.fastapi import session_router
from tests.asgi.apps import ACCESS, LIFETIME, application, cookies_set, login, new_manager
from tests.asgi.conftest import OpenClient
from tests.clocks import MovableClock

PREFETCHED = '"prefetchCache", "prerenderCache"'
ALL_CACHES = f'{PREFETCHED}, "cache"'


async def _chunks() -> AsyncIterator[str]:
    yield "one"


async def page(request: Request) -> Response:
    """An answer of the kind that the query names, to somebody who may be logged in."""
    await get_optional_session(request)
    match request.query_params.get("kind"):
        case "stream":
            return StreamingResponse(_chunks())
        case "not modified":
            return Response(status_code=304, headers={"ETag": '"1"'})
        case "redirect":
            return RedirectResponse("/public", 303)
        case "missing":
            raise HTTPException(404)
    return PlainTextResponse("a page")


async def own(request: Request) -> Response:
    await get_session(request)
    return PlainTextResponse("a page", headers={request.query_params["name"]: request.query_params["value"]})


KINDS = ["page", "stream", "not modified", "redirect", "missing"]


@pytest.mark.parametrize("logged_in", [True, False], ids=["logged in", "nobody"])
@pytest.mark.parametrize("kind", KINDS)
def test_no_answer_is_stored_whose_application_has_asked_for_a_session(
    kind: str, logged_in: bool, open_client: OpenClient, sessions: SessionManager
) -> None:
    """Nobody's neither: with Back it would show after the login that nobody is logged in."""
    client = open_client(application(sessions, Route("/page", page)), follow_redirects=False)
    if logged_in:
        client.post("/login")
    response = client.get("/page", params={"kind": kind})
    assert response.headers.get_list("cache-control") == ["no-store"]
    assert response.headers["vary"] == "Cookie"
    assert "cdn-cache-control" not in response.headers
    assert cookies_set(response) == {}


@pytest.mark.parametrize("kind", KINDS)
def test_the_setting_says_it_in_other_words_or_not_at_all(
    kind: str, open_client: OpenClient, clock: MovableClock
) -> None:
    for value, expected in (("private, no-cache", ["private, no-cache"]), ("off", [])):
        manager = new_manager(clock, cache_control=value)
        client = open_client(application(manager, Route("/page", page)), follow_redirects=False)
        client.post("/login")
        response = client.get("/page", params={"kind": kind})
        assert response.headers.get_list("cache-control") == expected
        assert response.headers["vary"] == "Cookie"


@pytest.mark.parametrize("name", ["Cache-Control", "cache-control", "Expires"])
def test_an_application_that_says_it_itself_is_left_alone(
    name: str, open_client: OpenClient, sessions: SessionManager
) -> None:
    client = open_client(application(sessions, Route("/own", own)))
    client.post("/login")
    response = client.get("/own", params={"name": name, "value": "private, max-age=60"})
    assert response.headers.get_list(name) == ["private, max-age=60"]
    assert name == "Expires" or response.headers.get_list("cache-control") == ["private, max-age=60"]
    assert name != "Expires" or "cache-control" not in response.headers
    assert response.headers["vary"] == "Cookie"


@pytest.mark.parametrize("name", ["CDN-Cache-Control", "Surrogate-Control"])
def test_a_word_to_other_caches_alone_is_none_to_browsers(
    name: str, open_client: OpenClient, sessions: SessionManager
) -> None:
    client = open_client(application(sessions, Route("/own", own)))
    client.post("/login")
    response = client.get("/own", params={"name": name, "value": "max-age=60"})
    assert (response.headers[name], response.headers["cache-control"]) == ("max-age=60", "no-store")


@pytest.mark.parametrize("cache_control", ["private, no-cache", "off"])
def test_what_sets_cookies_is_never_stored_whatever_the_setting(
    cache_control: str, open_client: OpenClient, clock: MovableClock
) -> None:
    manager = new_manager(clock, cache_control=cache_control)
    client = open_client(application(manager, Route("/page", page)))
    assert client.post("/login").headers.get_list("cache-control") == ["no-store"]
    clock.advance(LIFETIME)
    refreshed = client.get("/page")
    assert ACCESS in cookies_set(refreshed)
    assert refreshed.headers.get_list("cache-control") == ["no-store"]
    assert client.post("/logout").headers.get_list("cache-control") == ["no-store"]


def test_files_that_ask_for_nobody_are_left_alone(
    open_client: OpenClient, sessions: SessionManager, tmp_path: Any
) -> None:
    (tmp_path / "style.css").write_text("body {}")
    client = open_client(application(sessions, Mount("/static", StaticFiles(directory=tmp_path))))
    client.post("/login")
    response = client.get("/static/style.css")
    assert response.status_code == 200
    assert not {"cache-control", "vary", "clear-site-data"} & {name.lower() for name in response.headers}


def test_a_handshake_is_denied_without_being_stored(open_client: OpenClient, sessions: SessionManager) -> None:
    async def socket(websocket: WebSocket) -> None:
        await get_session(websocket)

    client = open_client(application(sessions, WebSocketRoute("/socket", socket)))
    with pytest.raises(WebSocketDenialResponse) as denied, client.websocket_connect("wss://testserver/socket"):
        pass
    assert denied.value.headers.get_list("cache-control") == ["no-store"]


# -- the session's own routes


def fastapi_app(sessions: SessionManager) -> Any:
    app = FastAPI()
    app.include_router(session_router(), prefix="/auth")
    app.add_route("/login", login, methods=["POST"])
    app.add_middleware(SessionMiddleware, manager=sessions)
    return app


def starlette_app(sessions: SessionManager) -> Starlette:
    return application(sessions, Mount("/auth", routes=session_routes()))


@pytest.mark.parametrize("cache_control", ["no-store", "private, no-cache", "off"])
@pytest.mark.parametrize("build", [fastapi_app, starlette_app])
def test_no_answer_of_the_sessions_routes_is_ever_stored_but_the_public_keys(
    build: Any, cache_control: str, open_client: OpenClient, clock: MovableClock
) -> None:
    client = open_client(build(new_manager(clock, cache_control=cache_control, signing_algorithm="ES256")))
    asked = [
        ("GET", "/session", 200),
        ("GET", "/sessions", 200),
        ("GET", "/sessions?limit=0", None),
        ("GET", "/sessions?cursor=none", None),
        ("DELETE", "/sessions/none", 404),
        ("POST", "/sessions/revoke-others", 200),
        ("POST", "/session/refresh", 200),
        ("POST", "/signout", 200),
        ("POST", "/signout", 200),
        ("GET", "/session", 401),
    ]
    client.post("/login")
    for method, path, status in asked:
        response = client.request(method, f"/auth{path}")
        assert response.status_code == status or (status is None and response.status_code in {400, 422})
        assert response.headers.get_list("cache-control") == ["no-store"], (method, path)
    assert client.get("/auth/jwks.json").headers.get_list("cache-control") == ["public, max-age=60"]


# -- what browsers drop


@pytest.mark.parametrize(("setting", "expected"), [("prefetchCache", PREFETCHED), ("cache", ALL_CACHES), ("off", None)])
@pytest.mark.parametrize("ending", ["/logout", "/auth/signout", "elsewhere"])
def test_what_was_fetched_ahead_goes_with_the_cookies(
    ending: str, setting: str, expected: str | None, open_client: OpenClient, clock: MovableClock
) -> None:
    manager = new_manager(clock, clear_site_data=setting)
    client = open_client(application(manager, Route("/page", page), Mount("/auth", routes=session_routes())))
    client.post("/login")
    if ending == "elsewhere":
        assert client.portal is not None
        client.portal.call(manager.revoke_all_sessions_for_user, "alice")
        response = client.get("/page")
    else:
        response = client.post(ending)
    assert set(cookies_set(response).values()) == {""}
    assert response.headers.get("clear-site-data") == expected


def test_nothing_is_dropped_for_whoever_was_not_logged_in(open_client: OpenClient, sessions: SessionManager) -> None:
    client = open_client(application(sessions, Route("/page", page), Mount("/auth", routes=session_routes())))
    for response in (client.post("/auth/signout"), client.get("/me"), client.get("/page"), client.post("/login")):
        assert "clear-site-data" not in response.headers


@pytest.mark.parametrize("setting", ["prefetchCache", "cache"])
def test_nothing_is_dropped_beside_cookies_that_are_to_live(
    setting: str, open_client: OpenClient, clock: MovableClock
) -> None:
    manager = new_manager(clock, clear_site_data=setting)

    async def switch(request: Request) -> Response:
        await (await get_session(request)).revoke_session()
        session = await manager.create_new_session(request, "bob")
        return JSONResponse({"user": session.user_id})

    async def act_as(request: Request) -> Response:
        session = await get_session(request)
        acting = await manager.impersonate(request, "carol", actor=session)
        return JSONResponse({"user": acting.user_id})

    client = open_client(
        application(manager, Route("/switch", switch, methods=["POST"]), Route("/act-as", act_as, methods=["POST"]))
    )
    client.post("/login")
    for path in ("/switch", "/act-as", "/login"):
        response = client.post(path)
        assert response.status_code == 200
        assert all(cookies_set(response).values())
        assert "clear-site-data" not in response.headers


def test_what_the_application_drops_itself_is_dropped_too(open_client: OpenClient, sessions: SessionManager) -> None:
    async def leave(request: Request) -> Response:
        await (await get_session(request)).revoke_session()
        return PlainTextResponse("", headers={"Clear-Site-Data": '"storage"'})

    client = open_client(application(sessions, Route("/leave", leave)))
    client.post("/login")
    # The lines of one field are one list (RFC 9110, section 5.3).
    assert client.get("/leave").headers.get_list("clear-site-data") == ['"storage"', PREFETCHED]
