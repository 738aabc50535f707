"""Breadth first through every state there is: the first way that leads to a violated property is a shortest one."""

import time
from array import array
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from tests.rotation_model.parts import FRESH, LATER, UNIT_S, State, Step, Token

S = TypeVar("S")


class World(Protocol[S]):
    """What can be explored.

    Attributes:
        beginning: How its stories begin.
    """

    beginning: str

    def start(self) -> S: ...

    def steps(self, state: S) -> Iterator[tuple[Step, S]]:
        """What can happen next, and where it leads (not yet in canonical form)."""
        ...

    def canonical(self) -> Callable[[S], S]:
        """One form for states that no future can tell apart."""
        ...

    def packed(self, state: S) -> bytes:
        """A canonical state in few bytes, different for different states."""
        ...


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
    world: World[S],
    *,
    most: int = 10**9,
    deepest: int = 10**9,
    stop_at: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Result:
    """Look at every state.

    Args:
        world: Which.
        most: Stop after so many states.
        deepest: Stop after so many steps from the start.
        stop_at: Stop at the first violation of this property; "any": of any.
        progress: Told the depth and the number of states after each layer.
    """
    began = time.perf_counter()
    canonical, packed = world.canonical(), world.packed
    start = canonical(world.start())
    number = {packed(start): 0}
    came_from = array("q", [-1])
    result = Result()
    layer = [(0, start)]
    stopped = False
    while layer and not stopped and result.depth < deepest:
        following: list[tuple[int, S]] = []
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


def _story(world: World[S], number: dict[bytes, int], came_from: "array[int]", index: int, last: Step) -> list[str]:
    """Walk the way again without canonical forms, so that every token keeps its name to the end."""
    way = []
    while index > 0:
        way.append(index)
        index = came_from[index]
    keys = {position: key for key, position in number.items() if position in set(way)}
    canonical, packed = world.canonical(), world.packed
    names = _Names()
    state = names.given(world.start())
    told = [f"  0 s: {world.beginning}"]
    seconds = 0
    for position in reversed(way):
        step, after = next(
            (step, after)
            for step, after in world.steps(state)
            if step.wrong is None and not step.ends and packed(canonical(after)) == keys[position]
        )
        state = names.given(after)
        if step.text == LATER:
            seconds += UNIT_S
        else:
            told.append(f"{seconds:3} s: {names.told(step)}")
    step, after = next((step, after) for step, after in world.steps(state) if step.wrong == last.wrong)
    names.given(after)
    at, what = (seconds + UNIT_S, "") if step.text == LATER else (seconds, f"{names.told(step)}: ")
    told.append(f"{at:3} s: {what}{str(step.wrong).upper()}")
    return told


class _Names:
    """Tokens by generation and letter: 1a and 1b are two of generation 1."""

    def __init__(self) -> None:
        self._names: dict[int, str] = {}
        self._letters: Counter[int] = Counter()

    def given(self, state: S) -> S:
        """The state with an id of its own for the token that is new in it."""
        if not isinstance(state, State):
            return state
        fresh = next((token for token in _tokens(state) if token.id == FRESH), None)
        if fresh is None:
            self._names.pop(FRESH, None)
            return state
        number = FRESH + 1 + self._letters.total()
        self._names[FRESH] = self._names[number] = f"{fresh.generation}{chr(97 + self._letters[fresh.generation] % 26)}"
        self._letters[fresh.generation] += 1
        named: S = _renamed(state, number)
        return named

    def told(self, step: Step) -> str:
        token, fresh = step.token, step.fresh
        text = step.text.replace("{fresh}", self._names.get(fresh.id, "a token") if fresh is not None else "")
        return text.replace("{}", self._names.get(token.id, "a token") if token is not None else "")


def _tokens(state: State) -> list[Token]:
    held = [message.token for message in state.flight if message.token is not None]
    return [*held, *(state.thief or ()), *([state.jar.token] if state.jar is not None else [])]


def _renamed(part: Any, number: int) -> Any:
    """The same with another id for the fresh token, wherever it is."""
    if not isinstance(part, tuple):
        return number if part == FRESH else part
    parts = [_renamed(inner, number) for inner in part]
    return type(part)(*parts) if hasattr(part, "_fields") else tuple(parts)
