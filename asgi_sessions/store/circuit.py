"""A circuit breaker: a server that does not answer is asked now and then, and not by every request.

==========  ================================================  =======================================================
state       attempts                                          goes over
==========  ================================================  =======================================================
closed      are made                                          to open, after `FAILURES` in a row without an answer
open        fail at once, by the cause of the last failure;   to closed, with any answer
            one in each pause is made all the same
==========  ================================================  =======================================================

*An answer* is what the server has said to a statement, an error too. *Without one* means that no connection came about,
or that nothing came for as long as a statement may take. So one slow statement opens nothing while others are served,
a lock that is waited for opens nothing, and neither does a connection that was cut: the next one is tried first.

The first attempt after the opening is made at once: of several servers another one may answer. The pauses are short,
so that a server that is back is noticed within a second, and differ, so that workers do not ask in step.
"""

import random
import time
from collections.abc import Callable

from asgi_sessions.store.failures import DatabaseFailure

__all__ = ["FAILURES", "PAUSE_SECONDS", "Circuit"]

FAILURES = 5
"""So few that a pool of connections that hang is one opening, and more than a start takes to say what is wrong."""
PAUSE_SECONDS = 0.2, 0.6

_uniform = random.SystemRandom().uniform


class Circuit:
    """The breaker of one database, in one event loop.

    Args:
        clock: Seconds that only grow.
    """

    __slots__ = ("_cause", "_clock", "_failures", "_next")

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failures = 0
        self._cause: DatabaseFailure | None = None
        self._next = 0.0

    def refuses(self) -> DatabaseFailure | None:
        """Return why no attempt is to be made now; None means that one is, and in an open circuit it is this one."""
        if self._cause is None or self._failures < FAILURES:
            return None
        now = self._clock()
        if now < self._next:
            return self._cause.again()
        self._next = now + _uniform(*PAUSE_SECONDS)
        return None

    def answered(self) -> None:
        """The server has answered."""
        self._failures = 0
        self._cause = None

    def failed(self, cause: DatabaseFailure) -> None:
        """The server has not answered, or could not be reached."""
        self._failures += 1
        self._cause = cause
        if self._failures == FAILURES:
            self._next = self._clock()
