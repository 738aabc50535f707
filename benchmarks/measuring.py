"""Variants in alternation, and what their samples say: medians with spread, of values, differences and ratios.

Machines are noisy, and drift. So nothing here compares two runs that stood apart: every variant runs once in each
round, and a difference or ratio is taken within its round, before any median.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import median, quantiles

UNKNOWN = "-"
"""Where there was nothing to measure."""


@dataclass(frozen=True, slots=True)
class Spread:
    """What became of one quantity over all rounds.

    Attributes:
        median: Of all rounds.
        lower: The first quartile.
        upper: The third quartile.
        minimum: Of all rounds.
        maximum: Of all rounds.
        rounds: How many there were.
    """

    median: float
    lower: float
    upper: float
    minimum: float
    maximum: float
    rounds: int

    @classmethod
    def of(cls, values: Iterable[float]) -> "Spread":
        """Summarise the values; of none all is NaN."""
        every = sorted(values) or [math.nan]
        lower, _, upper = quantiles(every, n=4, method="inclusive") if len(every) > 1 else every * 3
        return cls(median(every), lower, upper, every[0], every[-1], 0 if math.isnan(every[0]) else len(every))

    @classmethod
    def of_ratios(cls, pairs: Iterable[tuple[float, float]]) -> "Spread":
        """Summarise ``one / other`` of each pair.

        Where the other is 0, it took less than the clock can tell, and the round says nothing.
        """
        return cls.of(one / other for one, other in pairs if other)

    def text(self, digits: int = 1) -> str:
        """``median (lower - upper)``."""
        if not self.rounds:
            return UNKNOWN
        return f"{self.median:,.{digits}f} ({self.lower:,.{digits}f} - {self.upper:,.{digits}f})"

    def as_json(self) -> dict[str, float | None]:
        """JSON has no NaN."""
        return {name: None if math.isnan(value) else value for name, value in asdict(self).items()}


def turns(variants: Sequence[str], rounds: int) -> Iterator[tuple[int, str]]:
    """Whose turn it is: each round has every variant once.

    Every second round runs backwards, so that a machine that grows slower or faster favours nobody; each round begins
    one variant further, so that nobody always follows the same neighbour.
    """
    for number in range(rounds):
        start = number % len(variants)
        order = [*variants[start:], *variants[:start]]
        for variant in reversed(order) if number % 2 else order:
            yield number, variant


class Samples:
    """What was measured: round by round, variant by variant, quantity by quantity."""

    def __init__(self) -> None:
        self._rounds: dict[int, dict[str, dict[str, float]]] = {}

    def add(self, number: int, variant: str, quantities: Mapping[str, float]) -> None:
        """Keep what a variant's turn in a round has measured; a second call adds quantities."""
        self._rounds.setdefault(number, {}).setdefault(variant, {}).update(quantities)

    def values(self, variant: str, quantity: str) -> list[float]:
        """One value per round in which the variant had this quantity."""
        return [
            of_round[variant][quantity]
            for _, of_round in sorted(self._rounds.items())
            if quantity in of_round.get(variant, {})
        ]

    def spread(self, variant: str, quantity: str) -> Spread:
        """Of the quantity itself."""
        return Spread.of(self.values(variant, quantity))

    def difference(self, variant: str, base: str, quantity: str) -> Spread:
        """Of ``variant - base``, taken in each round."""
        return Spread.of(mine - other for mine, other in self._pairs(variant, base, quantity))

    def ratio(self, variant: str, base: str, quantity: str) -> Spread:
        """Of ``variant / base``, taken in each round."""
        return Spread.of_ratios(self._pairs(variant, base, quantity))

    def _pairs(self, variant: str, base: str, quantity: str) -> Iterator[tuple[float, float]]:
        for _, of_round in sorted(self._rounds.items()):
            if quantity in of_round.get(variant, {}) and quantity in of_round.get(base, {}):
                yield of_round[variant][quantity], of_round[base][quantity]

    def as_json(self) -> list[dict[str, dict[str, float]]]:
        """Everything, one object per round."""
        return [of_round for _, of_round in sorted(self._rounds.items())]
