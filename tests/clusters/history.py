"""What users did and were told while a cluster burned, and whether a single sound server could have told it.

A session is the simplest object there is: it lives, until a logout ends it, and then never again. So a history can be
explained, by some order in which each operation took effect between its beginning and its end, if and only if

- nobody is served by an operation that began after another one had shown that the session is over;
- nobody is refused by an operation that ended before any logout of the session had begun.

That is linearizability (M. Herlihy, J. Wing, 1990), and for such an object it needs no search. Operations that are
answered from a worker's memory may lag behind, by a bound. Nothing here knows how the library works.
"""

import itertools
import time
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from asgi_sessions import StoreUnavailable, TokenTheftDetected, TryRefreshToken, Unauthorised

OK, GONE, THEFT, UNKNOWN = "ok", "gone", "theft", "unknown"
LOGIN, REFRESH, LOGOUT, REQUEST, CHECKED = "login", "refresh", "logout", "request", "checked request"
_T = TypeVar("_T")


@dataclass(frozen=True)
class Operation:
    """One call.

    Attributes:
        kind: `LOGIN`, `REFRESH`, `LOGOUT`, `REQUEST` (answered from memory) or `CHECKED` (by the database).
        session: Which one, by a number of the tests' own.
        began: Seconds.
        ended: Seconds.
        outcome: `OK`, `GONE`, `THEFT`, `UNKNOWN` (a 503, or nobody waited: it may have been done), or the name of any
            other error.
    """

    kind: str
    session: int
    began: float
    ended: float
    outcome: str


class History:
    """All calls, in the order in which they ended."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.operations: list[Operation] = []
        self._clock = clock

    async def note(self, kind: str, session: int, call: Callable[[], Awaitable[_T]]) -> _T | None:
        """Make a call and write down what came of it; returns what it returned, None if it raised."""
        began, answer, outcome = self._clock(), None, OK
        try:
            answer = await call()
        except (StoreUnavailable, TimeoutError):
            outcome = UNKNOWN
        except TokenTheftDetected:
            outcome = THEFT
        except (Unauthorised, TryRefreshToken):
            outcome = GONE
        except Exception as error:
            outcome = type(error).__name__
        self.operations.append(Operation(kind, session, began, self._clock(), outcome))
        return answer

    def table(self) -> dict[str, int]:
        """How many calls of each kind had each outcome."""
        return dict(Counter(f"{operation.kind}: {operation.outcome}" for operation in self.operations))

    def longest_gap(self, kinds: Iterable[str]) -> float:
        """For how long no call of any of these kinds succeeded, seconds."""
        ends = sorted(operation.ended for operation in self.operations if operation.kind in kinds and is_ok(operation))
        return max((later - earlier for earlier, later in itertools.pairwise(ends)), default=float("inf"))


def is_ok(operation: Operation) -> bool:
    return operation.outcome == OK


def violations(operations: Iterable[Operation], *, lag: float) -> Iterator[str]:
    """What no sound server could have told.

    Args:
        operations: The history.
        lag: For how long after the end of a session a request may still be answered from memory, seconds.
    """
    by_session: dict[int, list[Operation]] = defaultdict(list)
    for operation in operations:
        by_session[operation.session].append(operation)
    for session, calls in by_session.items():
        ends = [call for call in calls if _shows_the_end(call)]
        over_at = min((call.ended for call in ends), default=float("inf"))
        logouts = min((call.began for call in calls if call.kind == LOGOUT), default=float("inf"))
        for call in calls:
            told = f"session {session}: {call.kind} {call.began:.3f} to {call.ended:.3f} is {call.outcome}"
            if call.outcome not in (OK, GONE, UNKNOWN):
                yield told
            elif call.kind in (REFRESH, REQUEST, CHECKED):
                late = lag if call.kind == REQUEST else 0.0
                if is_ok(call) and call.began > over_at + late:
                    yield f"{told}, but it was over at {over_at:.3f}"
                if call.outcome == GONE and call.ended < logouts:
                    yield f"{told}, but no logout had begun"


def _shows_the_end(call: Operation) -> bool:
    return (call.kind == LOGOUT and is_ok(call)) or (call.kind in (CHECKED, REFRESH) and call.outcome == GONE)
