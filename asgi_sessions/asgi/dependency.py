"""`get_session` and its relatives: ``await get_session(connection)`` anywhere, ``Depends(get_session)`` in FastAPI.

No ``from __future__ import annotations`` here: FastAPI reads these annotations and must find classes, not texts.
"""

import inspect
from collections.abc import Callable, Collection, Mapping
from datetime import timedelta
from typing import Any, Generic

from starlette.requests import HTTPConnection
from typing_extensions import TypeVar

from asgi_sessions.asgi.error_responses import Served
from asgi_sessions.asgi.form_tags import require_form_of
from asgi_sessions.asgi.required_authentication import RequiredAuthentication
from asgi_sessions.errors import InvalidClaim
from asgi_sessions.manager import arguments
from asgi_sessions.manager.connection import SCOPE_KEY, UNRESOLVED, ASGIConnection, innermost, not_a_connection
from asgi_sessions.manager.session import Session

SessionT = TypeVar("SessionT", bound=Session[Any, Any] | None)


class SessionDependency(Generic[SessionT]):
    """Asks the nearest `SessionMiddleware` for the session of a connection.

    `get_session`, `get_optional_session` and the results of `require_session` are instances of this class; use these.
    The class does not need FastAPI. FastAPI takes its instances as dependencies of HTTP routes and WebSockets, routers
    and applications.
    """

    __slots__ = (
        "_authentication",
        "_check_database",
        "_claims",
        "_csrf",
        "_demanding",
        "_extend",
        "_form_tag",
        "_required",
    )

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
        authentication: RequiredAuthentication | None = None,
        claims: Mapping[str, Any] | None = None,
        extend: bool | None = None,
        form_tag: bool = False,
    ) -> None:
        self._required = required
        self._csrf = csrf
        self._check_database = check_database
        self._authentication = authentication
        self._extend = extend
        self._form_tag = form_tag
        self._claims = dict(claims) if claims else None
        self._demanding = authentication is not None or bool(claims) or form_tag

    async def __call__(self, connection: ASGIConnection) -> SessionT:
        """Return the session of a request or WebSocket.

        Args:
            connection: A `Request` or `WebSocket` of Starlette, or of another framework whose requests have the ASGI
                scope.

        Raises:
            Unauthorised, TryRefreshToken, TokenTheftDetected, CsrfRejected, StoreUnavailable: As in
                `SessionManager.get_session`.
            FormForAnotherSession: The form was made for another session.
            ReauthenticationRequired: The login is older than ``max_auth_age``, or not by the ``methods`` or ``level``.
            ImpersonationRefused: Somebody acts as the user, which the route does not allow.
            InvalidClaim: The payload lacks a required claim.
            ConfigurationError: There is no `SessionMiddleware` around the route, or a WebSocket is to have a form.
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
            if self._form_tag:  # first: what another session may not do is no answer to what was not asked of it
                await require_form_of(session, connection)
            if self._authentication is not None:
                self._authentication.check(session, exchange.manager.time())
            if self._claims is not None:
                _check_claims(session.jwt_payload, self._claims)
        return session  # type: ignore[return-value]  # None only where it is not required


def _check_claims(payload: Any, claims: Mapping[str, Any]) -> None:
    for name, wanted in claims.items():
        if not isinstance(payload, dict) or name not in payload:
            raise InvalidClaim(name, reason=_reason("value does not exist", wanted))
        held = payload[name]
        good = wanted(held) if callable(wanted) else type(held) is type(wanted) and held == wanted
        if not good:
            raise InvalidClaim(name, reason=_reason("wrong value", wanted))


def _reason(message: str, wanted: Any) -> dict[str, Any]:
    """What the supertokens-website client is told of a claim, in its own words: what the route asks for, if it can say.

    Never what the payload holds instead: the client has that.
    """
    return {"message": message, **({"expectedValue": wanted} if isinstance(wanted, str | int | None) else {})}


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
    methods: Collection[str] | None = None,
    level: int | None = None,
    within: timedelta | float | None = None,
    allow_actor: bool | None = None,
    extend: bool | None = None,
    form_tag: bool = False,
) -> SessionDependency[Session[Any, Any]]:
    """Make a dependency with stronger requirements than `get_session`.

    Args:
        csrf: None checks as the settings say; True checks safe methods too; False does not check.
        check_database: True makes a liveness check in the database, whatever `revocation_check` says.
        max_auth_age: How long ago the last authentication may be, by whichever method, `timedelta` or seconds
            (ASVS 7.5.1, 7.5.3).
        claims: The claims that the payload, an object, must hold: for each name a value, or a function that returns
            whether the payload's value is good.
        methods: The methods of authentication that must all have been used in this session, by the names of RFC 8176
            or your own: ``{"otp"}``.
        level: How many different factors must have been used, 1 to 3; see `Session.authentication_level`.
        within: How long ago the uses that `methods` and `level` ask for may be, `timedelta` or seconds.
        allow_actor: Whether somebody who acts as the user (`SessionManager.impersonate`) gets through. None: not where
            `max_auth_age`, `methods` or `level` ask for the user's authentication. True: if the actor's own
            authentication is good enough. False: in no case.
        extend: Whether the request extends the session, that is, counts against ``idle_timeout``. None: it does,
            unless it is a background request by itself (a WebSocket, an event stream, one of ``background_paths``, one
            with the header ``X-Background-Request: 1``). Of several questions on one request one that extends counts.
        form_tag: True refuses a request that may change something (any but GET, HEAD and OPTIONS) unless its page was
            made for this very session: its form has the field ``form_tag``, or the request the header ``Form-Tag``,
            with `Session.form_tag`. The form may have up to 1 MiB, or any size where it has been read already, as
            FastAPI does for ``Form()`` and ``File()``. Not for WebSockets, which have no form.

    Returns:
        An object for ``Depends``, and to call and await directly.

    Raises:
        TypeError: An argument has another type.
        ValueError: A duration is negative, a method is no name, a level is out of range.
    """
    if csrf is not None:
        arguments.flag(csrf, "csrf")
    arguments.flag(check_database, "check_database")
    if extend is not None:
        arguments.flag(extend, "extend")
    arguments.flag(form_tag, "form_tag")
    if not isinstance(claims, Mapping | None):
        raise TypeError(f"claims must be a mapping, not {type(claims).__name__}")
    return SessionDependency(
        csrf=csrf,
        check_database=check_database,
        authentication=RequiredAuthentication.of(
            max_auth_age=max_auth_age, methods=methods, level=level, within=within, allow_actor=allow_actor
        ),
        claims=claims,
        extend=extend,
        form_tag=form_tag,
    )
