"""A mounted application whose middleware stands a second time inside another manager's: its own manager is nearest."""

import asyncio
from collections.abc import Callable

import pytest
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect

from asgi_sessions import SessionManager, SessionMiddleware, get_session, session_routes
from asgi_sessions.manager.connection import SCOPE_KEY
from tests.asgi.apps import ACCESS, LIFETIME, REFRESH, application, cookies_set, manager_of, new_manager
from tests.asgi.conftest import OpenClient
from tests.clocks import MovableClock

STAFF_ACCESS, STAFF_REFRESH = "__Host-staff-sAccessToken", "__Host-staff-sRefreshToken"
ORDERS = pytest.mark.parametrize("outermost", ["staff", "users"])


@pytest.fixture
def users(clock: MovableClock) -> SessionManager:
    return new_manager(clock)


@pytest.fixture
def staff(clock: MovableClock) -> SessionManager:
    return new_manager(
        clock,
        table_prefix="staff_",
        cookie_prefix="__Host-staff-",
        expired_status_code=440,
        websocket_close_code=4440,
    )


Site = Callable[..., TestClient]


@pytest.fixture
def site(open_client: OpenClient, users: SessionManager, staff: SessionManager, outermost: str) -> Site:
    """An application with both managers, with the staff's mounted in it, in which customer and staff can log in."""

    async def enter(request: Request) -> Response:
        manager = {"users": users, "staff": staff}[request.query_params["at"]]
        await manager.create_new_session(request, request.query_params["user"])
        return JSONResponse({})

    async def of_both(request: Request) -> Response:
        found = await asyncio.gather(users.get_session(request), staff.get_session(request))
        return JSONResponse([session.user_id for session in found])

    async def act_as(request: Request) -> Response:
        session = await users.impersonate(request, "bob", actor=await get_session(request))
        return JSONResponse({"user": session.user_id, "actor": session.actor})

    async def socket(websocket: WebSocket) -> None:
        session = await get_session(websocket)
        await websocket.accept()
        await websocket.send_json(session.user_id)
        await websocket.receive()
        await get_session(websocket)

    async def customer(websocket: WebSocket) -> None:
        session = await users.get_session(websocket)
        await websocket.accept()
        await websocket.send_json(session.user_id)
        await websocket.close()

    def build() -> TestClient:
        inside = application(
            staff,
            Route("/both", of_both),
            Route("/act-as", act_as, methods=["POST"]),
            WebSocketRoute("/socket", socket),
            WebSocketRoute("/customer", customer),
            Mount("/auth", routes=session_routes()),
        )
        inner, outer = (users, staff) if outermost == "staff" else (staff, users)
        app = application(inner, Mount("/staff", inside), Route("/enter", enter, methods=["POST"]))
        app.add_middleware(SessionMiddleware, manager=outer)
        return open_client(app)

    return build


def enter(client: TestClient, at: str, user: str) -> None:
    assert client.post(f"/enter?at={at}&user={user}").status_code == 200


@ORDERS
def test_another_managers_session_opens_no_mounted_application(site: Site) -> None:
    client = site()
    enter(client, "users", "customer")
    response = client.get("/staff/me")
    assert response.status_code == 440, response.text
    assert client.get("/staff/auth/session").status_code == 440
    assert client.get("/staff/auth/sessions").status_code == 440
    with pytest.raises(WebSocketDisconnect), client.websocket_connect("wss://testserver/staff/socket"):
        pass


@ORDERS
def test_the_mounted_application_has_its_own_managers_session(site: Site) -> None:
    client = site()
    enter(client, "users", "customer")
    enter(client, "staff", "root")
    assert client.get("/staff/me").json()["user"] == "root"
    assert client.get("/staff/auth/session").json()["user_id"] == "root"
    with client.websocket_connect("wss://testserver/staff/socket") as socket:
        assert socket.receive_json() == "root"


@ORDERS
def test_what_the_router_ends_in_the_mounted_application_is_that_managers(site: Site, outermost: str) -> None:
    client = site()
    enter(client, "users", "customer")
    enter(client, "staff", "root")
    assert set(cookies_set(client.post("/staff/auth/session/refresh"))) == {STAFF_ACCESS, STAFF_REFRESH}
    assert cookies_set(client.post("/staff/auth/signout")) == {STAFF_ACCESS: "", STAFF_REFRESH: ""}
    assert client.get("/staff/me").status_code == 440
    enter(client, "staff", "root")
    assert client.get("/me").json()["user"] == ("customer" if outermost == "staff" else "root")


@ORDERS
def test_a_socket_hears_the_close_code_of_its_own_manager(site: Site) -> None:
    client = site()
    enter(client, "users", "customer")
    enter(client, "staff", "root")
    with client.websocket_connect("wss://testserver/staff/socket") as socket:
        assert socket.receive_json() == "root"
        client.post("/staff/auth/signout")
        socket.send_text("on")
        assert socket.receive()["code"] == 4440


@ORDERS
def test_each_managers_own_methods_still_find_their_middleware(site: Site) -> None:
    client = site()
    enter(client, "users", "customer")
    enter(client, "staff", "root")
    assert client.get("/staff/both").json() == ["customer", "root"]
    with client.websocket_connect("wss://testserver/staff/customer") as socket:
        assert socket.receive_json() == "customer"


@ORDERS
def test_the_answer_carries_the_cookies_of_both(site: Site, clock: MovableClock) -> None:
    client = site()
    enter(client, "users", "customer")
    enter(client, "staff", "root")
    clock.advance(LIFETIME)
    response = client.get("/staff/both")
    assert response.json() == ["customer", "root"]
    assert cookies_set(response).keys() == {ACCESS, REFRESH, STAFF_ACCESS, STAFF_REFRESH}
    assert (response.headers["cache-control"], response.headers["vary"]) == ("no-store", "Cookie")


@ORDERS
def test_an_administrator_of_the_mounted_application_acts_as_a_user_of_the_other_manager(site: Site) -> None:
    client = site()
    enter(client, "staff", "root")
    response = client.post("/staff/act-as")
    assert response.json() == {"user": "bob", "actor": "root"}
    assert cookies_set(response).keys() == {ACCESS, REFRESH}
    assert client.get("/staff/both").json() == ["bob", "root"]


@ORDERS
def test_a_customer_makes_no_administrator_of_himself(site: Site) -> None:
    client = site()
    enter(client, "users", "customer")
    assert client.post("/staff/act-as").status_code == 440


async def silent(scope: Scope, receive: Receive, send: Send) -> None:
    pass


async def failing(scope: Scope, receive: Receive, send: Send) -> None:
    raise OSError("no")


@pytest.mark.parametrize("kind", ["http", "websocket"])
@pytest.mark.parametrize("app", [silent, failing])
async def test_a_middleware_that_passes_through_restores_what_it_found(
    users: SessionManager, staff: SessionManager, kind: str, app: ASGIApp
) -> None:
    seen: list[object] = []

    async def inside(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(manager_of(HTTPConnection(scope)))
        await app(scope, receive, send)

    passing = SessionMiddleware(inside, staff)

    async def between(scope: Scope, receive: Receive, send: Send) -> None:
        nearest = scope[SCOPE_KEY]
        try:
            await passing(scope, receive, send)
        finally:
            seen.append(scope[SCOPE_KEY] is nearest and nearest.manager)

    async def receive() -> dict[str, str]:
        raise AssertionError

    async def send(_: object) -> None:
        pass

    scope = {"type": kind, "path": "/", "query_string": b"", "headers": []}
    site = SessionMiddleware(SessionMiddleware(between, users), staff)
    if app is failing:
        with pytest.raises(OSError, match="no"):
            await site(scope, receive, send)
    else:
        await site(scope, receive, send)
    assert seen == [staff, users]
    assert scope[SCOPE_KEY] is None


def test_at_any_depth_the_nearest_middleware_is_asked_and_all_managers_are_reached(
    open_client: OpenClient, clock: MovableClock, users: SessionManager, staff: SessionManager
) -> None:
    partners = new_manager(clock, table_prefix="partners_", cookie_prefix="__Host-partners-")
    managers = {"users": users, "staff": staff, "partners": partners}

    async def who(request: Request) -> Response:
        own = {name: (await manager.get_session(request)).user_id for name, manager in managers.items()}
        return JSONResponse([(await get_session(request)).user_id, own])

    async def enter(request: Request) -> Response:
        for name, manager in managers.items():
            await manager.create_new_session(request, name)
        return JSONResponse({})

    mounted = ["users", "staff", "partners", "staff", "staff", "users"]  # from outside
    app = application(managers[mounted[-1]], Route("/who", who))
    for name in reversed(mounted[:-1]):
        app = application(managers[name], Mount("/in", app), Route("/who", who))
    app = application(partners, Mount("/in", app), Route("/who", who), Route("/enter", enter))
    app.add_middleware(SessionMiddleware, manager=users)
    app.add_middleware(SessionMiddleware, manager=staff)
    client = open_client(app)
    client.get("/enter")
    everybody = {name: name for name in managers}
    answers = [client.get("/in" * depth + "/who").json() for depth in range(len(mounted) + 1)]
    assert answers == [[nearest, everybody] for nearest in ["partners", *mounted]]


def test_a_further_manager_inside_a_middleware_that_passes_through_has_all_others_outside(
    open_client: OpenClient, clock: MovableClock, users: SessionManager, staff: SessionManager
) -> None:
    partners = new_manager(clock, table_prefix="partners_", cookie_prefix="__Host-partners-")

    async def enter(request: Request) -> Response:
        for manager in (users, staff, partners):
            await manager.create_new_session(request, manager.settings.table_prefix)
        return JSONResponse((await get_session(request)).user_id)

    app = application(
        users, Mount("/staff", application(staff, Mount("/in", application(partners, Route("/enter", enter)))))
    )
    app.add_middleware(SessionMiddleware, manager=staff)
    client = open_client(app)
    assert client.portal is not None
    client.portal.call(partners.start)  # a mounted application gets no lifespan
    response = client.get("/staff/in/enter")
    assert response.json() == "partners_"
    assert len(cookies_set(response)) == 6
    who = [client.get(f"{path}/me").json()["user"] for path in ("", "/staff", "/staff/in")]
    assert who == [manager.settings.table_prefix for manager in (users, staff, partners)]
    client.portal.call(partners.stop)
