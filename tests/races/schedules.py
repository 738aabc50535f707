"""Every order in which several sides can take their steps, one after the other: nothing is left to chance."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from asgi_sessions.store.engine import Outcome
from tests.patience import PATIENCE
from tests.races.watching import Kind, watcher

T = TypeVar("T")


@dataclass
class Schedule:
    """Which side goes next, at each point where more than one can.

    Attributes:
        choices: Made so far: the one taken, and of how many.
    """

    choices: list[tuple[int, int]] = field(default_factory=list)
    _given: int = field(default=0, init=False)

    def choose(self, options: int) -> int:
        if self._given == len(self.choices):
            self.choices.append((0, options))
        chosen, known = self.choices[self._given]
        if known != options:
            raise RuntimeError("the same choices led elsewhere: something is left to chance")
        self._given += 1
        return chosen


def all_schedules() -> Iterator[Schedule]:
    """One schedule for each possible order, depth first; run each before asking for the next."""
    schedule: Schedule | None = Schedule()
    while schedule is not None:
        yield schedule
        schedule = _next(schedule)


def _next(schedule: Schedule) -> Schedule | None:
    choices = list(schedule.choices)
    while choices and choices[-1][0] + 1 == choices[-1][1]:
        choices.pop()
    if not choices:
        return None
    chosen, options = choices.pop()
    return Schedule([*choices, (chosen + 1, options)])


@dataclass(frozen=True, slots=True)
class Step:
    """A statement that was executed.

    Attributes:
        side: Whose.
        kind: What it does.
        matched: How many rows it matched; of a read, how many it found.
    """

    side: str
    kind: Kind
    matched: int

    def __str__(self) -> str:
        return f"{self.side}: {self.kind} ({self.matched})"


class Side(Generic[T]):
    """One side of a race. It stops before each of its statements, and if it is to, after each as well."""

    def __init__(self, name: str, act: Callable[[], Awaitable[T]], steps: list[Step], *, stops_after: bool) -> None:
        self.name = name
        self._steps = steps
        self._stops_after = stops_after
        self._go = asyncio.Event()
        self._stopped = asyncio.Event()
        self.done = False
        self.task = asyncio.create_task(self._run(act))

    async def before(self, kind: Kind) -> None:
        await self._stop()

    async def after(self, kind: Kind, outcome: Outcome) -> None:
        self._steps.append(Step(self.name, kind, len(outcome.rows) if kind == "read" else outcome.rowcount))
        if self._stops_after:
            await self._stop()

    async def at_its_stop(self) -> None:
        async with asyncio.timeout(PATIENCE):
            await self._stopped.wait()

    async def go_on(self) -> None:
        """Let it go as far as its next stop."""
        self._stopped.clear()
        self._go.set()
        await self.at_its_stop()

    async def _stop(self) -> None:
        self._go.clear()
        self._stopped.set()
        await self._go.wait()

    async def _run(self, act: Callable[[], Awaitable[T]]) -> T:
        watcher.set(self)
        try:
            return await act()
        finally:
            self.done = True
            self._stopped.set()


async def interleave(
    schedule: Schedule,
    acts: dict[str, Callable[[], Awaitable[T]]],
    *,
    stops_after: bool,
    look: Callable[[Sequence[Step]], Awaitable[None]],
) -> tuple[list[T], list[Step]]:
    """Run the acts in the order of a schedule.

    Args:
        schedule: Who goes next.
        acts: What each side does, by its name.
        stops_after: Whether the sides stop after their statements too, and not only before.
        look: Called after each step with all statements so far.

    Returns:
        What the acts returned, and all statements in order.
    """
    steps: list[Step] = []
    sides = [Side(name, act, steps, stops_after=stops_after) for name, act in acts.items()]
    try:
        for side in sides:
            await side.at_its_stop()
        while waiting := [side for side in sides if not side.done]:
            await waiting[schedule.choose(len(waiting)) if len(waiting) > 1 else 0].go_on()
            await look(steps)
        return [await side.task for side in sides], steps
    finally:
        for side in sides:
            side.task.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await side.task
