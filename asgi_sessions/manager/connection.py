"""Where the manager meets a request: what the middleware leaves in the ASGI scope, and how it is found again."""

from collections.abc import Collection, MutableMapping
from enum import Enum, auto
from typing import Any, Final, Protocol

from asgi_sessions.errors import ConfigurationError
from asgi_sessions.manager.device_label import DeviceLabel
from asgi_sessions.manager.lifecycle import Lifecycle
from asgi_sessions.manager.records import Login, SessionRecord
from asgi_sessions.manager.session import Session
from asgi_sessions.protocol.user_id import UserId
from asgi_sessions.settings import SessionSettings

SCOPE_KEY = "asgi_sessions"
FINISHED_KEY = "asgi_sessions.finished"
"""What is left of a connection that is over, for the tasks that it has left behind: a `Finished`."""

_NO_MIDDLEWARE = (
    "There is no session here: add SessionMiddleware last, `app.add_middleware(SessionMiddleware, manager=sessions)`, "
    "so that it is outside every other middleware that asks for the session."
)
_SEVERAL_MANAGERS = (
    "This request is over, and several managers had a part in it: ask one, `await sessions.get_session(request)`, "
    "or take the Session while the request runs and `await session.check()` later."
)
_OTHER_MANAGER = "This request belongs to another SessionManager: add SessionMiddleware for this one as well."


class Unresolved(Enum):
    """There is no answer without waiting: `SessionConnection.resolve` finds it."""

    UNRESOLVED = auto()


UNRESOLVED: Final = Unresolved.UNRESOLVED


class ASGIConnection(Protocol):
    """A request or WebSocket of any framework: what has an ASGI scope, as Starlette's `HTTPConnection`."""

    @property
    def scope(self) -> Any:
        """The connection's own, not a copy."""


class ConnectionManager(Protocol):
    """A `SessionManager`, as far as those need it who have only the connection."""

    @property
    def settings(self) -> SessionSettings:
        """As given to it."""

    @property
    def lifecycle(self) -> Lifecycle:
        """Its sessions on this event loop."""

    @property
    def device_label(self) -> DeviceLabel:
        """Names the devices of logins."""

    def time(self) -> int:
        """The time, ms."""

    async def list_sessions_for_user(
        self, user_id: UserId, *, limit: int = ..., after: str | None = ...
    ) -> list[SessionRecord[Any]]:
        """See `SessionManager.list_sessions_for_user`."""

    async def revoke_session_using_session_handle(self, session_handle: str, *, user_id: UserId | None = ...) -> bool:
        """See `SessionManager.revoke_session_using_session_handle`."""


class SessionConnection(Protocol):
    """One HTTP request or WebSocket on its way through the middleware.

    Attributes:
        outer: The next in the chain of managers: what was the nearest connection outside this one's middleware, None if
            there was none.
    """

    outer: "SessionConnection | None"

    @property
    def manager(self) -> ConnectionManager:
        """The manager that the middleware was given."""

    async def create(self, login: Login, *, allowed: Collection[str] = ()) -> Session[Any, Any]:
        """Log in; pages of the allowed origins may bring the login by a form."""

    def recognise(
        self, required: bool, csrf: bool | None, check_database: bool
    ) -> "Session[Any, Any] | Unresolved | None":
        """As `resolve`, but without waiting; to be asked first. `UNRESOLVED` where the answer takes a look-up."""

    async def resolve(
        self,
        *,
        required: bool = True,
        csrf: bool | None = None,
        check_database: bool = False,
        extend: bool | None = None,
    ) -> Session[Any, Any] | None:
        """Return the session of the connection."""

    async def refresh(self, *, extend: bool | None = None) -> Session[Any, Any]:
        """Rotate."""

    def serve(self, scope: MutableMapping[str, Any]) -> None:
        """Note where the application asks from, so that errors are answered there."""

    async def sign_out(self) -> bool:
        """End whatever session the request proves to hold."""

    def shared(self) -> None:
        """Another manager's middleware inside has the connection as well."""


class Reopener(Protocol):
    """What can be asked about a connection that is over."""

    def reopened(
        self,
        scope: MutableMapping[str, Any],
        arrived_at: int,
        outcome: Any = None,
        outer: SessionConnection | None = None,
    ) -> SessionConnection:
        """The innermost connection of a scope that is over."""


Finished = tuple[Reopener, int] | tuple[Reopener, int, Any]
"""A middleware's, the connection's arrival in ms, and its outcome where its headers do not say all."""


def reopened(
    scope: MutableMapping[str, Any], left: Finished, outer: SessionConnection | None = None
) -> SessionConnection:
    """The innermost connection of a scope that is over, from what has been left in it.

    Args:
        scope: The scope.
        left: What has been left.
        outer: The finished connection of another manager's middleware outside.
    """
    door, arrived_at, *outcome = left
    return door.reopened(scope, arrived_at, outcome[0] if outcome else None, outer)


def not_a_connection(value: object) -> TypeError:
    """The error for an argument that has no scope and so no session."""
    return TypeError(f"connection must be a Starlette Request or WebSocket, not {type(value).__name__}")


def innermost(scope: MutableMapping[str, Any]) -> SessionConnection:
    """The connection that the nearest middleware has left.

    Raises:
        ConfigurationError: There is no middleware; or there were several, and the connection is over.
    """
    found: SessionConnection | None = scope.get(SCOPE_KEY)
    if found is None:
        found = _finished(scope)
        if found is None:
            raise ConfigurationError(_NO_MIDDLEWARE)
        if found.outer is not None:  # whose task asks cannot be told
            raise ConfigurationError(_SEVERAL_MANAGERS)
    return found


def connection_of(connection: ASGIConnection, manager: ConnectionManager) -> SessionConnection:
    """The connection that this manager's own middleware has left.

    Raises:
        ConfigurationError: There is no such middleware.
        TypeError: It is no request or WebSocket.
    """
    try:
        scope = connection.scope
    except AttributeError:
        raise not_a_connection(connection) from None
    live: SessionConnection | None = scope.get(SCOPE_KEY)
    found = own_among(live, manager) or own_among(_finished(scope), manager)
    if found is None:
        raise ConfigurationError(_NO_MIDDLEWARE if live is None and FINISHED_KEY not in scope else _OTHER_MANAGER)
    found.serve(scope)
    return found


def own_among(found: SessionConnection | None, manager: ConnectionManager) -> SessionConnection | None:
    """The manager's own connection, of this one and those outside."""
    while found is not None and found.manager is not manager:
        found = found.outer
    return found


class NearestAgain:
    """A manager's connection further out, where the manager's middleware stands inside another one's once more.

    There it is the nearest connection, which `get_session` asks. In all but `outer` it is that connection. `outer` is
    what was nearest before, so that the chain of managers still has those in between.

    Args:
        own: The connection further out.
        outer: The nearest one outside, another manager's.
    """

    __slots__ = ("_own", "outer")

    def __init__(self, own: SessionConnection, outer: SessionConnection) -> None:
        self._own = own
        self.outer = outer

    def __getattr__(self, name: str) -> Any:
        return getattr(self._own, name)


def _finished(scope: MutableMapping[str, Any]) -> SessionConnection | None:
    left: Finished | None = scope.get(FINISHED_KEY)
    return None if left is None else reopened(scope, left)
