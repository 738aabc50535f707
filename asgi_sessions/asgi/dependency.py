"""`get_session` and its relatives: ``await get_session(connection)`` anywhere, ``Depends(get_session)`` in FastAPI.

No ``from __future__ import annotations`` here: FastAPI reads these annotations and must find classes, not texts.
"""

import inspect
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, Generic

from starlette.requests import HTTPConnection
from typing_extensions import TypeVar

from asgi_sessions.asgi.error_responses import Served
from asgi_sessions.errors import InvalidClaim, ReauthenticationRequired
from asgi_sessions.manager import arguments
from asgi_sessions.manager.connection import SCOPE_KEY, UNRESOLVED, ASGIConnection, innermost, not_a_connection
from asgi_sessions.manager.session import Session
from asgi_sessions.protocol.durations import from_ms

SessionT = TypeVar("SessionT", bound=Session[Any, Any] | None)


class SessionDependency(Generic[SessionT]):
    """Asks the nearest `SessionMiddleware` for the session of a connection.

    `get_session`, `get_optional_session` and the results of `require_session` are instances of this class; use these.
    The class does not need FastAPI. FastAPI takes its instances as dependencies of HTTP routes and WebSockets, routers
    and applications.
    """

    __slots__ = ("_check_database", "_claims", "_csrf", "_demanding", "_extend", "_max_auth_age_ms", "_required")

    # FastAPI reads this rather than following `__wrapped__`, which is the security scheme that draws the lock.
    __signature__ = inspect.Signature(
        [inspect.Parameter("connection", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=HTTPConnection)]
    )

    def __init__(
        self,
        *,
        required: bool = True,
        csrf: bool | None = None,
        check_database: bool = False,
        max_auth_age_ms: int | None = None,
        claims: Mapping[str, Any] | None = None,
        extend: bool | None = None,
    ) -> None:
        self._required = required
        self._csrf = csrf
        self._check_database = check_database
        self._extend = extend
        self._max_auth_age_ms = max_auth_age_ms
        self._claims = dict(claims) if claims else None
        self._demanding = max_auth_age_ms is not None or bool(claims)

    async def __call__(self, connection: ASGIConnection) -> SessionT:
        """Return the session of a request or WebSocket.

        Args:
            connection: A `Request` or `WebSocket` of Starlette, or of another framework whose requests have the ASGI
                scope.

        Raises:
            Unauthorised, TryRefreshToken, TokenTheftDetected, CsrfRejected, StoreUnavailable: As in
                `SessionManager.get_session`.
            ReauthenticationRequired: The login is older than ``max_auth_age``.
            InvalidClaim: The payload lacks a required claim.
            ConfigurationError: There is no `SessionMiddleware` around the route.
            TypeError: `connection` is no request or WebSocket.
        """
        try:
            scope = connection.scope
        except AttributeError:
            raise not_a_connection(connection) from None
        # On every request, so asked here before `innermost` and `serve` ask the same.
        exchange = scope.get(SCOPE_KEY) or innermost(scope)
        handlers = scope.get("starlette.exception_handlers")
        if handlers is not None and Served not in handlers[0]:
            exchange.serve(scope)
        session = exchange.recognise(self._required, self._csrf, self._check_database)
        if session is UNRESOLVED:
            session = await exchange.resolve(
                required=self._required,
                csrf=self._csrf,
                check_database=self._check_database,
                extend=self._extend,
            )
        if self._demanding and session is not None:
            if self._max_auth_age_ms is not None:
                age = from_ms(exchange.manager.time()) - session.auth_time
                if age > timedelta(milliseconds=self._max_auth_age_ms):
                    raise ReauthenticationRequired
            if self._claims is not None:
                _check_claims(session.jwt_payload, self._claims)
        return session  # type: ignore[return-value]  # None only where it is not required


def _check_claims(payload: Any, claims: Mapping[str, Any]) -> None:
    for name, wanted in claims.items():
        if not isinstance(payload, dict) or name not in payload:
            raise InvalidClaim(name)
        held = payload[name]
        good = wanted(held) if callable(wanted) else type(held) is type(wanted) and held == wanted
        if not good:
            raise InvalidClaim(name)


get_session: SessionDependency[Session[Any, Any]] = SessionDependency()
"""Returns the session; raises an error if nobody is logged in."""

get_optional_session: SessionDependency[Session[Any, Any] | None] = SessionDependency(required=False)
"""Returns the session, or None if nobody is logged in."""


def require_session(
    *,
    csrf: bool | None = None,
    check_database: bool = False,
    max_auth_age: timedelta | float | None = None,
    claims: Mapping[str, Any | Callable[[Any], bool]] | None = None,
    extend: bool | None = None,
) -> SessionDependency[Session[Any, Any]]:
    """Make a dependency with stronger requirements than `get_session`.

    Args:
        csrf: None checks as the settings say; True checks safe methods too; False does not check.
        check_database: True makes a liveness check in the database, whatever `revocation_check` says.
        max_auth_age: How long ago the login may be, `timedelta` or seconds (ASVS 7.5.1, 7.5.3).
        claims: The claims that the payload, an object, must hold: for each name a value, or a function that returns
            whether the payload's value is good.
        extend: Whether the request extends the session, that is, counts against ``idle_timeout``. None: it does,
            unless it is a background request by itself (a WebSocket, an event stream, one of ``background_paths``, one
            with the header ``X-Background-Request: 1``). Of several questions on one request one that extends counts.

    Returns:
        An object for ``Depends``, and to call and await directly.

    Raises:
        TypeError: An argument has another type.
        ValueError: `max_auth_age` is negative.
    """
    if csrf is not None:
        arguments.flag(csrf, "csrf")
    arguments.flag(check_database, "check_database")
    if extend is not None:
        arguments.flag(extend, "extend")
    if not isinstance(claims, Mapping | None):
        raise TypeError(f"claims must be a mapping, not {type(claims).__name__}")
    age: Any = max_auth_age
    if isinstance(age, bool) or not isinstance(age, timedelta | int | float | None):
        raise TypeError(f"max_auth_age must be a timedelta, or seconds, not {type(max_auth_age).__name__}")
    if max_auth_age is not None and not isinstance(max_auth_age, timedelta):
        max_auth_age = timedelta(seconds=max_auth_age)
    if max_auth_age is not None and max_auth_age < timedelta():
        raise ValueError("max_auth_age must not be negative.")
    return SessionDependency(
        csrf=csrf,
        check_database=check_database,
        max_auth_age_ms=None if max_auth_age is None else round(max_auth_age / timedelta(milliseconds=1)),
        claims=claims,
        extend=extend,
    )
