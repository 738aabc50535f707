"""One manager for several applications, several managers for one, and each loop its own engine."""

import asyncio
import threading
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.testclient import TestClient

from asgi_sessions import ConfigurationError, SessionManager, SessionMiddleware, get_session, session_routes
from tests.asgi.apps import (
    ACCESS,
    BASE_URL,
    LIFETIME,
    REFRESH,
    Jar,
    application,
    cookies_set,
    new_manager,
    set_cookie_headers,
)
from tests.asgi.conftest import OpenClient
from tests.clocks import MovableClock
from tests.revocation.polling import poll


def test_a_nested_middleware_with_the_same_manager_passes_through(
    open_client: OpenClient, sessions: SessionManager, clock: MovableClock
) -> None:
    app = application(sessions, Mount("/inner", application(sessions)))
    app.add_middleware(SessionMiddleware, manager=sessions)
    client = open_client(app)
    assert len(set_cookie_headers(client.post("/inner/login"))) == 2
    clock.advance(LIFETIME)
    response = client.get("/inner/me")
    assert response.json()["user"] == "alice"
    assert cookies_set(response).keys() == {ACCESS, REFRESH}
    assert client.get("/me").json()["user"] == "alice"


def test_two_managers_both_resolve_on_one_request(open_client: OpenClient, clock: MovableClock) -> None:
    staff = new_manager(clock, cookie_prefix="__Host-staff-")
    customers = new_manager(clock)

    async def enter(request: Request) -> Response:
        await staff.create_new_session(request, 1)
        await customers.create_new_session(request, "alice")
        return JSONResponse({})

    async def both(request: Request) -> Response:
        found = await asyncio.gather(staff.get_session(request), customers.get_session(request))
        return JSONResponse([session.user_id for session in found])

    async def nearest(request: Request) -> Response:
        return JSONResponse((await get_session(request)).user_id)

    async def leave(request: Request) -> Response:
        await (await staff.get_session(request)).revoke_session()
        return JSONResponse({})

    app = Starlette(
        routes=[Route("/enter", enter), Route("/both", both), Route("/nearest", nearest), Route("/leave", leave)],
        middleware=[Middleware(SessionMiddleware, manager=staff), Middleware(SessionMiddleware, manager=customers)],
    )
    client = open_client(app)
    assert len(cookies_set(client.get("/enter"))) == 4
    assert client.get("/both").json() == [1, "alice"]
    assert client.get("/nearest").json() == "alice"
    clock.advance(LIFETIME)
    response = client.get("/both")
    assert response.json() == [1, "alice"]
    assert len(cookies_set(response)) == 4
    assert (response.headers["cache-control"], response.headers["vary"]) == ("no-store", "Cookie")
    response = client.get("/leave")
    assert cookies_set(response) == {"__Host-staff-sAccessToken": "", "__Host-staff-sRefreshToken": ""}
    assert client.get("/nearest").json() == "alice"


def test_a_token_of_one_manager_is_nothing_to_another(open_client: OpenClient, clock: MovableClock) -> None:
    first, second = open_client(application(new_manager(clock))), open_client(application(new_manager(clock)))
    jar = Jar().take(first.post("/login"))
    assert second.get("/me", headers=jar.header).status_code == 401
    assert first.get("/me", headers=jar.header).status_code == 200


def test_a_mounted_application_may_have_a_manager_of_its_own(
    open_client: OpenClient, sessions: SessionManager, clock: MovableClock
) -> None:
    other = new_manager(clock, cookie_prefix="__Secure-admin-")
    app = application(sessions, Mount("/admin", application(other)))
    app.add_middleware(SessionMiddleware, manager=other)  # whose lifespan a mounted application does not get
    client = open_client(app)
    client.post("/login?user=alice")
    client.post("/admin/login?user=root")
    assert client.get("/me").status_code == 200
    assert client.get("/admin/me").json()["user"] == "root"


def test_another_manager_than_the_middlewares_is_told_so(
    open_client: OpenClient, sessions: SessionManager, clock: MovableClock
) -> None:
    stranger = new_manager(clock)

    async def endpoint(request: Request) -> Response:
        await stranger.get_session(request)
        return JSONResponse({})

    client = open_client(application(sessions, Route("/stranger", endpoint)))
    with pytest.raises(ConfigurationError, match="another SessionManager"):
        client.get("/stranger")


def test_several_applications_share_a_manager(clock: MovableClock, tmp_path: Path) -> None:
    sessions = new_manager(clock, database_url=f"sqlite+aiosqlite:///{tmp_path / 'sessions.db'}")
    with TestClient(application(sessions), base_url=BASE_URL) as shop:
        jar = Jar().take(shop.post("/login"))
        with TestClient(application(sessions), base_url=BASE_URL) as help_desk:
            assert help_desk.get("/me", headers=jar.header).json()["user"] == "alice"
            assert help_desk.post("/logout", headers=jar.header).status_code == 200
        assert shop.portal is not None
        shop.portal.call(poll, sessions)  # each has an event loop, and a feed, of its own
        assert shop.get("/me", headers=jar.header).status_code == 401


def test_two_event_loops_at_once_use_an_engine_each(clock: MovableClock, tmp_path: Path) -> None:
    sessions = new_manager(clock, database_url=f"sqlite+aiosqlite:///{tmp_path / 'sessions.db'}")
    together = threading.Barrier(2, timeout=30)
    counts = []

    async def work() -> None:
        async with sessions:
            together.wait()
            for _ in range(10):
                await sessions.create_new_session_without_request("alice")
            together.wait()
            counts.append(len(await sessions.get_all_session_handles_for_user("alice")))

    threads = [threading.Thread(target=asyncio.run, args=(work(),)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert counts == [20, 20]


async def test_a_manager_that_runs_on_one_loop_does_not_run_on_another(sessions: SessionManager) -> None:
    async def elsewhere() -> None:
        with pytest.raises(ConfigurationError, match="runs on another event loop"):
            await sessions.get_all_session_handles_for_user("alice")

    async with sessions:
        thread = threading.Thread(target=asyncio.run, args=(elsewhere(),))
        thread.start()
        await asyncio.to_thread(thread.join)


KEY = "one-key-of-the-house-for-all-managers-0123456789"


@pytest.mark.parametrize("promote_on", ["refresh", "first_use"])
@pytest.mark.parametrize("own_is_staff", [True, False])
def test_no_token_of_one_manager_opens_another_on_the_same_keys(
    open_client: OpenClient, clock: MovableClock, promote_on: str, own_is_staff: bool
) -> None:
    async def provide() -> str:
        return KEY

    shared = {"signing_key_provider": provide, "promote_on": promote_on, "token_transport": "any"}
    staff = new_manager(clock, table_prefix="staff_", cookie_prefix="__Host-staff-", **shared)
    customers = new_manager(clock, table_prefix="customers_", **shared)
    own, other = (staff, customers) if own_is_staff else (customers, staff)
    clients = {
        manager: open_client(application(manager, Mount("/auth", routes=session_routes()))) for manager in (own, other)
    }
    names = {staff: "__Host-staff-", customers: "__Host-"}
    jar = Jar().take(clients[own].post("/login"))
    renamed = Jar({name.replace(names[own], names[other]): value for name, value in jar.cookies.items()})
    assert renamed.cookies.keys() == {f"{names[other]}sAccessToken", f"{names[other]}sRefreshToken"}
    access, refresh = jar.cookies[f"{names[own]}sAccessToken"], jar.cookies[f"{names[own]}sRefreshToken"]

    def statuses(manager: SessionManager, jar: Jar) -> list[int]:
        client = clients[manager]
        return [
            client.get("/me", headers=jar.header).status_code,
            client.get("/me", headers={"authorization": f"Bearer {access}"}).status_code,
            client.post("/auth/session/refresh", headers=jar.header).status_code,
            client.post("/auth/session/refresh", headers={"authorization": f"Bearer {refresh}"}).status_code,
        ]

    assert statuses(other, renamed) == [401] * 4
    assert statuses(own, jar) == [200] * 4
