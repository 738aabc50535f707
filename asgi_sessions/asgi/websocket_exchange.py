"""One WebSocket on its way through the middleware: what the answer to its handshake carries, and when it ends.

Some servers drop the headers of an acceptance (`handshake.accepts_with_headers`). There no token is made, since nobody
would get it: a handshake with an expired access token is served without tokens, as a slow request is. Only a denial
clears cookies there, so an application that logs out and then accepts is overruled.
"""

import logging
from functools import partial

from starlette.types import Message, Receive, Scope, Send

from asgi_sessions.asgi.error_responses import POLICY_VIOLATION, error_response
from asgi_sessions.asgi.exchange import Exchange
from asgi_sessions.asgi.handshake import DENIAL, accepts_with_headers, can_deny
from asgi_sessions.asgi.response_headers import RawHeaders
from asgi_sessions.asgi.termination import FAREWELL_SECONDS, REASON, RECONNECT, RESTART, Termination
from asgi_sessions.asgi.transport import Transport
from asgi_sessions.errors import ConfigurationError, SessionError
from asgi_sessions.manager.connection import SessionConnection
from asgi_sessions.manager.manager import SessionManager

_log = logging.getLogger(__name__)


class WebSocketExchange(Exchange):
    """An exchange whose answer is a handshake's, and whose socket ends with the session."""

    __slots__ = ("_accepts_with_headers", "_denies")

    termination: Termination  # every socket has one

    def __init__(
        self,
        manager: SessionManager,
        transport: Transport,
        scope: Scope,
        outer: SessionConnection | None,
        receive: Receive,
        send: Send,
    ) -> None:
        super().__init__(manager, transport, scope, outer, receive, send)
        self._denies = can_deny(scope)
        self._accepts_with_headers = accepts_with_headers(scope)
        if not self._accepts_with_headers:
            self.answer.without_tokens()
        close = {"type": "websocket.close", "code": manager.settings.websocket_close_code, "reason": REASON}
        self.termination = Termination(
            self.answer, send, close, farewell=FAREWELL_SECONDS, reconnect=RECONNECT, restart=RESTART
        )
        self.receive = partial(self.termination.receive, receive)

    async def send(self, message: Message) -> None:
        """Let a message of the application out, the answer to the handshake with the session's headers."""
        kind, answer = message["type"], self.answer
        if not answer.started:
            await self.recheck_tokens()
        if kind == "websocket.accept":
            if not self._accepts_with_headers and answer.signed_out is not None:
                if self._denies:
                    await self._deny(answer.start((), looked=self._looked))
                    self.termination.denied()
                    return
                _log.warning("Session %s: the acceptance clears no cookies on this server.", answer.signed_out)
            message["headers"] = answer.start(message.get("headers", ()), looked=self._looked)
            await self._let_out(message)
            self.termination.opened(self)
        elif kind == f"{DENIAL}.start":
            headers = answer.start(message.get("headers", ()), looked=self._looked)
            if self._denies:
                message["headers"] = headers
            await self._let_out(message)
        elif kind == "websocket.close" and not answer.started:
            headers = answer.start((), looked=self._looked)
            if self._denies and any(name == b"set-cookie" for name, _ in headers):
                await self._deny(headers)  # a plain close cannot carry them
            else:
                self._abandon_login()
                await self._to_server(message)
        elif not (
            kind == "websocket.close" and self.termination.terminated
        ):  # the session's end was faster, with the same aim
            await self.termination.send(message, last=kind == "websocket.close")

    async def _respond(self, error: SessionError) -> None:
        if self._denies:
            await error_response(self._scope, error)(self._scope, self.receive, self.send)
        else:
            await self.send({"type": "websocket.close", "code": POLICY_VIOLATION, "reason": type(error).code})

    async def _deny(self, headers: RawHeaders) -> None:
        await self._let_out({"type": f"{DENIAL}.start", "status": 403, "headers": headers})
        await self._to_server({"type": f"{DENIAL}.body", "body": b"", "more_body": False})

    @property
    def _carries_tokens(self) -> bool:
        return self._accepts_with_headers and not self._has_begun

    def _needs_tokens(self, method: str) -> None:
        if not self._accepts_with_headers:
            raise ConfigurationError(
                f"{method}: this server drops the headers of an accepted WebSocket, so the tokens would not arrive. "
                "Use an ordinary request."
            )
