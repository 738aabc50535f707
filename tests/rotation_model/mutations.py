"""What somebody might do to the decision, each as the policy that would come of it."""

from dataclasses import replace

from asgi_sessions.protocol.rotation import Chain, Lineage, Verdict, Windows, decide
from tests.rotation_model.parts import Row, Token
from tests.rotation_model.policies import Numbers, Ours


def without_siblings(
    presented: Lineage, stored: Chain, *, now: int, windows: Windows, retried: bool = False
) -> Verdict:
    """One child per parent; any other is a fork."""
    verdict = decide(presented, stored, now=now, windows=windows, retried=retried)
    if verdict is Verdict.SIBLING:
        return Verdict.FORK
    if verdict is Verdict.CHILD and presented.parent_hash != stored.current_hash:
        return Verdict.STALE
    return verdict


def by_time(presented: Lineage, stored: Chain, *, now: int, windows: Windows, retried: bool = False) -> Verdict:
    """The later token is the next generation, the earlier one the one before."""
    later = presented.issued_at - stored.current_issued_at
    ahead = (later > 0) - (later < 0)
    return decide(
        replace(presented, generation=stored.generation + ahead), stored, now=now, windows=windows, retried=retried
    )


def any_sibling(presented: Lineage, stored: Chain, *, now: int, windows: Windows, retried: bool = False) -> Verdict:
    """A sibling by its time alone, whoever its parent is."""
    verdict = decide(presented, stored, now=now, windows=windows, retried=retried)
    if verdict is not Verdict.STALE:
        return verdict
    ahead = presented.generation - stored.generation
    issued_at = presented.issued_at if ahead == 0 else presented.parent_issued_at
    if ahead not in {0, 1} or issued_at is None or abs(issued_at - stored.current_issued_at) > windows.sibling:
        return verdict
    return Verdict.CHILD if ahead else Verdict.SIBLING


class Unabridged(Ours):
    """With every state told in full: for servers by which a token can come to life again, and old times matter."""

    def dead(self, row: Row, lag: Row | None, token: Token) -> bool:
        return False

    def essence(self, row: Row, lag: Row | None, token: Token) -> Token:
        return token

    def essential(self, row: Row, lag: Row | None, tokens: list[Token]) -> tuple[Row, Row | None]:
        return row, lag


def mutations(numbers: Numbers) -> dict[str, Ours]:
    """The product's policy, mutated, by what was done to it."""
    return {
        "no sibling rule": Ours(numbers, decide=without_siblings),
        "no twins": Ours(numbers._replace(young=0)),
        "a sibling window of 30 s": Ours(numbers._replace(window=1)),
        "the marker is never set": Ours(numbers, marks=False),
        "the marker ends with its window": Ours(numbers, marker_life=numbers.late),
        "a sibling by its time alone": Unabridged(numbers, decide=any_sibling),
        "times instead of generations": Unabridged(numbers, decide=by_time),
        "a late parent is theft": Ours(numbers._replace(late=0)),
        "deleted instead of a tombstone": Ours(numbers, tombstones=False),
        "judged on the first read": Ours(numbers, reads_again=False),
    }
