"""What the model's world is made of: small values, compared by content.

Time counts in units of 30 s and is relative: *now* is always 0, what happened before is negative. Token ids are
small numbers that stand for hashes; 0 is none.
"""

from typing import NamedTuple

UNIT_S = 30
UNIT_MS = UNIT_S * 1000

FRESH = 99
"""The id of the token that a step issues, until the state is put into its canonical form."""


NEVER = -99
"""A time for what has never happened."""

LATER = "30 s pass"


class Step(NamedTuple):
    """What happened.

    Attributes:
        text: For people; `{}` stands for the token.
        token: Which token it was about.
        fresh: A token that it issued.
        wrong: The property that it violated.
        ends: Whether the session is over: nothing follows.
    """

    text: str
    token: "Token | None" = None
    fresh: "Token | None" = None
    wrong: str | None = None
    ends: bool = False


class Token(NamedTuple):
    """A refresh token, and the lineage of the access token that was issued with it."""

    generation: int
    id: int
    issued_at: int
    parent: int
    parent_issued_at: int
    grandparent: int
    ended: bool = False
    """Whether it belongs to the session before the last login or logout."""


class Row(NamedTuple):
    """What the database knows: the generation, then pairs of an id and a time whose meaning is the policy's own."""

    generation: int
    entries: tuple[tuple[int, int], ...]
    served: int = NEVER
    """Since when it has been served at this generation without tokens."""
    parents: int = 0
    """At how many generations an overtaken parent was."""


class Marker(NamedTuple):
    """The retry marker in the jar."""

    generation: int
    until: int


class Jar(NamedTuple):
    """A browser's cookies."""

    token: Token
    access_issued_at: int
    marker: Marker | None = None
    told: bool = False
    """Whether an "already rotated" about this token has arrived: the model's own memory, not a cookie."""


class Message(NamedTuple):
    """Something under way between a tab and the server."""

    kind: int
    age: int
    token: Token | None
    access_issued_at: int
    marker: Marker | None = None
    told: bool = False
    copy: int = 0
    """Of a request: 0 it may still be duplicated, 1 a duplicate has been answered before, 2 it is the duplicate."""


REQUEST, USE, TOKENS, LATE, CLEAR, SLOW = range(6)
"""Kinds of messages: a refresh (or the inline request that becomes one), a call with an access token, answers, and a
request that asks for its session so late that its answer carries no tokens."""


class Tally(NamedTuple):
    """What counts for the thief's bound, from the theft on.

    For a thief who takes no tokens `refreshes` counts how often he was served, see `Bounds.quiet`, and `used` says
    whether that has been counted already, in this unit of time or at this generation.
    """

    refreshes: int
    """How many times the victim's jar has moved to a generation that it never had before."""
    top: int
    """The highest generation that the victim's jar has had."""
    used: bool
    """Whether the access token of the last of them has been used."""


class State(NamedTuple):
    row: Row | None
    """The truth; None while logged out."""
    lag: Row | None
    """The row before the last promotion, as a replica may still see it."""
    jar: Jar | None
    flight: tuple[Message, ...]
    thief: tuple[Token, ...] | None
    """The tokens that the thief keeps; None before the theft."""
    ended: Row | None
    """The row of the session before, as a replica may still see it without its tombstone."""
    cause: int
    """Units since a call left with an expired access token: its 401 makes a tab refresh later on."""
    tally: Tally | None
