"""How long a connection may rely on the tokens that it came with: a pure decision.

An open WebSocket or stream sends no further access token, and an upload takes as long as its client likes. So each
connection has a lifetime that counts from its arrival alone. If a message on the connection, or a refresh of its
session, could extend it, its client would never need an access token again.
"""

from enum import Enum, auto

__all__ = ["EARLIER", "End", "came_in_time", "end_at", "is_over", "lasts_until"]

EARLIER = 0.05
"""By which part of its lifetime a connection may be ended before it."""


class End(Enum):
    """Why a connection ends by itself."""

    SESSION = auto()
    """Its session has reached its absolute timeout: log in."""
    CONNECTION = auto()
    """Its own time is over, and the session goes on: come again."""


def came_in_time(arrived_at: int, *, expires_at: int) -> bool:
    """Whether an access token was good when its connection arrived, however late it is asked for.

    Args:
        arrived_at: When the connection arrived, ms.
        expires_at: When the token expires, ms.
    """
    return arrived_at < expires_at


def lasts_until(arrived_at: int, *, lifetime: int, earlier: float = 0.0) -> int:
    """When a connection's time is over, ms.

    Args:
        arrived_at: When it arrived, ms.
        lifetime: `connection_lifetime`, ms.
        earlier: Which part of that it does without, `EARLIER` at most.
    """
    return arrived_at + lifetime - round(lifetime * earlier)


def is_over(arrived_at: int, *, now: int, lifetime: int) -> bool:
    """Whether a connection may no longer rely on the tokens that it came with.

    Args:
        arrived_at: When it arrived, ms.
        now: By the same clock, ms.
        lifetime: `connection_lifetime`, ms.
    """
    return now >= lasts_until(arrived_at, lifetime=lifetime)


def end_at(now: int, *, until: int, session_expires_at: int) -> End | None:
    """Whether an open connection ends now, and why.

    Args:
        now: ms.
        until: When its own time is over, ms.
        session_expires_at: The session's absolute timeout, ms.
    """
    if now < min(until, session_expires_at):
        return None
    return End.CONNECTION if now < session_expires_at else End.SESSION
