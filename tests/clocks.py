"""Clocks that stand still until a test moves them."""

START = 1_800_000_000_000


class MovableClock:
    """The time of day; ms."""

    def __init__(self, now: int = START) -> None:
        self.now = now

    def __call__(self) -> int:
        return self.now

    def advance(self, seconds: float = 0, *, days: float = 0) -> None:
        self.now += round(seconds * 1000 + days * 86_400_000)


class Seconds:
    """A monotonic clock, which nobody sets; seconds."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now
