"""Which refresh tokens are the session's own, and which can only be copies: a pure decision.

A parent stays good until its child proves that it arrived, so a lost answer costs nothing. Siblings that were
issued close together are tolerated for one generation; every lasting fork is theft. Order is by generation,
never by time.

Source: RFC 9700, section 4.14.2 (refresh token rotation and replay detection).
"""

from dataclasses import dataclass
from enum import Enum, auto

__all__ = ["Lineage", "Chain", "Windows", "Verdict", "THEFT", "decide", "is_young", "after_promotion"]


class Verdict(Enum):
    """What a presented token is to the session's chain."""

    HEAD = auto()
    """The token that the row knows as the current one: answer with a child."""
    SIBLING = auto()
    """Issued for the same parent as the current one, at about the same time: answer with a child."""
    CHILD = auto()
    """The child has arrived: promote it, then answer with a child of its own."""
    LATE_PARENT = auto()
    """The parent, on a request that was under way while another tab rotated: no tokens, try again once."""
    FORK = auto()
    """Two tokens for one parent, issued too far apart for one cookie jar: theft."""
    STALE = auto()
    """A token that rotation has left behind: theft."""
    FUTURE = auto()
    """Newer than the row can explain; an old backup was restored: no session, and no alarm about the user."""


THEFT = frozenset({Verdict.FORK, Verdict.STALE})
"""The verdicts that end the session."""


@dataclass(frozen=True, slots=True)
class Lineage:
    """A presented token's place in the chain.

    Hashes are as stored in the row: SHA-256 of the hash that the token carries. None or empty matches
    nothing.

    Attributes:
        generation: Counts from 0.
        token_hash: The token's own.
        issued_at: When the token was issued, ms.
        parent_hash: The parent's; None for generation 0.
        parent_issued_at: When the parent was issued, ms; None for generation 0.
        grandparent_hash: The grandparent's; None for generations 0 and 1.
    """

    generation: int
    token_hash: bytes
    issued_at: int
    parent_hash: bytes | None = None
    parent_issued_at: int | None = None
    grandparent_hash: bytes | None = None


@dataclass(frozen=True, slots=True)
class Chain:
    """What the session's row knows about its chain.

    Attributes:
        generation: That of the current token.
        current_hash: The current token's, as stored.
        current_issued_at: When the current token was issued, ms.
        previous_hash: The current token's parent's, as stored; None for generation 0.
        promoted_at: When the current token was promoted, ms; None if none ever was.
    """

    generation: int
    current_hash: bytes
    current_issued_at: int
    previous_hash: bytes | None = None
    promoted_at: int | None = None


@dataclass(frozen=True, slots=True)
class Windows:
    """The tolerances, inclusive.

    Attributes:
        sibling: How far apart two siblings may have been *issued*, ms. Never measured at use time, so a wider
            one does not let a thief walk along for longer.
        late_parent: How long after promotion a late parent is no theft, ms. 0: any reuse is theft at once.
    """

    sibling: int
    late_parent: int


def decide(presented: Lineage, stored: Chain, *, now: int, windows: Windows, retried: bool = False) -> Verdict:
    """Judge an authentic token of a live session. Never raises.

    Args:
        presented: The token's lineage. Its MAC has been checked.
        stored: The row of the token's session.
        now: The time, ms.
        windows: The tolerances, ms.
        retried: Whether the request carries the retry marker of this very token.
    """
    ahead = presented.generation - stored.generation
    if ahead > 1:
        return Verdict.FUTURE
    if ahead == 1:
        return Verdict.CHILD if _is_child(presented, stored, windows) else Verdict.STALE
    if ahead == 0:
        if _same(presented.token_hash, stored.current_hash):
            return Verdict.HEAD
        if not _same(presented.parent_hash, stored.previous_hash):
            return Verdict.STALE
        apart = abs(presented.issued_at - stored.current_issued_at)
        return Verdict.SIBLING if apart <= windows.sibling else Verdict.FORK
    if (
        ahead == -1
        and _same(presented.token_hash, stored.previous_hash)
        and not retried
        and stored.promoted_at is not None
        and windows.late_parent > 0
        and now - stored.promoted_at <= windows.late_parent
    ):
        return Verdict.LATE_PARENT
    return Verdict.STALE


def is_young(lineage: Lineage, now: int, min_refresh_age: int) -> bool:
    """Whether a HEAD, SIBLING or CHILD is answered with a twin instead of a child.

    Otherwise three parallel requests suffice to leave the slowest two generations behind. Generation 0 is
    exempt.

    Args:
        lineage: The presented token's.
        now: The time, ms.
        min_refresh_age: How old a token must be to have a child, ms. 0: every age will do.
    """
    # Tokens from a worker whose clock is ahead have a negative age; where twins are off they get none either.
    return lineage.generation >= 1 and min_refresh_age > 0 and now - lineage.issued_at < min_refresh_age


def after_promotion(presented: Lineage, chain: Chain, now: int) -> Chain:
    """What the row knows once a CHILD has been promoted; a row that is not its parent's stays as it is.

    Args:
        presented: The child's lineage.
        chain: The row that `decide` saw.
        now: The time, ms.
    """
    if presented.generation != chain.generation + 1:
        return chain
    return Chain(
        generation=presented.generation,
        current_hash=presented.token_hash,
        current_issued_at=presented.issued_at,
        previous_hash=presented.parent_hash,
        promoted_at=now,
    )


def _is_child(presented: Lineage, stored: Chain, windows: Windows) -> bool:
    if _same(presented.parent_hash, stored.current_hash):
        return True
    # Else its parent may be a sibling of the current token; siblings share their parent, the previous one.
    return (
        _same(presented.grandparent_hash, stored.previous_hash)
        and presented.parent_issued_at is not None
        and abs(presented.parent_issued_at - stored.current_issued_at) <= windows.sibling
    )


def _same(presented: bytes | None, stored: bytes | None) -> bool:
    # Not compared in constant time: these are hashes of hashes, and the token has passed its MAC.
    return bool(presented) and presented == stored
