"""What came of a run, and what it proves."""

from collections import Counter
from dataclasses import dataclass
from enum import Enum

from tests.simulation.plan import Plan

COUNTED = (
    "requests",
    "refreshes asked for",
    "409",
    "409 acted on",
    "told to refresh again",
    "late parents",
    "lost requests",
    "lost answers",
    "repeated requests",
    "overtaken answers",
    "5xx",
    "unauthorised",
    "token_theft_detected",
)
LEAST_REFRESHES = 3
WORKERS = 2


class Verdict(Enum):
    CLEAN = "clean"
    """No alarm, no logout, no 5xx, though all happened that might have led to one."""
    FAILED = "FAILED"
    """One of these, in a session whose round trips were all as short as rotation asks for."""
    INCONCLUSIVE = "inconclusive"
    """One of these, but only where the machine stalled for longer than rotation promises to bear with; or none, but
    too little happened."""


@dataclass(frozen=True, slots=True)
class Report:
    """The figures.

    Attributes:
        plan: What was run.
        counts: What the network and the browsers have counted.
        alive: How many sessions answered with their user at the end.
        revoked: How many rows are revoked in the database.
        alarms: How many ``session.theft`` records all workers have written.
        refreshes: How many ``session.refreshed`` records each session has.
        generations: Of each session's row.
        failures: What went wrong, by jar.
        longest: The longest round trip of each jar, seconds.
        workers: How many of them have answered.
        tracebacks: In the server's log.
        seconds: How long the run took.
    """

    plan: Plan
    counts: Counter[str]
    alive: int
    revoked: int
    alarms: int
    refreshes: list[int]
    generations: list[int]
    failures: dict[int, list[str]]
    longest: dict[int, float]
    workers: int
    tracebacks: int
    seconds: float

    @property
    def beyond(self) -> set[int]:
        """The jars with a round trip that was longer than rotation promises to bear with."""
        return {jar for jar, seconds in self.longest.items() if seconds * 1000 > self.plan.lifetimes.round_trip}

    @property
    def missing(self) -> list[str]:
        """What should have happened and did not: without it the run proves little."""
        wanted = ["lost requests", "lost answers", "repeated requests", "overtaken answers"]
        if self.plan.refresh == "endpoint":
            wanted += ["refreshes asked for", "409 acted on"]
        elif self.plan.promote_on == "first_use":
            # Else a parent would have to be under way for as long as its child's access token lives.
            wanted.append("late parents")
        missing = [name for name in wanted if not self.counts[name]]
        if min(self.refreshes) < LEAST_REFRESHES:
            missing.append(f"{LEAST_REFRESHES} refreshes in each session")
        if self.workers != WORKERS:
            missing.append("every worker's answers")
        return missing

    @property
    def verdict(self) -> Verdict:
        if set(self.failures) - self.beyond or self.tracebacks:
            return Verdict.FAILED
        if self.failures:
            return Verdict.INCONCLUSIVE
        # Whatever else looks wrong belongs to no jar, so that nothing excuses it.
        if self.alarms or self.revoked or self.counts["5xx"] or self.alive != self.plan.sessions:
            return Verdict.FAILED
        return Verdict.INCONCLUSIVE if self.missing else Verdict.CLEAN

    def __str__(self) -> str:
        numbers = sorted(self.refreshes)
        worst = max(self.longest.values()) * 1000
        bound = self.plan.lifetimes.round_trip
        lines = [f"{name}: {self.counts[name]:,}" for name in COUNTED]
        lines += [
            f"refreshes: {sum(numbers):,}; in each session at least {numbers[0]}, in half {numbers[len(numbers) // 2]}",
            f"generations moved: {sum(self.generations):,}",
            f"alarms in the log: {self.alarms}; revoked rows: {self.revoked}; tracebacks: {self.tracebacks}",
            f"sessions alive at the end: {self.alive:,} of {self.plan.sessions:,}; failures in {len(self.failures):,}",
            f"logouts: {self.plan.sessions - self.alive:,}",
            f"longest round trip: {worst:.0f} ms; in {len(self.beyond):,} sessions beyond the {bound} ms promised",
            f"workers: {self.workers}; {self.seconds:.0f} s, access tokens of {self.plan.lifetimes.access} ms",
        ]
        # Those with the least excuse first.
        for jar, what in sorted(self.failures.items(), key=lambda item: self.longest.get(item[0], 0.0))[:5]:
            longest = f"longest round trip {self.longest.get(jar, 0.0) * 1000:.0f} ms"
            lines.append(f"jar {jar}, {longest}: {'; '.join(what[:5])}")
        if self.missing:
            lines.append(f"missing: {', '.join(self.missing)}")
        return "\n".join([*lines, self.verdict.value])
