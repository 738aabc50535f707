"""session_router() and session_routes(): the same endpoints for FastAPI and Starlette, and the lock in OpenAPI."""

import uuid
from datetime import datetime
from typing import Annotated, Any

import jwt
import pytest
from fastapi import APIRouter, Depends, FastAPI, Request, WebSocket
from starlette.routing import Mount
from starlette.testclient import TestClient, WebSocketDenialResponse

from asgi_sessions import (
    Session,
    SessionManager,
    SessionMiddleware,
    get_optional_session,
    get_session,
    require_session,
    session_routes,
)
from asgi_sessions.fastapi import CurrentSession, OptionalSession, session_router
from tests.asgi.apps import ACCESS, CLEARED, LIFETIME, Jar, application, cookies_set, login, new_manager
from tests.asgi.conftest import OpenClient
from tests.clocks import MovableClock


def fastapi_app(sessions: SessionManager, **options: Any) -> FastAPI:
    app = FastAPI()
    app.include_router(session_router(**options), prefix="/auth")
    app.add_route("/login", login, methods=["POST"])
    app.add_middleware(SessionMiddleware, manager=sessions)
    return app


def starlette_app(sessions: SessionManager, **options: Any) -> Any:
    return application(sessions, Mount("/auth", routes=session_routes(**options)))


@pytest.fixture(params=[fastapi_app, starlette_app], ids=["fastapi", "starlette"])
def build(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture
def client(build: Any, open_client: OpenClient, sessions: SessionManager) -> TestClient:
    return open_client(build(sessions))


def logged_in(client: TestClient, user: str = "alice", **headers: str) -> Jar:
    """Another device of a user; the client's own jar stays as it is."""
    response = client.post("/login", params={"user": user}, headers={"cookie": "none=1", **headers})
    client.cookies.clear()
    return Jar({"handle": response.json()["handle"]}).take(response)


def test_refresh_answers_with_the_session_and_new_cookies(client: TestClient, clock: MovableClock) -> None:
    jar = logged_in(client)
    clock.advance(LIFETIME)
    response = client.post("/auth/session/refresh", headers=jar.header)
    assert response.json()["session_handle"] == jar.cookies["handle"]
    assert cookies_set(response).keys() == CLEARED.keys()


def test_who_am_i(client: TestClient, sessions: SessionManager) -> None:
    client.post("/login", json={"user_id": 42, "jwt_payload": {"role": "admin"}})
    seen = client.get("/auth/session").json()
    assert (seen["user_id"], seen["jwt_payload"]) == (42, {"role": "admin"})
    assert datetime.fromisoformat(seen["expires_at"]) > datetime.fromisoformat(seen["auth_time"])
    described = {"session_handle", "form_tag", "user_id", "jwt_payload", "persistent", "auth_time", "expires_at"}
    assert seen.keys() == described | {"idle_expires_at", "expires_in", "authentication_methods", "actor"}


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/auth/session"),
        ("GET", "/auth/sessions"),
        ("POST", "/auth/sessions/revoke-others"),
        ("DELETE", "/auth/sessions/abc"),
        ("POST", "/auth/session/refresh"),
    ],
)
def test_guests_are_told_to_log_in(method: str, path: str, client: TestClient) -> None:
    response = client.request(method, path)
    assert (response.status_code, response.json()["code"]) == (401, "unauthorised")
    assert cookies_set(response) == {}


def test_sign_out_ends_the_session_and_clears_the_cookies(client: TestClient) -> None:
    jar = logged_in(client)
    response = client.post("/auth/signout", headers=jar.header)
    assert (response.status_code, response.json()) == (200, {"status": "OK"})
    assert cookies_set(response) == CLEARED
    assert client.get("/auth/session", headers=jar.header).status_code == 401


def test_sign_out_works_with_an_expired_access_token(client: TestClient, clock: MovableClock) -> None:
    jar = logged_in(client)
    clock.advance(LIFETIME)
    assert client.post("/auth/signout", headers=jar.without("__Host-sRefreshToken").header).status_code == 200
    assert client.get("/auth/session", headers=jar.header).status_code == 401


def test_sign_out_without_a_session_is_no_error(client: TestClient) -> None:
    response = client.post("/auth/signout")
    assert response.status_code == 200
    assert cookies_set(response) == {}


@pytest.mark.parametrize("path", ["/auth/signout", "/auth/sessions/revoke-others", "/auth/session/refresh"])
def test_another_sites_page_is_refused(path: str, client: TestClient) -> None:
    jar = logged_in(client)
    response = client.post(path, headers={**jar.header, "sec-fetch-site": "same-site"})
    assert (response.status_code, response.json()["code"]) == (403, "csrf_rejected")
    assert cookies_set(response) == {}
    assert client.get("/auth/session", headers=jar.header).status_code == 200


def test_my_devices_newest_first_and_nobody_elses(client: TestClient, clock: MovableClock) -> None:
    agent = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0"
    laptop = logged_in(client, **{"user-agent": agent})
    clock.advance(1)
    phone = logged_in(client)
    logged_in(client, "bob")
    devices = client.get("/auth/sessions", headers=laptop.header).json()
    assert [device["session_handle"] for device in devices] == [phone.cookies["handle"], laptop.cookies["handle"]]
    assert [device["this_device"] for device in devices] == [False, True]
    assert devices[1]["device_label"] == "Firefox on Windows"
    assert devices[1]["ip_address"] == "testclient"
    assert devices[1].keys() == {
        "session_handle",
        "this_device",
        "device_label",
        "ip_address",
        "created_at",
        "last_active_at",
        "expires_at",
        "authentication_methods",
        "actor",
    }


def test_one_of_my_devices_is_logged_out(client: TestClient) -> None:
    laptop, phone = logged_in(client), logged_in(client)
    response = client.delete(f"/auth/sessions/{phone.cookies['handle']}", headers=laptop.header)
    assert (response.status_code, response.text) == (204, "")
    assert cookies_set(response) == {}
    assert client.get("/auth/session", headers=phone.header).status_code == 401
    assert client.get("/auth/session", headers=laptop.header).status_code == 200


def test_logging_out_this_device_clears_its_cookies(client: TestClient) -> None:
    laptop = logged_in(client)
    response = client.delete(f"/auth/sessions/{laptop.cookies['handle']}", headers=laptop.header)
    assert response.status_code == 204
    assert cookies_set(response) == CLEARED


def test_anothers_session_is_not_found(client: TestClient) -> None:
    mine, theirs = logged_in(client), logged_in(client, "bob")
    for handle in (theirs.cookies["handle"], "unknown", "x" * 500, "%20"):
        assert client.delete(f"/auth/sessions/{handle}", headers=mine.header).status_code == 404
    assert client.get("/auth/session", headers=theirs.header).status_code == 200


def test_revoke_others_keeps_this_device(client: TestClient) -> None:
    laptop, phone, other = logged_in(client), logged_in(client), logged_in(client, "bob")
    response = client.post("/auth/sessions/revoke-others", headers=laptop.header)
    assert response.json() == {"revoked": 1}
    assert cookies_set(response) == {}
    statuses = [client.get("/auth/session", headers=jar.header).status_code for jar in (laptop, phone, other)]
    assert statuses == [200, 401, 200]


@pytest.mark.parametrize(("method", "path"), [("POST", "/auth/sessions/revoke-others"), ("DELETE", "/auth/sessions/x")])
def test_ending_other_sessions_may_need_a_recent_login(
    method: str, path: str, build: Any, open_client: OpenClient, sessions: SessionManager, clock: MovableClock
) -> None:
    client = open_client(build(sessions, max_auth_age=60))
    jar = logged_in(client)
    assert client.request(method, path, headers=jar.header).status_code in {200, 404}
    clock.advance(61)
    response = client.request(method, path, headers=jar.header)
    assert (response.status_code, response.json()["code"]) == (403, "reauthentication_required")
    assert client.get("/auth/sessions", headers=jar.header).status_code == 200


@pytest.mark.parametrize("algorithm", ["EdDSA", "ES256"])
def test_the_published_keys_verify_access_tokens(
    algorithm: str, build: Any, open_client: OpenClient, clock: MovableClock
) -> None:
    client = open_client(build(new_manager(clock, signing_algorithm=algorithm)))
    token = logged_in(client).cookies[ACCESS]
    response = client.get("/auth/jwks.json")
    assert response.headers["cache-control"] == "public, max-age=60"
    keys = jwt.PyJWKSet.from_dict(response.json())
    key = keys[jwt.get_unverified_header(token)["kid"]]
    claims = jwt.decode(
        token, key, [algorithm], audience="asgi_sessions_", issuer="asgi_sessions", options={"verify_iat": False}
    )
    assert claims["sub"] == "alice"
    assert not {"d", "k", "p", "q"} & {name for jwk in response.json()["keys"] for name in jwk}


def test_a_symmetric_key_is_not_published(client: TestClient) -> None:
    assert client.get("/auth/jwks.json").status_code == 404


def test_devices_come_in_pages_of_at_most_a_hundred_and_link_to_the_next(
    build: Any, open_client: OpenClient, clock: MovableClock
) -> None:
    sessions = new_manager(clock, max_sessions_per_user=None)
    client = open_client(build(sessions))

    async def log_in_often() -> None:
        for _ in range(130):
            await sessions.create_new_session_without_request("alice")

    client.portal.call(log_in_often)  # type: ignore[union-attr]  # it runs
    jar = logged_in(client)
    path: str | None = "/auth/sessions"
    pages = []
    while path is not None:
        response = client.get(path, headers=jar.header)
        assert response.status_code == 200
        pages.append([device["session_handle"] for device in response.json()])
        following = response.links.get("next")
        path = str(response.url.join(following["url"])) if following else None
    assert [len(page) for page in pages] == [100, 31]
    assert len({handle for page in pages for handle in page}) == 131
    assert len(client.get("/auth/sessions?limit=7", headers=jar.header).json()) == 7


@pytest.mark.parametrize(
    "query",
    [
        *(f"limit={limit}" for limit in ("0", "101", "-1", "1e1", "many", "", "%F0%9F%98%80", "9" * 5000)),
        *(f"cursor={cursor}" for cursor in ("", "1", "-", "x-" + "a" * 32, "1-" + "A" * 32, "1-" + "a" * 33, "%00")),
        "cursor=" + "9" * 16 + "-" + "a" * 32,
        "cursor=1-" + "a" * 32 + "%0A",
        "cursor=%D9%A1-" + "a" * 32,
    ],
)
def test_a_bad_page_is_the_clients_mistake(query: str, client: TestClient) -> None:
    jar = logged_in(client)
    response = client.get(f"/auth/sessions?{query}", headers=jar.header)
    assert response.status_code in (400, 422)
    assert "limit" in response.text or "cursor" in response.text


def test_a_page_after_the_last_session_is_empty(client: TestClient) -> None:
    jar = logged_in(client)
    response = client.get(f"/auth/sessions?cursor=0-{'0' * 32}", headers=jar.header)
    assert (response.status_code, response.json(), response.links) == (200, [], {})


def test_a_uuid_is_shown_as_text(build: Any, open_client: OpenClient, sessions: SessionManager) -> None:
    user = uuid.uuid4()
    client = open_client(build(sessions))
    issued = client.portal.call(sessions.create_new_session_without_request, user)  # type: ignore[union-attr]
    jar = Jar({ACCESS: issued.access_token.value})
    assert client.get("/auth/session", headers=jar.header).json()["user_id"] == str(user)


# -- OpenAPI and the kinds of dependency

LOCK: list[dict[str, list[str]]] = [{"SessionCookie": []}]


def locked(app: FastAPI, path: str) -> bool:
    [operation] = app.openapi()["paths"][path].values()
    return bool(operation.get("security") == LOCK)


def test_the_router_describes_itself() -> None:
    app = FastAPI()
    app.include_router(session_router(), prefix="/auth")
    described = app.openapi()
    assert set(described["paths"]) == {
        "/auth/session/refresh",
        "/auth/signout",
        "/auth/session",
        "/auth/sessions",
        "/auth/sessions/{session_handle}",
        "/auth/sessions/revoke-others",
        "/auth/jwks.json",
    }
    scheme = described["components"]["securitySchemes"]["SessionCookie"]
    assert (scheme["type"], scheme["in"], scheme["name"]) == ("apiKey", "cookie", "sAccessToken")
    assert "422" not in described["paths"]["/auth/session"]["get"]["responses"]


ADMIN = require_session(claims={"role": "admin"})


@pytest.mark.parametrize("dependency", [get_session, get_optional_session, ADMIN], ids=["get", "optional", "require"])
def test_every_kind_of_dependency_shows_the_lock_at_every_level(dependency: Any) -> None:
    by_router = APIRouter(dependencies=[Depends(dependency)])

    @by_router.get("/router")
    async def of_router() -> None: ...

    app = FastAPI()
    app.include_router(by_router)

    @app.get("/parameter")
    async def of_parameter(session: Any = Depends(dependency)) -> None: ...  # noqa: B008

    @app.get("/route", dependencies=[Depends(dependency)])
    async def of_route() -> None: ...

    @app.get("/open")
    async def of_nobody() -> None: ...

    whole = FastAPI(dependencies=[Depends(dependency)])

    @whole.get("/application")
    async def of_application() -> None: ...

    assert [locked(app, path) for path in ("/parameter", "/route", "/router", "/open")] == [True, True, True, False]
    assert locked(whole, "/application")
    assert "requestBody" not in str(app.openapi())
    assert "parameters" not in app.openapi()["paths"]["/parameter"]["get"]


def dependent_app(sessions: SessionManager) -> FastAPI:
    app = fastapi_app(sessions)
    router = APIRouter(dependencies=[Depends(get_session)])

    @router.get("/router")
    async def of_router() -> str:
        return "in"

    app.include_router(router)

    @app.get("/route", dependencies=[Depends(get_session)])
    async def of_route() -> str:
        return "in"

    @app.get("/optional")
    async def optional(session: OptionalSession) -> Any:
        return session.user_id if session else None

    @app.get("/admin")
    async def admin(session: Annotated[Session, Depends(ADMIN)]) -> Any:
        return session.user_id

    @app.get("/both")
    async def both(request: Request, one: CurrentSession, other: OptionalSession) -> bool:
        return one is other and one is await get_session(request)

    @app.websocket("/socket")
    async def socket(websocket: WebSocket, session: CurrentSession) -> None:
        await websocket.accept()
        await websocket.send_text(session.user_id)
        await websocket.close()

    return app


def test_dependencies_guard_routes_and_routers(open_client: OpenClient, sessions: SessionManager) -> None:
    client = open_client(dependent_app(sessions))
    paths = ("/router", "/route", "/optional", "/admin")
    assert [client.get(path).status_code for path in paths] == [401, 401, 200, 401]
    client.post("/login")
    assert [client.get(path).status_code for path in paths] == [200, 200, 200, 403]
    assert client.get("/both").json() is True


def test_a_dependency_of_the_whole_application_guards_it(open_client: OpenClient, sessions: SessionManager) -> None:
    app = FastAPI(dependencies=[Depends(get_session)])
    app.add_middleware(SessionMiddleware, manager=sessions)

    @app.get("/page")
    async def page() -> None: ...

    assert open_client(app).get("/page").status_code == 401


def test_a_dependency_guards_a_websocket(open_client: OpenClient, sessions: SessionManager) -> None:
    client = open_client(dependent_app(sessions))
    with pytest.raises(WebSocketDenialResponse) as denied, client.websocket_connect("wss://testserver/socket"):
        pass
    assert denied.value.json()["code"] == "unauthorised"
    client.post("/login")
    with client.websocket_connect("wss://testserver/socket") as websocket:
        assert websocket.receive_text() == "alice"


class Someone:
    user_id = "someone"


def test_a_dependency_can_be_overridden(open_client: OpenClient, sessions: SessionManager) -> None:
    app = dependent_app(sessions)
    app.dependency_overrides[get_session] = Someone
    app.dependency_overrides[ADMIN] = Someone
    client = open_client(app)
    assert client.get("/route").status_code == 200
    assert client.get("/admin").json() == "someone"
    assert client.get("/optional").json() is None  # only the exact object
    with client.websocket_connect("wss://testserver/socket") as websocket:
        assert websocket.receive_text() == "someone"
