"""How a server ends open connections: the product's own rules, as the model can drive them.

Everything that decides is the product's: `came_in_time`, `is_over`, `lasts_until`, `end_at`, and for how long revoked
sessions are remembered. The order in which they are asked is written after asgi/authentication.py and
manager/lifecycle.py.
"""

from dataclasses import dataclass
from typing import NamedTuple

from asgi_sessions.protocol.connections import came_in_time, end_at, is_over, lasts_until
from asgi_sessions.revocation.liveness_sweep import LIVENESS_SWEEP_SECONDS
from asgi_sessions.store.tombstones import LONGEST_DELAY, LONGEST_LIFETIME, tombstone_lifetime
from tests.rotation_model.parts import UNIT_MS, UNIT_S

SWEEP = int(LIVENESS_SWEEP_SECONDS) // UNIT_S
"""How long a liveness sweep may take to come, in units."""
LIVE = -1
NEVER = 10**6
"""When a session expires that has no absolute timeout."""

ARRIVED, TAKEN, OPEN = range(3)
"""It has not been asked for its session, as an upload whose body comes first; it has one; and it is open: accepted, or
its answer has begun."""


class Session(NamedTuple):
    """The session, as the database has it, and what the connection's worker knows."""

    expires: int
    """Its absolute timeout; 0 once that is over."""
    ended: int
    """Units since its revocation, by logout or theft; `LIVE` before."""
    heard: bool
    """Whether the worker has heard of that."""


class Thief(NamedTuple):
    """Somebody who has a copy of an access token."""

    expires: int
    """When his newest access token ends."""
    refreshes: bool
    """Whether he has a refresh token, too, that is answered with tokens."""
    since: int
    """Units since he got hold of a token for the last time."""


class Connection(NamedTuple):
    """What has not been closed yet."""

    stolen: bool
    """Whether it is the thief's."""
    clock: int
    """How far its worker's clock is ahead."""
    phase: int
    arrived: int
    """By that clock."""
    expires: int
    """When the access token ends that it came with."""
    until: int = 0
    """When its own time is over, by that clock; of an open one."""
    stale: int = 0
    """For how many units it has been open after its session's revocation."""


@dataclass(frozen=True)
class Span:
    """Which world: everything up to these bounds happens; in units.

    Attributes:
        access: `access_token_lifetime`.
        lifetime: `connection_lifetime`.
        skew: How far a worker's clock may be ahead.
        absolute: `absolute_timeout`; None: none.
        least: By how many units fewer a stolen access token shall reach than it may.
    """

    access: int = 2
    lifetime: int = 10
    skew: int = 0
    absolute: int | None = None
    least: int = 0

    @property
    def reach(self) -> int:
        """The last step at which what is stolen may be of use, counted from when it was.

        It is good for less than its lifetime and the clocks' difference, and opens what lasts for less than
        `connection_lifetime`.
        """
        return (self.access + self.skew - 1) + (self.lifetime - 1) - self.least


class Server:
    """The product's way with connections. Mutations override what they break.

    Args:
        span: The world's bounds.
    """

    def __init__(self, span: Span) -> None:
        self.lifetime = span.lifetime * UNIT_MS
        longest = {LONGEST_LIFETIME: span.access * UNIT_MS, LONGEST_DELAY: UNIT_MS}
        self.remembered = tombstone_lifetime(longest) // UNIT_MS

    def knows(self, session: Session) -> bool:
        """Whether the worker has the revocation in its memory."""
        return session.heard and session.ended <= self.remembered

    def is_over(self, connection: Connection) -> bool:
        arrived_at, now = connection.arrived * UNIT_MS, connection.clock * UNIT_MS
        return is_over(arrived_at, now=now, lifetime=self.lifetime)

    def came_in_time(self, connection: Connection) -> bool:
        return came_in_time(connection.arrived * UNIT_MS, expires_at=connection.expires * UNIT_MS)

    def serves(self, connection: Connection, session: Session) -> bool:
        """Whether an application that asks is told who it is, for the first time or again."""
        if self.is_over(connection):
            return False
        if connection.phase == ARRIVED and not self.came_in_time(connection):
            return False
        if connection.clock < connection.expires:  # the worker's memory will do
            return not self.knows(session)
        return stands(session, connection.clock)

    def opened(self, connection: Connection, session: Session) -> Connection | None:
        """A connection that has a session is accepted, or its answer begins: from now on it is watched."""
        until = lasts_until(connection.arrived * UNIT_MS, lifetime=self.lifetime) // UNIT_MS
        connection = connection._replace(phase=OPEN, until=until)
        return None if self.knows(session) else self.looked(connection, session)

    def looked(self, connection: Connection | None, session: Session) -> Connection | None:
        """What its timer leaves of a connection."""
        if connection is None or connection.phase != OPEN:
            return connection
        expires_at = session.expires * UNIT_MS
        end = end_at(connection.clock * UNIT_MS, until=connection.until * UNIT_MS, session_expires_at=expires_at)
        return connection if end is None else None

    def told(self, connection: Connection | None) -> Connection | None:
        """What the news of its session's revocation leaves of one."""
        return None if connection is not None and connection.phase == OPEN else connection

    def called(self, connection: Connection | None) -> Connection | None:
        """What a liveness sweep leaves of one whose session has been revoked."""
        return self.told(connection)

    def spoken(self, connection: Connection) -> Connection:
        """The client has said something on an open connection."""
        return connection

    def refreshed(self, connection: Connection | None) -> Connection | None:
        """The user has refreshed the session."""
        return connection


def stands(session: Session, clock: int) -> bool:
    """Whether the row is that of a live session, by a worker's clock."""
    return session.ended == LIVE and session.expires > clock
