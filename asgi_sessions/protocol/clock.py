"""What time it is, as the rest of the package asks for it: injected, so that tests need not wait."""

from collections.abc import Callable
from time import time_ns
from typing import TypeAlias

__all__ = ["CLOCK_DIFFERENCE_MS", "Clock", "system_clock"]

Clock: TypeAlias = Callable[[], int]
"""Returns the time as milliseconds since the epoch (1970-01-01 UTC)."""

CLOCK_DIFFERENCE_MS = 60_000
"""Between two workers at most, with the default settings, or stricter ones; see `SessionSettings.workers_apart_ms`."""


def system_clock() -> int:
    """The machine's wall clock, in milliseconds since the epoch."""
    return time_ns() // 1_000_000
