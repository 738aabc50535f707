"""A worker that goes by the database's time takes the arrival of its connections by that, too."""

import asyncio
import time

import pytest
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from asgi_sessions import SessionManager, get_session
from tests.asgi.apps import LIFETIME, application
from tests.asgi.connections import Socket, login_cookie
from tests.clocks import MovableClock

pytestmark = pytest.mark.usefixtures("at_the_time_of_day")

HOUR, DAY = 3_600.0, 86_400.0


class Machine:
    """This machine's clock and the worker's, which somebody sets wrong.

    Attributes:
        ahead: How far it is ahead of the true time, seconds.
    """

    def __init__(self, clock: MovableClock) -> None:
        self._clock = clock
        self.ahead = 0.0

    def time_ns(self) -> int:
        return time.time_ns() + round(self.ahead * 1e9)

    def set_wrong(self, ahead: float) -> None:
        self.ahead = ahead
        self._clock.advance(ahead)


@pytest.fixture
def machine(clock: MovableClock, monkeypatch: pytest.MonkeyPatch) -> Machine:
    machine = Machine(clock)
    monkeypatch.setattr("asgi_sessions.protocol.clock.time_ns", machine.time_ns)
    return machine


@pytest.mark.parametrize("ahead", [-HOUR, HOUR])
async def test_who_asks_late_is_served_for_one_access_tokens_lifetime(
    ahead: float, sessions: SessionManager, clock: MovableClock, machine: Machine
) -> None:
    async def page(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.send_text((await get_session(websocket)).user_id)

    async def heard() -> list[str] | list[tuple[int, str]]:
        async with Socket(app, cookie, "/") as socket:
            await socket.returned()
        return socket.texts or socket.closes

    app = application(sessions, WebSocketRoute("/", page))
    async with sessions:
        _, cookie = await login_cookie(sessions)
        machine.set_wrong(ahead)
        clock.advance(LIFETIME)
        assert await heard() == ["alice"]
        clock.advance(299)
        assert await heard() == ["alice"]
        clock.advance(1)
        assert await heard() == [(1008, "try_refresh_token")]


@pytest.mark.parametrize("ahead", [-2 * DAY, 2 * DAY])
async def test_a_socket_stays_open_for_the_connection_lifetime(
    ahead: float, sessions: SessionManager, clock: MovableClock, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("asgi_sessions.manager.pending_termination.LONGEST_TIMER_SECONDS", 0.01)

    async def page(websocket: WebSocket) -> None:
        session = await get_session(websocket)
        await websocket.accept()
        await websocket.send_text(session.user_id)
        try:
            while True:
                await websocket.send_text(await websocket.receive_text())
        except WebSocketDisconnect:
            pass

    app = application(sessions, WebSocketRoute("/", page))
    async with sessions:
        _, cookie = await login_cookie(sessions)
        machine.set_wrong(ahead)
        async with Socket(app, cookie, "/") as socket:
            await socket.hears("alice")
            await asyncio.sleep(0.1)
            socket.say("still there")
            await socket.hears("still there")
            clock.advance(DAY)
            await socket.returned()
    assert [code for code, _ in socket.closes] == [4408]
