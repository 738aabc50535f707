"""Errors become responses: in the application where it has a handler table, else in the middleware."""

import logging
from collections.abc import MutableMapping
from typing import Any, overload

from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, Response
from starlette.websockets import WebSocket, WebSocketState

from asgi_sessions.errors import (
    GeneralError,
    SessionError,
    StoreUnavailable,
    TokenTheftDetected,
    TryRefreshToken,
    Unauthorised,
)
from asgi_sessions.manager.connection import SCOPE_KEY
from asgi_sessions.manager.once_per_minute import OncePerMinute
from asgi_sessions.protocol.clock import system_clock

_unavailable_log = OncePerMinute(logging.getLogger(__name__), logging.WARNING, system_clock)

POLICY_VIOLATION = 1008
"""The WebSocket close code (RFC 6455, section 7.4.1) where the server offers no denial response."""

DENIAL = "websocket.http.response"
"""The extension of ASGI by which a server lets a handshake be answered with a response."""

_NEEDS_LOGIN = (Unauthorised, TryRefreshToken, TokenTheftDetected)


@overload
async def session_exception_handler(connection: Request, error: Exception) -> Response: ...


@overload
async def session_exception_handler(connection: HTTPConnection, error: Exception) -> Response | None: ...


async def session_exception_handler(connection: HTTPConnection, error: Exception) -> Response | None:
    """Answer a `SessionError` with ``{"detail": …, "code": …}``. The default; register it or your own to change that.

    Clearing cookies is not this handler's business: that was decided where the error was raised, and happens
    whatever the response.

    Args:
        connection: The request or WebSocket.
        error: The error. A mistake in the application itself (`ConfigurationError`, `PayloadTooLarge`) is raised
            again, so that it becomes a 500 with its traceback in the log.

    Returns:
        The response, or None for a WebSocket that has been closed instead.
    """
    if not isinstance(error, SessionError) or not is_answerable(error):
        raise error
    if isinstance(connection, WebSocket):
        denial = can_deny(connection.scope)
        if connection.application_state is not WebSocketState.CONNECTING or not denial:
            if connection.application_state is not WebSocketState.DISCONNECTED:
                await connection.close(_close_code(connection, error), type(error).code)
            return None
    return error_response(connection.scope, error)


def is_answerable(error: SessionError) -> bool:
    """Whether the error is the client's business; an application's own mistake belongs to its developer."""
    return isinstance(error, StoreUnavailable) or not isinstance(error, GeneralError)


def can_deny(scope: MutableMapping[str, Any]) -> bool:
    """Whether the server lets this handshake be answered with a response."""
    return DENIAL in (scope.get("extensions") or {})


def _close_code(websocket: WebSocket, error: SessionError) -> int:
    # An application that asks may hear of the session's end before the middleware does: the client is told the same.
    exchange = websocket.scope.get(SCOPE_KEY)
    if isinstance(error, Unauthorised | TokenTheftDetected) and exchange is not None and exchange.had_session:
        code: int = exchange.manager.settings.websocket_close_code
        return code
    return POLICY_VIOLATION


def error_response(scope: MutableMapping[str, Any], error: SessionError) -> Response:
    """The response for an error. Says no more than the error's class."""
    kind = type(error)
    status = kind.status_code
    exchange = scope.get(SCOPE_KEY)
    headers = {"Cache-Control": "no-store"}
    if isinstance(error, _NEEDS_LOGIN):
        if exchange is not None:
            status = exchange.manager.settings.expired_status_code
        if status == 401:
            headers["WWW-Authenticate"] = 'Bearer realm="session"'
    if isinstance(error, StoreUnavailable):
        log = _unavailable_log if exchange is None else exchange.manager.unavailable_log
        log.say("Answered 503, the session store is unavailable: %s", error.__cause__ or "gave up after retries")
        headers["Retry-After"] = str(error.retry_after)
    return JSONResponse({"detail": kind.detail, "code": kind.code}, status_code=status, headers=headers)


def install_default_handler(scope: MutableMapping[str, Any]) -> None:
    """Let the innermost application answer our errors itself, unless it has a handler of its own.

    A mounted application would otherwise answer 500 before the error reaches the middleware, and the answer would
    miss the middlewares inside ours, CORS among them.
    """
    handlers = scope.get("starlette.exception_handlers")
    if handlers is not None and SessionError not in handlers[0]:
        handlers[0][SessionError] = session_exception_handler
