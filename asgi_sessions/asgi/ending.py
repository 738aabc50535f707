"""Open sockets and streams end with their session, after `connection_lifetime` in any case, and with the server."""

import asyncio
from contextlib import suppress

from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive, Send
from starlette.websockets import WebSocketDisconnect

from asgi_sessions.asgi.exchange import Exchange
from asgi_sessions.errors import TokenTheftDetected, TryRefreshToken, Unauthorised
from asgi_sessions.manager.watching import Watch

REASON = "session ended"
RECONNECT: Message = {"type": "websocket.close", "code": 4408, "reason": "reconnect"}
"""What a socket hears whose session goes on: it may come again at once. After HTTP's 408, as 4401 after its 401."""
RESTART: Message = {"type": "websocket.close", "code": 1012, "reason": "server stops"}
"""What a socket hears whose server stops: "Service Restart" in IANA's registry of close codes, as servers say it."""
FAREWELL_SECONDS = 0.5
"""For so long a socket stays open that has signed its own session out."""
LAST_WORD_SECONDS = 1.0
"""For so long an application's return waits until its client has been told; one that reads nothing never is."""

_HOW_IT_IS_LEARNED = (Unauthorised, TryRefreshToken, TokenTheftDetected, ClientDisconnect, WebSocketDisconnect)


class SessionOver(OSError):
    """Tells an application that nobody hears it any more, in the way in which servers say so (ASGI, `send`)."""


class Ending:
    """The end of one connection that may outlast its session.

    It waits for the session's end from when the connection is open and has a session, in whichever order.

    Args:
        exchange: The connection's.
        send: The server's.
        last: The message that ends the connection.
        reconnect: The one that ends it where the session goes on; the same if left out.
        restart: The one that ends it where the server stops; None where the connection goes on then.
        farewell: For how many seconds an application that has ended the session on this very connection may still
            talk; None for as long as it likes.

    Attributes:
        over: Whether one of these ends has ended the connection.
    """

    __slots__ = (
        "_closed",
        "_closing",
        "_exchange",
        "_farewell",
        "_last",
        "_open",
        "_receiving",
        "_reconnect",
        "_restart",
        "_send",
        "_watch",
        "over",
    )

    def __init__(
        self,
        exchange: Exchange,
        send: Send,
        last: Message,
        *,
        farewell: float | None,
        reconnect: Message | None = None,
        restart: Message | None = None,
    ) -> None:
        self._exchange = exchange
        self._send = send
        self._last = last
        self._reconnect = reconnect or last
        self._restart = restart
        self._farewell = farewell
        self._open = self._closed = self.over = False
        self._watch: Watch | None = None
        self._receiving: set[asyncio.Timeout] = set()
        self._closing: asyncio.Task[None] | None = None

    def opened(self) -> None:
        """The connection is open: from now on it may outlast its session."""
        self._open = True
        self.session_taken()

    def denied(self) -> None:
        """The connection was refused although the application has accepted it: for that one it is over."""
        self._cut()

    def session_taken(self) -> None:
        """The connection may have a session now."""
        if self._open and self._watch is None and self._exchange.holds_session:
            stopping = None if self._restart is None else self._stopping
            self._watch = self._exchange.watch(self._ended, self._outlived, stopping)

    async def send(self, message: Message, *, last: bool) -> None:
        """Pass on what an application says on the open connection.

        Args:
            message: The message.
            last: Whether the application ends the connection with it.

        Raises:
            SessionOver: The session's end has been faster.
        """
        if self.over:
            raise SessionOver
        if last:
            self._closed = True  # what ends by itself needs no second end
            self._stop_waiting()
        try:
            await self._send(message)
        except Exception as error:
            if self.over:  # meanwhile; and the server takes nothing after the last message
                raise SessionOver from error
            raise

    async def receive(self, receive: Receive) -> Message:
        """What the client says, until the session ends: from then on, that it has gone.

        A client that does not answer the close, or has sent more before, is not heard any longer.

        Args:
            receive: The server's.
        """
        message = self._gone
        if not self.over:
            try:
                async with asyncio.timeout(None) as waiting:
                    self._receiving.add(waiting)
                    message = await receive()
            except TimeoutError:
                if not self.over:
                    raise
            finally:
                self._receiving.discard(waiting)
        return self._gone if self.over else message

    def consequence(self, error: Exception) -> bool:
        """Whether an application's error is only how it learned that its connection was ended."""
        return self.over and _tells_of_the_end(error)

    async def finish(self) -> None:
        """The application has returned."""
        self._stop_waiting()
        self._exchange.cut_off()  # it may have answered nothing at all
        del self._exchange  # else the two would keep each other alive
        if self._closing is not None:
            if self._closed and not self.over:
                self._closing.cancel()  # it has closed by itself, before its time to say goodbye was over
            await asyncio.wait([self._closing], timeout=LAST_WORD_SECONDS)

    @property
    def _gone(self) -> Message:
        return {**self._last, "type": "websocket.disconnect"}

    def _stop_waiting(self) -> None:
        self._open = False
        if self._watch is not None:
            self._watch.cancel()

    def _ended(self) -> None:
        if not self._exchange.signed_out:
            self._end_with(self._last)
        elif self._farewell is not None:
            self._closing = asyncio.get_running_loop().create_task(self._close_after(self._farewell))

    def _outlived(self) -> None:
        self._end_with(self._reconnect)

    def _stopping(self) -> None:
        self._end_with(self._restart or self._last)

    def _end_with(self, last: Message) -> None:
        self._last = last
        self._cut()
        self._closing = asyncio.get_running_loop().create_task(self._close())

    def _cut(self) -> None:
        self.over = True
        for waiting in self._receiving:
            waiting.reschedule(0)  # at once

    async def _close_after(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        if not self._closed:
            self._cut()
            await self._close()

    async def _close(self) -> None:
        with suppress(Exception):  # it was closing anyway
            await self._send({**self._last})


def _tells_of_the_end(error: Exception) -> bool:
    if isinstance(error, ExceptionGroup):
        return all(map(_tells_of_the_end, error.exceptions))
    if isinstance(error, RuntimeError):  # Starlette's, for a handled error after the response has started
        cause = error.__cause__
        return isinstance(cause, _HOW_IT_IS_LEARNED) or (isinstance(cause, ExceptionGroup) and _tells_of_the_end(cause))
    return isinstance(error, (SessionOver, *_HOW_IT_IS_LEARNED))
