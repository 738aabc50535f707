"""Open connections: a WebSocket, a stream or an upload, of the user's or of somebody who has stolen a token.

A connection changes nothing about its session, nor about another connection, so that one at a time is enough. And of
rotation only two things matter to it, which may happen at any moment here: somebody gets a new access token, and the
session ends.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from tests.rotation_model.connection_rules import (
    ARRIVED,
    LIVE,
    NEVER,
    OPEN,
    SWEEP,
    TAKEN,
    Connection,
    Server,
    Session,
    Span,
    Thief,
    stands,
)
from tests.rotation_model.parts import LATER, UNIT_S, Step

REACH = "a stolen access token reaches on and on"
OUTLIVED = "a connection outlives its time"
STAYED = "a connection outlives its session"
CUT = "a connection ends before its time"


class Open(NamedTuple):
    """The state of the world. Times are relative: now is 0."""

    session: Session
    thief: Thief | None
    connection: Connection | None


class ConnectionWorld:
    """All steps from a state.

    Args:
        server: How connections end.
        span: The world's bounds.
    """

    beginning = "the user is logged in"

    def __init__(self, server: Server, span: Span) -> None:
        self.server = server
        self.span = span
        self._clocks = range(span.skew + 1)

    def start(self) -> Open:
        absolute = self.span.absolute
        return Open(Session(NEVER if absolute is None else absolute, LIVE, False), None, None)

    def steps(self, state: Open) -> Iterator[tuple[Step, Open]]:
        """What can happen next, and where it leads (not yet in canonical form)."""
        session, _, connection = state
        yield self._later(state)
        if session.ended in {LIVE, 0} and session.expires > 0:
            # In the moment of the end too: a read of before lets one more pair through.
            yield from self._refreshes(state)
        if session.ended == LIVE and session.expires > 0:
            yield self._judged("the session is revoked", state._replace(session=session._replace(ended=0)))
        if session.ended == 0 and not session.heard:
            yield self._judged("the worker hears of it", self._heard(state))
        if connection is None:
            yield from self._arrives(state)
            return
        whose = "the thief's" if connection.stolen else "the user's"
        if connection.phase == OPEN:
            yield self._judged("the client says something", state._replace(connection=self.server.spoken(connection)))
        if connection.phase == TAKEN:
            opened = self.server.opened(connection, session)
            yield self._judged(f"{whose} connection is opened", state._replace(connection=opened))
        yield self._asked(state, connection, whose)
        yield Step(f"{whose} connection is closed by its client"), state._replace(connection=None)

    def canonical(self) -> Callable[[Open], Open]:
        return self._canonical

    def packed(self, state: Open) -> bytes:
        return repr(state).encode()

    # -- time

    def _later(self, state: Open) -> tuple[Step, Open]:
        session, thief, connection = self._heard(state) if state.session.ended == 0 else state
        session = session._replace(
            expires=session.expires if session.expires == NEVER else max(session.expires - 1, 0),
            ended=LIVE if session.ended == LIVE else session.ended + 1,
        )
        if thief is not None:
            thief = thief._replace(expires=max(thief.expires - 1, 0), since=thief.since + 1)
        if connection is not None:
            connection = connection._replace(
                arrived=connection.arrived - 1, expires=connection.expires - 1, until=connection.until - 1
            )
            if connection.phase == OPEN and session.ended != LIVE:
                connection = connection._replace(stale=connection.stale + 1)
        left: Connection | None = self.server.looked(connection, session)
        if left is not None and left.stale >= SWEEP:
            left = self.server.called(left)
        if connection is not None and left is None and session.ended == LIVE and self._has_time(connection, session):
            return Step(LATER, wrong=CUT), state
        return self._judged(LATER, Open(session, thief, left))

    def _heard(self, state: Open) -> Open:
        """The news comes within a second, and so before half a minute is over."""
        if state.session.heard:
            return state
        return state._replace(session=state.session._replace(heard=True), connection=self.server.told(state.connection))

    # -- who has what

    def _refreshes(self, state: Open) -> Iterator[tuple[Step, Open]]:
        session, thief, connection = state
        yield self._judged("the user refreshes", state._replace(connection=self.server.refreshed(connection)))
        for clock in self._clocks:
            expires = min(clock + self.span.access, session.expires)
            if thief is None:  # of a fresh token: an older one is what it has become
                yield Step("the access token is stolen"), state._replace(thief=Thief(expires, False, 0))
                yield Step("the jar is stolen"), state._replace(thief=Thief(expires, True, 0))
            elif thief.refreshes:
                yield Step("the thief refreshes"), state._replace(thief=Thief(expires, True, 0))
        if thief is not None and thief.refreshes:
            yield Step("the thief's tokens are left behind"), state._replace(thief=thief._replace(refreshes=False))

    # -- connections

    def _arrives(self, state: Open) -> Iterator[tuple[Step, Open]]:
        session, thief, _ = state
        newest = self.span.access + self.span.skew - max(session.ended, 0)
        for clock in self._clocks:
            # The user's access token is of any age.
            for expires in range(max(min(newest, session.expires), 0) + 1):
                arrived = state._replace(connection=Connection(False, clock, ARRIVED, clock, expires))
                yield Step(f"a connection of the user's arrives{_good_for(expires)}"), arrived
            if thief is not None:
                arrived = state._replace(connection=Connection(True, clock, ARRIVED, clock, thief.expires))
                yield Step(f"a connection of the thief's arrives{_good_for(thief.expires)}"), arrived

    def _asked(self, state: Open, connection: Connection, whose: str) -> tuple[Step, Open]:
        session = state.session
        if self.server.serves(connection, session):
            taken = connection._replace(phase=max(connection.phase, TAKEN))
            wrong = self._too_late(state) or (STAYED if session.ended > 0 or session.expires <= 0 else None)
            return Step(f"{whose} connection is asked for its session, and has it", wrong=wrong), state._replace(
                connection=taken
            )
        wrong = CUT if stands(session, connection.clock) and self._has_time(connection, session) else None
        return Step(f"{whose} connection is refused", wrong=wrong), state._replace(connection=None)

    # -- what must hold

    def _judged(self, text: str, state: Open) -> tuple[Step, Open]:
        return Step(text, wrong=self._wrong(state)), state

    def _wrong(self, state: Open) -> str | None:
        session, _, connection = state
        if connection is None or connection.phase != OPEN:
            return None
        if session.expires <= 0:
            return STAYED
        if session.heard and session.ended <= self.server.remembered:
            return STAYED
        return STAYED if connection.stale > SWEEP else self._too_late(state)

    def _too_late(self, state: Open) -> str | None:
        """Whether a connection goes on, or is served, beyond its time."""
        connection, thief = state.connection, state.thief
        if connection is None:
            return None
        if connection.stolen:
            return REACH if thief is not None and thief.since > self.span.reach else None
        return OUTLIVED if connection.clock - connection.arrived >= self.span.lifetime else None

    def _has_time(self, connection: Connection, session: Session) -> bool:
        young = connection.clock - connection.arrived < self.span.lifetime
        return young and connection.arrived < connection.expires and session.expires > connection.clock

    def _canonical(self, state: Open) -> Open:
        session, thief, connection = state
        session = session._replace(ended=min(session.ended, self.server.remembered + 1))
        if thief is not None:
            thief = thief._replace(since=min(thief.since, self.span.reach + 1))
        if connection is not None:
            # Older than its time, it is as good as forgotten; whether it came in time stays the same.
            oldest = -self.span.lifetime
            came = connection.arrived < connection.expires
            connection = connection._replace(
                arrived=max(connection.arrived, oldest),
                expires=max(connection.expires, oldest + came),
                until=max(connection.until, 0),
                stale=min(connection.stale, SWEEP + 1),
            )
        return Open(session, thief, connection)


def _good_for(expires: int) -> str:
    return f" with a token that is good for {expires * UNIT_S} s" if expires else " with an expired token"
