"""Which worlds with open connections are explored, and what somebody might do to the rules, each as a server."""

from dataclasses import dataclass

from asgi_sessions.protocol.connections import lasts_until
from tests.rotation_model.connection_rules import ARRIVED, OPEN, Connection, Server, Session, Span
from tests.rotation_model.connections import CUT, REACH, STAYED, ConnectionWorld
from tests.rotation_model.explore import Result, explore
from tests.rotation_model.parts import UNIT_MS


@dataclass(frozen=True)
class OpenWorld:
    """One exploration.

    Attributes:
        name: For people.
        span: The world's bounds.
    """

    name: str
    span: Span

    def run(self) -> Result:
        """Explore it with the product's rules."""
        return explore(ConnectionWorld(Server(self.span), self.span))


SHORT = (
    OpenWorld("connections", Span()),
    OpenWorld("connections, clocks apart", Span(lifetime=7, skew=1)),
    OpenWorld("connections, absolute timeout", Span(lifetime=5, absolute=8)),
)
"""What the tests explore."""

DEEP = (
    OpenWorld("connections, clocks apart, absolute timeout", Span(skew=1, absolute=14)),
    OpenWorld("connections, longer lifetimes", Span(access=5, lifetime=15, skew=1)),
)
"""What is explored on demand, besides the short ones."""


class Endless(Server):
    """An open connection lives as long as its session."""

    def opened(self, connection: Connection, session: Session) -> Connection | None:
        opened = super().opened(connection, session)
        return opened and opened._replace(until=session.expires)


class BegunByAWord(Server):
    """A connection's time begins anew with each message of its client."""

    def spoken(self, connection: Connection) -> Connection:
        until = lasts_until(connection.clock * UNIT_MS, lifetime=self.lifetime) // UNIT_MS
        return connection._replace(until=until)


class BegunByARefresh(BegunByAWord):
    """A connection ends once its session has not been refreshed for so long."""

    def refreshed(self, connection: Connection | None) -> Connection | None:
        return connection if connection is None or connection.phase != OPEN else super().spoken(connection)

    def spoken(self, connection: Connection) -> Connection:
        return connection


class BegunByOpening(Server):
    """A connection's time begins when it is accepted, and not when it arrives."""

    def opened(self, connection: Connection, session: Session) -> Connection | None:
        opened = super().opened(connection._replace(arrived=connection.clock), session)
        return opened and opened._replace(arrived=connection.arrived)


class AgeNotAsked(Server):
    """What arrived in time is served whenever it asks."""

    def is_over(self, connection: Connection) -> bool:
        return False


class AnyToken(Server):
    """Whether a token had expired before its connection arrived is not asked."""

    def came_in_time(self, connection: Connection) -> bool:
        return True


class JudgedWhenAsked(Server):
    """A slow upload is refused whose token has expired on the way."""

    def came_in_time(self, connection: Connection) -> bool:
        return connection.clock < connection.expires


class MemoryAlone(Server):
    """A token that has expired on the way is looked up in the worker's memory, and not in the database."""

    def serves(self, connection: Connection, session: Session) -> bool:
        if self.is_over(connection) or (connection.phase == ARRIVED and not self.came_in_time(connection)):
            return False
        return not self.knows(session)


class ShortMemory(Server):
    """Tombstones are forgotten after one lifetime of an access token, though clocks are apart."""

    def __init__(self, span: Span) -> None:
        super().__init__(span)
        self.remembered = span.access - 1


class NotTold(Server):
    """Who waits for the session's end is not told of what the worker has known before."""

    def opened(self, connection: Connection, session: Session) -> Connection | None:
        return super().opened(connection, session._replace(heard=False))


class NotWatched(Server):
    """An open connection does not hear of its session's end."""

    def told(self, connection: Connection | None) -> Connection | None:
        return connection


class NoLivenessSweep(Server):
    """Nobody asks whether the sessions of open connections are still there."""

    def called(self, connection: Connection | None) -> Connection | None:
        return connection


class NoAbsoluteEnd(Server):
    """A connection's timer knows its own time alone."""

    def looked(self, connection: Connection | None, session: Session) -> Connection | None:
        return super().looked(connection, session._replace(expires=10**6))


_SMALL = Span(lifetime=4)

CATCHES: dict[str, tuple[str, type[Server], Span]] = {
    "an open connection lives as long as its session": (REACH, Endless, _SMALL),
    "each message begins its time anew": (REACH, BegunByAWord, _SMALL),
    "each refresh of its session begins its time anew": (REACH, BegunByARefresh, _SMALL),
    "its time begins when it is accepted": (REACH, BegunByOpening, _SMALL),
    "an upload is not asked for its age": (REACH, AgeNotAsked, _SMALL),
    "a connection may come with an expired token": (REACH, AnyToken, _SMALL),
    "an upload is judged by when it asks": (CUT, JudgedWhenAsked, _SMALL),
    "an expired token needs no look into the database": (STAYED, MemoryAlone, Span()),
    "tombstones last as long as access tokens": (STAYED, ShortMemory, Span(lifetime=4, skew=1)),
    "what is accepted after the news is not told": (STAYED, NotTold, _SMALL),
    "no open connection is told": (STAYED, NotWatched, _SMALL),
    "no liveness sweep": (STAYED, NoLivenessSweep, Span()),
    "the absolute timeout ends no connection": (STAYED, NoAbsoluteEnd, Span(absolute=5)),
}
"""Which property each mutation loses, and the world in which it shows."""


def caught(name: str) -> Result:
    """Explore a mutation until it shows."""
    wrong, server, span = CATCHES[name]
    return explore(ConnectionWorld(server(span), span), stop_at=wrong)
