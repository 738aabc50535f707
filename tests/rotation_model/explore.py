"""Breadth first through every state there is: the first way that leads to a violated property is a shortest one."""

import time
from array import array
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.rotation_model.canonical import Canonical, packed
from tests.rotation_model.parts import State, Token
from tests.rotation_model.world import Step, World


@dataclass
class Result:
    """What came of an exploration.

    Attributes:
        states: How many different ones were found.
        steps: How many steps were taken from them.
        depth: The length of the longest of the shortest ways.
        complete: Whether no state is left: nothing else can ever happen within the world's bounds.
        seconds: How long it took.
        stories: The shortest way to each violated property.
        violations: How often each was met.
    """

    states: int = 0
    steps: int = 0
    depth: int = 0
    complete: bool = False
    seconds: float = 0.0
    stories: dict[str, list[str]] = field(default_factory=dict)
    violations: Counter[str] = field(default_factory=Counter)


def explore(
    world: World,
    *,
    most: int = 10**9,
    deepest: int = 10**9,
    stop_at: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Result:
    """Look at every state.

    Args:
        world: Policy and bounds.
        most: Stop after so many states.
        deepest: Stop after so many steps from the start.
        stop_at: Stop at the first violation of this property; "any": of any.
        progress: Told the depth and the number of states after each layer.
    """
    began = time.perf_counter()
    canonical = Canonical(world.policy, world.bounds.access)
    start = canonical(world.start())
    number = {packed(start): 0}
    came_from = array("q", [-1])
    result = Result()
    layer = [(0, start)]
    stopped = False
    while layer and not stopped and result.depth < deepest:
        following: list[tuple[int, State]] = []
        for index, state in layer:
            for step, raw in world.steps(state):
                result.steps += 1
                if step.wrong is not None:
                    result.violations[step.wrong] += 1
                    if step.wrong not in result.stories:
                        result.stories[step.wrong] = _story(world, number, came_from, index, step)
                        stopped = stopped or stop_at in {step.wrong, "any"}
                    continue
                if step.ends:
                    continue
                after = canonical(raw)
                key = packed(after)
                if key not in number:
                    number[key] = len(came_from)
                    came_from.append(index)
                    following.append((number[key], after))
            if stopped or len(came_from) >= most:
                stopped = True
                break
        result.depth += 1
        layer = following
        if progress is not None:
            progress(result.depth, len(came_from))
    result.complete = not layer and not stopped
    result.states = len(came_from)
    result.seconds = time.perf_counter() - began
    return result


def _story(world: World, number: dict[bytes, int], came_from: "array[int]", index: int, last: Step) -> list[str]:
    """Walk the way again, and tell it with names that stay."""
    way: set[int] = set()
    indices = []
    while index >= 0:
        indices.append(index)
        index = came_from[index]
    way.update(indices)
    keys = {position: key for key, position in number.items() if position in way}
    canonical = Canonical(world.policy, world.bounds.access)
    raw = world.start()
    state = canonical(raw)
    names = _Names()
    names.carry(canonical.ids, fresh=raw.jar.token if raw.jar else None)
    told = [f"  0 s: the jar holds {names.first}"]
    seconds = 0
    for position in reversed(indices[:-1]):
        step, raw = next(
            (step, raw)
            for step, raw in world.steps(state)
            if step.wrong is None and not step.ends and packed(canonical(raw)) == keys[position]
        )
        state = canonical(raw)
        text = names.told(step)
        names.carry(canonical.ids)
        if step.text == "30 s pass":
            seconds += 30
        else:
            told.append(f"{seconds:3} s: {text}")
    told.append(f"{seconds:3} s: {names.told(last)}: {str(last.wrong).upper()}")
    return told


class _Names:
    """Tokens by generation and letter: 1a and 1b are two of generation 1."""

    def __init__(self) -> None:
        self._names: dict[int, str] = {}
        self._shown: dict[int, str] = {}
        self._count: Counter[int] = Counter()
        self._offset = 0
        self._pending: str | None = None
        self.first = "0a"

    def told(self, step: Step) -> str:
        name = self._names.get(step.token.id, "a dead token") if step.token is not None else ""
        fresh = ""
        self._pending = None
        if step.fresh is not None:
            generation = self._generation(step)
            fresh = self._pending = f"{generation}{chr(ord('a') + self._count[generation] % 26)}"
            self._count[generation] += 1
        return step.text.replace("{fresh}", fresh).replace("{}", name)

    def _generation(self, step: Step) -> int:
        if step.token is None or step.fresh is None:
            return 0
        of = self._names.get(step.token.id, "0a")
        return int(of[:-1]) + step.fresh.generation - step.token.generation

    def carry(self, ids: dict[int, int], fresh: Token | None = None) -> None:
        """Follow the tokens into the next state's numbering."""
        if fresh is not None:
            self._pending = self.first
            self._count[0] = 1
        old = self._names
        self._names = {}
        for before, after in ids.items():
            if before == 99 and self._pending is not None:
                self._names[after] = self._pending
            elif before in old:
                self._names[after] = old[before]
