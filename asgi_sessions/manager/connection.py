"""Where the manager meets a request: what the middleware leaves in the ASGI scope, and how it is found again."""

from collections.abc import MutableMapping
from enum import Enum, auto
from typing import TYPE_CHECKING, Any, Final, Protocol

from asgi_sessions.errors import ConfigurationError
from asgi_sessions.manager.session import Session
from asgi_sessions.protocol.user_id import UserId

if TYPE_CHECKING:
    from starlette.requests import HTTPConnection

    from asgi_sessions.manager.manager import SessionManager

SCOPE_KEY = "asgi_sessions"

_NO_MIDDLEWARE = (
    "There is no session here: add SessionMiddleware last, `app.add_middleware(SessionMiddleware, manager=sessions)`, "
    "so that it is outside every other middleware that asks for the session."
)
_OTHER_MANAGER = "This request belongs to another SessionManager: add SessionMiddleware for this one as well."


class Unresolved(Enum):
    """No answer yet: `SessionConnection.resolve` has the time to find it."""

    UNRESOLVED = auto()


UNRESOLVED: Final = Unresolved.UNRESOLVED


class SessionConnection(Protocol):
    """One HTTP request or WebSocket on its way through the middleware.

    Attributes:
        manager: The manager that the middleware was given.
        outer: The connection of another manager's middleware outside this one, None if there is none.
    """

    manager: "SessionManager"
    outer: "SessionConnection | None"

    async def create(self, owner: UserId, jwt_payload: Any, session_info: Any) -> Session[Any, Any]:
        """Log in."""

    def recognise(
        self, required: bool, csrf: bool | None, check_database: bool
    ) -> "Session[Any, Any] | Unresolved | None":
        """Who is logged in, as `resolve` says it, where that can be told at once; to be asked before that."""

    async def resolve(
        self, *, required: bool = True, csrf: bool | None = None, check_database: bool = False
    ) -> Session[Any, Any] | None:
        """Who is logged in."""

    async def refresh(self) -> Session[Any, Any]:
        """Rotate."""

    def serve(self, scope: MutableMapping[str, Any]) -> None:
        """Note where the application asks from, so that errors are answered there."""

    async def sign_out(self) -> bool:
        """End whatever session the request proves to hold."""


def innermost(scope: MutableMapping[str, Any]) -> SessionConnection:
    """The connection that the nearest middleware has left.

    Raises:
        ConfigurationError: There is no middleware.
    """
    found: SessionConnection | None = scope.get(SCOPE_KEY)
    if found is None:
        raise ConfigurationError(_NO_MIDDLEWARE)
    return found


def connection_of(connection: "HTTPConnection", manager: "SessionManager") -> SessionConnection:
    """The connection that this manager's own middleware has left.

    Raises:
        ConfigurationError: There is no such middleware.
    """
    found: SessionConnection | None = innermost(connection.scope)
    while found is not None:
        if found.manager is manager:
            found.serve(connection.scope)
            return found
        found = found.outer
    raise ConfigurationError(_OTHER_MANAGER)
