"""Open connections to an application on the test's own event loop, as a server holds them: sockets and streams."""

import asyncio
import logging
from collections.abc import Callable
from typing import Any, Self

import pytest
from starlette.types import ASGIApp, Message

from asgi_sessions import SessionManager
from asgi_sessions.revocation import clock_alarm
from tests.asgi.apps import ACCESS, REFRESH
from tests.patience import PATIENCE


def errors_in(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What has been logged as an error, but for the tests' own clock, which does not go on by itself."""
    return [
        record.getMessage()
        for record in caplog.records
        if record.levelno >= logging.ERROR and record.name != clock_alarm.__name__
    ]


async def login_cookie(sessions: SessionManager, user: Any = "alice") -> tuple[str, str]:
    """Begin a session; its handle, and the Cookie header of a browser that holds it."""
    issued = await sessions.create_new_session_without_request(user)
    cookies = f"{ACCESS}={issued.access_token.value}; {REFRESH}={issued.refresh_token.value}"
    return issued.session.session_handle, cookies


def scope_of(kind: str, path: str, cookie: str, *, spec_version: str, origin: str = "https://testserver") -> Any:
    headers = [(b"host", b"testserver"), (b"origin", origin.encode())]
    if cookie:
        headers.append((b"cookie", cookie.encode()))
    return {
        "type": kind,
        "asgi": {"version": "3.0", "spec_version": spec_version},
        "http_version": "1.1",
        "scheme": "https" if kind == "http" else "wss",
        "method": "GET",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": headers,
        "client": ("192.0.2.1", 5000),
        "server": ("testserver", 443),
        "subprotocols": [],
        "extensions": {"websocket.http.response": {}},
        "state": {},
    }


class Connection:
    """One connection. Leaving the ``async with`` block ends the application as a server's end would.

    Attributes:
        heard: All that the application has said.
    """

    def __init__(self, app: ASGIApp, scope: Any) -> None:
        self.heard: list[Message] = []
        self.takes = asyncio.Event()  # cleared: the client takes nothing more, and sends wait
        self.takes.set()
        self._changed = asyncio.Event()
        self._said: asyncio.Queue[Message] = asyncio.Queue()
        self._app = app
        self._scope = scope
        self._gone = asyncio.Event()

    async def __aenter__(self) -> Self:
        self.task = asyncio.create_task(self._run())
        return self

    async def __aexit__(self, *_: object) -> None:
        self.task.cancel()
        await asyncio.wait([self.task])

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until what the application has said fulfils a condition."""
        async with asyncio.timeout(PATIENCE):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    async def returned(self) -> None:
        """Wait for the application to return; raises what it raises."""
        async with asyncio.timeout(PATIENCE):
            await asyncio.shield(self.task)

    async def _run(self) -> None:
        try:
            await self._app(self._scope, self._receive, self._send)
        finally:
            self._changed.set()

    async def _receive(self) -> Message:
        raise NotImplementedError

    async def _send(self, message: Message) -> None:
        self.heard.append(message)
        self._changed.set()


class Socket(Connection):
    """A WebSocket. The server refuses whatever comes after a close, as servers do."""

    def __init__(self, app: ASGIApp, cookie: str, path: str = "/socket", **options: Any) -> None:
        super().__init__(app, scope_of("websocket", path, cookie, spec_version="2.4", **options))
        self._said.put_nowait({"type": "websocket.connect"})

    def say(self, text: str) -> None:
        self._said.put_nowait({"type": "websocket.receive", "text": text})

    @property
    def texts(self) -> list[str]:
        return [message["text"] for message in self.heard if message["type"] == "websocket.send"]

    @property
    def closes(self) -> list[tuple[int, str]]:
        return [
            (message["code"], message.get("reason", ""))
            for message in self.heard
            if message["type"] == "websocket.close"
        ]

    async def accepted(self) -> None:
        await self.until(lambda: any(message["type"] == "websocket.accept" for message in self.heard))

    async def hears(self, text: str) -> None:
        await self.until(lambda: text in self.texts)

    async def closed(self) -> tuple[int, str]:
        await self.until(lambda: bool(self.closes))
        return self.closes[0]

    async def _receive(self) -> Message:
        return await self._said.get()

    async def _send(self, message: Message) -> None:
        await self.takes.wait()
        if self.closes:
            raise RuntimeError(f"Unexpected ASGI message {message['type']!r}, after sending 'websocket.close'.")
        await super()._send(message)
        if message["type"] == "websocket.close":
            self._said.put_nowait({"type": "websocket.disconnect", "code": message["code"]})


class Response(Connection):
    """A response on its way. The server refuses whatever comes after its end."""

    def __init__(self, app: ASGIApp, cookie: str, path: str = "/stream", spec_version: str = "2.3") -> None:
        super().__init__(app, scope_of("http", path, cookie, spec_version=spec_version))
        self._said.put_nowait({"type": "http.request", "body": b"", "more_body": False})

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.heard)

    @property
    def status(self) -> int:
        return int(self.heard[0]["status"])

    @property
    def complete(self) -> bool:
        return any(self._ends(message) for message in self.heard)

    async def begun(self) -> None:
        await self.until(lambda: bool(self.heard))

    async def hears(self, text: bytes) -> None:
        await self.until(lambda: text in self.body)

    async def ended(self) -> None:
        await self.until(lambda: self.complete)

    async def _receive(self) -> Message:
        return await self._said.get()

    async def _send(self, message: Message) -> None:
        await self.takes.wait()
        if self.complete:
            raise RuntimeError("Unexpected ASGI message sent, after response already completed.")
        await super()._send(message)
        if self._ends(message):
            for _ in range(5):  # whoever asks is told
                self._said.put_nowait({"type": "http.disconnect"})

    @staticmethod
    def _ends(message: Message) -> bool:
        return message["type"] == "http.response.body" and not message.get("more_body", False)
