"""Caches are told what they need, and no cookie is set that changes nothing."""

import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.types import Receive, Scope, Send

from asgi_sessions import SessionManager, get_optional_session, get_session
from tests.asgi.apps import ACCESS, CLEARED, LIFETIME, REFRESH, Jar, application, cookies_set, new_manager
from tests.asgi.conftest import OpenClient
from tests.clocks import MovableClock


async def cached(request: Request) -> Response:
    await get_session(request)
    return JSONResponse({}, headers={"Cache-Control": "public, max-age=60", "Vary": "Accept-Language"})


async def varying(request: Request) -> Response:
    await get_session(request)
    return JSONResponse({}, headers={"Vary": request.query_params["vary"]})


async def guest(request: Request) -> Response:
    session = await get_optional_session(request)
    return JSONResponse({"user": session.user_id if session else None})


def test_login_sets_both_cookies_and_forbids_caching(open_client: OpenClient, sessions: SessionManager) -> None:
    response = open_client(application(sessions)).post("/login")
    assert cookies_set(response).keys() == {ACCESS, REFRESH}
    assert response.headers["cache-control"] == "no-store"


def test_no_store_replaces_the_applications_own_cache_control(
    open_client: OpenClient, sessions: SessionManager, clock: MovableClock
) -> None:
    client = open_client(application(sessions, Route("/cached", cached)))
    client.post("/login")
    clock.advance(LIFETIME)
    response = client.get("/cached")
    assert cookies_set(response).keys() == {ACCESS, REFRESH}
    assert response.headers.get_list("cache-control") == ["no-store"]


TARGETED = [
    "CDN-Cache-Control",
    "Cloudflare-CDN-Cache-Control",
    "Vercel-CDN-Cache-Control",
    "Netlify-CDN-Cache-Control",
    "Akamai-Cache-Control",
    "X-LiteSpeed-Cache-Control",
    "Surrogate-Control",
    "Edge-Control",
    "X-Accel-Expires",
    "Expires",
]


@pytest.mark.parametrize("name", TARGETED)
@pytest.mark.parametrize("occasion", ["login", "refresh", "payload", "logout", "refusal"])
def test_no_cache_of_any_kind_is_told_to_keep_an_answer_with_our_cookies(
    name: str, occasion: str, open_client: OpenClient, sessions: SessionManager, clock: MovableClock
) -> None:
    async def answered(request: Request) -> Response:
        if occasion == "login":
            await sessions.create_new_session(request, "bob")
        elif occasion == "refusal":
            await get_optional_session(request)
        else:
            session = await get_session(request)
            if occasion == "payload":
                await session.update_jwt_payload({})
            elif occasion == "logout":
                await session.revoke_session()
        return JSONResponse({}, headers={name: "max-age=60", name.lower(): "public, max-age=60"})

    client = open_client(application(sessions, Route("/answered", answered)))
    client.post("/login")
    if occasion == "refresh":
        clock.advance(LIFETIME)
    elif occasion == "refusal":
        assert client.portal is not None
        client.portal.call(sessions.revoke_all_sessions_for_user, "alice")
    response = client.get("/answered")
    assert cookies_set(response)
    assert response.headers.get_list("cache-control") == ["no-store"]
    assert response.headers.get_list("cdn-cache-control") == ["no-store"]
    if name != "CDN-Cache-Control":
        assert name not in response.headers


def test_an_answer_without_our_cookies_keeps_what_the_application_says_to_caches(
    open_client: OpenClient, sessions: SessionManager
) -> None:
    async def answered(request: Request) -> Response:
        await get_session(request)
        return JSONResponse({}, headers=dict.fromkeys(TARGETED, "max-age=60"))

    client = open_client(application(sessions, Route("/answered", answered)))
    client.post("/login")
    response = client.get("/answered")
    assert [response.headers.get_list(name) for name in TARGETED] == [["max-age=60"]] * len(TARGETED)


def test_a_verified_request_sets_no_cookie_and_keeps_the_applications_cache_control(
    open_client: OpenClient, sessions: SessionManager
) -> None:
    client = open_client(application(sessions, Route("/cached", cached)))
    client.post("/login")
    response = client.get("/cached")
    assert cookies_set(response) == {}
    assert response.headers["cache-control"] == "public, max-age=60"


@pytest.mark.parametrize("name", [b"Cache-Control", b"CACHE-CONTROL", b"Expires", b"Vary"])
def test_names_with_capitals_which_asgi_forbids_and_frameworks_write_are_the_applications_own(
    name: bytes, open_client: OpenClient, sessions: SessionManager
) -> None:
    async def capitals(scope: Scope, receive: Receive, send: Send) -> None:
        await get_session(Request(scope))
        value = b"Cookie" if name == b"Vary" else b"0"
        await send({"type": "http.response.start", "status": 204, "headers": [(name, value)]})
        await send({"type": "http.response.body"})

    client = open_client(application(sessions, Mount("/capitals", capitals)))
    client.post("/login")
    headers = client.get("/capitals").headers
    assert len(headers.get_list(name.decode())) == 1
    assert headers.get_list("cache-control") == (["no-store"] if name == b"Vary" else ["0"] * (name != b"Expires"))


@pytest.mark.parametrize(
    ("own", "expected"),
    [("Accept", "Accept, Cookie"), ("cookie", "cookie"), ("Accept, COOKIE", "Accept, COOKIE"), ("*", "*")],
)
def test_vary_names_cookie_once(own: str, expected: str, open_client: OpenClient, sessions: SessionManager) -> None:
    client = open_client(application(sessions, Route("/varying", varying)))
    client.post("/login")
    assert client.get("/varying", params={"vary": own}).headers["vary"] == expected


def test_a_request_that_does_not_ask_for_the_session_is_left_alone(
    open_client: OpenClient, sessions: SessionManager
) -> None:
    client = open_client(application(sessions))
    client.post("/login")
    response = client.get("/public")
    assert "vary" not in response.headers
    assert "cache-control" not in response.headers
    assert cookies_set(response) == {}


@pytest.mark.parametrize("path", ["/me", "/guest"])
def test_an_anonymous_request_varies_by_cookie_and_sets_none(
    path: str, open_client: OpenClient, sessions: SessionManager
) -> None:
    response = open_client(application(sessions, Route("/guest", guest))).get(path)
    assert response.headers["vary"] == "Cookie"
    assert cookies_set(response) == {}


def test_other_cookies_are_not_ours_to_clear(open_client: OpenClient, sessions: SessionManager) -> None:
    client = open_client(application(sessions))
    response = client.get("/me", headers={"cookie": f"theme=dark; x{ACCESS}=1; {ACCESS}x=2; lone"})
    assert response.status_code == 401
    assert cookies_set(response) == {}


@pytest.mark.parametrize("name", [ACCESS, REFRESH])
def test_only_what_the_browser_sent_is_cleared(name: str, open_client: OpenClient, sessions: SessionManager) -> None:
    client = open_client(application(sessions))
    response = client.get("/me", headers={"cookie": f"{name}=garbage"})
    assert response.status_code == 401
    assert cookies_set(response) == {name: ""}


def test_an_optional_session_that_is_gone_clears_the_cookies_of_a_page_that_succeeds(
    open_client: OpenClient, sessions: SessionManager
) -> None:
    client = open_client(application(sessions, Route("/guest", guest)))
    client.post("/login")
    assert client.portal is not None
    assert client.portal.call(sessions.revoke_all_sessions_for_user, "alice") == 1
    response = client.get("/guest")
    assert (response.status_code, response.json()) == (200, {"user": None})
    assert cookies_set(response) == CLEARED


def test_a_refresh_cookie_that_the_path_hides_is_cleared_with_the_access_cookie(
    open_client: OpenClient, clock: MovableClock
) -> None:
    client = open_client(application(new_manager(clock, refresh="endpoint")))
    client.post("/login")
    response = client.post("/logout")
    assert cookies_set(response) == {"__Host-sAccessToken": "", "__Secure-sRefreshToken": ""}
    assert not list(client.cookies.jar)


def test_cookies_split_over_several_headers_are_all_read(open_client: OpenClient, sessions: SessionManager) -> None:
    client = open_client(application(sessions))
    jar = Jar().take(client.post("/login"))
    client.cookies.clear()
    headers = [("cookie", f"{name}={value}") for name, value in jar.cookies.items()]  # as HTTP/2 sends them
    assert client.get("/me", headers=[("cookie", "a=b"), *headers]).status_code == 200


def test_the_cookies_live_as_long_as_the_refresh_token(open_client: OpenClient, clock: MovableClock) -> None:
    client = open_client(application(new_manager(clock, idle_timeout="10d", absolute_timeout="15d")))
    first = client.post("/login").headers.get_list("set-cookie")
    assert all("Max-Age=864000;" in header for header in first)
    clock.advance(days=9)
    later = client.get("/me").headers.get_list("set-cookie")
    assert all("Max-Age=518400;" in header for header in later)
    assert len(later) == 2


@pytest.mark.parametrize(
    ("settings", "names", "attributes"),
    [
        ({}, ["__Host-sAccessToken", "__Host-sRefreshToken"], "HttpOnly; Secure; SameSite=Lax"),
        ({"cookie_secure": False}, ["sAccessToken", "sRefreshToken"], "HttpOnly; SameSite=Lax"),
        (
            {"cookie_domain": "testserver.local", "cookie_samesite": "strict"},
            ["__Secure-sAccessToken", "__Secure-sRefreshToken"],
            "HttpOnly; Secure; SameSite=Strict",
        ),
        (
            {"refresh": "endpoint", "cookie_samesite": "none"},
            ["__Host-sAccessToken", "__Secure-sRefreshToken"],
            "HttpOnly; Secure; SameSite=None",
        ),
        ({"cookie_prefix": ""}, ["sAccessToken", "sRefreshToken"], "HttpOnly; Secure; SameSite=Lax"),
    ],
)
def test_names_and_attributes_follow_the_settings(
    settings: dict[str, object], names: list[str], attributes: str, open_client: OpenClient, clock: MovableClock
) -> None:
    response = open_client(application(new_manager(clock, **settings))).post("/login")
    headers = response.headers.get_list("set-cookie")
    assert [header.partition("=")[0] for header in headers] == names
    assert all(header.endswith(attributes) for header in headers)
    domain = settings.get("cookie_domain")
    assert all((f"Domain={domain}" in header) if domain else ("Domain" not in header) for header in headers)
    paths = ["/", "/auth/session/refresh" if settings.get("refresh") == "endpoint" else "/"]
    assert all(f"; Path={path};" in header for header, path in zip(headers, paths, strict=True))
