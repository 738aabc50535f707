"""What a server does with sessions, tried from outside: one word or two for each column of the matrix."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from typing import Any, Self

import httpx2
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.asgi.apps import Jar, cookies_set, parsed_cookies
from tests.deployment.app_servers import Running

PATIENCE = 120.0
ACCESS, REFRESH = "sAccessToken", "sRefreshToken"


class Client:
    """A browser's connection to one worker, which serves all of its requests."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.origin = f"http://127.0.0.1:{port}"
        limits = httpx2.Limits(max_connections=1, max_keepalive_connections=1, keepalive_expiry=None)
        self._http = httpx2.AsyncClient(base_url=self.origin, timeout=PATIENCE, limits=limits)

    async def __aenter__(self) -> Self:
        self.worker = (await self.request("GET", "/who")).headers["x-worker"]
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def request(self, method: str, path: str, jar: Jar | None = None) -> Any:
        # The client would keep cookies of its own accord.
        self._http.cookies.clear()
        headers = {"origin": self.origin, **(jar.header if jar else {})}
        return await self._http.request(method, path, headers=headers)

    async def login(self) -> Jar:
        answer = await self.request("POST", "/login")
        assert answer.status_code == 200, answer.text
        return Jar().take(answer)

    async def socket(self, path: str, jar: Jar | None = None) -> ClientConnection:
        return await connect(
            f"ws://127.0.0.1:{self.port}{path}",
            origin=self.origin,  # type: ignore[arg-type]  # a NewType of text
            additional_headers=jar.header if jar else None,
            open_timeout=PATIENCE,
            ping_interval=None,
        )


class Idle:
    """A connection with nothing to do, which a worker closes as soon as it stops."""

    def __init__(self, port: int) -> None:
        self._port = port

    async def __aenter__(self) -> Self:
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        self._writer.write(f"GET /who HTTP/1.1\r\nHost: 127.0.0.1:{self._port}\r\n\r\n".encode())
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode().lower()
        await self._reader.readexactly(len("{}"))
        self.worker = head.partition("x-worker: ")[2].partition("\r\n")[0]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._writer.close()

    async def closed(self) -> None:
        assert await self._reader.read() == b""


class Events:
    """An event stream being read, on a connection of its own."""

    def __init__(self, port: int, jar: Jar) -> None:
        self._port = port
        self._jar = jar
        self._begun = asyncio.Event()

    async def begin(self) -> None:
        self._reading = asyncio.create_task(self._read())
        begun = asyncio.create_task(self._begun.wait())
        await asyncio.wait([self._reading, begun], return_when=asyncio.FIRST_COMPLETED)
        begun.cancel()
        assert self._begun.is_set(), await self._reading

    @property
    def ended(self) -> bool:
        return self._reading.done()

    def leave(self) -> None:
        self._reading.cancel()

    async def end(self) -> str:
        """Whether it ended as a complete response."""
        return await self._reading

    async def _read(self) -> str:
        async with httpx2.AsyncClient(timeout=PATIENCE) as client:
            try:
                url = f"http://127.0.0.1:{self._port}/stream"
                async with client.stream("GET", url, headers=self._jar.header) as response:
                    assert response.status_code == 200
                    async for _ in response.aiter_raw():
                        self._begun.set()
            except httpx2.TransportError:
                return "cut"
            return "complete"


async def close_of(socket: ClientConnection) -> str:
    """With what a socket is closed: code and reason."""
    with suppress(ConnectionClosed):
        while True:
            await socket.recv()
    return f"{socket.close_code}" + (f" {socket.close_reason}" if socket.close_reason else "")


async def login(client: Client) -> str:
    jar = await client.login()
    assert jar.cookies.keys() == {ACCESS, REFRESH}
    return await _is_alice(client, jar)


async def refresh(client: Client) -> str:
    """Inline, and by the endpoint."""
    jar = await client.login()
    for method, path in (("GET", "/me"), ("POST", "/auth/session/refresh")):
        answer = await client.request(method, path, jar.without(ACCESS))
        assert answer.status_code == 200, answer.text
        assert cookies_set(answer).keys() == {ACCESS, REFRESH}
        jar.take(answer)
    return await _is_alice(client, jar)


async def refresh_by_handshake(client: Client) -> str:
    jar = await client.login()
    socket = await client.socket("/socket", jar.without(ACCESS))
    async with socket:
        assert await socket.recv() == "open"
        assert socket.response is not None
        cookies = parsed_cookies(socket.response.headers.get_all("set-cookie"))
    if not cookies:
        return "served without tokens"
    jar.cookies.update(cookies)
    return await _is_alice(client, jar)


async def logout(client: Client) -> str:
    jar = await client.login()
    answer = await client.request("POST", "/logout", jar)
    assert answer.status_code == 200, answer.text
    assert cookies_set(answer) == {ACCESS: "", REFRESH: ""}
    assert (await client.request("GET", "/me", jar)).status_code == 401
    return "yes"


async def close(client: Client) -> str:
    """Of an open socket, by a logout."""
    jar = await client.login()
    async with await client.socket("/socket", jar) as socket, asyncio.timeout(PATIENCE):
        assert await socket.recv() == "open"
        assert (await client.request("POST", "/logout", jar)).status_code == 200
        return await close_of(socket)


async def denial(client: Client) -> str:
    """Of a handshake without a session."""
    try:
        await client.socket("/socket")
    except InvalidStatus as refused:
        answer = refused.response
        told = b"unauthorised" in (answer.body or b"")
        return f"{answer.status_code}" + (", says why" if told else "")
    raise AssertionError("it was accepted")


async def denial_after_logout(client: Client) -> str:
    """Of a handshake at which the application logs out and then accepts."""
    jar = await client.login()
    try:
        async with await client.socket("/parting-socket", jar) as socket:
            assert socket.response is not None
            answer = socket.response
    except InvalidStatus as refused:
        answer = refused.response
    cleared = parsed_cookies(answer.headers.get_all("set-cookie")) == {ACCESS: "", REFRESH: ""}
    await _until_out(client, jar)
    return ("accepted" if answer.status_code == 101 else str(answer.status_code)) + (
        ", clears cookies" if cleared else ", cookies stay"
    )


async def two_workers(running: Running) -> str:
    """A logout at one is felt at the other, and closes a socket there."""
    async with AsyncExitStack() as opened, asyncio.timeout(PATIENCE):
        clients: dict[str, Client] = {}
        while len(clients) < 2:  # new connections go to either, as the system likes
            for port in running.ports:
                client = await opened.enter_async_context(Client(port))
                clients.setdefault(client.worker, client)
        one, other = clients.values()
        jar = await one.login()
        assert await _is_alice(other, jar) == "yes"
        sockets = [
            await opened.enter_async_context(await client.socket("/socket", jar))
            for client in (other,)
            for _ in range(4)
        ]
        assert (await one.request("POST", "/logout", jar)).status_code == 200
        await _until_out(other, jar)
        closes = await asyncio.gather(*map(close_of, sockets))
        assert all(code.startswith("4401") for code in closes), closes
    return "yes"


async def stop(running: Running) -> str:
    """With open event streams and sockets: how they end, and that the server does."""
    async with AsyncExitStack() as opened, asyncio.timeout(3 * PATIENCE):
        streams, sockets = [], []
        for port in running.ports:
            async with Client(port) as client:
                jar = await client.login()
                for _ in range(4):
                    streams.append(Events(port, jar))
                    await streams[-1].begin()
                    opened.callback(streams[-1].leave)
                    sockets.append(await opened.enter_async_context(await client.socket("/socket", jar)))
                    assert await sockets[-1].recv() == "open"
        idle: dict[str, Idle] = {}
        while len(idle) < (0 if running.server.told else 2):
            connection = await opened.enter_async_context(Idle(running.ports[0]))
            idle.setdefault(connection.worker, connection)
        running.tell_to_stop()
        if not running.server.told:
            for connection in idle.values():
                await connection.closed()
            for socket in sockets:
                await socket.send("still open?")
                assert await socket.recv() == "still open?"
            assert not any(stream.ended for stream in streams)
            return "they stay open"
        closes = [asyncio.create_task(close_of(socket)) for socket in sockets]
        assert await asyncio.to_thread(running.ended), f"it does not end:\n{running.log[-3000:]}"
        codes = {code.partition(" ")[0] for code in await asyncio.gather(*closes)}
        ends = set(await asyncio.gather(*(stream.end() for stream in streams)))
    return f"socket {', '.join(sorted(codes))}, stream {', '.join(sorted(ends))}"


def _at_one(trial: Callable[[Client], Awaitable[str]]) -> Callable[[Running], Awaitable[str]]:
    async def of_first(running: Running) -> str:
        async with Client(running.ports[0]) as client:
            return await trial(client)

    return of_first


async def _until_out(client: Client, jar: Jar) -> None:
    """Wait until the worker has heard of a logout that another has made."""
    async with asyncio.timeout(PATIENCE):
        while (await client.request("GET", "/me", jar)).status_code != 401:
            await asyncio.sleep(0.05)


async def _is_alice(client: Client, jar: Jar) -> str:
    answer = await client.request("GET", "/me", jar)
    assert (answer.status_code, answer.json().get("user")) == (200, "alice"), answer.text
    return "yes"


COLUMNS: dict[str, Callable[[Running], Awaitable[str]]] = {
    "login": _at_one(login),
    "refresh": _at_one(refresh),
    "logout": _at_one(logout),
    "two workers": two_workers,
    "refresh by a handshake": _at_one(refresh_by_handshake),
    "logout by a handshake": _at_one(denial_after_logout),
    "denied handshake": _at_one(denial),
    "open socket at a logout": _at_one(close),
    "stop": stop,
}
"""What is tried, in this order: the server has been told to stop in the end."""


async def tried(running: Running) -> dict[str, str]:
    """All columns of one server's row."""
    return {column: await trial(running) for column, trial in COLUMNS.items()}
