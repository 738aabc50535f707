"""Whoever asks after the application has returned, as a task left behind may: told the same, and nothing is issued.

Such a task has the scope, or a copy that was made while the application ran. What can no longer be done is refused with
a recipe; and what is kept keeps no request alive.
"""

import asyncio
import gc
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.requests import HTTPConnection, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import Message, Receive, Scope, Send

from asgi_sessions import SessionManager, SessionMiddleware, get_optional_session, get_session
from asgi_sessions.asgi.connection_memory import ConnectionMemory
from asgi_sessions.errors import ConfigurationError, CsrfRejected, TryRefreshToken, Unauthorised
from asgi_sessions.manager.connection import innermost
from tests.asgi.apps import LIFETIME, new_manager
from tests.asgi.connections import login_cookie, scope_of
from tests.clocks import MovableClock

pytestmark = pytest.mark.usefixtures("at_the_time_of_day")

Work = Callable[[Request], Awaitable[Any]]


@pytest.fixture(params=["feed", "none"])
def sessions(clock: MovableClock, request: pytest.FixtureRequest) -> SessionManager:
    return new_manager(clock, revocation_check=request.param)


@pytest.fixture(params=["the scope", "a copy"])
def kept(request: pytest.FixtureRequest) -> Callable[[Scope], Scope]:
    """What a task has of the scope."""
    return dict if request.param == "a copy" else _itself


def _itself(scope: Scope) -> Scope:
    return scope


async def nothing(_: Request) -> None:
    """An application that does not ask."""


async def left_behind(
    sessions: SessionManager,
    cookie: str,
    work: Work,
    kept: Callable[[Scope], Scope] = _itself,
    kind: str = "http",
    method: str | None = "GET",
    origin: str = "https://testserver",
) -> HTTPConnection:
    """A connection whose application has done its work and returned."""
    scopes: list[Scope] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await work(Request(scope) if kind == "http" else HTTPConnection(scope))  # type: ignore[arg-type]
        scopes.append(kept(scope))
        await send({"type": "http.response.start", "status": 204} if kind == "http" else {"type": "websocket.accept"})

    scope = scope_of(kind, "/", cookie, spec_version="2.3", origin=origin)
    scope["method"] = method
    if method is None:
        del scope["method"]
    await SessionMiddleware(app, manager=sessions)(scope, hear, say)
    return HTTPConnection(scopes[0])


async def hear() -> Message:
    return {"type": "http.request", "body": b"", "more_body": False}


async def say(_: Message) -> None:
    pass


async def test_who_has_logged_in_is_not_who_came(sessions: SessionManager, kept: Any) -> None:
    async def log_in(request: Request) -> None:
        await sessions.create_new_session(request, "bob")

    async with sessions:
        _, cookie = await login_cookie(sessions, "alice")
        connection = await left_behind(sessions, cookie, log_in, kept)
        assert (await get_session(connection)).user_id == "bob"


async def test_who_has_logged_out_is_out(sessions: SessionManager, kept: Any) -> None:
    async def log_out(request: Request) -> None:
        await (await get_session(request)).revoke_session()

    async with sessions:
        _, cookie = await login_cookie(sessions)
        connection = await left_behind(sessions, cookie, log_out, kept)
        with pytest.raises(Unauthorised):
            await get_session(connection)


async def test_who_has_signed_out_is_out_at_once(sessions: SessionManager, kept: Any) -> None:
    async def sign_out(request: Request) -> None:
        assert await innermost(request.scope).sign_out() is True
        with pytest.raises(Unauthorised):
            await get_session(request)

    async with sessions:
        _, cookie = await login_cookie(sessions)
        connection = await left_behind(sessions, cookie, sign_out, kept)
        with pytest.raises(Unauthorised):
            await get_session(connection)


async def test_a_new_payload_counts(sessions: SessionManager, kept: Any) -> None:
    async def change(request: Request) -> None:
        await (await get_session(request)).update_jwt_payload({"role": "admin"})

    async with sessions:
        _, cookie = await login_cookie(sessions)
        connection = await left_behind(sessions, cookie, change, kept)
        assert (await get_session(connection)).jwt_payload == {"role": "admin"}


async def test_it_is_no_use_of_the_session(sessions: SessionManager, clock: MovableClock, kept: Any) -> None:
    async with sessions:
        handle, cookie = await login_cookie(sessions)
        ends_at = await sessions.lifecycle.idle_expires_at(handle)
        clock.advance(LIFETIME)
        connection = await left_behind(sessions, cookie, nothing, kept)
        assert (await get_session(connection)).user_id == "alice"
        assert await sessions.lifecycle.idle_expires_at(handle) == ends_at


async def test_an_old_refresh_token_is_not_judged_again(
    sessions: SessionManager, clock: MovableClock, kept: Any
) -> None:
    async with sessions:
        handle, cookie = await login_cookie(sessions)
        clock.advance(LIFETIME)
        connection = await left_behind(sessions, cookie, get_session, kept)
        clock.advance(LIFETIME + 1)
        session = await get_session(connection)
        assert session.session_handle == handle
        await session.check()


@pytest.mark.parametrize("work", [nothing, get_session])
async def test_a_token_that_was_in_time_goes_on_while_its_session_stands(
    sessions: SessionManager, clock: MovableClock, kept: Any, work: Work
) -> None:
    async with sessions:
        handle, cookie = await login_cookie(sessions)
        clock.advance(LIFETIME - 2)
        connection = await left_behind(sessions, cookie, work, kept)
        clock.advance(LIFETIME)
        assert (await get_session(connection)).session_handle == handle
        await sessions.revoke_session_using_session_handle(handle)
        with pytest.raises(Unauthorised):
            await get_session(connection)
        assert await get_optional_session(connection) is None


async def test_a_connection_has_a_longest_time(sessions: SessionManager, clock: MovableClock, kept: Any) -> None:
    async with sessions:
        _, cookie = await login_cookie(sessions)
        connection = await left_behind(sessions, cookie, get_session, kept)
        clock.advance(sessions.settings.connection_lifetime_ms / 1000)
        with pytest.raises(TryRefreshToken):
            await sessions.get_session(connection, check_database=True)


async def test_a_refresh_token_serves_without_being_used_up(
    sessions: SessionManager, clock: MovableClock, kept: Any
) -> None:
    """Nobody has asked while the request ran, and its access token had expired."""
    async with sessions:
        issued = await sessions.create_new_session_without_request("alice")
        cookie = f"__Host-sRefreshToken={issued.refresh_token.value}"
        clock.advance(LIFETIME)
        connection = await left_behind(sessions, cookie, nothing, kept)
        for _ in range(2):
            session = await get_session(connection)
            assert session.session_handle == issued.session.session_handle
            clock.advance(LIFETIME)
        with pytest.raises(TryRefreshToken):  # another connection after it is served no longer
            await get_session(await left_behind(sessions, cookie, nothing, kept))
        await sessions.refresh_session_without_request(issued.refresh_token.value)


async def test_nobody_is_accused_by_a_request_that_is_over(
    sessions: SessionManager, clock: MovableClock, kept: Any
) -> None:
    async with sessions:
        issued = await sessions.create_new_session_without_request("alice")
        cookie = f"__Host-sRefreshToken={issued.refresh_token.value}"
        connection = await left_behind(sessions, cookie, nothing, kept)
        for _ in range(4):  # its jar goes on meanwhile, until that token looks like a stolen copy
            clock.advance(LIFETIME * 2)
            issued = await sessions.refresh_session_without_request(issued.refresh_token.value)
        with pytest.raises(Unauthorised):
            await get_session(connection)
        await issued.session.check()


@pytest.mark.parametrize(("kind", "method"), [("http", "POST"), ("websocket", "GET"), ("websocket", None)])
@pytest.mark.parametrize("work", [nothing, get_session], ids=["nobody asked", "asked"])
async def test_another_sites_request_stays_one(
    sessions: SessionManager, kept: Any, kind: str, method: str | None, work: Any
) -> None:
    async def unchecked(connection: HTTPConnection) -> None:
        if work is get_session:
            await sessions.get_session(connection, csrf=False)

    async with sessions:
        _, cookie = await login_cookie(sessions)
        connection = await left_behind(sessions, cookie, unchecked, kept, kind, method, "https://evil.example")
        with pytest.raises(CsrfRejected):
            await get_session(connection)
        assert (await sessions.get_session(connection, csrf=False)).user_id == "alice"


async def test_nobody_who_came_is_nobody(sessions: SessionManager, kept: Any) -> None:
    async with sessions:
        connection = await left_behind(sessions, "", nothing, kept)
        assert await get_optional_session(connection) is None
        with pytest.raises(Unauthorised):
            await get_session(connection)


async def test_what_needs_an_answer_is_refused_with_the_recipe(sessions: SessionManager) -> None:
    async with sessions:
        handle, cookie = await login_cookie(sessions)
        connection = await left_behind(sessions, cookie, nothing)
        for refused in (
            sessions.create_new_session(connection, "bob"),
            sessions.refresh_session(connection),
            innermost(connection.scope).sign_out(),
        ):
            with pytest.raises(ConfigurationError, match=r"This request is over.*take the Session first.*check\(\)"):
                await refused
        assert await sessions.get_all_session_handles_for_user("bob") == []
        assert await sessions.get_all_session_handles_for_user("alice") == [handle]


async def test_a_request_that_was_never_answered_logs_nobody_in_either(sessions: SessionManager, kept: Any) -> None:
    scopes: list[Scope] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        scopes.append(kept(scope))
        raise OSError("no")

    async with sessions:
        _, cookie = await login_cookie(sessions)
        with pytest.raises(OSError, match="no"):
            await SessionMiddleware(app, manager=sessions)(scope_of("http", "/", cookie, spec_version="2.3"), hear, say)
        with pytest.raises(ConfigurationError):
            await sessions.create_new_session(HTTPConnection(scopes[0]), "bob")
        assert (await get_session(HTTPConnection(scopes[0]))).user_id == "alice"


async def test_a_session_of_a_request_that_is_over_can_be_revoked_and_changed(
    sessions: SessionManager, caplog: pytest.LogCaptureFixture
) -> None:
    async with sessions:
        _, cookie = await login_cookie(sessions)
        session = await get_session(await left_behind(sessions, cookie, nothing))
        await session.update_jwt_payload({"role": "admin"})
        assert "the new access token did not leave with it" in caplog.text
        await session.revoke_session()
        assert "the session is revoked, its cookies stayed" in caplog.text
        with pytest.raises(Unauthorised):
            await session.check()
        assert await sessions.get_all_session_handles_for_user("alice") == []


# -- several managers


async def test_each_manager_knows_its_own_when_all_is_over(clock: MovableClock, sessions: SessionManager) -> None:
    """Both have the default cookie names: what each took is its own."""
    staff = new_manager(clock, table_prefix="staff_", cookie_prefix="__Host-staff-")
    scopes: list[Scope] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        scopes.append(scope)
        await send({"type": "http.response.start", "status": 204})

    async def between(scope: Scope, receive: Receive, send: Send) -> None:
        await SessionMiddleware(app, manager=sessions)(scope, receive, send)
        assert (await sessions.get_session(HTTPConnection(scope))).user_id == "alice"
        assert (await get_session(HTTPConnection(scope))).user_id == "bob"

    async with sessions, staff:
        _, cookie = await login_cookie(sessions, "alice")
        issued = await staff.create_new_session_without_request("bob")
        cookie += f"; __Host-staff-sAccessToken={issued.access_token.value}"
        scope = scope_of("http", "/", cookie, spec_version="2.3")
        await SessionMiddleware(between, manager=staff)(scope, hear, say)
        connection = HTTPConnection(scopes[0])
        assert (await sessions.get_session(connection)).user_id == "alice"
        assert (await staff.get_session(connection)).user_id == "bob"
        with pytest.raises(ConfigurationError, match="This request is over, and several managers"):
            await get_session(connection)
        with pytest.raises(ConfigurationError, match="belongs to another SessionManager"):
            await new_manager(clock).get_session(connection)


async def test_without_the_middleware_the_advice_is_to_add_it(sessions: SessionManager) -> None:
    connection = HTTPConnection(scope_of("http", "/", "", spec_version="2.3"))
    with pytest.raises(ConfigurationError, match="add SessionMiddleware last"):
        await sessions.get_session(connection)
    with pytest.raises(ConfigurationError, match="add SessionMiddleware last"):
        await get_session(connection)


# -- tasks of Starlette and asyncio


async def test_background_tasks_and_tasks_of_their_own_are_told_who_it_was(sessions: SessionManager) -> None:
    told: list[tuple[str, str]] = []
    tasks: list[asyncio.Task[None]] = []
    answered = asyncio.Event()

    async def tell(request: Request, whose: str) -> None:
        told.append((whose, (await get_session(request)).user_id))

    async def later(request: Request) -> None:
        await answered.wait()
        await tell(request, "task")

    async def page(request: Request) -> Response:
        tasks.append(asyncio.create_task(later(request)))
        return PlainTextResponse("", background=BackgroundTask(tell, request, "background"))

    app = SessionMiddleware(Starlette(routes=[Route("/", page)]), manager=sessions)
    async with sessions:
        _, cookie = await login_cookie(sessions)
        await app(scope_of("http", "/", cookie, spec_version="2.3"), hear, say)
        answered.set()
        await asyncio.gather(*tasks)
    assert told == [("background", "alice"), ("task", "alice")]


# -- what is kept


@pytest.mark.parametrize("work", [nothing, get_session, "login"])
async def test_a_scope_or_session_that_is_kept_keeps_no_request_alive(sessions: SessionManager, work: Any) -> None:
    async def login(request: Request) -> Any:
        return await sessions.create_new_session(request, "bob")

    kept: list[Any] = []

    async def keep(request: Request) -> None:
        kept.append(await (login if work == "login" else work)(request))

    async with sessions:
        _, cookie = await login_cookie(sessions)
        gc.collect()
        before = living_connections()
        gc.disable()
        try:
            kept.append((await left_behind(sessions, cookie, keep)).scope)
            kept.append(await get_session(HTTPConnection(kept[-1])))
            assert living_connections() == before
        finally:
            gc.enable()
        assert "method" in kept[1]
        assert kept[2].user_id == ("bob" if work == "login" else "alice")


@pytest.mark.parametrize("then", ["changed", "changed again", "refreshed", "logged in"])
async def test_no_earlier_session_of_a_request_keeps_it_alive(sessions: SessionManager, then: str) -> None:
    kept: list[Any] = []

    async def keep(request: Request) -> None:
        kept.append(await get_session(request))
        if then == "refreshed":
            kept.append(await sessions.refresh_session(request))
        elif then == "logged in":
            kept.append(await sessions.create_new_session(request, "bob"))
        else:
            for number in range(3 if then == "changed again" else 1):
                await sessions.change_jwt_payload(kept[0].session_handle, lambda _, number=number: number)  # type: ignore[misc]
                kept.append(await sessions.get_session(request, check_database=True))
                assert kept[-1].jwt_payload == number
                assert await get_session(request) is kept[-1]
        assert len(set(kept)) == len(kept)

    async with sessions:
        _, cookie = await login_cookie(sessions)
        gc.collect()
        before = living_connections()
        gc.disable()
        try:
            await left_behind(sessions, cookie, keep)
            assert living_connections() == before
        finally:
            gc.enable()
    assert len(kept) == {"changed again": 4}.get(then, 2)


def living_connections() -> int:
    return sum(isinstance(thing, ConnectionMemory) for thing in gc.get_objects())


async def test_a_session_that_was_kept_revokes_itself(sessions: SessionManager, caplog: Any) -> None:
    kept = []

    async def keep(request: Request) -> None:
        kept.append(await get_session(request))

    async with sessions:
        handle, cookie = await login_cookie(sessions)
        await left_behind(sessions, cookie, keep)
        await kept[0].revoke_session()
        assert await sessions.get_all_session_handles_for_user("alice") == []
        assert handle == kept[0].session_handle
    assert "The response had already started" in caplog.text
