"""The manager lives with the application, and a start that fails is heard."""

import asyncio
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastapi import APIRouter, FastAPI
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Mount, Router
from starlette.testclient import TestClient
from starlette.types import ASGIApp, Receive, Scope, Send

from asgi_sessions import (
    ConfigurationError,
    GeneralError,
    SessionManager,
    SessionMiddleware,
    get_session,
    session_routes,
)
from asgi_sessions.fastapi import session_router
from tests.asgi.apps import BASE_URL, application, new_manager
from tests.asgi.conftest import OpenClient
from tests.clocks import MovableClock

NOT_STARTED = re.compile(r"`with TestClient\(app\).*`async with sessions:`")
UNREACHABLE = "sqlite+aiosqlite:////nowhere/at/all/sessions.db"


class Server:
    """A server's side of the lifespan protocol."""

    def __init__(self, app: ASGIApp) -> None:
        self.sent: list[dict[str, Any]] = []
        self._queue: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._changed = asyncio.Event()
        self._task = asyncio.ensure_future(app({"type": "lifespan", "state": {}}, self._queue.get, self._send))

    async def _send(self, message: Any) -> None:
        self.sent.append(message)
        self._changed.set()

    async def tell(self, event: str) -> None:
        """Send an event and wait until it is answered or the application has ended."""
        self._changed.clear()
        await self._queue.put({"type": f"lifespan.{event}"})
        waiting = asyncio.ensure_future(self._changed.wait())
        await asyncio.wait([waiting, self._task], return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()

    async def ended(self) -> None:
        await self._task

    @property
    def said(self) -> list[str]:
        return [message["type"].removeprefix("lifespan.") for message in self.sent]


async def no_mail() -> None:
    raise OSError("mail server")


async def is_running(sessions: SessionManager) -> bool:
    try:
        await sessions.get_all_session_handles_for_user("alice")
    except ConfigurationError:
        return False
    return True


async def test_the_manager_runs_while_the_application_does(sessions: SessionManager) -> None:
    server = Server(application(sessions))
    await server.tell("startup")
    assert await is_running(sessions)
    await server.tell("shutdown")
    await server.ended()
    assert server.said == ["startup.complete", "shutdown.complete"]
    assert not await is_running(sessions)


async def test_the_applications_own_lifespan_may_use_the_manager_from_first_to_last(sessions: SessionManager) -> None:
    seen = []

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[dict[str, str]]:
        seen.append(await is_running(sessions))
        yield {"mail": "ready"}
        seen.append(await is_running(sessions))

    server = Server(application(sessions, lifespan=lifespan))
    await server.tell("startup")
    await server.tell("shutdown")
    await server.ended()
    assert seen == [True, True]
    assert not await is_running(sessions)


async def test_a_failed_start_is_told_once_and_raised(clock: MovableClock) -> None:
    sessions = new_manager(clock, database_url=UNREACHABLE)
    server = Server(application(sessions))
    await server.tell("startup")
    with pytest.raises(GeneralError):
        await server.ended()
    assert server.said == ["startup.failed"]
    assert server.sent[0]["message"].startswith("asgi_sessions: ")


async def test_a_failed_start_is_told_once_where_the_application_reports_it_too(clock: MovableClock) -> None:
    async def careful(_: Scope, receive: Receive, send: Send) -> None:
        try:
            await receive()
        except Exception:
            await send({"type": "lifespan.startup.failed", "message": "again"})
            raise

    server = Server(SessionMiddleware(careful, new_manager(clock, database_url=UNREACHABLE)))
    await server.tell("startup")
    with pytest.raises(GeneralError):
        await server.ended()
    assert server.said == ["startup.failed"]


@pytest.mark.parametrize("failing", ["both", "outer", "inner"])
async def test_of_two_middlewares_the_one_that_fails_is_heard(failing: str, clock: MovableClock) -> None:
    bad = new_manager(clock, database_url=UNREACHABLE)
    good = new_manager(clock, table_prefix="other_", cookie_prefix="__Host-other_")
    app = application(good if failing == "outer" else bad)
    app.add_middleware(SessionMiddleware, manager=good if failing == "inner" else bad)
    server = Server(app)
    await server.tell("startup")
    async with asyncio.timeout(30):
        with pytest.raises(GeneralError, match="the folder /nowhere/at/all does not exist"):
            await server.ended()
    assert server.said == ["startup.failed"]
    assert "the folder /nowhere/at/all does not exist" in server.sent[0]["message"]
    assert not await is_running(good)


async def test_where_the_applications_own_start_fails_the_manager_is_stopped(sessions: SessionManager) -> None:
    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        await no_mail()
        yield

    server = Server(application(sessions, lifespan=lifespan))
    await server.tell("startup")
    with pytest.raises(OSError, match="mail server"):
        await server.ended()
    assert server.said == ["startup.failed"]
    assert not await is_running(sessions)


async def test_where_the_applications_own_end_fails_the_manager_is_stopped(sessions: SessionManager) -> None:
    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        await no_mail()

    server = Server(application(sessions, lifespan=lifespan))
    await server.tell("startup")
    await server.tell("shutdown")
    with pytest.raises(OSError, match="mail server"):
        await server.ended()
    assert server.said == ["startup.complete", "shutdown.failed"]
    assert not await is_running(sessions)


async def refuses(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] != "http":
        raise NotImplementedError(scope["type"])
    session = await get_session(Request(scope))
    await JSONResponse({"user": session.user_id})(scope, receive, send)


async def ignores(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "http":
        await refuses(scope, receive, send)


@pytest.mark.parametrize("app", [refuses, ignores], ids=lambda app: app.__name__)
async def test_an_application_without_lifespan_gets_the_managers_own(app: ASGIApp, sessions: SessionManager) -> None:
    server = Server(SessionMiddleware(app, sessions))
    await server.tell("startup")
    assert await is_running(sessions)
    await server.tell("shutdown")
    await server.ended()
    assert server.said == ["startup.complete", "shutdown.complete"]
    assert not await is_running(sessions)


async def test_for_an_application_without_lifespan_a_failed_start_is_told_as_well(clock: MovableClock) -> None:
    server = Server(SessionMiddleware(refuses, new_manager(clock, database_url=UNREACHABLE)))
    await server.tell("startup")
    with pytest.raises(GeneralError):
        await server.ended()
    assert server.said == ["startup.failed"]


async def test_an_application_that_a_server_cancels_leaves_nothing_running(sessions: SessionManager) -> None:
    server = Server(application(sessions))
    await server.tell("startup")
    server._task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await server.ended()
    assert not await is_running(sessions)


# -- where no lifespan runs


def test_a_test_client_without_with_is_told_what_to_write(sessions: SessionManager) -> None:
    client = TestClient(application(sessions), base_url=BASE_URL)
    with pytest.raises(ConfigurationError, match=NOT_STARTED):
        client.get("/me")


async def test_a_transport_without_lifespan_is_told_what_to_write(sessions: SessionManager) -> None:
    transport = httpx2.ASGITransport(app=application(sessions))
    async with httpx2.AsyncClient(transport=transport, base_url=BASE_URL) as client:
        with pytest.raises(ConfigurationError, match=NOT_STARTED):
            await client.post("/login")
        async with sessions:
            assert (await client.post("/login")).status_code == 200


def test_the_middleware_on_a_mounted_application_alone_is_not_started(
    open_client: OpenClient, sessions: SessionManager
) -> None:
    client = open_client(Starlette(routes=[Mount("/inner", application(sessions))]))
    with pytest.raises(ConfigurationError, match=NOT_STARTED):
        client.get("/inner/me")


def test_a_request_that_never_asks_for_the_session_needs_no_manager(sessions: SessionManager) -> None:
    assert TestClient(application(sessions)).get("/public").status_code == 200


# -- the refresh route


def fastapi_with(sessions: SessionManager, *, deep: bool = False, prefix: str = "/auth") -> FastAPI:
    app = FastAPI()
    router: APIRouter = session_router()
    if deep:
        outer = APIRouter(prefix="/v1")
        outer.include_router(router, prefix=prefix)
        router, prefix = outer, "/api"
    app.include_router(router, prefix=prefix)
    app.add_middleware(SessionMiddleware, manager=sessions)
    return app


def starlette_with(sessions: SessionManager, *, deep: bool = False, prefix: str = "/auth") -> Starlette:
    mount = Mount(prefix, routes=session_routes())
    return application(sessions, Mount("/api", routes=[Mount("/v1", app=Router([mount]))]) if deep else mount)


def wrapped_from_outside(sessions: SessionManager, *, deep: bool = False, prefix: str = "/auth") -> ASGIApp:
    mount = Mount(prefix, routes=session_routes())
    inner = Starlette(routes=[Mount("/api", routes=[Mount("/v1", routes=[mount])])] if deep else [mount])
    return SessionMiddleware(inner, sessions)


BUILDERS = pytest.mark.parametrize("build", [fastapi_with, starlette_with, wrapped_from_outside])


@BUILDERS
def test_a_router_mounted_elsewhere_is_an_error_at_start(build: Any, clock: MovableClock) -> None:
    app = build(new_manager(clock, refresh="endpoint"), prefix="/account")
    with (
        pytest.raises(ConfigurationError, match=r"refresh_path: is /auth/.* at /account/session/refresh"),
        TestClient(app),
    ):
        pass


@BUILDERS
def test_a_nested_router_is_found_with_all_its_prefixes(build: Any, clock: MovableClock) -> None:
    right = new_manager(clock, refresh="endpoint", refresh_path="/api/v1/auth/session/refresh")
    with TestClient(build(right, deep=True)):
        pass
    wrong = new_manager(clock, refresh="endpoint")
    with (
        pytest.raises(ConfigurationError, match="at /api/v1/auth/session/refresh"),
        TestClient(build(wrong, deep=True)),
    ):
        pass


@BUILDERS
def test_the_right_place_is_no_error_and_inline_any_place_is(build: Any, clock: MovableClock) -> None:
    with TestClient(build(new_manager(clock, refresh="endpoint"))):
        pass
    with TestClient(build(new_manager(clock), prefix="/account")):
        pass


def test_a_proxy_may_put_something_before_the_path(clock: MovableClock) -> None:
    sessions = new_manager(clock, refresh="endpoint", refresh_path="/shop/auth/session/refresh")
    with TestClient(fastapi_with(sessions), root_path="/shop"):
        pass


def test_an_application_without_our_routes_is_its_own_business(clock: MovableClock) -> None:
    with TestClient(application(new_manager(clock, refresh="endpoint"))):
        pass


def an_application(manager: SessionManager) -> Mount:
    return Mount("/staff", application(manager, Mount("/auth", routes=session_routes())))


def a_mount_with_middleware(manager: SessionManager) -> Mount:
    return Mount(
        "/staff",
        routes=[Mount("/auth", routes=session_routes())],
        middleware=[Middleware(CORSMiddleware), Middleware(SessionMiddleware, manager)],
    )


@pytest.mark.parametrize("mounted", [an_application, a_mount_with_middleware])
@pytest.mark.parametrize("staff_is_outermost", [True, False])
def test_each_manager_refreshes_where_its_own_middleware_is_nearest(
    clock: MovableClock, mounted: Callable[[SessionManager], Mount], staff_is_outermost: bool
) -> None:
    def client(users: SessionManager, staff: SessionManager, *routes: Mount) -> TestClient:
        inner, outer = (users, staff) if staff_is_outermost else (staff, users)
        app = application(inner, mounted(staff), *routes)
        app.add_middleware(SessionMiddleware, manager=outer)
        return TestClient(app)

    def manager(**settings: Any) -> SessionManager:
        return new_manager(clock, refresh="endpoint", **settings)

    own = {"table_prefix": "staff_", "cookie_prefix": "__Secure-staff-"}
    routes = [Mount("/auth", routes=session_routes())] if staff_is_outermost else []  # the users' own
    with (
        pytest.raises(ConfigurationError, match=r"is /auth/.*, but the session routes refresh at /staff/auth/.*sh\. "),
        client(manager(), manager(**own), *routes),
    ):
        pass
    right = manager(**own, refresh_path="/staff/auth/session/refresh")
    with client(manager(), right, *routes), client(manager(refresh_path="/ours"), right):
        pass


# -- a real server

APPLICATION = """
from starlette.applications import Starlette
from asgi_sessions import SessionManager, SessionMiddleware, SessionSettings

app = Starlette()
app.add_middleware(SessionMiddleware, manager=SessionManager(SessionSettings()))
"""


@pytest.mark.parametrize("lifespan", ["auto", "on"])
def test_uvicorn_exits_when_the_store_cannot_be_opened(lifespan: str, tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text(APPLICATION)
    done = subprocess.run(
        [sys.executable, "-m", "uvicorn", "shop:app", "--lifespan", lifespan, "--port", "0", "--app-dir", tmp_path],
        env={"PYTHONPATH": str(Path(__file__).parents[2]), "ASGI_SESSIONS_DATABASE_URL": UNREACHABLE},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 3
    assert "asgi_sessions: " in done.stderr
    assert "unsupported" not in done.stderr
