"""The decision table of the rotation protocol, written down once more: by identity and without hashes.

Nothing here may come from `asgi_sessions.protocol.rotation`; that the two agree is what the tests find out.
"""

from enum import Enum

from tests.stateful.profiles import LATE, WINDOW
from tests.stateful.records import Row, Token


class Line(Enum):
    """A line of the table."""

    HEAD = "the current token"
    SIBLING = "a sibling of the current token"
    FORK = "a sibling, issued too far apart"
    CHILD = "the current token's child"
    NIECE = "a sibling's child"
    LATE_PARENT = "the parent, a moment too late"
    RETRIED_PARENT = "the parent, told once already"
    OLD_PARENT = "the parent after its time"
    STRANGER = "of this generation, of another parent"
    ANCESTOR = "an older generation"
    LOST_CHILD = "the child of a dead sibling"
    FUTURE = "newer than the row"


ANSWERED = frozenset({Line.HEAD, Line.SIBLING, Line.CHILD, Line.NIECE})
PROMOTED = frozenset({Line.CHILD, Line.NIECE})
THEFT = frozenset(
    {Line.FORK, Line.RETRIED_PARENT, Line.OLD_PARENT, Line.STRANGER, Line.ANCESTOR, Line.LOST_CHILD},
)


def line_of(token: Token, row: Row, now: int, *, retried: bool) -> Line:
    """Where a token of a live session stands in the table."""
    current = row.current
    match token.generation - current.generation:
        case 0:
            if token is current:
                return Line.HEAD
            if token.parent is None or token.parent is not current.parent:
                return Line.STRANGER
            return Line.SIBLING if _issued_together(token, current) else Line.FORK
        case 1:
            assert token.parent is not None
            if token.parent is current:
                return Line.CHILD
            related = current.parent is not None and token.parent.parent is current.parent
            return Line.NIECE if related and _issued_together(token.parent, current) else Line.LOST_CHILD
        case -1 if token is current.parent:
            if retried:
                return Line.RETRIED_PARENT
            in_time = row.promoted_at is not None and now - row.promoted_at <= LATE
            return Line.LATE_PARENT if in_time else Line.OLD_PARENT
        case ahead:
            return Line.FUTURE if ahead > 1 else Line.ANCESTOR


def _issued_together(one: Token, other: Token) -> bool:
    return abs(one.issued_at - other.issued_at) <= WINDOW
