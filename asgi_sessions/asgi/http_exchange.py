"""One HTTP request on its way through the middleware: what its response carries, and when a stream ends."""

from collections.abc import Awaitable

from starlette.types import Message, Receive

from asgi_sessions.asgi.ending import Ending
from asgi_sessions.asgi.error_responses import error_response, is_answerable
from asgi_sessions.asgi.exchange import Exchange
from asgi_sessions.errors import SessionError

_END_OF_BODY = {"type": "http.response.body", "body": b"", "more_body": False}


class HTTPExchange(Exchange):
    """See `Exchange`."""

    _unasked: Message | None = None  # the start of a response that left before anybody asked for the session

    @property
    def receive(self) -> Receive:
        """What the application hears."""
        return self._from_server

    def send(self, message: Message) -> Awaitable[None]:
        """Let a message of the application out, the first one with the session's headers."""
        # No coroutine of its own: most messages are passed on as they are.
        if message["type"] == "http.response.start":
            answer = self._answer
            if answer is None:
                self._unasked = message
            elif not answer.starts_plainly(message):
                return self._start(message)
        elif self.ending is not None:
            return self.ending.send(message, last=_ends_response(message))
        return self._to_server(message)

    async def answered(self, error: Exception) -> bool:
        """Whether the application's error needs no other answer: it has one now, or only tells of the stream's end."""
        if self.ending is not None and self.ending.consequence(error):
            return True
        if not isinstance(error, SessionError) or not is_answerable(error) or self.answer.started:
            return False
        await error_response(self._scope, error)(self._scope, self._from_server, self.send)
        return True

    @property
    def _started(self) -> bool:
        return self._unasked is not None

    async def _start(self, message: Message) -> None:
        if self.answer.aged:
            await self.look_again()
        message["headers"] = self.answer.start(message.get("headers", ()))
        await self._to_server(message)
        self._begin_ending(message)

    def _taken(self) -> None:
        if self.ending is not None:
            self.ending.session_taken()
        elif self._unasked is not None:
            self._begin_ending(self._unasked)

    def _begin_ending(self, start: Message) -> None:
        if _may_last(start):
            self.ending = Ending(self, self._to_server, _END_OF_BODY, farewell=None)
            self.ending.opened()


def _may_last(start: Message) -> bool:
    """Whether a response may go on for long: it does not say how long it is.

    One that does can be ended neither early nor correctly, and ends soon by itself; nor can one with trailers.
    """
    if start["status"] in {204, 304} or start.get("trailers"):
        return False
    headers = start.get("headers", ())
    # First as nearly everybody writes it: this is asked of every response.
    return b"content-length" not in dict(headers) and all(name.lower() != b"content-length" for name, _ in headers)


def _ends_response(message: Message) -> bool:
    kind = message["type"]
    return kind == "http.response.pathsend" or (kind == "http.response.body" and not message.get("more_body"))
