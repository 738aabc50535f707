"""Connection termination: a socket or stream ends with its session, after `connection_lifetime`, or with the server."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from enum import Enum, auto
from typing import Protocol

from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive, Send
from starlette.websockets import WebSocketDisconnect

from asgi_sessions.asgi.answer import Answer
from asgi_sessions.asgi.error_responses import NO_SESSION
from asgi_sessions.manager.pending_termination import PendingTermination

REASON = "session ended"
RECONNECT: Message = {"type": "websocket.close", "code": 4408, "reason": "reconnect"}
"""What a socket hears whose session goes on: it may come again at once. After HTTP's 408, as 4401 after its 401."""
RESTART: Message = {"type": "websocket.close", "code": 1012, "reason": "server stops"}
"""What a socket hears whose server stops: "Service Restart" in IANA's registry of close codes, as servers say it."""
FAREWELL_SECONDS = 0.5
"""For so long a socket stays open that has signed its own session out."""
LAST_WORD_SECONDS = 1.0
"""For so long an application's return waits until its client has been told. A client that reads nothing never is."""

_HOW_IT_IS_LEARNED = (*NO_SESSION, ClientDisconnect, WebSocketDisconnect)


class ConnectionTerminated(OSError):
    """The client of this connection hears nothing any more. An OSError, as servers raise it (ASGI, `send`)."""


class WatchedConnection(Protocol):
    """What a termination asks of its connection when that may have a session. It keeps no reference to it."""

    @property
    def session_handle(self) -> str | None:
        """The session of the connection; None if there is none, or if this very connection has ended it."""

    def on_termination(
        self, ended: Callable[[], None], outlived: Callable[[], None], stopping: Callable[[], None] | None
    ) -> PendingTermination:
        """Have one of these called, whichever comes first.

        Args:
            ended: When the connection's session ends.
            outlived: When the connection's own time is over.
            stopping: When the server begins to stop; None where that is no reason to end it.
        """


class _State(Enum):
    """How far a connection has come; see `Termination`."""

    NEW = auto()
    OPEN = auto()
    CLOSED = auto()
    RETURNED = auto()
    TERMINATED = auto()


class Termination:
    """Ends one connection that may outlast its session.

    ==========  ===========================================  ======================================================
    state       meaning                                      moves
    ==========  ===========================================  ======================================================
    NEW         it cannot outlast its session yet            `opened` to OPEN, `send` of the last message to CLOSED,
                                                             `finish` to RETURNED, `denied` to TERMINATED
    OPEN        its session is watched once it has one       `send` of the last message to CLOSED, `finish` to
                                                             RETURNED, any of the three ends to TERMINATED
    CLOSED      the application has sent its last message    none
    RETURNED    the application has returned without that    `send` of the last message to CLOSED, the end of a
                                                             farewell to TERMINATED
    TERMINATED  one of the three ends has ended it           none
    ==========  ===========================================  ======================================================

    Args:
        answer: What leaves with the connection's response: it knows whether the application has signed out itself.
        send: The server's.
        last: The message that ends the connection.
        reconnect: The one that ends it where the session goes on; the same if left out.
        restart: The one that ends it where the server stops; None where the connection goes on then.
        farewell: For how many seconds an application that has ended the session on this very connection may still
            talk; None for as long as it likes.
    """

    __slots__ = (
        "_answer",
        "_closing",
        "_farewell",
        "_last",
        "_pending",
        "_receiving",
        "_reconnect",
        "_restart",
        "_send",
        "_state",
        "_watched",
    )

    def __init__(
        self,
        answer: Answer,
        send: Send,
        last: Message,
        *,
        farewell: float | None,
        reconnect: Message | None = None,
        restart: Message | None = None,
    ) -> None:
        self._answer = answer
        self._send = send
        self._last = last
        self._reconnect = reconnect or last
        self._restart = restart
        self._farewell = farewell
        self._state = _State.NEW
        self._pending: PendingTermination | None = None
        self._watched: str | None = None
        self._receiving: set[asyncio.Timeout] = set()
        self._closing: asyncio.Task[None] | None = None

    @property
    def terminated(self) -> bool:
        """Whether one of the three ends has ended the connection."""
        return self._state is _State.TERMINATED

    def opened(self, connection: WatchedConnection) -> None:
        """The connection is open: from now on it may outlast its session."""
        self._state = _State.OPEN
        self.session_taken(connection)

    def denied(self) -> None:
        """The connection was refused although the application has accepted it: for that one it is over."""
        self._terminate()

    def session_taken(self, connection: WatchedConnection) -> None:
        """The connection may have a session now."""
        if self._state is _State.OPEN and self._pending is None:
            self._watched = connection.session_handle
            if self._watched is not None:
                stopping = None if self._restart is None else self._server_stops
                self._pending = connection.on_termination(self._session_ended, self._outlived, stopping)

    async def send(self, message: Message, *, last: bool) -> None:
        """Pass on what an application says on the open connection.

        Args:
            message: The message.
            last: Whether the application ends the connection with it.

        Raises:
            ConnectionTerminated: The session's end has been faster.
        """
        if self.terminated:
            raise ConnectionTerminated
        if last:
            self._state = _State.CLOSED  # what ends by itself needs no second end
            self._cancel_pending()
        try:
            await self._send(message)
        except Exception as error:
            if self.terminated:  # meanwhile; and the server takes nothing after the last message
                raise ConnectionTerminated from error
            raise

    async def receive(self, receive: Receive) -> Message:
        """What the client says, until the session ends: from then on, that it has gone.

        A client that does not answer the close, or has sent more before, is not heard any longer.

        Args:
            receive: The server's.
        """
        message = self._disconnect
        if not self.terminated:
            try:
                async with asyncio.timeout(None) as waiting:
                    self._receiving.add(waiting)
                    message = await receive()
            except TimeoutError:
                if not self.terminated:
                    raise
            finally:
                self._receiving.discard(waiting)
        return self._disconnect if self.terminated else message

    def explains(self, error: Exception) -> bool:
        """Whether an application's error is only how it learned that its connection was terminated."""
        return self.terminated and _tells_of_the_end(error)

    async def finish(self) -> None:
        """The application has returned."""
        self._cancel_pending()
        if self._state in {_State.NEW, _State.OPEN}:
            self._state = _State.RETURNED
        # Let go: a task that was cancelled keeps the traceback, and that this object.
        closing, self._closing = self._closing, None
        if closing is not None:
            if self._state is _State.CLOSED:
                closing.cancel()  # it has closed by itself, before its time to say goodbye was over
            await asyncio.wait([closing], timeout=LAST_WORD_SECONDS)

    @property
    def _disconnect(self) -> Message:
        return {**self._last, "type": "websocket.disconnect"}

    def _cancel_pending(self) -> None:
        if self._pending is not None:
            self._pending.cancel()
            self._pending = None  # it has methods of this object: the two would keep each other alive

    def _session_ended(self) -> None:
        if self._answer.signed_out != self._watched:
            self._end_with(self._last)
        elif self._farewell is not None:
            self._closing = asyncio.get_running_loop().create_task(self._close_after(self._farewell))

    def _outlived(self) -> None:
        self._end_with(self._reconnect)

    def _server_stops(self) -> None:
        self._end_with(self._restart or self._last)

    def _end_with(self, last: Message) -> None:
        self._last = last
        self._terminate()
        self._closing = asyncio.get_running_loop().create_task(self._close())

    def _terminate(self) -> None:
        self._state = _State.TERMINATED
        for waiting in self._receiving:
            waiting.reschedule(0)  # at once

    async def _close_after(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        if self._state is not _State.CLOSED:
            self._terminate()
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
    return isinstance(error, (ConnectionTerminated, *_HOW_IT_IS_LEARNED))
