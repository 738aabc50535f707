"""Turns errors into responses: in the application if it has a handler table, else in the middleware."""

import inspect
import logging
from collections.abc import MutableMapping
from typing import Any, NamedTuple, overload

from starlette.concurrency import run_in_threadpool
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, Response
from starlette.websockets import WebSocket, WebSocketState

from asgi_sessions.asgi import client_protocol
from asgi_sessions.asgi.handshake import can_deny
from asgi_sessions.errors import (
    AlreadyRotated,
    CsrfRejected,
    FetchedAhead,
    FormForAnotherSession,
    GeneralError,
    ImpersonationRefused,
    InvalidClaim,
    PayloadChanged,
    ReauthenticationRequired,
    SessionError,
    SessionLimitReached,
    StoreUnavailable,
    TokenTheftDetected,
    TooManyCookies,
    TryRefreshToken,
    Unauthorised,
)
from asgi_sessions.manager.connection import SCOPE_KEY, ASGIConnection
from asgi_sessions.manager.once_per_minute import OncePerMinute
from asgi_sessions.protocol.clock import system_clock
from asgi_sessions.store.failures import in_full

_unavailable_log = OncePerMinute(logging.getLogger(__name__), logging.WARNING, system_clock)

POLICY_VIOLATION = 1008
"""The WebSocket close code (RFC 6455, section 7.4.1) where the server offers no denial response."""

# Of several errors of one request, the first of these is answered. First what has ended the session, since whatever the
# client does next begins with a login; then that the request was not its user's at all; then what has to be done before
# a repetition can succeed; then what this session may not do; and last what decides nothing, for all others stay true
# when the database is back. An application's own `SessionError` refuses something, as `InvalidClaim` does.
_GRAVITY = {
    kind: place
    for place, kind in enumerate(
        (
            TokenTheftDetected,
            Unauthorised,
            CsrfRejected,
            FormForAnotherSession,
            TooManyCookies,
            TryRefreshToken,
            FetchedAhead,
            AlreadyRotated,
            PayloadChanged,
            ReauthenticationRequired,
            SessionLimitReached,
            ImpersonationRefused,
            InvalidClaim,
            SessionError,
            StoreUnavailable,
        )
    )
}

_CHALLENGE = 'Bearer realm="session"'

NO_SESSION = (Unauthorised, TryRefreshToken, TokenTheftDetected)
"""What an application is told that has no session, or no longer."""


@overload
async def session_exception_handler(connection: Request, error: Exception) -> Response: ...


@overload
async def session_exception_handler(connection: HTTPConnection, error: Exception) -> Response | None: ...


async def session_exception_handler(connection: HTTPConnection, error: Exception) -> Response | None:
    """Answer a `SessionError` with ``{"detail": …, "code": …}``. This is the default; your own handlers may call it.

    An exception group that holds only such errors, as an `asyncio.TaskGroup` raises it, is answered like the gravest
    error in it.

    This handler clears no cookies. The library decides that where the error is raised, and the decision holds for any
    response that leaves.

    Args:
        connection: The request or WebSocket.
        error: The error. The handler raises it again if it is a mistake in the application itself
            (`ConfigurationError`, `PayloadTooLarge`), or a group with any error that is not for the client. It then
            becomes a 500 with its traceback in the log.

    Returns:
        The response, or None for a WebSocket that has been closed instead.
    """
    answered = answerable(error)
    if answered is None:
        raise error
    if isinstance(connection, WebSocket):
        denial = can_deny(connection.scope)
        if connection.application_state is not WebSocketState.CONNECTING or not denial:
            if connection.application_state is not WebSocketState.DISCONNECTED:
                await connection.close(_close_code(connection, answered), type(answered).code)
            return None
    return error_response(connection.scope, answered)


async def _group_handler(connection: HTTPConnection, group: Exception) -> Response | None:
    """Answer a group as the application answers its gravest error, by a handler of its own or by the default."""
    error = answerable(group)
    if error is None:
        raise group
    handlers = connection.scope["starlette.exception_handlers"][0]
    handler = next(handlers[kind] for kind in type(error).__mro__ if kind in handlers)
    if inspect.iscoroutinefunction(handler) or inspect.iscoroutinefunction(type(handler).__call__):
        response: Response | None = await handler(connection, error)
    else:
        response = await run_in_threadpool(handler, connection, error)
    return response


def answerable(error: Exception) -> SessionError | None:
    """The error that the client is to hear of: this one, or of a group the gravest.

    Returns:
        None where it is not the client's business, or not only: an application's own mistake belongs to its developer.
    """
    found: list[SessionError] = []
    left = [error]
    while left:
        one = left.pop()
        if isinstance(one, ExceptionGroup):
            left += reversed(one.exceptions)
        elif isinstance(one, SessionError) and (isinstance(one, StoreUnavailable) or not isinstance(one, GeneralError)):
            found.append(one)
        else:
            return None
    return min(found, key=_gravity)


def _gravity(error: SessionError) -> int:
    return next(_GRAVITY[kind] for kind in type(error).__mro__ if kind in _GRAVITY)


def _close_code(websocket: WebSocket, error: SessionError) -> int:
    # An application that asks may hear of the session's end before the middleware does: the client is told the same.
    exchange = websocket.scope.get(SCOPE_KEY)
    if isinstance(error, Unauthorised | TokenTheftDetected) and exchange is not None and exchange.had_session:
        code: int = exchange.manager.settings.websocket_close_code
        return code
    return POLICY_VIOLATION


class ErrorAnswer(NamedTuple):
    """The parts of the answer to an error, for any framework's own response.

    Attributes:
        status_code: The HTTP status.
        headers: ``Cache-Control``, and for the errors that need them ``WWW-Authenticate`` and ``Retry-After``.
        content: The content to send as JSON: ``detail`` and ``code``; for `ReauthenticationRequired` also what is
            missing.
    """

    status_code: int
    headers: dict[str, str]
    content: dict[str, Any]


def error_answer(connection: ASGIConnection, error: Exception) -> ErrorAnswer:
    """Return the answer of `session_exception_handler`, for frameworks that are not Starlette.

    Such a framework answers 500 to each error that has no handler, before the error reaches the middleware. So register
    a handler for `SessionError`. The middleware sets and clears cookies, whatever the response is.

    Args:
        connection: The request.
        error: The error. As in `session_exception_handler`, a mistake in the application itself, or a group with any
            error that is not for the client, is raised again.
    """
    answered = answerable(error)
    if answered is None:
        raise error
    return _answer(connection.scope, answered)


def error_response(scope: MutableMapping[str, Any], error: SessionError) -> Response:
    """The response for an error. Says no more than the error's class, and what the route has declared to require."""
    status_code, headers, content = _answer(scope, error)
    return JSONResponse(content, status_code=status_code, headers=headers)


def _answer(scope: MutableMapping[str, Any], error: SessionError) -> ErrorAnswer:
    kind = type(error)
    status = kind.status_code
    exchange = scope.get(SCOPE_KEY)
    headers = {"Cache-Control": "no-store"}
    if isinstance(error, NO_SESSION):
        if exchange is not None:
            status = exchange.manager.settings.expired_status_code
        if status == 401:
            headers["WWW-Authenticate"] = _CHALLENGE
    if isinstance(error, StoreUnavailable):
        log = _unavailable_log if exchange is None else exchange.manager.unavailable_log
        log.say("Answered 503. %s", in_full(error))
        headers["Retry-After"] = str(error.retry_after)
    content: dict[str, Any] = {"detail": kind.detail, "code": kind.code}
    if isinstance(error, ReauthenticationRequired):
        headers["WWW-Authenticate"] = _step_up_challenge(error)
        missing = {"methods": list(error.methods), "level": error.level, "max_age": error.max_age}
        content |= {name: value for name, value in missing.items() if value not in (None, [])}
    if isinstance(error, InvalidClaim) and exchange is not None and exchange.manager.settings.speaks_supertokens:
        content |= client_protocol.failed_claim(error)
    return ErrorAnswer(status, headers, content)


def _step_up_challenge(error: ReauthenticationRequired) -> str:
    """The challenge of RFC 9470, section 3. It has no word for methods, and `acr_values` would be an agreed name."""
    challenge = f'{_CHALLENGE}, error="insufficient_user_authentication"'
    return challenge if error.max_age is None else f'{challenge}, max_age="{error.max_age}"'


def install_default_handler(scope: MutableMapping[str, Any]) -> None:
    """Let the innermost application answer our errors itself, unless it has a handler of its own.

    A mounted application would otherwise answer 500 before the error reaches the middleware, and the answer would
    miss the middlewares inside ours, CORS among them.
    """
    handlers = scope.get("starlette.exception_handlers")
    if handlers is not None and Served not in handlers[0]:
        handlers[0].setdefault(SessionError, session_exception_handler)
        handlers[0].setdefault(ExceptionGroup, _group_handler)
        handlers[0][Served] = session_exception_handler


def as_raised(scope: MutableMapping[str, Any], error: BaseException) -> BaseException:
    """The application's error, without what our handler for groups has made of it.

    Starlette wraps what has a handler once the response has started. A group of the application's own has none.
    """
    handlers = scope.get("starlette.exception_handlers")
    is_ours = handlers is not None and handlers[0].get(ExceptionGroup) is _group_handler
    if is_ours and isinstance(error, RuntimeError) and isinstance(error.__cause__, ExceptionGroup):
        return error.__cause__
    return error


class Served(Exception):
    """Never raised: as a key of a handler table it says that `install_default_handler` has been there."""
