"""How a server answers: the product's own rotation, as a policy that the model can drive.

Everything that decides is the product's, `decide`, `is_young` and `serve`. What is added here is the order
in which the session manager calls them (manager/rotating.py, refreshing.py and token_first_use.py).
"""

from collections.abc import Callable
from enum import Enum, auto
from typing import NamedTuple, Protocol

from asgi_sessions.protocol.retry_marker import marker_lifetime
from asgi_sessions.protocol.rotation import (
    THEFT,
    Chain,
    Lineage,
    Served,
    Service,
    Verdict,
    Windows,
    decide,
    is_overtaken,
    is_young,
    serve,
)
from tests.rotation_model.parts import FRESH, NEVER, UNIT_MS, Row, Token
from tests.rotation_model.promotion import after_promotion


class Kind(Enum):
    TOKENS = auto()
    LATE = auto()
    """409: no tokens, cookies kept, retry marker."""
    THEFT = auto()
    REJECTED = auto()
    """401 without an alarm."""
    SERVED = auto()
    """An access token did its work."""
    UNCHANGED = auto()
    """An access token was refused with "try refresh", or nothing happened."""


class Outcome(NamedTuple):
    kind: Kind
    row: Row | None
    token: Token | None = None
    served: bool = False
    """Whether the request is served though it gets no tokens."""


class Policy(Protocol):
    """A server's way to rotate."""

    name: str
    marks: bool
    """Whether "already rotated" leaves a marker in the jar."""
    marker_life: int
    longest: int
    """No decision tells times apart that lie further back than this."""

    def first(self) -> tuple[Row, Token]: ...

    def refresh(self, row: Row | None, seen: Row | None, token: Token, marked: bool, clock: int) -> Outcome:
        """Answer a refresh token.

        Args:
            row: The truth; None if the session is revoked.
            seen: What the first read returns.
            token: As presented.
            marked: Whether the retry marker of this token came with it.
            clock: The worker's.
        """
        ...

    def late(self, row: Row | None, token: Token, clock: int, arrived: int) -> Outcome:
        """Answer a refresh token whose request asks so late that its answer carries no tokens.

        Args:
            row: The truth.
            token: As presented.
            clock: The worker's.
            arrived: When the request arrived, by the same.
        """
        ...

    def use(self, row: Row | None, seen: Row | None, token: Token, clock: int) -> Outcome:
        """Serve a request with an access token in time (promotion at first use)."""
        ...

    def matters(self, row: Row, token: Token) -> bool:
        """Whether an access token's first use could change anything."""
        ...

    def alive(self, row: Row, token: Token) -> bool:
        """Whether the token would be answered with tokens."""
        ...

    def outlives(self, row: Row) -> bool:
        """Whether workers would still serve access tokens of this ended session."""
        ...

    def dead(self, row: Row, lag: Row | None, token: Token) -> bool:
        """Whether no read will ever again answer the token with anything but theft."""
        ...

    def essence(self, row: Row, lag: Row | None, token: Token) -> Token:
        """The token without what no decision will ever look at. It is not dead."""
        ...

    def essential(self, row: Row, lag: Row | None, tokens: list[Token]) -> tuple[Row, Row | None]:
        """The row and its older version without what no decision will ever look at, given every token that there is."""
        ...


def child_of(token: Token, clock: int) -> Token:
    """As `RefreshToken.child`."""
    return Token(token.generation + 1, FRESH, clock, token.id, token.issued_at, token.parent, token.ended)


def twin_of(token: Token) -> Token:
    """As `RefreshToken.twin`."""
    return token._replace(id=FRESH)


def _hash(number: int) -> bytes | None:
    return bytes([number]) * 32 if number else None


def lineage_of(token: Token) -> Lineage:
    """The token as the product sees it."""
    return Lineage(
        generation=token.generation,
        token_hash=_hash(token.id) or b"",
        issued_at=token.issued_at * UNIT_MS,
        parent_hash=_hash(token.parent),
        parent_issued_at=token.parent_issued_at * UNIT_MS if token.parent else None,
        grandparent_hash=_hash(token.grandparent),
    )


def chain_of(row: Row) -> Chain:
    """The row as the product sees it: the current token and its issue, the previous one and the promotion."""
    (current, issued_at), (previous, promoted_at) = row.entries
    return Chain(
        generation=row.generation,
        current_hash=_hash(current) or b"",
        current_issued_at=issued_at * UNIT_MS,
        previous_hash=_hash(previous),
        promoted_at=promoted_at * UNIT_MS if promoted_at != NEVER else None,
    )


def row_of(chain: Chain) -> Row:
    return Row(
        chain.generation,
        (
            (chain.current_hash[0], chain.current_issued_at // UNIT_MS),
            (
                chain.previous_hash[0] if chain.previous_hash else 0,
                NEVER if chain.promoted_at is None else chain.promoted_at // UNIT_MS,
            ),
        ),
    )


class Numbers(NamedTuple):
    """The settings, in units.

    Attributes:
        window: `sibling_window`.
        late: `late_parent_window`.
        young: `min_refresh_age`.
        access: `access_token_lifetime`.
    """

    window: int
    late: int
    young: int
    access: int = 10


_HARMFUL = THEFT | {Verdict.FUTURE}
_ANSWERED = frozenset({Verdict.HEAD, Verdict.SIBLING, Verdict.CHILD})

Decide = Callable[..., Verdict]
Serve = Callable[..., Service]


class Ours:
    """The product. The other arguments are for mutations.

    Attributes:
        counts: Whether rows remember service without tokens. No other decision looks at it: it is left out where
            only alarms and logouts are looked for.
        lines: The lines of the decision table that have been reached.
    """

    def __init__(
        self,
        numbers: Numbers,
        *,
        name: str = "ours",
        decide: Decide = decide,
        marks: bool = True,
        marker_life: int | None = None,
        reads_again: bool = True,
        tombstones: bool = True,
        serve: Serve = serve,
        counts: bool = False,
        issues_late: bool = False,
        accuses_late: bool = False,
        forgets: bool = False,
    ) -> None:
        self.name = name
        self.numbers = numbers
        self.marks = marks
        lasting = marker_lifetime(numbers.late * UNIT_MS, UNIT_MS) // UNIT_MS  # clocks are at most one unit apart
        self.marker_life = lasting if marker_life is None else marker_life
        self.tombstones = tombstones
        self.longest = max(numbers.window, numbers.young, numbers.late) + 2
        self.lines: set[str] = set()
        self.counts = counts
        self._serve = serve
        self._issues_late = issues_late
        self._accuses_late = accuses_late
        self._forgets = forgets
        self._decide = decide
        self._reads_again = reads_again
        self._windows = Windows(sibling=numbers.window * UNIT_MS, late_parent=numbers.late * UNIT_MS)
        self._verdicts: dict[tuple[Row, Token, int, bool], Verdict] = {}

    def first(self) -> tuple[Row, Token]:
        token = Token(0, FRESH, 0, 0, 0, 0)
        return Row(0, ((FRESH, 0), (0, NEVER))), token

    def judge(self, row: Row, token: Token, clock: int, marked: bool = False) -> Verdict:
        """`rotation.decide`; the same question is asked once."""
        question = row, token, clock, marked
        verdict = self._verdicts.get(question)
        if verdict is None:
            presented, stored = lineage_of(token), chain_of(row)
            verdict = self._decide(presented, stored, now=clock * UNIT_MS, windows=self._windows, retried=marked)
            self._verdicts[question] = verdict
            self.lines.add(line_of(verdict, presented, stored, marked))
        return verdict

    def refresh(self, row: Row | None, seen: Row | None, token: Token, marked: bool, clock: int) -> Outcome:
        if seen is None:
            return Outcome(Kind.REJECTED, row)
        verdict = self.judge(seen, token, clock, marked)
        if verdict in _HARMFUL and seen is not row and self._reads_again:
            if row is None:
                return Outcome(Kind.REJECTED, row)
            verdict = self.judge(row, token, clock, marked)
        if verdict is Verdict.CHILD:
            # The compare-and-swap: done on the truth or not at all, and then the truth is read.
            if row is None:
                return Outcome(Kind.REJECTED, row)
            verdict = self.judge(row, token, clock, marked)
            if verdict is Verdict.CHILD:
                row = self._promoted(row, token, clock)
        if verdict in THEFT:
            return Outcome(Kind.THEFT, row)
        if verdict is Verdict.FUTURE:
            return Outcome(Kind.REJECTED, row)
        if verdict is Verdict.LATE_PARENT:
            return self._served(row, token, verdict, clock, clock)
        young = is_young(lineage_of(token), clock * UNIT_MS, self.numbers.young * UNIT_MS)
        return Outcome(Kind.TOKENS, row, twin_of(token) if young else child_of(token, clock))

    def late(self, row: Row | None, token: Token, clock: int, arrived: int) -> Outcome:
        if self._issues_late:
            return self.refresh(row, row, token, False, clock)
        if row is None:
            return Outcome(Kind.REJECTED, row)
        verdict = self.judge(row, token, clock)
        if verdict in THEFT:
            return Outcome(Kind.THEFT if self._accuses_late else Kind.UNCHANGED, row)
        if verdict is Verdict.FUTURE:
            return Outcome(Kind.REJECTED, row)
        return self._served(row, token, verdict, clock, arrived)

    def _served(self, row: Row | None, token: Token, verdict: Verdict, clock: int, arrived: int) -> Outcome:
        """As `Refresher.refresh` where nothing is issued."""
        kind = Kind.LATE if verdict is Verdict.LATE_PARENT else Kind.UNCHANGED
        if row is None:
            return Outcome(kind, row)
        chain, at = chain_of(row), arrived * UNIT_MS
        since = Served() if row.served == NEVER else Served(row.generation, row.served * UNIT_MS)
        served = Served(since.generation, since.began_at, row.parents)
        service = self._serve(verdict, chain, served, arrived_at=at, lasts=self.numbers.access * UNIT_MS)
        if service is Service.REFUSED:
            return Outcome(kind, row)
        if service is Service.BEGINS:
            if verdict is Verdict.CHILD:
                row = self._promoted(row, token, clock)
            if self.counts:
                parents = row.parents + is_overtaken(verdict, chain, at)
                row = row._replace(served=clock, parents=parents)
        return Outcome(kind, row, served=True)

    def use(self, row: Row | None, seen: Row | None, token: Token, clock: int) -> Outcome:
        if row is None or seen is None:
            return Outcome(Kind.REJECTED, row)
        if self.judge(row, token, clock) is Verdict.CHILD:
            return Outcome(Kind.SERVED, self._promoted(row, token, clock))
        at, verdict = seen, self.judge(seen, token, clock)
        if (verdict in _HARMFUL and self._reads_again) or verdict is Verdict.CHILD:
            at, verdict = row, self.judge(row, token, clock)
        if verdict in {Verdict.HEAD, Verdict.SIBLING}:
            return Outcome(Kind.SERVED, row)
        if verdict is Verdict.FUTURE:
            return Outcome(Kind.REJECTED, row)
        return Outcome(Kind.UNCHANGED if token.generation < at.generation else Kind.THEFT, row)

    def matters(self, row: Row, token: Token) -> bool:
        return token.generation >= row.generation and self.judge(row, token, 0) not in {Verdict.HEAD, Verdict.SIBLING}

    def alive(self, row: Row, token: Token) -> bool:
        return self.judge(row, token, 0) in _ANSWERED

    def outlives(self, row: Row) -> bool:
        return not self.tombstones  # workers learn who is out from the tombstones

    def dead(self, row: Row, lag: Row | None, token: Token) -> bool:
        if self.judge(row, token, 0) not in THEFT:
            return False
        if lag is None:
            return True
        # Whatever a read that is behind takes for harmful, or for a child, is decided by the truth.
        behind = self.judge(lag, token, 0)
        return behind in THEFT or (self._reads_again and behind in {Verdict.FUTURE, Verdict.CHILD})

    def essence(self, row: Row, lag: Row | None, token: Token) -> Token:
        if not self._reads_again:
            return token
        generation, identity, issued_at, parent, _, _, ended = token
        lowest = row.generation if lag is None else lag.generation
        if generation < lowest:
            return Token(generation, identity, 0, 0, 0, 0, ended)  # a late parent, by its hash alone
        if generation <= row.generation:
            # Near enough to the current one, and so will be its children; else its age tells whether it gets a twin.
            # What a read that is behind says of its parents does not count: the truth is asked then.
            oldest = self._oldest(lag if generation == row.generation else None)
            return Token(generation, identity, max(issued_at, oldest), parent, 0, 0, ended)
        (current, current_issued_at), (previous, _) = row.entries
        if parent == current:
            return Token(generation, identity, issued_at, parent, 0, 0, ended)
        # The child of a sibling, near enough to the current one.
        parent_issued_at = max(current_issued_at, self._oldest(lag))
        return Token(generation, identity, issued_at, parent, parent_issued_at, previous, ended)

    def essential(self, row: Row, lag: Row | None, tokens: list[Token]) -> tuple[Row, Row | None]:
        if not self._reads_again:
            return row, lag
        held = {token.id for token in tokens}
        if self.counts:
            held.add(row.entries[1][0])  # which somebody else may hold
        return _essential(row, self._oldest(lag), held), lag and _essential(lag, self._oldest(None), held)

    def _oldest(self, lag: Row | None) -> int:
        # From a read that is behind, a sibling may come late; else a row's token is only asked whether it is young.
        return -self.numbers.young if lag is None else -self.longest

    def _promoted(self, row: Row, token: Token, clock: int) -> Row:
        promoted = row_of(after_promotion(lineage_of(token), chain_of(row), clock * UNIT_MS))
        return promoted if self._forgets else promoted._replace(parents=row.parents)


def _essential(row: Row, oldest: int, held: set[int]) -> Row:
    (current, issued_at), (previous, promoted_at) = row.entries
    if previous not in held:
        promoted_at = NEVER  # nobody can come late any more
    return row._replace(entries=((current, max(issued_at, oldest)), (previous, promoted_at)))


def line_of(verdict: Verdict, presented: Lineage, stored: Chain, marked: bool) -> str:
    """The line of the decision table that a verdict comes from."""
    ahead = presented.generation - stored.generation
    if verdict is Verdict.CHILD:
        of_current = presented.parent_hash == stored.current_hash
        return "CHILD of the current token" if of_current else "CHILD of a sibling"
    if verdict is Verdict.STALE:
        if ahead == -1 and presented.token_hash == stored.previous_hash:
            return "STALE: the marked parent" if marked else "STALE: the parent after its time"
        return {1: "STALE: the child of a dead sibling", 0: "STALE: another of this generation"}.get(
            ahead, "STALE: an older generation"
        )
    return verdict.name


LINES = frozenset(
    {
        "HEAD",
        "SIBLING",
        "FORK",
        "CHILD of the current token",
        "CHILD of a sibling",
        "LATE_PARENT",
        "STALE: the marked parent",
        "STALE: the parent after its time",
        "STALE: the child of a dead sibling",
        "STALE: another of this generation",
        "STALE: an older generation",
        "FUTURE",
    }
)
"""Every line of the decision table that judges an authentic token of a live session."""
