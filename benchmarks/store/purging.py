"""Live refreshes while a purge deletes scattered rows: what the slowest hundredth waits, with a purge and without.

The load is open: a refresh is due so many times a second, whether or not those before it have been answered, and its
time counts from when it was due. So a pause of the database counts for all who wait, as it does for users.
"""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from statistics import median, quantiles

from benchmarks.measuring import Samples
from benchmarks.store.population import HOUR, NOW, SESSIONS_PER_USER, Population, child_of, dead_sessions
from benchmarks.store.raw import RawConnection, Stores

__all__ = ["IDLE", "P50", "P99", "PER_SECOND", "PURGING", "ROUNDS", "Waits", "waits"]

IDLE, PURGING = "no purge", "purge"
P50, P99 = "p50 ms", "p99 ms"
PER_SECOND = 60
ROUNDS = 20


@dataclass
class Waits:
    """What was found.

    Attributes:
        rounds: Each has one window of each kind, with its ``P50`` and ``P99``.
        every: All times of all windows of a kind, ms.
        deleted: How many rows the purge has deleted.
        seconds: How long that took.
    """

    rounds: Samples = field(default_factory=Samples)
    every: dict[str, list[float]] = field(default_factory=lambda: {IDLE: [], PURGING: []})
    deleted: int = 0
    seconds: float = 0.0

    def slowest_hundredth(self, kind: str) -> float:
        """The 99th percentile of all windows of a kind together, ms."""
        return _percentile(self.every[kind], 99)


async def waits(population: Population, stores: Stores, tidy: RawConnection, *, dead: int) -> Waits:
    """Purge so many rows in `ROUNDS` parts, each after a window of the same length without a purge.

    Args:
        population: The database. Sessions that were refreshed stay so: measure nothing after this.
        stores: The package's, on that database.
        tidy: Inserts the dead rows, scattered over the whole table.
        dead: How many; a multiple of `ROUNDS`.
    """
    for number in range(ROUNDS):  # one statement for all would run into the package's limit of a statement's time
        await tidy.send(dead_sessions(f"purge-{number}", dead // ROUNDS, number), ())
    found = Waits()
    handles = _live_handles(population)
    length = 0.0
    for number in range(ROUNDS):
        part = asyncio.create_task(_purge(stores, dead // ROUNDS, found))
        times = [one async for one in _refreshed(stores, handles, until=part)]
        await part
        length = found.seconds / (number + 1)
        _note(found, number, PURGING, times)
        rest = asyncio.create_task(asyncio.sleep(length))
        _note(found, number, IDLE, [one async for one in _refreshed(stores, handles, until=rest)])
    return found


async def _purge(stores: Stores, count: int, found: Waits) -> None:
    began = time.perf_counter()
    found.deleted += await stores.sessions.purge(NOW, 0, limit=count, unindex=False)
    found.seconds += time.perf_counter() - began


def _live_handles(population: Population) -> Iterator[str]:
    """Each session once."""
    for user in random.Random("purge").sample(range(2, population.users + 1, 2), population.users // 2 - 1):
        for number in range(2, SESSIONS_PER_USER + 1):
            yield population.handle(user, number)


async def _refreshed(stores: Stores, handles: Iterator[str], *, until: asyncio.Task[None]) -> AsyncIterator[float]:
    """The times of the refreshes that fell due meanwhile, ms."""
    running: set[asyncio.Task[float]] = set()
    due = time.perf_counter()
    while not until.done():
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        running.add(asyncio.create_task(_refresh(stores, next(handles), due)))
        due += 1 / PER_SECOND
    for each in await asyncio.gather(*running):
        yield each


async def _refresh(stores: Stores, handle: str, due: float) -> float:
    promoted = await stores.sessions.promote(
        handle, child_of(handle), now=NOW, idle_expires_at=NOW + 336 * HOUR, sibling_window=180_000
    )
    if not promoted:
        raise AssertionError(f"{handle} was not refreshed")
    return (time.perf_counter() - due) * 1e3


def _note(found: Waits, number: int, kind: str, times: list[float]) -> None:
    found.every[kind] += times
    found.rounds.add(number, kind, {P50: median(times), P99: _percentile(times, 99)})


def _percentile(times: list[float], percent: int) -> float:
    return quantiles(times, n=100, method="inclusive")[percent - 1] if len(times) > 1 else times[0]
