"""What the middleware remembers of one connection, and what follows from that alone."""

import asyncio
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from starlette.types import Receive, Scope, Send

from asgi_sessions.asgi.answer import Answer
from asgi_sessions.asgi.cross_site import CrossSiteGuard
from asgi_sessions.asgi.outcome import Outcome, Renewal
from asgi_sessions.asgi.termination import Termination
from asgi_sessions.asgi.transport import Transport
from asgi_sessions.errors import FetchedAhead, Unauthorised
from asgi_sessions.manager.connection import FINISHED_KEY, SessionConnection
from asgi_sessions.manager.lifecycle import Lifecycle
from asgi_sessions.manager.pending_termination import PendingTermination
from asgi_sessions.manager.records import IssuedToken
from asgi_sessions.manager.session import Session
from asgi_sessions.protocol.access_token import AccessToken
from asgi_sessions.protocol.connections import came_in_time, is_over
from asgi_sessions.protocol.speculative import is_speculative

if TYPE_CHECKING:
    from asgi_sessions.manager.manager import SessionManager


class ConnectionMemory:
    """The middleware's memory of one connection.

    Attributes:
        manager: The manager of the connection.
        outer: The connection of another manager's middleware around this one.
        receive: What the application hears.
        session: What the application has been given. The middleware takes the way back to the connection from it, and
            from `earlier_sessions`, when the application has returned: they would keep each other alive.
        termination: Ends a connection that may outlast its session; None for any other.
        arrived_at: When the connection came, ms, by this worker's own clock; see `_arrived`.
        begun_answer: What leaves with the response, as far as there is any; None where caches are told at most.
    """

    # Slots, and all of them filled: an attribute that only the class has is slow to find. But few have `_earlier`.
    __slots__ = (
        "_access",
        "_earlier",
        "_lock",
        "_looked",
        "_presented",
        "_renewal",
        "_scope",
        "_started",
        "_to_server",
        "_transport",
        "arrived_at",
        "begun_answer",
        "manager",
        "outer",
        "receive",
        "session",
        "termination",
    )

    def __init__(
        self,
        manager: "SessionManager",
        transport: Transport,
        scope: Scope,
        outer: SessionConnection | None,
        receive: Receive,
        send: Send,
    ) -> None:
        self.manager = manager
        self.outer = outer
        self.receive = receive
        self.session: Session[Any, Any] | None = None
        self.termination: Termination | None = None
        self._transport = transport
        self._scope = scope
        self._to_server = send
        self.begun_answer: Answer | None = None
        self._access: AccessToken | None = None  # the session's, from when it is known or made
        self._presented: AccessToken | None = None  # what the request came with
        self._lock: asyncio.Lock | None = None
        self._looked = False  # whether the application asked for the session
        self._started = False  # whether the response has, before there was an `Answer`
        self._renewal: Renewal | None = None
        clock = manager.clock
        self.arrived_at = clock()

    @property
    def answer(self) -> Answer:
        """What leaves with the response."""
        if self.begun_answer is None:
            self.begun_answer = Answer(self._transport, self._scope, self.manager.time)
            self.begun_answer.started = self._started
        return self.begun_answer

    # -- the session

    @property
    def session_handle(self) -> str | None:
        """The session of the connection; None if there is none, or if this very connection has ended it."""
        ended = self.begun_answer is not None and self.begun_answer.session_has_ended
        return None if ended or self._access is None else self._access.handle

    @property
    def had_session(self) -> bool:
        """Whether the connection has, or had, a session."""
        return self._access is not None

    def on_termination(
        self, ended: Callable[[], None], outlived: Callable[[], None], stopping: Callable[[], None] | None
    ) -> PendingTermination:
        """See `WatchedConnection`."""
        if self._access is None:
            raise Unauthorised
        return self.manager.lifecycle.on_termination(
            self._access, ended, outlived=outlived, stopping=stopping, arrived_at=self._arrived
        )

    def access_token_changed(self, token: IssuedToken, access: AccessToken) -> None:
        """The application has changed what the access token says: the new one leaves with the response."""
        self._access = access
        self.answer.access_token_changed(token, access)

    def _take(self, access: AccessToken, lifecycle: Lifecycle) -> Session[Any, Any]:
        """Make the session of an access token that counts the connection's own."""
        session = self.session = Session(access, lifecycle, self)
        self._access = access
        if self.termination is not None:
            self.termination.session_taken(self)
        return session

    def _again(self, access: AccessToken, newest: AccessToken, lifecycle: Lifecycle) -> Session[Any, Any]:
        """The session that the connection has had already, or one with its new payload."""
        if newest is not access:
            self._set_aside()
            self._access = newest
        if self.session is None:
            self.session = Session(newest, lifecycle, self)
        return self.session

    def _set_aside(self) -> None:
        """Let another Session take the place of the one that the application has, and may keep."""
        if self.session is not None:
            if not hasattr(self, "_earlier"):
                self._earlier: WeakSet[Session[Any, Any]] = WeakSet()
            self._earlier.add(self.session)
            self.session = None

    @property
    def earlier_sessions(self) -> Collection[Session[Any, Any]]:
        """What the application has been given before `session`, and keeps. There are none without a `begun_answer`."""
        return tuple(getattr(self, "_earlier", ()))

    # -- time

    @property
    def _age(self) -> int:
        """For how long the connection has been open, ms."""
        return self.manager.clock() - self.arrived_at

    @property
    def _arrived(self) -> int:
        """When the connection arrived, ms, by the time that tokens and rows are held against."""
        return self.manager.lifecycle.clock.corrected(self.arrived_at)

    def _came_in_time(self, access: AccessToken) -> bool:
        """Whether the token had not expired when the request arrived."""
        return came_in_time(self._arrived, expires_at=access.expires_at)

    def _has_outlasted_its_tokens(self, lifecycle: Lifecycle) -> bool:
        """Whether what the connection came with has been good for long enough, by the clock of its arrival."""
        lifetime = lifecycle.settings.connection_lifetime_ms
        return is_over(self.arrived_at, now=self.manager.clock(), lifetime=lifetime)

    # -- what operations share

    @property
    def _has_begun(self) -> bool:
        """Whether the answer has begun to leave."""
        return self._started or (self.begun_answer is not None and self.begun_answer.started)

    @property
    def _carries_tokens(self) -> bool:
        """Whether tokens that are made now can leave."""
        return not self._has_begun

    def _refuse_ahead(self) -> None:
        """Refuse what makes new tokens on a request that the browser makes before anybody wants its answer.

        It is refused whether or not a session is required: as nobody's, the page would show at the click.

        Raises:
            FetchedAhead: It is one.
        """
        if is_speculative(self._headers):
            raise FetchedAhead

    @property
    def _one_at_a_time(self) -> asyncio.Lock:
        """Held by each operation on the session: one after the other on one connection."""
        if self._lock is None:
            self._lock = asyncio.Lock()
        return self._lock

    @property
    def _headers(self) -> list[tuple[bytes, bytes]]:
        headers: list[tuple[bytes, bytes]] = self._scope["headers"]
        return headers

    @property
    def _guard(self) -> CrossSiteGuard:
        return CrossSiteGuard(self.manager, self._scope)

    @staticmethod
    def _now(lifecycle: Lifecycle) -> dict[str, int]:
        """The time and the count of payload changes to which tokens that are made now belong; see `Answer.issued`."""
        return {"made_at": lifecycle.clock(), "payload_changes": lifecycle.data.payload_changes}

    # -- afterwards; see `finished`

    def shared(self) -> None:
        """Another manager's middleware inside has the connection as well."""
        self.answer.shared = True

    def outcome(self) -> Outcome:
        """What has become of the connection, now that it is over."""
        answer = self.answer
        inner = self._scope.get(FINISHED_KEY) if answer.shared else None
        return Outcome(self._access, self._presented, self._renewal, answer.session_has_ended, inner)

    def resume(self, arrived_at: int, outcome: Outcome | None) -> None:
        """Become a connection that is over.

        Args:
            arrived_at: When it came, ms.
            outcome: What became of it; None where its headers say all.
        """
        self.arrived_at, self._started = arrived_at, True
        if outcome is not None:
            self._access, self._presented, self._renewal = outcome.access, outcome.presented, outcome.renewal
            if outcome.session_ended:
                self.answer.session_ended(by_user=False)
