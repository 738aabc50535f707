"""Open sockets and streams end with their session."""

import asyncio
from collections.abc import Callable
from contextlib import suppress

from starlette.requests import ClientDisconnect
from starlette.types import Message, Send
from starlette.websockets import WebSocketDisconnect

from asgi_sessions.errors import Unauthorised
from asgi_sessions.manager.watching import Watch

REASON = "session ended"


class SessionOver(OSError):
    """Tells an application that nobody hears it any more, in the way in which servers say so (ASGI, `send`)."""


class Ending:
    """The end of one connection that may outlast its session.

    Args:
        send: The server's.
        last: The message that ends the connection.
    """

    __slots__ = ("_closing", "_last", "_send", "_watch")

    def __init__(self, send: Send, last: Message) -> None:
        self._send = send
        self._last = last
        self._watch: Watch | None = None
        self._closing: asyncio.Task[None] | None = None

    @property
    def watching(self) -> bool:
        """Whether the session's end is waited for, or has come."""
        return self._watch is not None

    @property
    def over(self) -> bool:
        """Whether the session's end has ended the connection."""
        return self._closing is not None

    def watch(self, begin: Callable[[Callable[[], None]], Watch]) -> None:
        """End the connection when the session ends.

        Args:
            begin: Begins to wait, given whom to tell.
        """
        self._watch = begin(self._ended)

    def stop(self) -> None:
        """The connection has ended by itself."""
        if self._watch is not None:
            self._watch.cancel()

    def consequence(self, error: Exception) -> bool:
        """Whether an application's error is only how it learned that its connection was ended."""
        if isinstance(error, ExceptionGroup):
            return self.over and all(self.consequence(inner) for inner in error.exceptions)
        return self.over and isinstance(error, SessionOver | Unauthorised | ClientDisconnect | WebSocketDisconnect)

    def _ended(self) -> None:
        self._closing = asyncio.get_running_loop().create_task(self._close())

    async def _close(self) -> None:
        with suppress(OSError, RuntimeError):  # it was closing anyway
            await self._send(self._last)
