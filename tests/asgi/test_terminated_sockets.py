"""A WebSocket ends with its session, in whatever way that ends, and the application notices as if the client left."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect

from asgi_sessions import (
    SessionManager,
    SessionMiddleware,
    Unauthorised,
    get_optional_session,
    get_session,
)
from asgi_sessions.asgi import termination
from asgi_sessions.manager import pending_termination
from tests.asgi.apps import LIFETIME, new_manager
from tests.asgi.connections import Socket, errors_in, login_cookie
from tests.clocks import MovableClock
from tests.patience import PATIENCE
from tests.thefts import use_stolen

pytestmark = pytest.mark.usefixtures("at_the_time_of_day")

ENDED = (4401, "session ended")


def app_with(sessions: SessionManager, endpoint: Callable[[WebSocket], Awaitable[None]]) -> Starlette:
    app = Starlette(routes=[WebSocketRoute("/socket", endpoint)])
    app.add_middleware(SessionMiddleware, manager=sessions)
    return app


def waiting(sessions: SessionManager) -> int:
    """How many wait for the end of some session."""
    return len(sessions.lifecycle._listeners)


# -- applications


async def asks_first(websocket: WebSocket) -> None:
    session = await get_session(websocket)
    await websocket.accept()
    await echo(websocket, session)


async def asks_later(websocket: WebSocket) -> None:
    await websocket.accept()
    session = await get_session(websocket)
    await echo(websocket, session)


async def echo(websocket: WebSocket, session: Any) -> None:
    await websocket.send_text("ready")
    try:
        while True:
            text = await websocket.receive_text()
            if text == "log out":
                await session.revoke_session()
            else:
                await websocket.send_text(text)
    except WebSocketDisconnect as error:
        websocket.app.state.learned = error.code, error.reason


BOTH = pytest.mark.parametrize("endpoint", [asks_first, asks_later])


# -- ways in which sessions end


async def by_handle(sessions: SessionManager, socket: Socket, handle: str, cookie: str) -> None:
    assert await sessions.revoke_session_using_session_handle(handle)


async def by_user(sessions: SessionManager, socket: Socket, handle: str, cookie: str) -> None:
    assert await sessions.revoke_all_sessions_for_user("alice") == 1


async def by_several(sessions: SessionManager, socket: Socket, handle: str, cookie: str) -> None:
    assert await sessions.revoke_multiple_sessions([handle]) == 1


async def by_itself(sessions: SessionManager, socket: Socket, handle: str, cookie: str) -> None:
    socket.say("log out")


async def by_theft(sessions: SessionManager, socket: Socket, handle: str, cookie: str) -> None:
    await use_stolen(cookie.rpartition("=")[2], sessions)


async def by_the_clock(sessions: SessionManager, socket: Socket, handle: str, cookie: str) -> None:
    clock = sessions.clock
    assert isinstance(clock, MovableClock)
    clock.advance(days=100)


@pytest.mark.parametrize("end", [by_handle, by_user, by_several, by_itself, by_theft, by_the_clock])
@BOTH
async def test_it_is_closed_when_its_session_ends(
    sessions: SessionManager, endpoint: Any, end: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pending_termination, "LONGEST_TIMER_SECONDS", 0.01)  # timers follow real time
    app = app_with(sessions, endpoint)
    async with sessions:
        handle, cookie = await login_cookie(sessions)
        async with Socket(app, cookie) as socket:
            await socket.hears("ready")
            assert waiting(sessions) == 1
            await end(sessions, socket, handle, cookie)
            assert await socket.closed() == ENDED
            await socket.returned()
        assert app.state.learned == ENDED
        assert waiting(sessions) == 0


async def test_it_is_closed_at_the_absolute_timeout_in_real_time() -> None:
    sessions = SessionManager(
        new_manager(MovableClock(), absolute_timeout=1, idle_timeout=1, access_token_lifetime=1).settings
    )
    async with sessions:
        _, cookie = await login_cookie(sessions)
        began = time.monotonic()
        async with Socket(app_with(sessions, asks_first), cookie) as socket:
            assert await socket.closed() == ENDED
        assert time.monotonic() - began > 0.9


async def test_the_close_code_can_be_a_registered_one(clock: MovableClock) -> None:
    sessions = new_manager(clock, websocket_close_code=1008)
    app = app_with(sessions, asks_first)
    async with sessions:
        handle, cookie = await login_cookie(sessions)
        async with Socket(app, cookie) as socket:
            await socket.hears("ready")
            await sessions.revoke_session_using_session_handle(handle)
            assert await socket.closed() == (1008, "session ended")
            await socket.returned()
        assert app.state.learned == (1008, "session ended")


async def test_a_logout_on_another_worker_closes_it(tmp_path: Path) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path / 'sessions.db'}"
    here, there = (
        SessionManager(new_manager(MovableClock(), database_url=url, revocation_poll_interval=0.1).settings)
        for _ in range(2)
    )
    async with here, there:
        handle, cookie = await login_cookie(here)
        async with Socket(app_with(here, asks_first), cookie) as socket:
            await socket.hears("ready")
            await there.revoke_session_using_session_handle(handle)
            assert await socket.closed() == ENDED


async def test_another_session_of_the_same_user_stays_open(sessions: SessionManager) -> None:
    app = app_with(sessions, asks_first)
    async with sessions:
        (first, first_cookie), (_, second_cookie) = await login_cookie(sessions), await login_cookie(sessions)
        async with Socket(app, first_cookie) as out, Socket(app, second_cookie) as kept:
            await out.hears("ready")
            await kept.hears("ready")
            await sessions.revoke_session_using_session_handle(first)
            await out.closed()
            kept.say("still here")
            await kept.hears("still here")
            assert kept.closes == []


# -- the session's place in the connection


async def test_an_application_that_neither_sends_nor_receives_after_asking_is_closed_too(
    sessions: SessionManager,
) -> None:
    asked = asyncio.Event()

    async def endpoint(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.send_text("ready")
        await get_session(websocket)
        asked.set()
        await asyncio.Event().wait()

    async with sessions:
        handle, cookie = await login_cookie(sessions)
        async with Socket(app_with(sessions, endpoint), cookie) as socket:
            await asyncio.wait_for(asked.wait(), PATIENCE)
            await sessions.revoke_session_using_session_handle(handle)
            assert await socket.closed() == ENDED


async def test_a_session_that_ended_before_accept_closes_the_socket_as_soon_as_it_is_open(
    sessions: SessionManager,
) -> None:
    async def endpoint(websocket: WebSocket) -> None:
        session = await get_session(websocket)
        await sessions.revoke_session_using_session_handle(session.session_handle)
        await websocket.accept()
        await websocket.receive_text()

    async with sessions:
        _, cookie = await login_cookie(sessions)
        async with Socket(app_with(sessions, endpoint), cookie) as socket:
            assert await socket.closed() == ENDED
            await socket.returned()


async def test_a_socket_that_has_logged_out_itself_before_accept_is_the_applications_affair(
    sessions: SessionManager,
) -> None:
    async def endpoint(websocket: WebSocket) -> None:
        session = await get_session(websocket)
        await session.revoke_session()
        await websocket.accept()
        await websocket.send_text("bye")
        await websocket.close(1000)

    async with sessions:
        _, cookie = await login_cookie(sessions)
        async with Socket(app_with(sessions, endpoint), cookie) as socket:
            await socket.returned()
            assert socket.texts == ["bye"]
            assert socket.closes == [(1000, "")]


async def optional(websocket: WebSocket) -> None:
    session = await get_optional_session(websocket)
    await websocket.accept()
    await echo(websocket, session)


async def test_an_optional_session_closes_the_socket_where_there_is_one(sessions: SessionManager) -> None:
    app = app_with(sessions, optional)
    async with sessions:
        handle, cookie = await login_cookie(sessions)
        async with Socket(app, cookie) as member, Socket(app, "") as visitor:
            await member.hears("ready")
            await visitor.hears("ready")
            assert waiting(sessions) == 1
            await sessions.revoke_session_using_session_handle(handle)
            assert await member.closed() == ENDED
            visitor.say("still here")
            await visitor.hears("still here")


async def never_asks(websocket: WebSocket) -> None:
    await websocket.accept()
    await echo(websocket, None)


async def test_a_socket_whose_application_never_asks_has_no_session_to_end_with(sessions: SessionManager) -> None:
    async with sessions:
        handle, cookie = await login_cookie(sessions)
        async with Socket(app_with(sessions, never_asks), cookie) as socket:
            await socket.hears("ready")
            await sessions.revoke_session_using_session_handle(handle)
            socket.say("still here")
            await socket.hears("still here")


@pytest.mark.parametrize(
    ("origin", "cookie", "status"), [("https://testserver", False, 401), ("https://e.x", True, 403)]
)
async def test_the_handshake_needs_a_session_and_this_sites_origin(
    sessions: SessionManager, origin: str, cookie: bool, status: int
) -> None:
    async with sessions:
        _, held = await login_cookie(sessions)
        async with Socket(app_with(sessions, asks_first), held if cookie else "", origin=origin) as socket:
            await socket.returned()
            assert socket.heard[0]["type"] == "websocket.http.response.start"
            assert socket.heard[0]["status"] == status
        assert waiting(sessions) == 0


async def asks_each_time(websocket: WebSocket) -> None:
    await websocket.accept()
    async for _ in websocket.iter_text():
        await websocket.send_text((await get_session(websocket)).user_id)


@pytest.mark.parametrize("check", ["feed", "database", "none"])
async def test_a_socket_outlives_its_access_token_and_goes_on_while_the_session_does(
    clock: MovableClock, check: str
) -> None:
    sessions = new_manager(clock, revocation_check=check)
    async with sessions:
        handle, cookie = await login_cookie(sessions)
        async with Socket(app_with(sessions, asks_each_time), cookie) as socket:
            for count in range(1, 4):
                socket.say("who am I")
                await socket.until(lambda count=count: len(socket.texts) == count)  # type: ignore[misc]
                clock.advance(LIFETIME)
            assert socket.closes == []
            await sessions.revoke_session_using_session_handle(handle)
            assert await socket.closed() == ENDED


@pytest.mark.parametrize("seconds", [0, LIFETIME])
async def test_an_application_that_hears_of_the_end_first_has_the_same_close_code(
    tmp_path: Path, clock: MovableClock, seconds: float
) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path / 'sessions.db'}"
    slow = {"database_url": url, "revocation_poll_interval": 15, "revocation_check": "database"}
    here, there = new_manager(clock, **slow), new_manager(clock, **slow)
    async with here, there:
        handle, cookie = await login_cookie(here)
        async with Socket(app_with(here, asks_each_time), cookie) as socket:
            socket.say("who am I")
            await socket.hears("alice")
            clock.advance(seconds)
            await there.revoke_session_using_session_handle(handle)
            socket.say("who am I")
            assert await socket.closed() == (4401, "unauthorised")


# -- the application


async def test_a_client_that_goes_on_talking_is_not_heard(sessions: SessionManager) -> None:
    heard: list[str] = []

    async def endpoint(websocket: WebSocket) -> None:
        session = await get_session(websocket)
        await websocket.accept()
        async for text in websocket.iter_text():
            heard.append(text)
            if text == "first":
                await sessions.revoke_session_using_session_handle(session.session_handle)

    async with sessions:
        _, cookie = await login_cookie(sessions)
        async with Socket(app_with(sessions, endpoint), cookie) as socket:
            socket.say("first")
            socket.say("second")
            await socket.returned()
    assert heard == ["first"]


async def test_what_arrives_together_with_the_end_is_not_heard(sessions: SessionManager) -> None:
    app = app_with(sessions, asks_first)
    async with sessions:
        handle, cookie = await login_cookie(sessions)
        async with Socket(app, cookie) as socket:
            await socket.hears("ready")
            socket.say("log out")
            sessions.lifecycle._listeners.notify([handle])  # in one turn of the event loop
            await socket.returned()
        assert app.state.learned == ENDED
        assert await sessions.revoke_session_using_session_handle(handle)  # the application has not done it


async def test_a_client_that_takes_nothing_keeps_no_application_waiting(
    sessions: SessionManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(termination, "LAST_WORD_SECONDS", 0.01)
    async with sessions:
        handle, cookie = await login_cookie(sessions)
        async with Socket(app_with(sessions, asks_first), cookie) as socket:
            await socket.hears("ready")
            socket.takes.clear()
            await sessions.revoke_session_using_session_handle(handle)
            await socket.returned()
            assert socket.closes == []
            socket.takes.set()
            assert await socket.closed() == ENDED


async def test_after_the_end_nothing_more_is_sent_and_no_send_waits_for_the_client(
    sessions: SessionManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(termination, "LAST_WORD_SECONDS", 0.01)

    async def endpoint(websocket: WebSocket) -> None:
        session = await get_session(websocket)
        await websocket.accept()
        await websocket.send_text("ready")
        await session.wait_until_ended()
        await websocket.send_text("secret")

    async with sessions:
        handle, cookie = await login_cookie(sessions)
        async with Socket(app_with(sessions, endpoint), cookie) as socket:
            await socket.hears("ready")
            socket.takes.clear()
            await sessions.revoke_session_using_session_handle(handle)
            await socket.returned()
            socket.takes.set()
            await socket.closed()
            assert socket.texts == ["ready"]


async def talks_without_listening(websocket: WebSocket) -> None:
    await get_session(websocket)
    await websocket.accept()
    while True:
        await websocket.send_text("news")
        await asyncio.sleep(0)


async def talks_and_listens(websocket: WebSocket) -> None:
    await get_session(websocket)
    await websocket.accept()

    async def listen() -> None:
        while True:
            await websocket.receive_text()

    async def talk() -> None:
        while True:
            await websocket.send_text("news")
            await asyncio.sleep(0.001)

    async with asyncio.TaskGroup() as group:
        group.create_task(listen())
        group.create_task(talk())


async def asks_after_the_end(websocket: WebSocket) -> None:
    session = await get_session(websocket)
    await websocket.accept()
    await websocket.send_text("news")
    await session.wait_until_ended()
    await get_session(websocket)


async def closes_afterwards(websocket: WebSocket) -> None:
    session = await get_session(websocket)
    await websocket.accept()
    await websocket.send_text("news")
    await session.wait_until_ended()
    await websocket.close(1000)


class ByHand:
    """An application without Starlette's WebSocket: plain messages."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        websocket = WebSocket(scope, receive, send)
        await get_session(websocket)
        await receive()
        await send({"type": "websocket.accept"})
        while True:
            await send({"type": "websocket.send", "text": "news"})
            await asyncio.sleep(0)


@pytest.mark.parametrize(
    "endpoint", [talks_without_listening, talks_and_listens, asks_after_the_end, closes_afterwards, ByHand()]
)
async def test_however_an_application_learns_of_it_nothing_fails_and_one_close_is_sent(
    sessions: SessionManager, endpoint: Any, caplog: pytest.LogCaptureFixture
) -> None:
    app = endpoint if isinstance(endpoint, ByHand) else Starlette(routes=[WebSocketRoute("/socket", endpoint)])
    async with sessions:
        handle, cookie = await login_cookie(sessions)
        async with Socket(SessionMiddleware(app, sessions), cookie) as socket:
            await socket.hears("news")
            await sessions.revoke_session_using_session_handle(handle)
            assert await socket.closed() == ENDED
            await socket.returned()
            assert len(socket.closes) == 1
    assert errors_in(caplog) == []


async def test_an_application_that_closes_at_the_same_moment_is_no_error(
    sessions: SessionManager, caplog: pytest.LogCaptureFixture
) -> None:
    async def endpoint(websocket: WebSocket) -> None:
        session = await get_session(websocket)
        await websocket.accept()
        await asyncio.gather(
            sessions.revoke_session_using_session_handle(session.session_handle), websocket.close(1000)
        )

    async with sessions:
        for _ in range(20):
            _, cookie = await login_cookie(sessions)
            async with Socket(app_with(sessions, endpoint), cookie) as socket:
                await socket.returned()
                assert len(socket.closes) == 1
        assert waiting(sessions) == 0
    assert errors_in(caplog) == []


async def test_a_socket_that_is_closed_already_is_not_closed_again(sessions: SessionManager) -> None:
    done = asyncio.Event()

    async def endpoint(websocket: WebSocket) -> None:
        await get_session(websocket)
        await websocket.accept()
        await websocket.close(1000)
        await done.wait()

    async with sessions:
        handle, cookie = await login_cookie(sessions)
        async with Socket(app_with(sessions, endpoint), cookie) as socket:
            assert await socket.closed() == (1000, "")
            assert waiting(sessions) == 0
            await sessions.revoke_session_using_session_handle(handle)
            done.set()
            await socket.returned()


async def test_an_error_of_the_applications_own_is_not_hidden(sessions: SessionManager) -> None:
    async def endpoint(websocket: WebSocket) -> None:
        await get_session(websocket)
        await websocket.accept()
        await websocket.send_text("ready")
        try:
            await websocket.receive_text()
        except WebSocketDisconnect:
            raise ValueError("mine") from None

    async with sessions:
        handle, cookie = await login_cookie(sessions)
        async with Socket(app_with(sessions, endpoint), cookie) as socket:
            await socket.hears("ready")
            await sessions.revoke_session_using_session_handle(handle)
            with pytest.raises(ValueError, match="mine"):
                await socket.returned()


async def test_before_the_end_no_error_is_taken_for_its_consequence(sessions: SessionManager) -> None:
    async def endpoint(websocket: WebSocket) -> None:
        await get_session(websocket)
        await websocket.accept()
        raise WebSocketDisconnect(1006)

    async with sessions:
        _, cookie = await login_cookie(sessions)
        async with Socket(app_with(sessions, endpoint), cookie) as socket:
            with pytest.raises(WebSocketDisconnect):
                await socket.returned()


async def test_a_cancelled_application_waits_for_no_session(sessions: SessionManager) -> None:
    async with sessions:
        _, cookie = await login_cookie(sessions)
        async with Socket(app_with(sessions, asks_first), cookie) as socket:
            await socket.hears("ready")
            socket.task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await socket.task
        assert waiting(sessions) == 0


async def test_an_applications_own_deadline_still_works(sessions: SessionManager) -> None:
    async def endpoint(websocket: WebSocket) -> None:
        await get_session(websocket)
        await websocket.accept()
        try:
            async with asyncio.timeout(0.01):
                await websocket.receive_text()
        except TimeoutError:
            await websocket.close(4000, "too slow")

    async with sessions:
        _, cookie = await login_cookie(sessions)
        async with Socket(app_with(sessions, endpoint), cookie) as socket:
            assert await socket.closed() == (4000, "too slow")
            await socket.returned()


# -- two managers


@pytest.mark.parametrize("ends", ["inner", "outer", "both"])
async def test_of_two_managers_sessions_the_first_to_end_closes_the_socket(
    clock: MovableClock, ends: str, caplog: pytest.LogCaptureFixture
) -> None:
    inner = new_manager(clock, cookie_prefix="none", cookie_domain="testserver", websocket_close_code=4001)
    outer = new_manager(clock, websocket_close_code=4002)

    async def endpoint(websocket: WebSocket) -> None:
        await inner.get_session(websocket)
        await outer.get_session(websocket)
        await websocket.accept()
        await echo(websocket, None)

    app = Starlette(routes=[WebSocketRoute("/socket", endpoint)])
    app.add_middleware(SessionMiddleware, manager=inner)
    app.add_middleware(SessionMiddleware, manager=outer)
    async with inner, outer:
        inner_handle, inner_cookie = await login_cookie(inner)
        outer_handle, outer_cookie = await login_cookie(outer)
        cookie = f"{inner_cookie.replace('__Host-', '')}; {outer_cookie}"
        async with Socket(app, cookie) as socket:
            await socket.hears("ready")
            if ends != "inner":
                await outer.revoke_session_using_session_handle(outer_handle)
            if ends != "outer":
                await inner.revoke_session_using_session_handle(inner_handle)
            code, _ = await socket.closed()
            assert code == 4001 if ends == "inner" else code == 4002
            await socket.returned()
            assert len(socket.closes) == 1
        assert waiting(inner) == waiting(outer) == 0
    assert errors_in(caplog) == []


async def test_the_socket_knows_no_session_after_its_end(sessions: SessionManager) -> None:
    errors: list[Exception] = []

    async def endpoint(websocket: WebSocket) -> None:
        session = await get_session(websocket)
        await websocket.accept()
        await session.wait_until_ended()
        for _ in range(2):
            try:
                await get_session(websocket)
            except Unauthorised as error:
                errors.append(error)

    async with sessions:
        handle, cookie = await login_cookie(sessions)
        async with Socket(app_with(sessions, endpoint), cookie) as socket:
            await socket.accepted()
            await sessions.revoke_session_using_session_handle(handle)
            await socket.returned()
    assert len(errors) == 2
