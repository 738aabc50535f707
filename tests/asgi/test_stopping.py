"""When the server begins to stop, what would hold it up for ever ends, and nothing else does."""

import asyncio
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response as Answer
from starlette.responses import StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocket

from asgi_sessions import ConfigurationError, SessionManager, SessionMiddleware, get_optional_session, get_session
from asgi_sessions.asgi.stop_signals import StopSignals
from tests.asgi.apps import new_manager
from tests.asgi.connections import Response, Socket, login_cookie
from tests.asgi.test_lifespan import Server
from tests.clocks import MovableClock

STOPPED = (1012, "server stops")


async def socket(websocket: WebSocket) -> None:
    await get_optional_session(websocket)
    await websocket.accept()
    await websocket.send_text("ready")
    async for text in websocket.iter_text():
        if text == "log out":
            await (await get_session(websocket)).revoke_session()
        await websocket.send_text(text)


async def asks_late(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.receive_text()
    await get_session(websocket)
    await websocket.send_text("never heard")
    await websocket.receive_text()


async def stream(request: Request) -> Answer:
    """Endless, of the type that the query names."""
    await get_optional_session(request)

    async def lines() -> AsyncIterator[bytes]:
        while True:
            yield b"more"
            await asyncio.sleep(0)

    return StreamingResponse(lines(), media_type=request.query_params["type"])


async def slow(request: Request) -> Answer:
    await get_session(request)
    request.app.state.under_way.set()
    await request.app.state.going_on.wait()
    return Answer("done")


def app_with(sessions: SessionManager) -> Starlette:
    app = Starlette(
        routes=[
            WebSocketRoute("/socket", socket),
            WebSocketRoute("/asks-late", asks_late),
            Route("/stream", stream),
            Route("/slow", slow),
        ]
    )
    app.add_middleware(SessionMiddleware, manager=sessions)
    return app


class Stream(Response):
    def __init__(self, app: Any, cookie: str, kind: str) -> None:
        super().__init__(app, cookie)
        self._scope["query_string"] = f"type={kind}".encode()


async def test_an_open_socket_is_closed_as_for_a_restart(sessions: SessionManager) -> None:
    async with sessions:
        _, cookie = await login_cookie(sessions)
        async with Socket(app_with(sessions), cookie) as client:
            await client.hears("ready")
            sessions.end_connections()
            assert await client.closed() == STOPPED
            await client.returned()
        assert not sessions.lifecycle.shutdown._waiting


async def test_a_socket_that_opens_afterwards_is_closed_at_once(sessions: SessionManager) -> None:
    async with sessions:
        _, cookie = await login_cookie(sessions)
        sessions.end_connections()
        async with Socket(app_with(sessions), cookie) as client:
            assert await client.closed() == STOPPED
            await client.returned()
        async with Socket(app_with(sessions), cookie, "/asks-late") as late:
            await late.accepted()
            late.say("now")
            assert await late.closed() == STOPPED
            await late.returned()
            assert late.texts == []


@pytest.mark.parametrize(
    "kind", ["text/event-stream", "Text/Event-Stream;x=y", "multipart/x-mixed-replace; boundary=b"]
)
async def test_a_stream_of_a_type_that_never_ends_ends_completely(sessions: SessionManager, kind: str) -> None:
    async with sessions:
        _, cookie = await login_cookie(sessions)
        async with Stream(app_with(sessions), cookie, kind) as before:
            await before.hears(b"more")
            sessions.end_connections()
            await before.ended()
            await before.returned()
        async with Stream(app_with(sessions), cookie, kind) as after:
            await after.ended()
            await after.returned()


async def test_a_download_of_unknown_length_is_not_cut(sessions: SessionManager) -> None:
    async with sessions:
        handle, cookie = await login_cookie(sessions)
        async with Stream(app_with(sessions), cookie, "text/csv") as response:
            await response.hears(b"more")
            sessions.end_connections()
            heard = len(response.heard)
            await response.until(lambda: len(response.heard) > heard + 50)
            assert not response.complete
            await sessions.revoke_session_using_session_handle(handle)  # it ends with its session as ever
            await response.ended()


async def test_an_ordinary_request_that_is_under_way_is_answered(sessions: SessionManager) -> None:
    app = app_with(sessions)
    app.state.under_way, app.state.going_on = asyncio.Event(), asyncio.Event()
    async with sessions:
        _, cookie = await login_cookie(sessions)
        async with Response(app, cookie, "/slow") as response:
            await app.state.under_way.wait()
            sessions.end_connections()
            app.state.going_on.set()
            await response.returned()
            assert (response.status, response.body) == (200, b"done")


async def test_who_is_not_logged_in_is_left_to_the_server(sessions: SessionManager) -> None:
    async with sessions, Socket(app_with(sessions), "") as client:
        await client.hears("ready")
        sessions.end_connections()
        client.say("still here")
        await client.hears("still here")
        assert client.closes == []


async def test_the_end_of_the_session_comes_first_where_it_was_first(sessions: SessionManager) -> None:
    async with sessions:
        _, cookie = await login_cookie(sessions)
        async with Socket(app_with(sessions), cookie) as client:
            await client.hears("ready")
            client.say("log out")
            await client.hears("log out")  # and half a second left to say goodbye
            sessions.end_connections()
            assert await client.closed() == (4401, "session ended")
            assert len(client.closes) == 1


async def test_a_stop_and_a_logout_together_close_once(sessions: SessionManager) -> None:
    async with sessions:
        handle, cookie = await login_cookie(sessions)
        async with Socket(app_with(sessions), cookie) as client:
            await client.hears("ready")
            sessions.end_connections()
            await sessions.revoke_session_using_session_handle(handle)
            sessions.end_connections()
            await client.returned()
            assert client.closes == [STOPPED]


async def test_waiting_for_a_sessions_end_goes_on(sessions: SessionManager) -> None:
    async with sessions:
        issued = await sessions.create_new_session_without_request("alice")
        ended = asyncio.create_task(issued.session.wait_until_ended())
        await asyncio.sleep(0)
        sessions.end_connections()
        for _ in range(20):
            await asyncio.sleep(0)
        assert not ended.done()
        await issued.session.revoke_session()
        await ended


async def test_a_manager_that_does_not_run_has_no_connections(sessions: SessionManager) -> None:
    with pytest.raises(ConfigurationError, match="not running"):
        sessions.end_connections()


async def test_the_next_start_is_a_new_one(sessions: SessionManager) -> None:
    async with sessions:
        sessions.end_connections()
    async with sessions:
        _, cookie = await login_cookie(sessions)
        async with Socket(app_with(sessions), cookie) as client:
            await client.hears("ready")
            client.say("here")
            await client.hears("here")


# -- signals


class ServersHandler:
    """As uvicorn's: a method of the server."""

    def __init__(self) -> None:
        self.heard: list[int] = []
        self.should_exit = False

    def handle_exit(self, number: int, frame: FrameType | None) -> None:
        self.heard.append(number)
        self.should_exit = True


@pytest.fixture
def server() -> Iterator[ServersHandler]:
    """A server that handles both signals."""
    server = ServersHandler()
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    for number in before:
        signal.signal(number, server.handle_exit)
    yield server
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_connections_and_reaches_the_server(
    sessions: SessionManager, server: ServersHandler, number: signal.Signals
) -> None:
    app = app_with(sessions)
    lifespan = Server(app)
    await lifespan.tell("startup")
    _, cookie = await login_cookie(sessions)
    async with Socket(app, cookie) as client:
        await client.hears("ready")
        signal.raise_signal(number)
        assert server.heard == [number]
        assert await client.closed() == STOPPED
        await client.returned()
    await lifespan.tell("shutdown")
    await lifespan.ended()
    assert signal.getsignal(number) == server.handle_exit


async def test_a_signal_that_the_event_loop_handles_reaches_it_too(sessions: SessionManager) -> None:
    app, loop, told = app_with(sessions), asyncio.get_running_loop(), asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, told.set)
    try:
        lifespan = Server(app)
        await lifespan.tell("startup")
        _, cookie = await login_cookie(sessions)
        async with Socket(app, cookie) as client:
            await client.hears("ready")
            signal.raise_signal(signal.SIGTERM)
            async with asyncio.timeout(20):
                await told.wait()
            assert await client.closed() == STOPPED
        await lifespan.tell("shutdown")
        await lifespan.ended()
        told.clear()
        signal.raise_signal(signal.SIGTERM)
        async with asyncio.timeout(20):
            await told.wait()
    finally:
        loop.remove_signal_handler(signal.SIGTERM)


async def test_it_can_be_switched_off(clock: MovableClock, server: ServersHandler) -> None:
    lifespan = Server(app_with(new_manager(clock, end_connections_on_signal=False)))
    await lifespan.tell("startup")
    assert signal.getsignal(signal.SIGTERM) == server.handle_exit
    await lifespan.tell("shutdown")
    await lifespan.ended()


async def test_two_managers_and_one_that_stays_put_the_servers_handler_back(
    clock: MovableClock, server: ServersHandler
) -> None:
    app = app_with(new_manager(clock, table_prefix="inner_"))
    app.add_middleware(SessionMiddleware, manager=new_manager(clock))
    lifespan = Server(app)
    await lifespan.tell("startup")
    signal.raise_signal(signal.SIGTERM)
    assert server.heard == [signal.SIGTERM]
    await lifespan.tell("shutdown")
    await lifespan.ended()
    assert signal.getsignal(signal.SIGTERM) == server.handle_exit


def test_a_handler_looks_like_the_one_that_it_stands_beside(server: ServersHandler) -> None:
    signals = StopSignals(lambda: None)
    signals.listen()
    placed: Any = signal.getsignal(signal.SIGTERM)
    assert placed != server.handle_exit
    assert placed.__self__ is server  # so do other libraries find uvicorn's server
    signals.leave()
    assert signal.getsignal(signal.SIGTERM) == server.handle_exit


def test_a_handler_that_was_placed_over_ours_stays_and_ours_is_silent_below(server: ServersHandler) -> None:
    told: list[str] = []
    signals = StopSignals(lambda: told.append("told"))
    signals.listen()
    ours: Any = signal.getsignal(signal.SIGTERM)

    def over(number: int, frame: FrameType | None) -> None:
        ours(number, frame)

    signal.signal(signal.SIGTERM, over)
    signals.leave()
    assert signal.getsignal(signal.SIGTERM) is over
    signal.raise_signal(signal.SIGTERM)
    assert (told, server.heard) == ([], [signal.SIGTERM])


@pytest.mark.parametrize("handler", [signal.SIG_DFL, signal.SIG_IGN])
def test_where_no_server_handles_sigterm_nothing_is_changed(server: ServersHandler, handler: Any) -> None:
    signal.signal(signal.SIGTERM, handler)
    StopSignals(lambda: None).listen()
    assert signal.getsignal(signal.SIGTERM) == handler
    assert signal.getsignal(signal.SIGINT) == server.handle_exit  # an event loop's own, as far as we know


def test_an_interrupt_that_the_server_leaves_to_python_stays_with_it(server: ServersHandler) -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signals = StopSignals(lambda: None)
    signals.listen()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    signals.leave()


def test_on_another_thread_nothing_is_changed(sessions: SessionManager, server: ServersHandler) -> None:
    with TestClient(app_with(sessions)):
        assert signal.getsignal(signal.SIGTERM) == server.handle_exit
    thread = threading.Thread(target=StopSignals(lambda: None).listen)
    thread.start()
    thread.join()
    assert signal.getsignal(signal.SIGTERM) == server.handle_exit


ABANDONED = """
import asyncio, os, signal
from asgi_sessions.asgi.lifespan import run_lifespan
from asgi_sessions import SessionManager, SessionSettings

signal.signal(signal.SIGTERM, lambda *_: print("server heard"))

async def app(scope, receive, send):
    await receive()
    await send({"type": "lifespan.startup.complete"})
    await asyncio.Event().wait()

async def main():
    told = asyncio.Queue()
    await told.put({"type": "lifespan.startup"})
    started = asyncio.Event()

    async def send(message):
        started.set()

    running = run_lifespan(app, SessionManager(), {"type": "lifespan"}, told.get, send)
    task = asyncio.get_running_loop().create_task(running)
    await started.wait()
    return task

loop = asyncio.new_event_loop()
kept = loop.run_until_complete(main())
loop.close()
signal.raise_signal(signal.SIGTERM)
print("goes on", flush=True)
os._exit(0)
"""


def test_a_signal_after_a_loop_that_was_closed_without_a_shutdown_still_reaches_the_server(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", ABANDONED],
        cwd=tmp_path,
        env={"PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout == "server heard\ngoes on\n", done.stderr
