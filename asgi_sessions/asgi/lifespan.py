"""The manager starts before the application and stops after it. A failed start fails the server's start."""

import asyncio
from contextlib import suppress

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from asgi_sessions.asgi.refresh_route import check_refresh_route
from asgi_sessions.asgi.stop_signals import StopSignals
from asgi_sessions.manager import SessionManager


async def run_lifespan(app: ASGIApp, manager: SessionManager, scope: Scope, receive: Receive, send: Send) -> None:
    """Run an application's lifespan around which the manager runs.

    A failed start is told to the server by ourselves and raised: servers that only see the exception take the
    lifespan for unsupported and serve on without a store.
    """
    life = _Life(app, manager, scope, receive, send)
    try:
        try:
            await app(scope, life.receive, life.send)
        except Exception:
            if life.begun:
                raise
        if not life.begun:  # an application without a lifespan of its own: run ours alone
            await life.alone()
    finally:
        await life.end()


class _Life:
    def __init__(self, app: ASGIApp, manager: SessionManager, scope: Scope, receive: Receive, send: Send) -> None:
        self._app = app
        self._manager = manager
        self._scope = scope
        self._receive = receive
        self._send = send
        self._running = False
        self._failed = False
        self._signals: StopSignals | None = None
        self.begun = False

    async def receive(self) -> Message:
        # Before the message is there: a middleware outside that cannot start fails here, and nothing else will come.
        self.begun = True
        message = await self._receive()
        if message["type"] == "lifespan.startup":
            await self._begin()
        return message

    async def send(self, message: Message) -> None:
        if message["type"] != "lifespan.startup.complete":
            await self.end()
        if not self._failed:  # else the server has been told, and takes a second message for a breach of protocol
            await self._send(message)

    async def end(self) -> None:
        if self._running:
            self._running = False
            if self._signals is not None:
                self._signals.leave()
            await self._manager.stop()

    async def alone(self) -> None:
        await self.receive()
        await self._send({"type": "lifespan.startup.complete"})
        await self.receive()
        await self.end()
        await self._send({"type": "lifespan.shutdown.complete"})

    async def _begin(self) -> None:
        try:
            check_refresh_route(self._scope.get("app", self._app), self._manager)
            await self._manager.start()
        except Exception as error:
            self._failed = True
            await self._send({"type": "lifespan.startup.failed", "message": f"asgi_sessions: {error}"})
            raise
        self._running = True
        if self._manager.settings.end_connections_on_signal:
            self._loop = asyncio.get_running_loop()
            self._signals = StopSignals(self._told_to_stop)
            self._signals.listen()

    def _told_to_stop(self) -> None:
        with suppress(RuntimeError):  # the loop was closed without a shutdown
            self._loop.call_soon_threadsafe(self._stops)

    def _stops(self) -> None:
        if self._running:
            self._manager.end_connections()
