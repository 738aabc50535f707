"""One form for states that no future can tell apart, so that an endless world has finitely many of them.

Ids are numbered in the order of their appearance, generations count from a row that has at most generation 3, what
lies further back than any decision looks is moved closer, and tokens that can only be theft are one token.
"""

from operator import eq
from typing import TypeAlias

from tests.rotation_model.parts import NEVER, Jar, Marker, Message, Row, State, Tally, Token
from tests.rotation_model.policies import Policy

DEAD = Token(-9, 0, 0, 0, 0, 0)
"""Any token that no read will ever again answer with anything but theft."""
DEAD_AND_ENDED = DEAD._replace(ended=True)
"""Likewise, of the session before: its tombstone has answered it for ever, and so would an older read."""

Rows: TypeAlias = tuple[Row | None, Row | None, Row | None]
"""The truth, the row before the last promotion, and that of the session before."""

_TOP = 1
"""A row's generations from here on look alike. Before it, 0: it has no parent, and its token is exempt from twins."""

_PAST = -5
"""A generation that no token has which still counts."""


class Canonical:
    """Puts states into their canonical form.

    Args:
        policy: Whose states.
    """

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._slimmed: dict[tuple[Token, Row, Row | None], Token] = {}

    def __call__(self, state: State) -> State:
        row, lag, jar, flight, thief, ended, cause, tally = state
        policy = self._policy
        if row is not None or ended is not None:
            rows = row, lag, ended
            jar = jar and self._slim_jar(jar, rows)
            flight = tuple([self._slim_message(message, rows) for message in flight])
            if thief:
                hands = [self._slim(token, rows) for token in thief]
                thief = tuple([token for token in hands if token is not DEAD])
        tokens: list[Token] = [] if jar is None else [jar.token]
        tokens += [message.token for message in flight if message.token is not None]
        if thief:
            tokens += thief
        if row is not None:
            row, lag = policy.essential(row, lag, tokens)
        if ended is not None:
            ended, _ = policy.essential(ended, None, tokens)

        # Ids: the row's first, then the jar's; messages are sorted by what is known of them without fresh ids.
        ids: dict[int, int] = {0: 0}
        for entries in (row and row.entries, lag and lag.entries, ended and ended.entries):
            for identity, _ in entries or ():
                ids.setdefault(identity, len(ids))
        if jar is not None:
            _name(ids, jar.token)
        if len(flight) > 1:
            flight = tuple(sorted(flight, key=lambda message: _shape(message, ids)))
        for message in flight:
            if message.token is not None:
                _name(ids, message.token)
        if thief:
            if len(thief) > 1:
                thief = tuple(sorted(thief, key=lambda token: (*token[:1], token[2], ids.get(token[1], 99), token)))
            for token in thief:
                _name(ids, token)

        times = self._times((row, lag, ended), tokens)
        # A row that is read one promotion late still answers the token before, so that this must not look like 0.
        shift = max(row.generation - _TOP - (lag is not None), 0) if row is not None else 0
        old_shift = max(ended.generation - _TOP, 0) if ended is not None else 0

        if not shift and not old_shift and times is None and all(map(eq, ids, ids.values())):
            return State(row, lag, jar, flight, thief, ended, cause, tally)
        at = times or _Unchanged()

        def named(token: Token) -> Token:
            generation, identity, issued_at, parent, parent_issued_at, grandparent, old = token
            return Token(
                generation if generation == DEAD.generation else generation - (old_shift if old else shift),
                ids[identity],
                at[issued_at],
                ids[parent],
                at[parent_issued_at],
                ids[grandparent],
                old,
            )

        def marked(marker: Marker | None) -> Marker | None:
            return marker and Marker(max(marker.generation - shift, _PAST), marker.until)

        def described(which: Row | None, by: int) -> Row | None:
            if which is None:
                return None
            (head, head_at), *others = which.entries
            renamed = [(ids[identity], then) for identity, then in others]
            return Row(which.generation - by, ((ids[head], at[head_at]), *renamed), which.served, which.parents)

        return State(
            described(row, shift),
            described(lag, shift),
            jar and Jar(named(jar.token), jar.access_issued_at, marked(jar.marker), jar.told),
            tuple(
                [
                    Message(kind, age, token and named(token), access_issued_at, marked(marker), told, copy)
                    for kind, age, token, access_issued_at, marker, told, copy in flight
                ]
            ),
            thief and tuple([named(token) for token in thief]),
            described(ended, old_shift),
            cause,
            tally and Tally(tally.refreshes, max(tally.top - shift, _PAST), tally.used),
        )

    def _slim(self, token: Token, rows: Rows) -> Token:
        row, lag, ended = rows
        if token.ended:
            row, lag = ended, None
        if row is None:
            return token
        question = token, row, lag
        slim = self._slimmed.get(question)
        if slim is None:
            if self._policy.dead(row, lag, token):
                slim = DEAD_AND_ENDED if token.ended else DEAD
            else:
                slim = self._policy.essence(row, lag, token)
            self._slimmed[question] = slim
        return slim

    def _slim_jar(self, jar: Jar, rows: Rows) -> Jar:
        return Jar(self._slim(jar.token, rows), jar.access_issued_at, _valid(jar.marker), jar.told)

    def _slim_message(self, message: Message, rows: Rows) -> Message:
        kind, age, token, access_issued_at, marker, told, copy = message
        token = token and self._slim(token, rows)
        return Message(kind, age, token, access_issued_at, _valid(marker), told, copy)

    def _times(self, rows: tuple[Row | None, ...], tokens: list[Token]) -> dict[int, int] | None:
        """Issue times by what they become: the gaps between them that no decision can measure are closed."""
        known = {0, 1}
        known.update([row.entries[0][1] for row in rows if row is not None and row.entries[0][1] != NEVER])
        for token in tokens:
            known.add(token.issued_at)
            known.add(token.parent_issued_at)
        longest = self._policy.longest
        if min(known) >= -longest:
            return None
        times = {NEVER: NEVER}
        later = new = 1
        for time in sorted(known, reverse=True):
            new -= min(later - time, longest)
            times[time] = new
            later = time
        return times


class _Unchanged(dict[int, int]):
    """Times that stay as they are."""

    def __missing__(self, time: int) -> int:
        return time


def _valid(marker: Marker | None) -> Marker | None:
    return None if marker is None or marker.until < 0 else marker


def _name(ids: dict[int, int], token: Token) -> None:
    for identity in (token.id, token.parent, token.grandparent):
        if identity not in ids:
            ids[identity] = len(ids)


def _shape(message: Message, ids: dict[int, int]) -> tuple[int, ...]:
    token, marker = message.token, message.marker
    about = (
        (token.ended, token.generation, token.issued_at, ids.get(token.id, 99), ids.get(token.parent, 99), token.id)
        if token is not None
        else ()
    )
    until = -NEVER if marker is None else marker.until
    return (message.kind, message.age, message.copy, message.told, message.access_issued_at, until, *about)


def packed(state: State) -> bytes:
    """A canonical state in few bytes, different for different states."""
    return bytes(_numbers(state))


def _numbers(state: State) -> list[int]:
    # Written out flat, None as 255 and a length before whatever may be longer or shorter.
    row, lag, jar, flight, thief, ended, cause, tally = state
    out: list[int] = [cause]
    for which in (row, lag, ended):
        if which is None:
            out.append(255)
        else:
            out.append(which.generation)
            out.append(which.served + 100)
            out.append(which.parents)
            out.append(len(which.entries))
            for identity, at in which.entries:
                out.append(identity)
                out.append(at + 100)
    if jar is None:
        out.append(255)
    else:
        _token(out, jar.token)
        out.append(jar.access_issued_at + 100)
        out.append(jar.told)
        _marker(out, jar.marker)
    out.append(len(flight))
    for kind, age, token, access_issued_at, marker, told, copy in flight:
        out.append(kind * 16 + age)
        if token is None:
            out.append(255)
        else:
            _token(out, token)
        out.append(access_issued_at + 100)
        out.append(told + 2 * copy)
        _marker(out, marker)
    if thief is None:
        out.append(255)
    else:
        out.append(len(thief))
        for token in thief:
            _token(out, token)
    if tally is not None:
        out += (tally.refreshes, tally.top + 100, tally.used)
    return out


def _token(out: list[int], token: Token) -> None:
    generation, identity, issued_at, parent, parent_issued_at, grandparent, ended = token
    out += (generation + 100, identity, issued_at + 100, parent, parent_issued_at + 100, grandparent, ended)


def _marker(out: list[int], marker: Marker | None) -> None:
    if marker is None:
        out.append(255)
    else:
        out.append(marker.generation + 100)
        out.append(marker.until + 100)
