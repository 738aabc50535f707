"""What a run is to be."""

from dataclasses import dataclass
from typing import Literal

from tests.simulation.lifetimes import Lifetimes


@dataclass(frozen=True, slots=True)
class Plan:
    """What to run.

    Attributes:
        refresh: The setting.
        promote_on: The setting.
        sessions: How many, each with a jar of its own.
        requests: How many in all, at least.
        seed: Of all that is left to chance.
        at_once: How many browsers are in use at the same time; more would only slow the machine down.
        lifetimes: The settings that are times.
    """

    refresh: Literal["inline", "endpoint"]
    promote_on: Literal["refresh", "first_use"]
    sessions: int
    requests: int
    seed: int
    at_once: int
    lifetimes: Lifetimes

    def __str__(self) -> str:
        return f"refresh={self.refresh}, promote_on={self.promote_on}, seed {self.seed}, {self.sessions:,} sessions"
