"""What the load generator has seen: latencies by kind of request, and every answer that should not have come."""

from array import array
from collections import Counter, defaultdict
from collections.abc import Mapping
from statistics import quantiles
from typing import Any

__all__ = ["KINDS", "Journal"]

KINDS = ("public", "request", "refreshing request", "devices", "login", "logout", "logout everywhere", "after logout")
"""``refreshing request``: one whose answer brought new tokens. ``after logout``: one with a copy of the cookies of
a session that ended some time before; 401 is the right answer."""


class Journal:
    """Of one phase.

    Attributes:
        unexpected: Answers and failures that should not have been, by what they were.
    """

    def __init__(self) -> None:
        self._seconds: defaultdict[str, array[float]] = defaultdict(lambda: array("d"))
        self.unexpected: Counter[str] = Counter()

    def note(self, kind: str, seconds: float) -> None:
        """Keep an answer's latency."""
        self._seconds[kind].append(seconds)

    @property
    def requests(self) -> int:
        """How many answers there were."""
        return sum(len(seconds) for seconds in self._seconds.values())

    def count(self, kind: str) -> int:
        return len(self._seconds[kind])

    def percentiles(self, kind: str | None = None) -> Mapping[str, float] | None:
        """Latencies in ms, of one kind or of all; None of nothing."""
        every = sorted(self._seconds[kind]) if kind else sorted(s for some in self._seconds.values() for s in some)
        if not every:
            return None
        cuts = quantiles(every, n=100, method="inclusive") if len(every) > 1 else every * 99
        named = {"p50": cuts[49], "p95": cuts[94], "p99": cuts[98], "max": every[-1]}
        return {name: seconds * 1000 for name, seconds in named.items()}

    def as_json(self) -> dict[str, Any]:
        return {
            "requests": self.requests,
            "unexpected": dict(self.unexpected),
            "latency_ms": {"all": self.percentiles()} | {kind: self.percentiles(kind) for kind in KINDS},
            "count": {kind: self.count(kind) for kind in KINDS},
        }
