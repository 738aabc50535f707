"""How others rotate, each as a small policy, so that one sees which property each of them loses.

Sources: RFC 9700, section 4.14.2 (strict rotation); Auth0, "Refresh Token Rotation", overlap period; Ory Hydra,
"Graceful token refresh"; Supabase Auth, "Refresh token reuse detection"; supertokens-node-mysql-ref-jwt 5.0.4.
"""

from tests.rotation_model.parts import FRESH, NEVER, Row, Token
from tests.rotation_model.policies import Kind, Outcome, child_of


class Strict:
    """A token is good once; whoever shows it again is a thief."""

    name = "strict"
    marks = False
    marker_life = 0
    longest = 4

    def first(self) -> tuple[Row, Token]:
        return Row(0, ((FRESH, NEVER),)), Token(0, FRESH, 0, 0, 0, 0)

    def refresh(self, row: Row | None, seen: Row | None, token: Token, marked: bool, clock: int) -> Outcome:
        if row is None:
            return Outcome(Kind.REJECTED, row)
        if not self.alive(row, token):
            return Outcome(Kind.THEFT, row)
        return self._rotated(row, token, clock)

    def late(self, row: Row | None, token: Token, clock: int, arrived: int) -> Outcome:
        return self.refresh(row, row, token, False, clock)

    def use(self, row: Row | None, seen: Row | None, token: Token, clock: int) -> Outcome:
        return Outcome(Kind.SERVED, row)

    def matters(self, row: Row, token: Token) -> bool:
        return False

    def alive(self, row: Row, token: Token) -> bool:
        return token.id == row.entries[0][0]

    def outlives(self, row: Row) -> bool:
        return False

    def dead(self, row: Row, lag: Row | None, token: Token) -> bool:
        return not self.alive(row, token)

    def essence(self, row: Row, lag: Row | None, token: Token) -> Token:
        return Token(token.generation, token.id, 0, 0, 0, 0, token.ended)

    def essential(self, row: Row, lag: Row | None, tokens: list[Token]) -> tuple[Row, Row | None]:
        return row, None

    def _rotated(self, row: Row, token: Token, clock: int) -> Outcome:
        child = child_of(token, clock)
        return Outcome(Kind.TOKENS, Row(child.generation, ((child.id, NEVER),)), child)


class Graceful(Strict):
    """As Hydra: for a while after its first use a token is as good as new, and every child begins a chain.

    Args:
        grace: How long, in units.
    """

    name = "Hydra: grace period"

    def __init__(self, grace: int) -> None:
        self.grace = grace
        self.longest = grace + 2

    def first(self) -> tuple[Row, Token]:
        return Row(0, ((0, NEVER),)), Token(0, FRESH, 0, 0, 0, 0)

    def refresh(self, row: Row | None, seen: Row | None, token: Token, marked: bool, clock: int) -> Outcome:
        if row is None:
            return Outcome(Kind.REJECTED, row)
        used = dict(row.entries)
        if token.id in used and not self._again(row, token, clock - used[token.id]):
            return Outcome(Kind.THEFT, row)
        child = child_of(token, clock)
        entries = row.entries if token.id in used else (*row.entries, (token.id, clock))
        return Outcome(Kind.TOKENS, Row(max(row.generation, child.generation), entries), child)

    def alive(self, row: Row, token: Token) -> bool:
        used = dict(row.entries)
        return token.id not in used or self._again(row, token, -used[token.id])

    def essential(self, row: Row, lag: Row | None, tokens: list[Token]) -> tuple[Row, Row | None]:
        held = {token.id for token in tokens}
        used = tuple([entry for entry in row.entries[1:] if entry[0] in held])
        return Row(row.generation, row.entries[:1] + used), None

    def _again(self, row: Row, token: Token, ago: int) -> bool:
        return ago <= self.grace


class Overlap(Graceful):
    """As Auth0: the same, but only for the token before the newest."""

    name = "Auth0: overlap period"

    def _again(self, row: Row, token: Token, ago: int) -> bool:
        return ago <= self.grace and token.generation == row.generation - 1


class Reuse(Graceful):
    """As Supabase: the active token's parent gets the active token, others for a while its child."""

    name = "Supabase: reuse interval"

    def first(self) -> tuple[Row, Token]:
        return Row(0, ((FRESH, NEVER), (0, NEVER))), Token(0, FRESH, 0, 0, 0, 0)

    def refresh(self, row: Row | None, seen: Row | None, token: Token, marked: bool, clock: int) -> Outcome:
        if row is None:
            return Outcome(Kind.REJECTED, row)
        (active, _), (parent, _), *used = row.entries
        if token.id == parent:
            return Outcome(Kind.TOKENS, row, Token(row.generation, active, 0, 0, 0, 0))
        if token.id != active:
            rotated_at = dict(used).get(token.id, NEVER)
            if clock - rotated_at > self.grace:
                return Outcome(Kind.THEFT, row)
        entries = ((FRESH, NEVER), (active, NEVER), *used, (active, clock))
        return Outcome(Kind.TOKENS, Row(row.generation + 1, entries), Token(row.generation + 1, FRESH, 0, 0, 0, 0))

    def alive(self, row: Row, token: Token) -> bool:
        (active, _), (parent, _), *used = row.entries
        return token.id in {active, parent} or -dict(used).get(token.id, NEVER) <= self.grace

    def essential(self, row: Row, lag: Row | None, tokens: list[Token]) -> tuple[Row, Row | None]:
        held = {token.id for token in tokens} | {row.entries[0][0]}
        (parent, _) = row.entries[1]
        used = [entry for entry in row.entries[2:] if entry[0] in held]
        return Row(row.generation, (row.entries[0], (parent if parent in held else 0, NEVER), *used)), None


class Reference(Strict):
    """The reference library: a child replaces its parent when its access token is first used; siblings are orphans."""

    name = "the reference library"

    def refresh(self, row: Row | None, seen: Row | None, token: Token, marked: bool, clock: int) -> Outcome:
        if row is None:
            return Outcome(Kind.REJECTED, row)
        if not self.alive(row, token):
            return Outcome(Kind.THEFT, row)
        return Outcome(Kind.TOKENS, self._promoted(row, token), child_of(token, clock))

    def use(self, row: Row | None, seen: Row | None, token: Token, clock: int) -> Outcome:
        return Outcome(Kind.SERVED, row and self._promoted(row, token))

    def matters(self, row: Row, token: Token) -> bool:
        return token.parent == row.entries[0][0]

    def alive(self, row: Row, token: Token) -> bool:
        return row.entries[0][0] in {token.id, token.parent}

    def essence(self, row: Row, lag: Row | None, token: Token) -> Token:
        return Token(token.generation, token.id, 0, token.parent, 0, 0, token.ended)

    def _promoted(self, row: Row, token: Token) -> Row:
        return Row(token.generation, ((token.id, NEVER),)) if self.matters(row, token) else row


COMPARED = (Strict(), Overlap(2), Graceful(2), Reuse(1), Reference())
"""With an overlap, a grace period and a reuse interval that are generous for what their makers recommend."""
