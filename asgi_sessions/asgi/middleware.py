"""The middleware: gives each connection its exchange, and lets the cookies out with whatever response leaves."""

from collections.abc import Awaitable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from asgi_sessions.asgi.ending import FAREWELL_SECONDS, REASON, Ending
from asgi_sessions.asgi.error_responses import POLICY_VIOLATION, error_response
from asgi_sessions.asgi.exchange import Exchange
from asgi_sessions.asgi.lifespan import run_lifespan
from asgi_sessions.asgi.transport import Transport
from asgi_sessions.errors import ConfigurationError, GeneralError, SessionError, StoreUnavailable
from asgi_sessions.manager import SessionManager
from asgi_sessions.manager.connection import SCOPE_KEY, SessionConnection

_DENIAL = "websocket.http.response"


class SessionMiddleware:
    """Pure ASGI. Add it last, so that it is outside every middleware that asks for the session.

    It starts the manager with the application's lifespan and stops it after the application. Applications mounted
    inside need none of their own; one with the same manager passes through, one with another manager stands on its
    own feet beside this one.

    Args:
        app: The application inside.
        manager: Whose sessions these are.
    """

    def __init__(self, app: ASGIApp, manager: SessionManager) -> None:
        if not isinstance(manager, SessionManager):
            raise ConfigurationError("SessionMiddleware: manager must be a SessionManager.")
        self.app = app
        self.manager = manager
        self._transport = Transport(manager.settings)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._http(scope, receive, send)
        elif scope["type"] == "websocket":
            await self._websocket(scope, receive, send)
        elif scope["type"] == "lifespan":
            await run_lifespan(self.app, self.manager, scope, receive, send)
        else:
            await self.app(scope, receive, send)

    def _enter(self, scope: Scope) -> Exchange | None:
        """A new exchange for this connection, None where this manager's middleware is outside as well."""
        outer: SessionConnection | None = scope.get(SCOPE_KEY)
        found = outer
        while found is not None:
            if found.manager is self.manager:
                return None
            found = found.outer
        exchange = scope[SCOPE_KEY] = Exchange(self.manager, self._transport, scope, outer)
        return exchange

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange = self._enter(scope)
        if exchange is None:
            await self.app(scope, receive, send)
            return
        ending: Ending | None = None

        def send_with_cookies(message: Message) -> Awaitable[None]:
            # No coroutine of its own for what is passed on as it is.
            if message["type"] == "http.response.start":
                if exchange.asked:
                    return start_with_cookies(message)
                exchange.started_unasked(lambda: open_end(message))
            elif ending is not None:
                return ending.send(message, last=_ends_response(message))
            return send(message)

        async def start_with_cookies(message: Message) -> None:
            answer = exchange.answer
            if answer.aged:
                await exchange.look_again()
            message["headers"] = answer.start(list(message.get("headers", ())))
            await send(message)
            open_end(message)

        def open_end(start: Message) -> None:
            nonlocal ending
            if _may_last(start):
                end_of_body = {"type": "http.response.body", "body": b"", "more_body": False}
                ending = Ending(exchange, send, end_of_body, farewell=None)
                ending.opened()

        try:
            await self.app(scope, receive, send_with_cookies)
        except SessionError as error:
            if ending is not None and ending.consequence(error):
                return
            if exchange.answer.started or not _answerable(error):
                raise
            await error_response(scope, error)(scope, receive, send_with_cookies)
        except Exception as error:
            if ending is None or not ending.consequence(error):
                raise
        finally:
            _leave(scope, exchange)
            if ending is not None:
                await ending.finish()

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange = self._enter(scope)
        if exchange is None:
            await self.app(scope, receive, send)
            return
        answer = exchange.answer
        close_code = self.manager.settings.websocket_close_code
        close = {"type": "websocket.close", "code": close_code, "reason": REASON}
        ending = Ending(exchange, send, close, farewell=FAREWELL_SECONDS)

        async def receive_while_logged_in() -> Message:
            return await ending.receive(receive)

        async def send_with_cookies(message: Message) -> None:
            kind = message["type"]
            if answer.aged and not answer.started:
                await exchange.look_again()
            if kind == "websocket.accept":
                message["headers"] = answer.start(list(message.get("headers", ())))
                await send(message)
                ending.opened()
            elif kind == "websocket.http.response.start":
                message["headers"] = answer.start(list(message.get("headers", ())))
                await send(message)
            elif kind == "websocket.close" and not answer.started:
                headers = answer.start([])
                if _DENIAL in scope.get("extensions", {}) and any(name == b"set-cookie" for name, _ in headers):
                    # A plain close cannot carry headers: say the same in a response that can.
                    await send({"type": f"{_DENIAL}.start", "status": 403, "headers": headers})
                    await send({"type": f"{_DENIAL}.body", "body": b"", "more_body": False})
                else:
                    await send(message)
            elif not (kind == "websocket.close" and ending.over):  # the session's end was faster, with the same aim
                await ending.send(message, last=kind == "websocket.close")

        try:
            await self.app(scope, receive_while_logged_in, send_with_cookies)
        except SessionError as error:
            if ending.consequence(error):
                return
            if answer.started or not _answerable(error):
                raise
            if _DENIAL in scope.get("extensions", {}):
                await error_response(scope, error)(scope, receive, send_with_cookies)
            else:
                await send_with_cookies(
                    {"type": "websocket.close", "code": POLICY_VIOLATION, "reason": type(error).code}
                )
        except Exception as error:
            if not ending.consequence(error):
                raise
        finally:
            _leave(scope, exchange)
            await ending.finish()


def _may_last(start: Message) -> bool:
    """Whether a response may go on for long: it does not say how long it is.

    One that does can be ended neither early nor correctly, and ends soon by itself; nor can one with trailers.
    """
    if start["status"] in {204, 304} or start.get("trailers"):
        return False
    return all(name.lower() != b"content-length" for name, _ in start["headers"])


def _ends_response(message: Message) -> bool:
    kind = message["type"]
    return kind == "http.response.pathsend" or (kind == "http.response.body" and not message.get("more_body"))


def _leave(scope: Scope, exchange: Exchange) -> None:
    # Else whoever is outside would take it for its own; and scope and exchange would keep each other alive.
    if exchange.outer is None:
        scope.pop(SCOPE_KEY, None)
    else:
        scope[SCOPE_KEY] = exchange.outer


def _answerable(error: SessionError) -> bool:
    """Whether the error is the client's business; an application's own mistake belongs to its developer."""
    return isinstance(error, StoreUnavailable) or not isinstance(error, GeneralError)
