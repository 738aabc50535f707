"""Whoever asks after the application has returned, by a copy of the scope, as a task left behind may: told the same."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from starlette.requests import HTTPConnection, Request
from starlette.types import Message, Receive, Scope, Send

from asgi_sessions import SessionManager, SessionMiddleware, get_session
from asgi_sessions.errors import Unauthorised
from asgi_sessions.manager.connection import innermost
from tests.asgi.apps import LIFETIME, new_manager
from tests.asgi.connections import login_cookie, scope_of
from tests.clocks import MovableClock

pytestmark = pytest.mark.usefixtures("at_the_time_of_day")

Work = Callable[[Request], Awaitable[Any]]


@pytest.fixture(params=["feed", "none"])
def sessions(clock: MovableClock, request: pytest.FixtureRequest) -> SessionManager:
    return new_manager(clock, revocation_check=request.param)


async def left_behind(sessions: SessionManager, cookie: str, work: Work) -> HTTPConnection:
    """A connection whose application has done its work and returned."""
    scopes: list[Scope] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await work(Request(scope))
        scopes.append(dict(scope))
        await send({"type": "http.response.start", "status": 204})

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(_: Message) -> None:
        pass

    scope = scope_of("http", "/", cookie, spec_version="2.3")
    await SessionMiddleware(app, manager=sessions)(scope, receive, send)
    return HTTPConnection(scopes[0])


async def test_who_has_logged_in_is_not_who_came(sessions: SessionManager) -> None:
    async def log_in(request: Request) -> None:
        await sessions.create_new_session(request, "bob")

    async with sessions:
        _, cookie = await login_cookie(sessions, "alice")
        connection = await left_behind(sessions, cookie, log_in)
        assert (await get_session(connection)).user_id == "bob"


async def test_who_has_logged_out_is_out(sessions: SessionManager) -> None:
    async def log_out(request: Request) -> None:
        await (await get_session(request)).revoke_session()

    async with sessions:
        _, cookie = await login_cookie(sessions)
        connection = await left_behind(sessions, cookie, log_out)
        with pytest.raises(Unauthorised):
            await get_session(connection)


async def test_who_has_signed_out_is_out_at_once(sessions: SessionManager) -> None:
    async def sign_out(request: Request) -> None:
        assert await innermost(request.scope).sign_out() is True
        with pytest.raises(Unauthorised):
            await get_session(request)

    async with sessions:
        _, cookie = await login_cookie(sessions)
        connection = await left_behind(sessions, cookie, sign_out)
        with pytest.raises(Unauthorised):
            await get_session(connection)


async def test_a_new_payload_counts(sessions: SessionManager) -> None:
    async def change(request: Request) -> None:
        await (await get_session(request)).update_jwt_payload({"role": "admin"})

    async with sessions:
        _, cookie = await login_cookie(sessions)
        connection = await left_behind(sessions, cookie, change)
        assert (await get_session(connection)).jwt_payload == {"role": "admin"}


async def test_an_old_refresh_token_is_not_judged_again(sessions: SessionManager, clock: MovableClock) -> None:
    async with sessions:
        handle, cookie = await login_cookie(sessions)
        clock.advance(LIFETIME)
        connection = await left_behind(sessions, cookie, get_session)
        clock.advance(LIFETIME + 1)
        session = await get_session(connection)
        assert session.session_handle == handle
        await session.check()


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
