"""A start without a lifespan: the first request starts the manager, and the end of the process ends it."""

import asyncio
from weakref import WeakKeyDictionary

from starlette.types import ASGIApp, Receive, Scope, Send

from asgi_sessions.errors import ConfigurationError
from asgi_sessions.manager import SessionManager
from asgi_sessions.store.event_loop import running_loop


class StartedByFirstUse:
    """An application before which the manager is started, on each event loop that serves it.

    Requests that come meanwhile wait for the same start. One that fails is answered as any failure of the store, and
    the next request tries again. Where a lifespan has started the manager there is nothing to do.

    Args:
        app: The application inside.
        manager: What to start.
    """

    def __init__(self, app: ASGIApp, manager: SessionManager) -> None:
        self._app = app
        self._manager = manager
        self._starting: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock] = WeakKeyDictionary()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in {"http", "websocket"} and not self._runs:
            await self._start()
        await self._app(scope, receive, send)

    @property
    def _runs(self) -> bool:
        try:
            return self._manager.lifecycle is not None
        except ConfigurationError:
            return False

    async def _start(self) -> None:
        async with self._starting.setdefault(running_loop(), asyncio.Lock()):
            if not self._runs:
                await self._manager.start()
