"""Who signs out on a connection may go on talking on it, about that session and no other."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response as Answer
from starlette.responses import StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from asgi_sessions import SessionManager, SessionMiddleware, StoreUnavailable, get_session
from asgi_sessions.asgi import termination
from asgi_sessions.store.repository import SessionRepository
from tests.asgi.connections import Response, Socket, errors_in, login_cookie

pytestmark = pytest.mark.usefixtures("at_the_time_of_day")


async def ticks() -> AsyncIterator[bytes]:
    while True:
        yield b"tick"
        await asyncio.sleep(0.001)


def app_with(sessions: SessionManager, endpoint: Any) -> Starlette:
    return Starlette(routes=[Route("/stream", endpoint), WebSocketRoute("/socket", endpoint)])


def inside(sessions: SessionManager, endpoint: Any) -> Any:
    return SessionMiddleware(app_with(sessions, endpoint), manager=sessions)


async def test_the_session_of_a_login_after_the_logout_ends_the_stream(sessions: SessionManager) -> None:
    handles = []

    async def endpoint(request: Request) -> Answer:
        await (await get_session(request)).revoke_session()
        handles.append((await sessions.create_new_session(request, "bob")).session_handle)
        return StreamingResponse(ticks())

    async with sessions:
        _, cookie = await login_cookie(sessions)
        async with Response(inside(sessions, endpoint), cookie) as response:
            await response.hears(b"ticktick")
            await sessions.revoke_session_using_session_handle(handles[0])
            await response.ended()


async def test_a_logout_that_failed_does_not_keep_the_stream_open(
    sessions: SessionManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def unavailable(*_: Any, **__: Any) -> bool:
        raise StoreUnavailable

    async def endpoint(request: Request) -> Answer:
        session = await get_session(request)
        with monkeypatch.context() as patched:
            patched.setattr(SessionRepository, "revoke", unavailable)
            with pytest.raises(StoreUnavailable):
                await session.revoke_session()
        return StreamingResponse(ticks())

    async with sessions:
        handle, cookie = await login_cookie(sessions)
        async with Response(inside(sessions, endpoint), cookie) as response:
            await response.hears(b"ticktick")
            await sessions.revoke_session_using_session_handle(handle)
            await response.ended()


async def test_a_stream_that_asks_for_its_session_at_each_turn_ends_without_an_error(
    sessions: SessionManager, caplog: pytest.LogCaptureFixture
) -> None:
    async def endpoint(request: Request) -> Answer:
        async def watchful() -> AsyncIterator[bytes]:
            while True:
                await get_session(request)
                yield b"tick"
                await asyncio.sleep(0)

        return StreamingResponse(watchful())

    async with sessions:
        handle, cookie = await login_cookie(sessions)
        async with Response(inside(sessions, endpoint), cookie, spec_version="2.4") as response:
            await response.hears(b"ticktick")
            await sessions.revoke_session_using_session_handle(handle)
            await response.ended()
            await response.returned()
    assert errors_in(caplog) == []


async def test_a_receive_that_was_waiting_before_the_session_was_asked_for_hears_of_its_end(
    sessions: SessionManager,
) -> None:
    learned = []

    async def endpoint(websocket: WebSocket) -> None:
        await websocket.accept()
        reading = asyncio.create_task(websocket.receive())
        await asyncio.sleep(0)
        await get_session(websocket)
        await websocket.send_text("ready")
        learned.append((await reading)["type"])

    async with sessions:
        handle, cookie = await login_cookie(sessions)
        async with Socket(inside(sessions, endpoint), cookie) as socket:
            await socket.hears("ready")
            sessions.lifecycle._listeners.notify([handle])
            socket.say("after the end")
            await socket.returned()
    assert learned == ["websocket.disconnect"]


async def test_a_socket_that_signs_out_and_closes_returns_at_once(
    sessions: SessionManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(termination, "LAST_WORD_SECONDS", 3600)

    async def endpoint(websocket: WebSocket) -> None:
        await websocket.accept()
        await (await get_session(websocket)).revoke_session()
        await websocket.send_text("bye")
        await websocket.close(4000)

    app = SessionMiddleware(app_with(sessions, endpoint), manager=sessions)
    monkeypatch.setattr("asgi_sessions.asgi.websocket_exchange.FAREWELL_SECONDS", 3600)
    async with sessions:
        _, cookie = await login_cookie(sessions)
        async with Socket(app, cookie) as socket:
            await socket.returned()
            assert socket.texts == ["bye"]
            assert [code for code, _ in socket.closes] == [4000]
