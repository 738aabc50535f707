"""What chance decides about a step: when it happens, in which jar, at which worker, and what becomes of the answer."""

from dataclasses import dataclass
from enum import Enum

from hypothesis import strategies as st

from tests.stateful import profiles
from tests.stateful.tampering import Tampering


class Fate(Enum):
    """What becomes of an answer."""

    ARRIVES = "it arrives"
    LOST = "it is lost"
    LATE = "it is under way for a while"
    TWICE = "the request arrives twice, and the second answer overtakes the first"


class Meanwhile(Enum):
    """What happens during a slow request."""

    NOTHING = "nothing"
    LOGOUT = "the other worker ends the user's sessions"


@dataclass(frozen=True)
class TurningPoint:
    """Just before, at or just after a moment at which a worker begins to decide otherwise.

    Attributes:
        which: Of all that lie ahead.
        moment: -1, 0 or 1 ms.
    """

    which: int
    moment: int


When = int | TurningPoint


@dataclass(frozen=True)
class Occasion:
    """The circumstances of a step.

    Attributes:
        jar: Which one, counted round.
        worker: 0 or 1.
        pause: What passes before.
        how: What is done to the request's cookies.
        fate: What becomes of the answer.
    """

    jar: int
    worker: int
    pause: When = 0
    how: Tampering = Tampering.NOTHING
    fate: Fate = Fate.ARRIVES


_LENGTHS = (profiles.YOUNG, profiles.ACCESS, profiles.WINDOW, profiles.LATE, profiles.TOUCHED)

numbers = st.integers(0, 11)
workers = st.integers(0, 1)
users = st.sampled_from(["alice", "bob"])
values = st.sampled_from([None, {"role": "admin"}, {"cart": [1, "ü"]}, 7])
moments = st.sampled_from([-1, 0, 1])
stragglers = st.sampled_from([None, None, 0, profiles.LATE, profiles.LATE + 1])
"""How long after the end of its session a request arrives, ms; None where none does."""
offsets = st.sampled_from([(0, 0), (0, 30_000), (30_000, 0), (0, 1), (15_000, -15_000), (0, -1_000)])
"""How far the two workers' clocks are off, ms: 30 s apart at most."""

periods = st.one_of(
    st.sampled_from([1, 1_000, *_LENGTHS, profiles.YOUNG, profiles.ACCESS, profiles.IDLE, profiles.ABSOLUTE]),
    st.builds(lambda length, moment: length + moment, st.sampled_from(_LENGTHS), moments),
    st.builds(TurningPoint, st.integers(0, 20), moments),
    st.builds(TurningPoint, st.integers(0, 20), moments),
)
_pauses = st.one_of(st.just(0), periods)
_how = st.sampled_from([Tampering.NOTHING] * 24 + list(Tampering))
_fates = st.sampled_from([Fate.ARRIVES] * 6 + list(Fate))

occasions = st.builds(Occasion, jar=numbers, worker=workers, pause=_pauses, how=_how, fate=_fates)
quiet_occasions = st.builds(Occasion, jar=numbers, worker=workers, pause=_pauses)
