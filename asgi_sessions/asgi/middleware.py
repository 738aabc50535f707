"""The middleware: it gives each connection an exchange, which adds the cookies to the application's response."""

from asyncio import CancelledError
from typing import Literal

from starlette.types import ASGIApp, Receive, Scope, Send

from asgi_sessions.asgi.error_responses import as_raised
from asgi_sessions.asgi.finished import AFTERWARDS, FinishedConnections
from asgi_sessions.asgi.first_use import StartedByFirstUse
from asgi_sessions.asgi.http_exchange import HTTPExchange
from asgi_sessions.asgi.lifespan import run_lifespan
from asgi_sessions.asgi.transport import Transport
from asgi_sessions.asgi.websocket_exchange import WebSocketExchange
from asgi_sessions.errors import ConfigurationError
from asgi_sessions.manager import SessionManager
from asgi_sessions.manager.connection import FINISHED_KEY, SCOPE_KEY, NearestAgain, SessionConnection, own_among

_EXCHANGES: dict[str, type[HTTPExchange] | type[WebSocketExchange]] = {
    "http": HTTPExchange,
    "websocket": WebSocketExchange,
}


class SessionMiddleware:
    """Gives requests and WebSockets their sessions, and sets and clears the cookies. Pure ASGI.

    Add it last, so that it is outside every middleware that asks for the session. It starts the manager with the
    application's lifespan and stops it after the application. Applications mounted inside need no middleware of their
    own. If one has a middleware with the same manager, that one passes requests through, and makes this manager the
    nearest one inside; one with another manager works beside this one.

    Args:
        app: The application inside.
        manager: The manager of the sessions.
        start_on: ``"lifespan"``: the application's lifespan starts the manager. ``"first_use"``: the first request
            starts it, and it runs until its process ends; for a server that runs no lifespan, or one for each request
            (daphne, AWS Lambda).
    """

    def __init__(
        self, app: ASGIApp, manager: SessionManager, *, start_on: Literal["lifespan", "first_use"] = "lifespan"
    ) -> None:
        if not isinstance(manager, SessionManager):
            raise ConfigurationError("SessionMiddleware: manager must be a SessionManager.")
        if start_on not in {"lifespan", "first_use"}:
            raise ConfigurationError('SessionMiddleware: start_on must be "lifespan" or "first_use".')
        self.app = app if start_on == "lifespan" else StartedByFirstUse(app, manager)
        self.manager = manager
        self._transport = Transport(manager.settings)
        self._finished = FinishedConnections(manager, self._transport)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        kind = _EXCHANGES.get(scope["type"])
        outer: SessionConnection | None = scope.get(SCOPE_KEY)
        if kind is None:
            if scope["type"] == "lifespan":
                await run_lifespan(self.app, self.manager, scope, receive, send)
            else:
                await self.app(scope, receive, send)
            return
        if outer is not None:
            own = own_among(outer, self.manager)
            if own is not None:
                await self._pass(own, outer, scope, receive, send)
                return
            _share(outer)
        exchange = scope[SCOPE_KEY] = kind(self.manager, self._transport, scope, outer, receive, send)
        try:
            await self.app(scope, exchange.receive, exchange.send)
        except (Exception, CancelledError) as error:
            await self._answer(scope, exchange, error)
        finally:
            # The scope goes on outside and must not name this exchange there. Only here are the references cut by which
            # scope, exchange and session would keep each other alive until the garbage collector came.
            scope[SCOPE_KEY] = outer
            if exchange.session is not None:
                exchange.session._connection = AFTERWARDS
            if exchange.begun_answer is not None:
                for earlier in exchange.earlier_sessions:
                    earlier._connection = AFTERWARDS
                scope[FINISHED_KEY] = self._finished, exchange.arrived_at, exchange.outcome()
            else:  # as mostly: the request's headers say all
                scope[FINISHED_KEY] = self._finished, exchange.arrived_at
            if exchange.termination is not None:
                exchange.cut_off()  # the application may have answered nothing at all
                await exchange.termination.finish()

    async def _answer(
        self, scope: Scope, exchange: HTTPExchange | WebSocketExchange, error: Exception | CancelledError
    ) -> None:
        """Answer an error of this package, and raise any other again."""
        answered = False
        try:
            answered = isinstance(error, Exception) and await exchange.answered(error)
        finally:
            if not answered:
                exchange.cut_off()
        if not answered:
            raise as_raised(scope, error)

    async def _pass(
        self, own: SessionConnection, nearest: SessionConnection, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Pass on a connection that this manager has already: the application inside asks this manager, as it expects.

        Args:
            own: What this manager has.
            nearest: What is nearest outside, perhaps another manager's.
            scope: The connection's.
            receive: What the application hears.
            send: What takes its messages.
        """
        if own is not nearest:
            scope[SCOPE_KEY] = NearestAgain(own, nearest)
        try:
            await self.app(scope, receive, send)
        finally:
            scope[SCOPE_KEY] = nearest


def _share(connection: SessionConnection | None) -> None:
    """Tell each manager of the chain that another one inside has the connection as well."""
    while connection is not None:
        connection.shared()
        connection = connection.outer
