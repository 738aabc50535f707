"""python-socketio with the code of docs/frameworks.md: by any transport, who connects is known and leaves in time.

Real server and protocol: a client of ours speaks Engine.IO 4 by long polling, by WebSocket, and by the one after the
other.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Self

import httpx
import pytest
import websockets
from starlette.requests import HTTPConnection

from asgi_sessions import ConfigurationError, SessionManager
from asgi_sessions.testing import MovableClock
from tests.asgi.connections import login_cookie
from tests.frameworks.sites import PATIENCE, blocks_under, pasted, served
from tests.installed import installed

LIFETIME = 301.0
"""Seconds after which an access token has expired."""
CONNECT, DISCONNECT, EVENT, REFUSED = "40", "41", "42", "44"
"""Packets of Socket.IO inside messages of Engine.IO."""


class Client:
    """One browser's connection.

    Args:
        port: Where the server listens.
        cookie: What the browser holds.
        transport: ``polling``, ``websocket`` or ``upgrade``.
    """

    def __init__(self, port: int, cookie: str, transport: str) -> None:
        self._address = f"127.0.0.1:{port}/socket.io/?EIO=4&transport="
        self._headers = {"cookie": cookie}
        self._transport = transport
        self._stack = AsyncExitStack()
        self._socket: Any = None
        self._waiting: list[str] = []
        self.set_cookies: list[str] = []

    async def __aenter__(self) -> Self:
        self._http = await self._stack.enter_async_context(httpx.AsyncClient(headers=self._headers, timeout=PATIENCE))
        if self._transport == "websocket":
            await self._open()
            await self.hear()
        else:
            opened = json.loads((await self.hear())[1:])
            self._address = self._address.replace("&transport", f"&sid={opened['sid']}&transport")
        await self.say(CONNECT)
        return self

    async def upgrade(self) -> None:
        """Go on by WebSocket."""
        await self._open()
        await self._socket.send("2probe")
        assert await self._socket.recv() == "3probe"
        await self._socket.send("5")

    async def _open(self) -> None:
        connection = websockets.connect(f"ws://{self._address}websocket", additional_headers=self._headers)
        self._socket = await self._stack.enter_async_context(connection)

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def say(self, packet: str) -> None:
        if self._socket is not None:
            await self._socket.send(packet)
            return
        answer = await self._http.post(f"http://{self._address}polling", content=packet)
        assert answer.text == "OK"
        self.set_cookies += answer.headers.get_list("set-cookie")

    async def hear(self) -> str:
        """The next packet; of Engine.IO's own only the opening and the close."""
        while True:
            if not self._waiting and self._socket is not None:
                self._waiting.append(await self._socket.recv())
            elif not self._waiting:
                answer = await self._http.get(f"http://{self._address}polling")
                assert answer.status_code == 200
                self.set_cookies += answer.headers.get_list("set-cookie")
                self._waiting += answer.text.split("\x1e")
            packet = self._waiting.pop(0)
            if packet not in {"2", "6"}:
                return packet

    async def hear_or_end(self) -> str:
        """The next packet, or the code with which the WebSocket is closed."""
        try:
            return await self.hear()
        except websockets.ConnectionClosed as closed:
            return str(closed.rcvd and closed.rcvd.code)

    async def call(self, name: str, *arguments: Any) -> list[Any]:
        """Send an event and wait for what its handler returns."""
        await self.say(f"{EVENT}0{json.dumps([name, *arguments])}")
        answer = await self.hear()
        assert answer.startswith("430"), answer
        return list(json.loads(answer[3:]))


@pytest.fixture
def clock() -> MovableClock:
    return MovableClock()


@pytest.fixture
def site(clock: MovableClock, monkeypatch: pytest.MonkeyPatch) -> Any:
    installed("socketio", extra="frameworks")
    monkeypatch.setenv("ASGI_SESSIONS_DATABASE_URL", "sqlite+aiosqlite://")
    [block] = blocks_under("python-socketio")
    module = pasted(block, "shop.realtime")
    module.sessions.clock = clock
    return module


@pytest.fixture(params=["polling", "websocket", "upgrade"])
async def connected(site: Any, request: pytest.FixtureRequest) -> AsyncIterator[Callable[[str], Any]]:
    """Connects a client that holds a cookie."""

    @asynccontextmanager
    async def connect(cookie: str) -> AsyncIterator[Client]:
        async with Client(port, cookie, request.param) as client:
            if request.param == "upgrade":
                answer = await client.hear()
                assert answer.startswith(CONNECT), answer
                await client.upgrade()
                client._waiting.append(answer)
            yield client

    async with served(site.app) as port:
        yield connect


Connect = Callable[[str], Any]


async def test_who_is_logged_in_is_let_in(site: Any, connected: Connect) -> None:
    _, cookie = await login_cookie(site.sessions)
    async with connected(cookie) as client:
        assert (await client.hear()).startswith(CONNECT)
        assert await client.call("order", "tea") == ["tea for alice"]
        assert client.set_cookies == []
        await client.say(DISCONNECT)
    async with asyncio.timeout(PATIENCE):
        while len(site.sessions.lifecycle._listeners):  # nobody waits for the end of this session any more
            await asyncio.sleep(0.01)


async def test_a_logout_disconnects(site: Any, connected: Connect) -> None:
    handle, cookie = await login_cookie(site.sessions)
    async with connected(cookie) as client:
        assert (await client.hear()).startswith(CONNECT)
        await site.sessions.revoke_session_using_session_handle(handle)
        heard = await client.hear_or_end()
        assert heard in {DISCONNECT, "1", "4401"}  # the last one is the middleware's, of a WebSocket


@pytest.mark.parametrize("transport", ["polling", "websocket"])
async def test_nobody_is_refused(site: Any, transport: str) -> None:
    async with served(site.app) as port, Client(port, "", transport) as client:
        refused = await client.hear()
        assert refused.startswith(REFUSED)
        assert json.loads(refused[2:])["message"] == "unauthorised"


@pytest.mark.parametrize("transport", ["polling", "websocket"])
async def test_who_has_only_a_good_refresh_token_is_let_in_and_nothing_is_issued(
    site: Any, clock: MovableClock, transport: str
) -> None:
    async with served(site.app) as port:
        sessions: SessionManager = site.sessions
        issued = await sessions.create_new_session_without_request("alice")
        clock.advance(LIFETIME)
        async with Client(port, f"__Host-sRefreshToken={issued.refresh_token.value}", transport) as client:
            assert (await client.hear()).startswith(CONNECT)
            assert client.set_cookies == []
        await sessions.refresh_session_without_request(issued.refresh_token.value)


async def test_who_tries_to_log_in_by_polling_is_told_why_not(site: Any) -> None:
    told: list[BaseException] = []

    async def connect(sid: str, environ: Any) -> None:
        try:
            await site.sessions.create_new_session(HTTPConnection(environ["asgi.scope"]), "bob")
        except ConfigurationError as error:
            told.append(error)

    site.sio.on("connect", connect)
    site.sio.on("disconnect", _nothing)
    async with served(site.app) as port:
        async with Client(port, "", "polling") as client:
            assert (await client.hear()).startswith(CONNECT)
        assert await site.sessions.get_all_session_handles_for_user("bob") == []
    [error] = told
    assert "This request is over" in str(error)


async def _nothing(*_: Any) -> None:
    pass
