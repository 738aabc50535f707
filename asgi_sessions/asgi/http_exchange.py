"""One HTTP request on its way through the middleware: what its response carries, and when a stream ends."""

from collections.abc import Awaitable

from starlette.types import Message

from asgi_sessions.asgi.error_responses import error_response
from asgi_sessions.asgi.exchange import Exchange
from asgi_sessions.asgi.response_headers import THEIRS
from asgi_sessions.asgi.termination import Termination
from asgi_sessions.errors import SessionError

_END_OF_BODY = {"type": "http.response.body", "body": b"", "more_body": False}
_ENDLESS = frozenset({b"text/event-stream", b"multipart/x-mixed-replace"})


class HTTPExchange(Exchange):
    """An exchange whose answer is a response, which may be a stream that ends with the session."""

    __slots__ = ()

    def send(self, message: Message) -> Awaitable[None]:
        """Let a message of the application out, the first one with the session's headers."""
        # No coroutine of its own: most messages are passed on as they are, or with no more than what caches are told.
        if message["type"] == "http.response.start":
            headers = message["headers"] = list(message.get("headers", ()))
            endless, told = True, False
            for name, _ in headers:
                if name == b"content-length":
                    endless = False
                elif name.lower() in THEIRS:  # Django and BlackSheep write capitals, against ASGI
                    told = self._looked
            lasts = endless and _may_last(message)
            if lasts or told or self.begun_answer is not None:
                return self._start(message, lasts=lasts)
            self._started = True
            if self._looked:
                headers += self._transport.asked
        elif self.termination is not None:
            return self.termination.send(message, last=_ends_response(message))
        to_server = self._to_server  # as everywhere on this way: calling an attribute that is no method is slow
        return to_server(message)

    async def _respond(self, error: SessionError) -> None:
        await error_response(self._scope, error)(self._scope, self.receive, self.send)

    async def _start(self, message: Message, *, lasts: bool) -> None:
        answer = self.answer
        if not answer.started:
            await self.recheck_tokens()
            message["headers"] = answer.start(message["headers"], looked=self._looked)
        await self._let_out(message)
        if lasts:
            restart = _END_OF_BODY if _is_endless(message) else None
            self.termination = Termination(answer, self._to_server, _END_OF_BODY, farewell=None, restart=restart)
            self.termination.opened(self)


def _may_last(start: Message) -> bool:
    """Whether a response may go on for long: it does not say how long it is.

    One that does can be ended neither early nor correctly, and ends soon by itself; nor can one with trailers.
    """
    if start["status"] in {204, 304} or start.get("trailers"):
        return False
    return all(name.lower() != b"content-length" for name, _ in start["headers"])


def _is_endless(start: Message) -> bool:
    """Whether a response never ends by itself, and a server that waits for its end waits for ever.

    Any other ends some time. It is left to do so within whatever time the server grants, since a download that is cut
    looks complete.
    """
    kinds = [value for name, value in start["headers"] if name.lower() == b"content-type"]
    return any(kind.partition(b";")[0].strip().lower() in _ENDLESS for kind in kinds)


def _ends_response(message: Message) -> bool:
    kind = message["type"]
    return kind == "http.response.pathsend" or (kind == "http.response.body" and not message.get("more_body"))
