"""Which refresh tokens are the session's own, and which can only be copies: a pure decision.

A parent stays good until its child proves that it arrived, so a lost answer costs nothing. Siblings that were
issued close together are tolerated for one generation; every lasting fork is theft. Order is by generation,
never by time.

Source: RFC 9700, section 4.14.2 (refresh token rotation and replay detection).
"""

from dataclasses import dataclass
from enum import Enum, auto

__all__ = [
    "Lineage",
    "Chain",
    "Windows",
    "Verdict",
    "THEFT",
    "decide",
    "is_young",
    "Service",
    "Served",
    "serve",
    "is_overtaken",
]


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
"""The verdicts that end the session. None is final unless the row was read at the strongest consistency."""


@dataclass(frozen=True, slots=True)
class Lineage:
    """A presented token's place in the chain.

    Hashes are as stored in the row: SHA-256 of the hash that the token carries. None or empty matches
    nothing.

    Attributes:
        generation: Counts from 0.
        token_hash: The token's own.
        issued_at: When the first token of this place in the chain was issued, ms. A twin has it from that one.
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


class Service(Enum):
    """Whether a request is served whose answer can carry no tokens."""

    BEGINS = auto()
    """The first at this generation: the row is to note it before the request is served."""
    GOES_ON = auto()
    """One more beside the first: nothing is written."""
    REFUSED = auto()
    """The session stays, and so do its cookies; a request that can carry tokens is welcome."""


@dataclass(frozen=True, slots=True)
class Served:
    """What the session's row knows of requests that were served without tokens.

    Attributes:
        generation: The row's when it happened last; None if it never has.
        began_at: When that generation's first was served, ms.
        parents: At how many generations it was a parent that had been overtaken, see `is_overtaken`.
    """

    generation: int | None = None
    began_at: int | None = None
    parents: int = 0


MOST_OVERTAKEN_PARENTS = 4
"""At how many of a session's generations a parent is served that was sent after its child had been promoted.

Never renewed. With ``promote_on="refresh"`` no browser within the promised bounds sends one at all.
"""


def serve(verdict: Verdict, stored: Chain, served: Served, *, arrived_at: int, lasts: int) -> Service:
    """Whether a session's own token is served though its answer can carry no tokens. Never raises.

    A service of this kind leaves no tokens behind that the next rotation could judge. So it is worth no more than
    what a refresh hands out, one access token for each generation, and the row remembers it:

    | the row was served at this generation | the token is | the request is |
    |---|---|---|
    | never | HEAD, SIBLING | served; the row notes it |
    | never, or at the one before | CHILD | promoted and served; the row notes it with the promotion |
    | never | LATE_PARENT that arrived before the promotion | served; the row notes it |
    | never | LATE_PARENT, overtaken, at fewer than `MOST_OVERTAKEN_PARENTS` generations so far | likewise, and counts |
    | never | LATE_PARENT, overtaken, later | refused |
    | since less than `lasts` when the request arrived | HEAD, SIBLING, LATE_PARENT | served |
    | for longer | HEAD, SIBLING, LATE_PARENT | refused |

    What counts is when a request arrived, as with access tokens: parallel uploads end one after the other.

    Args:
        verdict: HEAD, SIBLING, CHILD or LATE_PARENT; anything else is refused.
        stored: The row that `decide` saw.
        served: What the same row knows of this.
        arrived_at: When the request arrived, ms.
        lasts: For how long after the first one others are served, ms: the lifetime of an access token.
    """
    if verdict is Verdict.CHILD:
        return Service.BEGINS  # of the generation that its promotion begins
    if verdict not in {Verdict.HEAD, Verdict.SIBLING, Verdict.LATE_PARENT}:
        return Service.REFUSED
    if served.generation == stored.generation and served.began_at is not None:
        return Service.GOES_ON if arrived_at < served.began_at + lasts else Service.REFUSED
    if is_overtaken(verdict, stored, arrived_at) and served.parents >= MOST_OVERTAKEN_PARENTS:
        return Service.REFUSED
    return Service.BEGINS


def is_overtaken(verdict: Verdict, stored: Chain, arrived_at: int) -> bool:
    """Whether a parent arrived after its child had been promoted; before that it was as good as any token.

    Args:
        verdict: What the token is.
        stored: The row that `decide` saw.
        arrived_at: When the request arrived, ms.
    """
    return verdict is Verdict.LATE_PARENT and stored.promoted_at is not None and arrived_at >= stored.promoted_at


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
