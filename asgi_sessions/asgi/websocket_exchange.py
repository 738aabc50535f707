"""One WebSocket on its way through the middleware: what the answer to its handshake carries, and when it ends."""

from functools import partial

from starlette.types import Message, Receive, Scope, Send

from asgi_sessions.asgi.ending import FAREWELL_SECONDS, REASON, RECONNECT, RESTART, Ending
from asgi_sessions.asgi.error_responses import DENIAL, POLICY_VIOLATION, can_deny, error_response
from asgi_sessions.asgi.exchange import Exchange
from asgi_sessions.asgi.transport import Transport
from asgi_sessions.errors import SessionError
from asgi_sessions.manager.connection import SessionConnection
from asgi_sessions.manager.manager import SessionManager


class WebSocketExchange(Exchange):
    """An exchange whose answer is a handshake's, and whose socket ends with the session."""

    __slots__ = ("_denies", "_end")

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
        self._safe_methods = ()  # a page of any site may open a socket, whatever the server calls its method
        self._denies = can_deny(scope)
        close = {"type": "websocket.close", "code": manager.settings.websocket_close_code, "reason": REASON}
        self.ending = self._end = Ending(
            self, send, close, farewell=FAREWELL_SECONDS, reconnect=RECONNECT, restart=RESTART
        )
        self.receive = partial(self._end.receive, receive)

    async def send(self, message: Message) -> None:
        """Let a message of the application out, the answer to the handshake with the session's headers."""
        kind, answer = message["type"], self.answer
        if not answer.started:
            await self.look_again()
        if kind == "websocket.accept":
            message["headers"] = answer.start(message.get("headers", ()), looked=self._looked)
            await self._let_out(message)
            self._end.opened()
        elif kind == f"{DENIAL}.start":
            message["headers"] = answer.start(message.get("headers", ()), looked=self._looked)
            await self._let_out(message)
        elif kind == "websocket.close" and not answer.started:
            headers = answer.start((), looked=self._looked)
            if self._denies and any(name == b"set-cookie" for name, _ in headers):
                # A plain close cannot carry headers: say the same in a response that can.
                await self._let_out({"type": f"{DENIAL}.start", "status": 403, "headers": headers})
                await self._to_server({"type": f"{DENIAL}.body", "body": b"", "more_body": False})
            else:
                self._abandon_login()
                await self._to_server(message)
        elif not (kind == "websocket.close" and self._end.over):  # the session's end was faster, with the same aim
            await self._end.send(message, last=kind == "websocket.close")

    async def _respond(self, error: SessionError) -> None:
        if self._denies:
            await error_response(self._scope, error)(self._scope, self.receive, self.send)
        else:
            await self.send({"type": "websocket.close", "code": POLICY_VIOLATION, "reason": type(error).code})
