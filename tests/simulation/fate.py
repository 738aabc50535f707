"""What becomes of one request on its way there and back."""

import random
from dataclasses import dataclass, replace

LOST_REQUESTS = 0.04
LOST_ANSWERS = 0.10
REPEATED = 0.12
DELAYED = 0.45


@dataclass(frozen=True, slots=True)
class Fate:
    """Delays are parts of the longest that is allowed; together they are at most 1.

    Attributes:
        request_lost: It never arrives.
        answer_lost: It is served, and the browser does not learn of it.
        repeated: It arrives twice.
        second_answers: Which of the two answers the browser gets.
        before: Delay on the way there.
        between: By how much the second copy is later than the first.
        after: Delay on the way back.
    """

    request_lost: bool = False
    answer_lost: bool = False
    repeated: bool = False
    second_answers: bool = False
    before: float = 0.0
    between: float = 0.0
    after: float = 0.0

    @classmethod
    def drawn(cls, chance: random.Random) -> "Fate":
        # None or long: what overtakes must be quick, and what is overtaken must be slow.
        delay = chance.uniform(0.3, 1.0) if chance.random() < DELAYED else 0.0
        # All of it on the way there, or between the copies, or on the way back; or a part of it at each.
        first, second = chance.choice(((1.0, 1.0), (0.0, 1.0), (0.0, 0.0), sorted((chance.random(), chance.random()))))
        return cls(
            request_lost=chance.random() < LOST_REQUESTS,
            answer_lost=chance.random() < LOST_ANSWERS,
            repeated=chance.random() < REPEATED,
            second_answers=chance.random() < 0.5,
            before=delay * first,
            between=delay * (second - first),
            after=delay * (1 - second),
        )

    def delayed_by(self, part: float) -> "Fate":
        """The same, with this delay on the way there and no other."""
        return replace(self, before=part, between=0.0, after=0.0)


FAIR = Fate()
"""Nothing happens to it."""
