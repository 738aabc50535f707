"""What somebody might do to the decision, each as the policy that would come of it."""

from dataclasses import replace

from asgi_sessions.protocol.rotation import Chain, Lineage, Served, Service, Verdict, Windows, decide, serve
from tests.rotation_model.parts import Row, Token
from tests.rotation_model.policies import Numbers, Ours, Outcome


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


def serve_always(verdict: Verdict, stored: Chain, served: Served, *, arrived_at: int, lasts: int) -> Service:
    """Whoever asks late is served, as long as his token is the session's own."""
    return serve(verdict, stored, Served(), arrived_at=arrived_at, lasts=lasts)


def serve_from_the_last(verdict: Verdict, stored: Chain, served: Served, *, arrived_at: int, lasts: int) -> Service:
    """The time that one service lasts is counted from the last one."""
    service = serve(verdict, stored, served, arrived_at=arrived_at, lasts=lasts)
    return Service.BEGINS if service is Service.GOES_ON else service


def serve_every_parent(verdict: Verdict, stored: Chain, served: Served, *, arrived_at: int, lasts: int) -> Service:
    """A parent is served once at each generation, however many there have been."""
    return serve(verdict, stored, replace(served, parents=0), arrived_at=arrived_at, lasts=lasts)


class ServesChildren(Ours):
    """A child that asks late is taken for the current token: nothing is promoted."""

    def late(self, row: Row | None, token: Token, clock: int, arrived: int) -> Outcome:
        if row is not None and self.judge(row, token, clock) is Verdict.CHILD:
            return self._served(row, token, Verdict.HEAD, clock, arrived)
        return super().late(row, token, clock, arrived)


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
        "who asks late gets tokens": Unabridged(numbers, issues_late=True),
        "who asks late is accused": Ours(numbers, accuses_late=True),
        "who asks late is always served": Ours(numbers, counts=True, serve=serve_always),
        "each service begins anew": Ours(numbers, counts=True, serve=serve_from_the_last),
        "who asks late promotes nothing": ServesChildren(numbers, counts=True),
        "a parent at every generation": Ours(numbers, counts=True, serve=serve_every_parent),
        "a promotion forgets the parents": Ours(numbers, counts=True, forgets=True),
    }
