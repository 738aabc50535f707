"""Time, memory and statements of the processes that serve, while others make them work."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import linear_regression, median

from benchmarks.load.site import Site, cpu_seconds, resident_mb
from benchmarks.store.server import RoomyMariaDB

__all__ = ["Meter", "Reading", "Trend"]

COUNTERS = ("Questions", "Com_select", "Com_insert", "Com_update", "Com_delete")


@dataclass(frozen=True, slots=True)
class Reading:
    """What everybody has used since the beginning, or between two readings.

    Attributes:
        seconds: Of the clock.
        server: CPU seconds of all workers.
        database: Of MariaDB.
        generator: Of this process.
        statements: Counters of MariaDB, without what reading them adds.
    """

    seconds: float
    server: float
    database: float
    generator: float
    statements: Mapping[str, int]

    def since(self, earlier: "Reading") -> "Reading":
        """The difference."""
        return Reading(
            self.seconds - earlier.seconds,
            self.server - earlier.server,
            self.database - earlier.database,
            self.generator - earlier.generator,
            {name: value - earlier.statements[name] for name, value in self.statements.items()},
        )


class Meter:
    """Reads what the operating system and MariaDB count.

    Attributes:
        memory: By worker: minutes since the beginning, and MB.
    """

    def __init__(self, site: Site, database: RoomyMariaDB) -> None:
        self._site = site
        self._database = database
        self._start = time.monotonic()
        self._readings = 0
        looks = [database.status(COUNTERS) for _ in range(4)]
        # The least of three: a worker's poll may fall between two looks.
        self._own = {name: min(later[name] - look[name] for look, later in pairwise(looks)) for name in COUNTERS}
        self.memory: dict[int, list[tuple[float, float]]] = {pid: [] for pid in site.workers}

    @property
    def minutes(self) -> float:
        """Since the beginning."""
        return (time.monotonic() - self._start) / 60

    def sample(self) -> None:
        """Look at the workers' memory."""
        for pid, points in self.memory.items():
            points.append((self.minutes, resident_mb(pid)))

    def read(self) -> Reading:
        """Look at everything else."""
        statements = self._database.status(COUNTERS)
        self._readings += 1
        return Reading(
            time.monotonic(),
            sum(cpu_seconds(pid) for pid in self._site.workers),
            cpu_seconds(self._database.pid),
            time.process_time(),
            {name: value - self._readings * self._own[name] for name, value in statements.items()},
        )


@dataclass(frozen=True, slots=True)
class Trend:
    """What became of a worker's memory.

    Attributes:
        minutes: How long it was watched.
        first_mb: Median of the first fifth.
        last_mb: Median of the last fifth.
        mb_per_hour: The slope of a straight line through all points.
    """

    minutes: float
    first_mb: float
    last_mb: float
    mb_per_hour: float

    @classmethod
    def of(cls, points: Sequence[tuple[float, float]]) -> "Trend":
        """Of points, at least two, of minutes and MB."""
        times, sizes = [x for x, _ in points], [y for _, y in points]
        fifth = max(1, len(points) // 5)
        slope = linear_regression(times, sizes).slope
        return cls(times[-1] - times[0], median(sizes[:fifth]), median(sizes[-fifth:]), slope * 60)
