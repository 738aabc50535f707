"""Contenders that take turns at the same operation."""

import gc
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from benchmarks.measuring import Samples, turns
from benchmarks.store.operations import Operation, Turn, statements_of
from benchmarks.store.population import Population
from benchmarks.store.raw import RawConnection, Scribe, Stores

__all__ = ["CPU_MICROSECONDS", "MICROSECONDS", "Contender", "Ours", "Raw", "measure"]

MICROSECONDS = "us"
"""What is measured: the time of a call."""
CPU_MICROSECONDS = "CPU us"
"""Also measured: what of it this process has computed, which a busy machine does not lengthen."""

Run = Callable[[], Awaitable[int]]


class Sender(Protocol):
    async def send(self, statement: str, values: Any) -> int: ...


@dataclass(frozen=True, slots=True)
class Ours:
    """The package."""

    population: Population
    stores: Stores

    async def prepare(self, operation: Operation, item: Any) -> Run:
        return lambda: operation.call(self.stores, item)


@dataclass(frozen=True, slots=True)
class Raw:
    """The same statements, by asyncmy alone."""

    population: Population
    sender: Sender
    scribe: Scribe

    async def prepare(self, operation: Operation, item: Any) -> Run:
        statements = await statements_of(operation, item, self.scribe)

        async def run() -> int:
            rows = 0
            for statement, values in statements:
                rows = await self.sender.send(statement, values)
            return rows

        return run


Contender = Ours | Raw
"""Somebody who can do all operations: `prepare` gives one call, ready to be made."""


class WrongResult(Exception):
    """A contender did not do what was to be measured."""


async def measure(
    operation: Operation,
    contenders: Mapping[str, Contender],
    workshop: Mapping[str, RawConnection],
    *,
    rounds: int,
    calls: int,
) -> Samples:
    """Let the contenders take turns; the mean time of a call in each turn.

    Args:
        operation: What they do.
        contenders: By name.
        workshop: By database, the connection that prepares and tidies up, outside of the time.
        rounds: How many turns each has.
        calls: How many calls a turn has, before the operation's share.

    Raises:
        WrongResult: A call did something else than expected.
    """
    samples = Samples()
    calls = max(1, round(calls * operation.share))
    choose = random.Random(operation.name).sample  # the same users each time
    # Caches fill and plans are compiled before anything counts.
    for number, name in [(-1, name) for name in contenders] + list(turns(list(contenders), rounds)):
        contender = contenders[name]
        population = contender.population
        users = choose(range(2, population.users + 1, 2), calls)
        turn = Turn(population, f"{operation.name}/{number}/{name}", users)
        inputs = operation.inputs(turn)
        runs = [await contender.prepare(operation, item) for item in inputs]
        tidy = workshop[population.database]
        for statement in operation.before(turn, inputs):
            await tidy.send(statement, ())
        gc.collect()
        rows = []
        start, used = time.perf_counter(), time.process_time()
        for run in runs:
            rows.append(await run())
        seconds, used = time.perf_counter() - start, time.process_time() - used
        for statement in operation.after(turn, inputs):
            await tidy.send(statement, ())
        if set(rows) != {operation.rows}:
            raise WrongResult(f"{operation.name} by {name}: {sorted(set(rows))} rows instead of {operation.rows}")
        if number >= 0:
            samples.add(number, name, {MICROSECONDS: seconds / calls * 1e6, CPU_MICROSECONDS: used / calls * 1e6})
    return samples
