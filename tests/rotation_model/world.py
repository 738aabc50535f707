"""One step of everything that can happen: to a browser, on the way, at the server, and at the thief's.

Whatever is possible at a moment is possible in any order, so that exploring all steps from all states is every
interleaving there is.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from tests.rotation_model.canonical import Canonical, packed
from tests.rotation_model.parts import (
    CLEAR,
    LATE,
    LATER,
    NEVER,
    REQUEST,
    SLOW,
    TOKENS,
    UNIT_S,
    USE,
    Jar,
    Marker,
    Message,
    Row,
    State,
    Step,
    Tally,
    Token,
)
from tests.rotation_model.policies import Kind, Outcome, Policy

ARRIVES = "{} arrives in the jar"

ALARM = "an alarm without a thief"
LOGOUT = "a logout that nobody asked for"
TOLD_TWICE = "told twice that the token was rotated, without an alarm"
LOCKSTEP = "the thief still walks along"
LOGOUT_LOSES = "a token outlives the logout"
SERVED_ON = "a thief who takes no tokens is served on and on"

SLOW_UNITS = 2
"""So old is a request at least whose answer carries no tokens: more than 30 s."""
_NO_TOP = -5


@dataclass(frozen=True)
class Bounds:
    """Which world: everything up to these bounds happens.

    Attributes:
        mode: Whether an endpoint refreshes, or any request whose access token has expired.
        first_use: Whether access tokens promote.
        tabs: How many messages are under way at most.
        round_trip: How long a request and its answer take together at most, in units.
        handler: How much later an inline answer may start, in units.
        skew: How far a worker's clock may be ahead, in units.
        stall: How long after its call left a tab may act on a 401, in units; None: at any time at all.
        access: The lifetime of access tokens, in units.
        replica: Whether reads may be one promotion behind.
        duplicates: Whether requests may arrive twice.
        thief: Whether the jar is stolen, once, at any moment.
        hands: How many tokens the thief keeps.
        login: Whether the user logs out and in, once.
        overtaken: Whether an answer to the session before may arrive after the login, in the place of whose cookies
            it then puts its own, or none. No server can see that: a known limit.
        slow: Whether requests may ask for their session late, however long that takes: the tabs', and the thief's.
        quiet: A thief who never takes tokens. "late": he holds one refresh token, and his requests ask late. "parent":
            whatever is replaced leaks to him, and he presents it as a parent.
        most: How often the quiet thief is served at most: units of time in which he is, or generations at which.
        refreshes: By which of the victim's refreshes after the theft the thief must be out (and used, see `used`).
        used: With `first_use`: after which refresh the first use must have thrown him out.
    """

    mode: Literal["endpoint", "inline"]
    first_use: bool = False
    tabs: int = 2
    round_trip: int = 2
    handler: int = 1
    skew: int = 1
    stall: int | None = 2
    access: int = 10
    replica: bool = False
    duplicates: bool = False
    thief: bool = False
    hands: int = 1
    login: bool = False
    overtaken: bool = False
    slow: bool = False
    quiet: Literal["late", "parent"] | None = None
    most: int = 0
    refreshes: int = 3
    used: int = 2


class World:
    """All steps from a state.

    Args:
        policy: The server's.
        bounds: The world's.
    """

    beginning = "the jar holds 0a"

    def __init__(self, policy: Policy, bounds: Bounds) -> None:
        self.policy = policy
        self.bounds = bounds
        self._inline = bounds.mode == "inline"
        self._clocks = range(bounds.skew + 1)
        self._answer_within = bounds.round_trip + (bounds.handler if self._inline else 0)
        # Where nothing depends on an access token's age, it has none, and there are fewer states.
        self._aging = int(self._inline or bounds.stall is not None or bounds.first_use)
        self._oldest = -bounds.access
        # With several tabs the marker of an older token may take this one's place: then a 409 may come once more.
        self._told_once = bounds.tabs == 1
        self._stall = 0 if bounds.stall is None else bounds.stall

    def start(self) -> State:
        row, token = self.policy.first()
        tally = Tally(0, _NO_TOP, False) if self.bounds.quiet == "parent" else None
        return State(row, None, Jar(token, 0), (), None, None, self._cause(None, 0), tally)

    def canonical(self) -> Callable[[State], State]:
        """One form for states that no future can tell apart."""
        return Canonical(self.policy)

    def packed(self, state: State) -> bytes:
        """A canonical state in few bytes, different for different states."""
        return packed(state)

    def steps(self, state: State) -> Iterator[tuple[Step, State]]:
        """What can happen next, and where it leads (not yet in canonical form)."""
        if state.thief is not None and not state.thief:
            return  # the thief is out: what follows is another world
        yield self._later(state)
        if state.jar is not None and len(state.flight) < self.bounds.tabs:
            yield from self._sent(state, state.jar)
        for position, message in enumerate(state.flight):
            if position and message == state.flight[position - 1]:
                continue
            rest = state.flight[:position] + state.flight[position + 1 :]
            if message.kind == REQUEST:
                yield from self._processed(state, message, rest)
            elif message.kind == USE:
                yield from self._used(state, message, rest)
            elif message.kind == SLOW:
                yield from self._asked_late(state, message, rest)
            else:
                yield self._delivered(state, message, rest)
        if self.bounds.quiet is not None:
            yield from self._quiet_thief(state)
        elif self.bounds.thief:
            yield from self._thief(state)
        if self.bounds.login:
            yield from self._user(state)

    # -- time

    def _later(self, state: State) -> tuple[Step, State]:
        row, lag, jar, flight, thief, ended, cause, tally = state
        if jar is not None:
            marker = jar.marker and Marker(jar.marker.generation, jar.marker.until - 1)
            jar = Jar(_older(jar.token), max(jar.access_issued_at - self._aging, self._oldest), marker, jar.told)
        later = tuple(
            [
                Message(
                    message.kind,
                    message.age + 1 if message.kind != SLOW else min(message.age + 1, SLOW_UNITS),
                    message.token and _older(message.token),
                    max(message.access_issued_at - self._aging, self._oldest),
                    message.marker and Marker(message.marker.generation, message.marker.until - 1),
                    message.told,
                    message.copy,
                )
                for message in flight
                if message.kind == SLOW
                or message.age < (self.bounds.round_trip if message.kind in {REQUEST, USE} else self._answer_within)
            ]
        )
        return Step(LATER), State(
            row and _older_row(row, self.policy.longest, self._oldest),
            lag and _older_row(lag, self.policy.longest, self._oldest),
            jar,
            later,
            thief and tuple([_older(token) for token in thief]),
            ended and _older_row(ended, self.policy.longest, self._oldest),
            self._cause(jar, min(cause + 1, self._stall + 1)),
            tally and tally._replace(used=False) if self.bounds.quiet == "late" else tally,
        )

    def _cause(self, jar: Jar | None, cause: int) -> int:
        """Units since the jar's access token was last expired by any worker's clock."""
        if self.bounds.stall is None or self._inline:
            return 0
        if jar is None:
            return self._stall + 1
        return 0 if jar.access_issued_at + self.bounds.access <= self.bounds.skew else cause

    # -- the browser

    def _sent(self, state: State, jar: Jar) -> Iterator[tuple[Step, State]]:
        bounds, (token, access_issued_at, marker, told) = self.bounds, jar
        lasts = access_issued_at + bounds.access
        if self._inline:
            useful = lasts <= bounds.round_trip + bounds.skew  # else it is not expired when it arrives
        else:
            useful = bounds.stall is None or state.cause <= bounds.stall
        if useful:
            # An endpoint does not look at the access token.
            at = access_issued_at if self._inline else -bounds.access
            sent = Message(REQUEST, 0, token, at, marker, told)
            text = "a tab sends a request with {}" if self._inline else "a tab sends {} to refresh"
            yield Step(text, token), state._replace(flight=(*state.flight, sent))
        if bounds.slow and lasts <= bounds.skew:
            sent = Message(SLOW, 0, token, -bounds.access)
            yield Step("a tab sends a slow request with {}", token), state._replace(flight=(*state.flight, sent))
        if (
            bounds.first_use
            and state.row is not None
            and not token.ended
            and lasts > 0
            and self.policy.matters(state.row, token)
        ):
            sent = Message(USE, 0, token, access_issued_at)
            yield Step("a tab sends the access token of {}", token), state._replace(flight=(*state.flight, sent))

    def _delivered(self, state: State, message: Message, rest: tuple[Message, ...]) -> tuple[Step, State]:
        jar, token = state.jar, message.token
        if message.kind != LATE and (token is None or token.ended) and jar is not None and not jar.token.ended:
            wrong = LOGOUT if self.bounds.overtaken else None
            return Step("an answer to the session before arrives", wrong=wrong), state._replace(flight=rest)
        if token is None:
            return Step("the 401 of the ended session arrives"), state._replace(flight=rest, jar=None)
        if message.kind == LATE:
            step = Step("the answer that {} was rotated arrives", token)
            if jar is None or token.ended:
                return step, state._replace(flight=rest)
            told = jar.told or token.generation == jar.token.generation
            jar = Jar(jar.token, jar.access_issued_at, message.marker or jar.marker, told)
            cause = min(state.cause, self._stall)  # the tab may try again, now
            return step, state._replace(jar=jar, flight=rest, cause=cause)
        # The marker is cleared by the answer to a request that carried it.
        jar = Jar(token, message.access_issued_at, None if message.marker is not None or jar is None else jar.marker)
        tally = state.tally
        if tally is not None and self.bounds.quiet is None and token.generation > tally.top and not token.ended:
            refreshes = min(tally.refreshes + 1, self.bounds.refreshes)
            tally = Tally(refreshes, token.generation, self._is_used(state.row, token, refreshes))
        state = State(state.row, state.lag, jar, rest, state.thief, state.ended, self._cause(jar, state.cause), tally)
        return Step(ARRIVES, token, wrong=self._lockstep(state)), state

    def _is_used(self, row: Row | None, token: Token, refreshes: int) -> bool:
        """Whether the first use of this token's access token would change nothing any more."""
        if not self.bounds.first_use or refreshes < self.bounds.used or row is None:
            return False
        return not self.policy.matters(row, token)

    # -- the server

    def _outcomes(self, state: State, token: Token, marker: Marker | None) -> Iterator[tuple[str, int, Outcome]]:
        """What the workers may say, by their clocks and by what they read first."""
        said: set[tuple[Outcome, int]] = set()
        truth = None if token.ended else state.row
        behind = state.ended if token.ended or truth is None else state.lag
        for clock in self._clocks:
            marked = marker is not None and marker.generation == token.generation and clock <= marker.until
            for seen in (truth,) if behind is None or not self.bounds.replica else (truth, behind):
                outcome = self.policy.refresh(truth, seen, token, marked, clock)
                if (outcome, clock) not in said:
                    said.add((outcome, clock))
                    yield _where(clock, seen is not truth), clock, outcome

    def _processed(self, state: State, message: Message, rest: tuple[Message, ...]) -> Iterator[tuple[Step, State]]:
        token = message.token
        if token is None:
            return
        for where, clock, outcome in self._outcomes(state, token, message.marker):
            if self._inline and clock < message.access_issued_at + self.bounds.access:
                continue  # not expired by this clock: an ordinary request
            if outcome.kind is Kind.THEFT:
                yield self._alarm(state, token, where)
                continue
            wrong = None
            answer: Message | None = None
            if outcome.kind is Kind.TOKENS:
                answer = Message(TOKENS, message.age, outcome.token, clock if self._aging else 0, message.marker)
            elif outcome.kind is Kind.LATE:
                marker = Marker(token.generation, clock + self.policy.marker_life) if self.policy.marks else None
                answer = Message(LATE, message.age, token, -self.bounds.access, marker)
                wrong = TOLD_TWICE if message.told and self._told_once else None
            elif outcome.kind is Kind.REJECTED:
                if not token.ended and state.row is not None:
                    yield Step(f"{{}} is answered with 401{where}", token, wrong=LOGOUT, ends=True), state
                    continue
                answer = Message(CLEAR, message.age, None, -self.bounds.access)
            text = {
                Kind.TOKENS: f"{{}} is answered with {{fresh}}{where}",
                Kind.LATE: f"{{}} is answered with 409, already rotated{where}",
            }.get(outcome.kind, f"{{}} is answered with 401{where}")
            step = Step(text, token, outcome.token, wrong)
            after = self._moved(state, token, outcome)
            answers = (*rest, answer) if answer is not None else rest
            if message.copy != 2:
                yield step, after._replace(flight=answers)
            # A lost request is one that was never sent; a lost answer matters where the row has changed.
            if message.copy == 2 or after is not state:
                yield step._replace(text=f"{text}, which is lost"), after._replace(flight=rest)
            if self.bounds.duplicates and message.copy == 0:
                again, copy = message._replace(copy=1), message._replace(copy=2)
                yield (
                    step._replace(text=f"{text}, which is lost; a duplicate of the request is still under way"),
                    after._replace(flight=(*rest, again)),
                )
                if len(answers) < self.bounds.tabs:
                    yield (
                        step._replace(text=f"{text}; a duplicate of the request is still under way"),
                        after._replace(flight=(*answers, copy)),
                    )

    def _asked_late(self, state: State, message: Message, rest: tuple[Message, ...]) -> Iterator[tuple[Step, State]]:
        token = message.token
        if token is None or message.age < SLOW_UNITS:
            return
        for clock in self._clocks:
            where = _where(clock, False)
            outcome = self.policy.late(None if token.ended else state.row, token, clock, clock - message.age)
            if outcome.kind is Kind.THEFT:
                yield self._alarm(state, token, where)
                continue
            if outcome.kind is Kind.REJECTED and not token.ended and state.row is not None:
                yield Step(f"{{}} is answered with 401{where}", token, wrong=LOGOUT, ends=True), state
                continue
            answers = rest
            if outcome.kind is Kind.TOKENS:
                answer = Message(TOKENS, 0, outcome.token, clock if self._aging else 0)
                answers = (*rest, answer)
            elif outcome.kind is Kind.LATE and self.policy.marks:
                marker = Marker(token.generation, clock + self.policy.marker_life)
                answers = (*rest, Message(LATE, 0, token, -self.bounds.access, marker))
            how = "is served late" if outcome.served else "asks late and is refused"
            if outcome.kind is Kind.TOKENS:
                how = "asks late and is answered with {fresh}"
            step = Step(f"{{}} {how}{where}", token, outcome.token)
            yield step, self._moved(state, token, outcome)._replace(flight=answers)

    def _used(self, state: State, message: Message, rest: tuple[Message, ...]) -> Iterator[tuple[Step, State]]:
        token = message.token
        if token is None:
            return
        for where, outcome in self._uses(state, token, message.access_issued_at):
            if outcome.kind is Kind.THEFT:
                yield self._alarm(state, token, where)
                continue
            after = self._moved(state, token, outcome)
            tally = state.tally
            if tally is not None and outcome.kind is Kind.SERVED and token.generation == tally.top:
                after = after._replace(tally=tally._replace(used=tally.refreshes >= self.bounds.used))
            after = after._replace(flight=rest)
            step = Step(f"the access token of {{}} is used{where}", token, wrong=self._lockstep(after))
            yield step, after

    def _uses(self, state: State, token: Token, access_issued_at: int) -> Iterator[tuple[str, Outcome]]:
        said: set[Outcome] = set()
        for clock in self._clocks:
            if clock >= access_issued_at + self.bounds.access:
                continue
            for seen in {state.row, state.lag if self.bounds.replica and state.lag is not None else state.row}:
                outcome = self.policy.use(state.row, seen, token, clock)
                if outcome not in said:
                    said.add(outcome)
                    yield _where(clock, seen is not state.row), outcome

    def _moved(self, state: State, token: Token, outcome: Outcome) -> State:
        if token.ended or outcome.row is state.row or outcome.row == state.row:
            return state
        tally = state.tally
        if tally is not None and self.bounds.quiet == "parent" and outcome.row is not None and state.row is not None:
            # A generation's service is counted once.
            tally = tally._replace(used=tally.used and outcome.row.generation == state.row.generation)
        return state._replace(row=outcome.row, lag=state.row if self.bounds.replica else None, tally=tally)

    def _alarm(self, state: State, token: Token, where: str) -> tuple[Step, State]:
        wrong = ALARM if state.thief is None and self.bounds.quiet != "parent" else None
        return Step(f"{{}} is theft{where}", token, wrong=wrong, ends=True), state

    # -- the thief

    def _thief(self, state: State) -> Iterator[tuple[Step, State]]:
        row, jar = state.row, state.jar
        if state.thief is None:
            if jar is not None and not jar.token.ended:
                tally = Tally(0, jar.token.generation, False)
                yield Step("the jar with {} is stolen", jar.token), state._replace(thief=(jar.token,), tally=tally)
            return
        if row is None:
            return
        for token in state.thief:
            for where, _, outcome in self._outcomes(state, token, None):
                if outcome.kind is Kind.TOKENS and outcome.token is not None:
                    moved = self._moved(state, token, outcome)
                    for kept in _kept(state.thief, outcome.token, self.bounds.hands):
                        after = moved._replace(thief=kept)
                        text = f"the thief gets {{fresh}} for {{}}{where}"
                        yield Step(text, token, outcome.token, wrong=self._lockstep(after)), after
            if self.bounds.slow:
                outcome = self.policy.late(row, token, 0, -1)
                if outcome.kind is Kind.UNCHANGED:
                    after = self._moved(state, token, outcome)
                    yield Step("the thief's {} is served late", token, wrong=self._lockstep(after)), after
            if self.bounds.first_use and self.policy.matters(row, token):
                # Of his access tokens it is not known when they end: they never do.
                for where, outcome in self._uses(state, token, 0):
                    if outcome.kind is Kind.SERVED:
                        after = self._moved(state, token, outcome)
                        text = f"the thief uses the access token of {{}}{where}"
                        yield Step(text, token, wrong=self._lockstep(after)), after

    def _quiet_thief(self, state: State) -> Iterator[tuple[Step, State]]:
        """A thief whose requests leave nothing behind that the next rotation could judge."""
        row, jar, tally = state.row, state.jar, state.tally
        if row is None:
            return
        if self.bounds.quiet == "parent":
            previous, _ = row.entries[1]
            if previous:
                token = Token(row.generation - 1, previous, 0, 0, 0, 0)
                for where, _, outcome in self._outcomes(state, token, None):
                    if outcome.served:
                        yield self._served(state, token, outcome, f"the thief shows the parent {{}}{where}")
        elif state.thief is None or tally is None:
            if jar is not None:
                tally = Tally(0, _NO_TOP, False)
                yield Step("{} is stolen", jar.token), state._replace(thief=(jar.token,), tally=tally)
        else:
            for token in state.thief:
                for clock in self._clocks:
                    for age in (0, 1):  # a socket asks after accept(), a request after its body
                        outcome = self.policy.late(row, token, clock, clock - age)
                        if outcome.served:
                            text = f"the thief's {{}} is served late{_where(clock, False)}"
                            yield self._served(state, token, outcome, text)

    def _served(self, state: State, token: Token, outcome: Outcome, text: str) -> tuple[Step, State]:
        after = self._moved(state, token, outcome)
        tally = after.tally
        if tally is None or tally.used:
            return Step(text, token), after
        if tally.refreshes >= self.bounds.most:
            return Step(text, token, wrong=SERVED_ON), after
        return Step(text, token), after._replace(tally=tally._replace(refreshes=tally.refreshes + 1, used=True))

    def _lockstep(self, state: State) -> str | None:
        """Whether the victim has refreshed as often as it takes, and the thief could still go on."""
        tally, row = state.tally, state.row
        if tally is None or row is None or not state.thief or self.bounds.quiet is not None:
            return None
        if tally.refreshes < self.bounds.refreshes and not tally.used:
            return None
        return LOCKSTEP if any(self.policy.alive(row, token) for token in state.thief) else None

    # -- the user

    def _user(self, state: State) -> Iterator[tuple[Step, State]]:
        if state.ended is not None:
            if self.policy.outlives(state.ended):
                yield Step("an access token of the ended session is served", wrong=LOGOUT_LOSES, ends=True), state
            if state.row is None:
                row, token = self.policy.first()
                jar = Jar(token, 0)
                yield Step("the user logs in: {fresh}", None, token), state._replace(row=row, jar=jar, lag=None)
            return
        flight = tuple(
            [message._replace(token=message.token and message.token._replace(ended=True)) for message in state.flight]
        )
        left = state._replace(row=None, lag=None, ended=state.row, jar=None, flight=flight)
        yield Step("the user logs out"), left
        row, token = self.policy.first()
        yield Step("the user logs in anew: {fresh}", None, token), left._replace(row=row, jar=Jar(token, 0))


def _kept(held: tuple[Token, ...], new: Token, hands: int) -> tuple[tuple[Token, ...], ...]:
    """What a thief may have in his hands afterwards. More is never worse, so that he fills them."""
    if new in held:
        return (held,)
    if len(held) < hands:
        return ((*held, new),)
    return (held, *((*held[:hand], new, *held[hand + 1 :]) for hand in range(hands)))


def _older(token: Token) -> Token:
    generation, identity, issued_at, parent, parent_issued_at, grandparent, ended = token
    return Token(generation, identity, issued_at - 1, parent, parent_issued_at - 1, grandparent, ended)


def _older_row(row: Row, longest: int, oldest: int) -> Row:
    (head, head_at), *others = row.entries
    later = [(identity, at if at == NEVER else max(at - 1, -longest)) for identity, at in others]
    entries = ((head, head_at if head_at == NEVER else head_at - 1), *later)
    served = row.served if row.served == NEVER else max(row.served - 1, oldest - 2)
    return Row(row.generation, entries, served, row.parents)


def _where(clock: int, behind: bool) -> str:
    """Which worker it was."""
    return (f" by a worker {clock * UNIT_S} s ahead" if clock else "") + (" from a replica behind" if behind else "")
