"""What has happened so far in a run, as the network and the browsers tell it."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field


@dataclass(slots=True)
class Tally:
    """The record of one run.

    Attributes:
        counts: By name; see the report.
        failures: What went wrong, by jar.
        longest: The longest round trip of each jar, seconds: from reading the jar until the server was done with the
            last copy of the request, and until the answer's cookies were in the jar.
        workers: Those that have answered.
    """

    counts: Counter[str] = field(default_factory=Counter)
    failures: dict[int, list[str]] = field(default_factory=lambda: defaultdict(list))
    longest: dict[int, float] = field(default_factory=lambda: defaultdict(float))
    workers: set[str] = field(default_factory=set)

    def took(self, jar: int, seconds: float) -> None:
        self.longest[jar] = max(self.longest[jar], seconds)
