"""A refresh against whatever ends the session, statement by statement, in every order: the end always wins."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from asgi_sessions.protocol.refresh_token import RefreshToken
from asgi_sessions.store.session_row import ERASED
from tests.races.cluster import Cluster, Pair, Row, Violation, Worker, must, pair_in
from tests.races.schedules import Schedule, Step, all_schedules, interleave
from tests.races.stories import Story, tell
from tests.security.browser import Answer

Act = Callable[[Worker, Story], Awaitable[Answer | None]]


@dataclass(frozen=True)
class Refresh:
    """One way to refresh.

    Attributes:
        kind: Of the token that is presented.
        act: The request.
    """

    kind: str
    act: Act


@dataclass(frozen=True)
class Ending:
    """One way to end a session.

    Attributes:
        act: The request, or the call.
        reasons: What the tombstone may say.
        alarms: How many thefts are recorded.
        begins: Whether it begins the next session.
        same_jar: Whether that one is in the same cookie jar.
        erases: Whether it takes away what is personal in the tombstone.
    """

    act: Act
    reasons: frozenset[str]
    alarms: int = 0
    begins: bool = False
    same_jar: bool = False
    erases: bool = False


async def _refresh(worker: Worker, story: Story) -> Answer:
    return await worker.refresh(story.presented.refresh)


async def _inline(worker: Worker, story: Story) -> Answer:
    return await worker.send("GET", "/me", story.presented.cookies)


async def _log_out(worker: Worker, story: Story) -> Answer:
    return await worker.send("POST", "/logout", story.presented.cookies)


async def _sign_out(worker: Worker, story: Story) -> Answer:
    return await worker.send("POST", "/auth/signout", story.presented.cookies)


async def _by_handle(worker: Worker, story: Story) -> None:
    must(await worker.manager.revoke_session_using_session_handle(story.handle), "revoking found no live session")


async def _by_handles(worker: Worker, story: Story) -> None:
    must(await worker.manager.revoke_multiple_sessions([story.handle]) == 1, "revoking found no live session")


async def _all_of_user(worker: Worker, story: Story) -> None:
    must(await worker.manager.revoke_all_sessions_for_user(story.user) == 1, "revoking found no live session")


async def _erase(worker: Worker, story: Story) -> None:
    must(await worker.manager.erase_user(story.user) == 1, "erasing found no session")


async def _log_in_again(worker: Worker, story: Story) -> Answer:
    return await worker.send("POST", f"/login/{story.user}", story.presented.cookies)


async def _log_in_elsewhere(worker: Worker, story: Story) -> Answer:
    return await worker.send("POST", f"/login/{story.user}", [])


async def _steal(worker: Worker, story: Story) -> Answer:
    # A token of generation 0 that the row has never seen: only somebody with a copy of its elder could hold it.
    codec = worker.manager.lifecycle.keys.refresh_tokens
    return await worker.refresh(codec.encode(RefreshToken.first(story.handle, story.clock.present - 1)))


REFRESHES: dict[str, Refresh] = {
    "generation 0": Refresh("generation 0", _refresh),
    "head": Refresh("head", _refresh),
    "child": Refresh("child", _refresh),
    "sibling": Refresh("sibling", _refresh),
    "child of a sibling": Refresh("child of a sibling", _refresh),
    "young child": Refresh("young child", _refresh),
    "twin": Refresh("twin", _refresh),
    "late parent": Refresh("late parent", _refresh),
    "inline": Refresh("expired child", _inline),
}

_LOGOUT = frozenset({"logout"})

ENDINGS: dict[str, Ending] = {
    "revoke_session": Ending(_log_out, _LOGOUT),
    "sign-out": Ending(_sign_out, _LOGOUT),
    "by handle": Ending(_by_handle, _LOGOUT),
    "by handles": Ending(_by_handles, _LOGOUT),
    "all of the user": Ending(_all_of_user, frozenset({"logout_all"})),
    "erasure": Ending(_erase, frozenset({"erased"}), erases=True),
    "another login": Ending(_log_in_again, frozenset({"replaced"}), begins=True, same_jar=True),
    "theft": Ending(_steal, frozenset({"theft"}), alarms=1),
}


@dataclass(frozen=True)
class Profile:
    """Settings, and what races under them."""

    settings: Mapping[str, Any]
    refreshes: Mapping[str, Refresh]
    endings: Mapping[str, Ending]


PROFILES: dict[str, Profile] = {
    "default settings": Profile({}, REFRESHES, ENDINGS),
    'promote_on="first_use"': Profile(
        {"promote_on": "first_use"},
        {"first use": Refresh("young child", _inline), "refresh before it": Refresh("child", _refresh)},
        ENDINGS,
    ),
    "max_sessions_per_user=1": Profile(
        {"max_sessions_per_user": 1},
        {"child": REFRESHES["child"], "inline": REFRESHES["inline"]},
        {"login elsewhere": Ending(_log_in_elsewhere, frozenset({"evicted"}), begins=True)},
    ),
}


@dataclass
class Rows:
    """The row after each write."""

    cluster: Cluster
    handle: str
    seen: list[Row | None] = field(default_factory=list)
    _looked: int = 0

    async def look(self, steps: Sequence[Step]) -> None:
        if any(step.kind != "read" for step in steps[self._looked :]) or not self.seen:
            self.seen.append(await self.cluster.row(self.handle))
        self._looked = len(steps)


async def race(cluster: Cluster, refresh: Refresh, ending: Ending, *, stops_after: bool) -> int:
    """Run a refresh and an ending in every order of their statements.

    Returns:
        In how many orders.

    Raises:
        Violation: With the order in which it happened.
    """
    count = 0
    for schedule in all_schedules():
        story = await tell(refresh.kind, cluster.workers[0].manager, cluster.clock)
        steps: list[Step] = []
        try:
            await _run(cluster, story, refresh, ending, schedule, steps, stops_after=stops_after)
        except Violation as violation:
            order = ", ".join(map(str, steps))
            raise Violation(f"{violation}. The order: {order}") from violation
        count += 1
    return count


async def _run(
    cluster: Cluster,
    story: Story,
    refresh: Refresh,
    ending: Ending,
    schedule: Schedule,
    steps: list[Step],
    *,
    stops_after: bool,
) -> None:
    one, other = cluster.workers[:2]
    rows = Rows(cluster, story.handle)
    await rows.look(())

    async def look(so_far: Sequence[Step]) -> None:
        steps[:] = so_far
        await rows.look(so_far)

    acts: dict[str, Callable[[], Awaitable[Answer | None]]] = {
        "refresh": lambda: refresh.act(one, story),
        "end": lambda: ending.act(other, story),
    }
    (refreshed, ended), _ = await interleave(schedule, acts, stops_after=stops_after, look=look)
    tombstone = _tombstone(rows.seen, ending)
    issued = [pair for answer in (refreshed, ended) if answer is not None and (pair := pair_in(answer)) is not None]
    _check_answers(refreshed, ended, steps, ending)
    must(cluster.alarms == [story.handle] * ending.alarms, f"{len(cluster.alarms)} alarms")
    cluster.alarms.clear()
    if ending.begins:
        await _new_session_stands(cluster, issued.pop())
    await nothing_resurrects(cluster, [*story.pairs, *issued])
    left = await cluster.row(story.handle) or {}
    must(_lasting(left, ending) == _lasting(tombstone, ending), "the row changed after its session had ended")
    must(not ending.erases or {name: left[name] for name in ERASED} == ERASED, "something personal is left")


def _lasting(row: Row, ending: Ending) -> Row:
    """What nothing may change in a tombstone."""
    return {name: value for name, value in row.items() if not (ending.erases and name in ERASED)}


def _tombstone(seen: list[Row | None], ending: Ending) -> Row:
    """The row's history makes sense, and ends with the tombstone that it got first."""
    tombstone: Row | None = None
    promotions = 0
    for before, after in pairwise(seen):
        if before is None or after is None:
            raise Violation("the row is gone")
        promotions += after["gen"] - before["gen"]
        must(0 <= promotions <= 1, "the chain jumped, or there was more than one promotion")
        if tombstone is None and after["revoked_at"] is not None:
            must(after["gen"] == before["gen"], "a promotion and a tombstone in one")
            tombstone = after
        elif tombstone is not None:
            must(_lasting(after, ending) == _lasting(tombstone, ending), "the row changed after its session had ended")
    if tombstone is None:
        raise Violation("the session has not ended")
    must(tombstone["revoked_reason"] in ending.reasons, f"the reason is {tombstone['revoked_reason']}")
    return tombstone


def _check_answers(refreshed: Answer | None, ended: Answer | None, steps: list[Step], ending: Ending) -> None:
    mine = [step for step in steps if step.side == "refresh"]
    if refreshed is not None:
        must(refreshed.status in {200, 401, 409}, f"the refresh is answered {refreshed.status}")
        must(refreshed.code in {None, "unauthorised", "already_rotated"}, f"the refresh is answered {refreshed.code}")
        lost = [number for number, step in enumerate(mine) if step.kind == "promote" and step.matched == 0]
        if refreshed.status == 200 and lost:
            must(any(step.kind == "read" for step in mine[lost[-1] :]), "tokens after a lost promotion, unread")
        first_end = next(n for n, step in enumerate(steps) if step.kind == "revoke" and step.matched == 1)
        deciding = [n for n, step in enumerate(steps) if step.side == "refresh" and _decides(step)]
        if refreshed.status != 401:
            must(deciding and deciding[-1] < first_end, f"{refreshed.status} decided after the session had ended")
        if ending.same_jar:
            must(not refreshed.cleared, "the refresh clears the next session's cookies")
    if ended is not None:
        must(ended.status == (401 if ending.alarms else 200), f"the end is answered {ended.status} {ended.code}")


def _decides(step: Step) -> bool:
    return step.kind == "read" or (step.kind == "promote" and step.matched == 1)


async def nothing_resurrects(cluster: Cluster, pairs: Sequence[Pair]) -> None:
    for worker in cluster.workers:
        for pair in pairs:
            for answer in await worker.refused(pair):
                must(answer.status == 401, f"a token of an ended session is answered {answer.status}")
                must(answer.code in {"unauthorised", "try_refresh_token"}, f"and with {answer.code}")
                must(not answer.set_values, "a token of an ended session gets cookies")
    must(not cluster.alarms, "an alarm about a session that has ended")


async def _new_session_stands(cluster: Cluster, pair: Pair) -> None:
    for worker in cluster.workers:
        answer = await worker.send("GET", "/me", pair.cookies)
        must(answer.status == 200, f"the next session is answered {answer.status}")
