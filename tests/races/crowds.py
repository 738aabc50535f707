"""Many refreshes with one token at the same time."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import cycle
from typing import Protocol

from asgi_sessions.protocol.rotation import Lineage, Verdict, Windows, decide
from asgi_sessions.store.engine import Outcome
from tests.races.cluster import Cluster, Pair, Violation, must, pair_in
from tests.races.stories import PROMOTES, Story, tell
from tests.races.watching import promotions, watcher
from tests.security.browser import Answer

SIZE = 100
GOOD = {Verdict.HEAD, Verdict.SIBLING, Verdict.CHILD}
LATER = 250
"""Seconds after which what was handed out is young no more."""


class Meeting:
    """Each of a crowd waits before its first write until all others have come as far: all have read the same row."""

    def __init__(self, size: int) -> None:
        self._missing = size
        self._complete = asyncio.Event()

    def arrive(self) -> None:
        self._missing -= 1
        if self._missing == 0:
            self._complete.set()

    async def wait(self) -> None:
        self.arrive()
        await self._complete.wait()


@dataclass
class Member:
    """One of a crowd."""

    meeting: Meeting | None
    waited: bool = field(default=False, init=False)

    async def before(self, kind: str) -> None:
        if self.meeting is not None and kind != "read" and not self.waited:
            self.waited = True
            await self.meeting.wait()

    async def after(self, kind: str, outcome: Outcome) -> None: ...

    async def act(self, request: Callable[[], Awaitable[Answer]]) -> Answer:
        watcher.set(self)
        try:
            return await request()
        finally:
            if self.meeting is not None and not self.waited:
                self.meeting.arrive()


class Crowd(Protocol):
    """A way to refresh with many tokens at once."""

    async def present(self, tokens: Sequence[str], contended: str | None) -> tuple[list[Answer], list[int]]:
        """Refresh with all these tokens at once.

        Args:
            tokens: One for each member.
            contended: The session whose promotion they contend for, if they do.

        Returns:
            The answers, and how many rows each promotion matched.
        """


@dataclass(frozen=True)
class InOneProcess:
    """A crowd that is spread over the workers of a cluster.

    Attributes:
        cluster: The workers.
        meets: Whether the members wait for each other between their reads and their writes.
    """

    cluster: Cluster
    meets: bool = True

    async def present(self, tokens: Sequence[str], contended: str | None) -> tuple[list[Answer], list[int]]:
        meeting = Meeting(len(tokens)) if self.meets else None
        members = (
            Member(meeting).act(partial(worker.refresh, token))
            for worker, token in zip(cycle(self.cluster.workers), tokens, strict=False)
        )
        with promotions() as counts:
            answers = await asyncio.gather(*(asyncio.create_task(member) for member in members))
        return answers, counts


def statuses(answers: Sequence[Answer]) -> dict[int, int]:
    found = [answer.status for answer in answers]
    return {status: found.count(status) for status in sorted(set(found))}


async def race(cluster: Cluster, kind: str, crowd: Crowd, *, size: int = SIZE) -> str:
    """Present one token many times at once, then all that was handed out, until the chain has moved.

    Args:
        cluster: Looks at the rows, and presents what follows.
        kind: Of the token; see `STORIES`.
        crowd: Presents the token.
        size: Of the crowd.

    Returns:
        What happened, in a line.

    Raises:
        Violation: Not exactly one promotion; an alarm; a server error; an answer that the table does not give.
    """
    story = await tell(kind, cluster.workers[0].manager, cluster.clock)
    before = await cluster.live_row(story.handle)
    moved = int(kind in PROMOTES)
    answers, counts = await crowd.present([story.presented.refresh] * size, story.handle if moved else None)
    expected = {409: size} if kind == "late parent" else {200: size}
    must(statuses(answers) == expected, f"{kind}: answered {statuses(answers)} instead of {expected}")
    await _moved_by(cluster, story, before.gen, moved, counts)
    pairs = [pair for answer in answers if (pair := pair_in(answer)) is not None]
    must(len(pairs) == expected.get(200, 0), f"{kind}: {len(pairs)} pairs handed out")
    must(len({pair.refresh for pair in pairs}) == len(pairs), f"{kind}: a refresh token was handed out twice")
    line = f"{kind}: {size} at once, {statuses(answers)}, {len(counts)} tried to promote, {sum(counts)} did"
    if not pairs:  # the parent's jar holds the newest pair by now
        pairs = [story.pairs[-1]] * size
    return f"{line}; then {await _what_follows(cluster, story, pairs)}"


async def _what_follows(cluster: Cluster, story: Story, pairs: list[Pair]) -> str:
    """All that was handed out is good: present it when it is young no more, and exactly one promotion follows."""
    for turn in range(1, 4):
        cluster.clock.at(turn * LATER)
        row = await cluster.live_row(story.handle)
        windows = _windows(cluster)
        verdicts = [
            decide(await _lineage(cluster, pair), row.chain, now=cluster.clock(), windows=windows) for pair in pairs
        ]
        must(set(verdicts) <= GOOD, f"handed out, and now {sorted({verdict.name for verdict in verdicts})}")
        answers, counts = await InOneProcess(cluster).present([pair.refresh for pair in pairs], None)
        must(statuses(answers) == {200: len(pairs)}, f"what was handed out is answered {statuses(answers)}")
        children = Verdict.CHILD in verdicts
        await _moved_by(cluster, story, row.gen, int(children), counts)
        presented, pairs = pairs, [pair for answer in answers if (pair := pair_in(answer)) is not None]
        if children:
            await _explained(cluster, story, [*story.pairs, *presented[:10], *pairs[:10]])
            return f"{len(presented)} of theirs at once, {len(counts)} tried, {sum(counts)} did"
        pairs = [pairs[-1]] * (len(pairs) // 5)  # one jar keeps the last answer; the others' children would be a fork
    raise Violation("nothing was promoted in three turns")


async def _explained(cluster: Cluster, story: Story, pairs: list[Pair]) -> None:
    """Each token gets what the decision table says; those that would be theft are left out, but for the last one."""
    status = {Verdict.LATE_PARENT: 409, Verdict.FUTURE: 401, **dict.fromkeys(GOOD, 200)}
    stale: list[Pair] = []
    for number, pair in enumerate(pairs):
        row = await cluster.live_row(story.handle)
        lineage = await _lineage(cluster, pair)
        verdict = decide(lineage, row.chain, now=cluster.clock(), windows=_windows(cluster))
        if verdict not in status:
            stale.append(pair)
            continue
        answer = await cluster.workers[number % len(cluster.workers)].refresh(pair.refresh)
        must(answer.status == status[verdict], f"{verdict.name} is answered {answer.status} {answer.code}")
    must(not cluster.alarms, "an alarm, and nobody has presented a stale token")
    if stale:
        answer = await cluster.workers[0].refresh(stale[0].refresh)
        must(answer.code == "token_theft_detected", f"a stale token is answered {answer.status} {answer.code}")
        must(cluster.alarms == [story.handle], "the alarm is not recorded exactly once")
        cluster.alarms.clear()


async def _moved_by(cluster: Cluster, story: Story, gen: int, moved: int, counts: list[int]) -> None:
    row = await cluster.live_row(story.handle)
    must(row.gen - gen == moved, f"the chain moved by {row.gen - gen} instead of {moved}")
    must(sum(counts) == moved, f"{sum(counts)} promotions instead of {moved}")
    must(row.revoked_at is None, "the session was revoked")
    must(not cluster.alarms, "an alarm")


async def _lineage(cluster: Cluster, pair: Pair) -> Lineage:
    token = await cluster.workers[0].manager.lifecycle.refresher.authentic(pair.refresh)
    if token is None:
        raise Violation("a refresh token that was handed out is not authentic")
    return token.lineage


def _windows(cluster: Cluster) -> Windows:
    settings = cluster.workers[0].manager.settings
    return Windows(sibling=settings.sibling_window_ms, late_parent=settings.late_parent_window_ms)
