"""A connection that is over can still tell a task that it has left behind whose it was. It cannot answer any more.

Such a task has the scope alone, and may keep that for hours. So what the middleware leaves there holds no request,
response or exchange: only when the connection arrived, and what became of its tokens.
"""

from collections.abc import Collection, MutableMapping
from typing import Any, Final, NoReturn

from starlette.types import Message

from asgi_sessions.asgi.answer import ACCESS_TOKEN_STAYED, COOKIES_STAYED, warn_of_start
from asgi_sessions.asgi.authentication import Authentication
from asgi_sessions.asgi.outcome import Outcome
from asgi_sessions.asgi.transport import Transport
from asgi_sessions.errors import ConfigurationError, Unauthorised
from asgi_sessions.manager.connection import UNRESOLVED, SessionConnection, Unresolved, reopened
from asgi_sessions.manager.manager import SessionManager
from asgi_sessions.manager.records import IssuedToken, Login
from asgi_sessions.manager.session import Session
from asgi_sessions.protocol.access_token import AccessToken

_OVER = (
    "This request is over, so that its answer can carry no cookies: log in, refresh and sign out while it runs. "
    "For work that goes on afterwards take the Session first and `await session.check()` later."
)


class FinishedConnections:
    """Opens the finished connections of one middleware again. Holds no state of any.

    Args:
        manager: The middleware's.
        transport: Likewise.
    """

    __slots__ = ("_manager", "_transport")

    def __init__(self, manager: SessionManager, transport: Transport) -> None:
        self._manager = manager
        self._transport = transport

    def reopened(
        self,
        scope: MutableMapping[str, Any],
        arrived_at: int,
        outcome: Outcome | None = None,
        outer: SessionConnection | None = None,
    ) -> SessionConnection:
        """The innermost of a scope's finished connections.

        Args:
            scope: The connection's.
            arrived_at: When it came, ms.
            outcome: What became of it; None where its headers say all.
            outer: That of another manager's middleware outside.
        """
        connection = Authentication(self._manager, self._transport, scope, None, _hear_nothing, _say_nothing)
        connection.resume(arrived_at, outcome)
        finished = FinishedConnection(connection, outer)
        if outcome is None or outcome.inner is None:
            return finished
        return reopened(scope, outcome.inner, finished)


class FinishedConnection:
    """A connection without an answer: its session as it was, looked at again as that of a request that is answered.

    The rules are those of `authentication` for a response that has started: nothing is issued, a token counts that was
    in time when the connection came, nobody is accused of a theft, and after ``connection_lifetime`` all of it ends.
    """

    def __init__(self, connection: Authentication, outer: SessionConnection | None) -> None:
        self.manager = connection.manager
        self.outer = outer
        self._connection = connection

    async def create(self, login: Login, *, allowed: Collection[str] = ()) -> Session[Any, Any]:
        """Refuse to log in."""
        raise ConfigurationError(_OVER)

    def recognise(self, required: bool, csrf: bool | None, check_database: bool) -> Unresolved:
        """Leave it to `resolve`."""
        return UNRESOLVED

    async def resolve(
        self,
        *,
        required: bool = True,
        csrf: bool | None = None,
        check_database: bool = False,
        extend: bool | None = None,
    ) -> Session[Any, Any] | None:
        """Return the session of the finished request, if it is still live."""
        found = await self._connection.resolve(
            required=required, csrf=csrf, check_database=check_database, extend=extend
        )
        if found is not None:
            found._connection = AFTERWARDS
        return found

    async def refresh(self, *, extend: bool | None = None) -> Session[Any, Any]:
        """Refuse to rotate."""
        raise ConfigurationError(_OVER)

    async def sign_out(self) -> bool:
        """Refuse to sign out."""
        raise ConfigurationError(_OVER)

    def serve(self, scope: MutableMapping[str, Any]) -> None:
        """Do nothing: no error is answered any more."""

    def shared(self) -> None:
        """Do nothing: no other middleware is inside."""


class _Afterwards:
    """The connection of a Session whose own is over: there is no response any more."""

    __slots__ = ()

    @property
    def answer(self) -> "_Afterwards":
        return self

    def access_token_changed(self, token: IssuedToken, access: AccessToken) -> None:
        warn_of_start(ACCESS_TOKEN_STAYED)

    def signing_out(self, session_handle: str | None) -> None:
        pass

    def session_ended(self, session_handle: str | None = None, *, by_user: bool) -> None:
        if by_user:
            warn_of_start(COOKIES_STAYED)

    def refused(self, error: Unauthorised, session_handle: str | None = None) -> None:
        pass


AFTERWARDS: Final = _Afterwards()
"""The connection of each Session whose own is over: a Session that is kept keeps no connection alive."""


async def _hear_nothing() -> NoReturn:
    raise ConfigurationError(_OVER)


async def _say_nothing(_: Message) -> NoReturn:
    raise ConfigurationError(_OVER)
