"""What somebody else has ordered is carried out, again and again while the database is down, whatever the answer was.

Who sends may ask once: some do not try again after a 503, and wait two seconds for an answer. So an order that has been
verified is this worker's to carry out, and the answer comes within a second, also where the database takes a question
in and never answers it.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final, Generic, TypeVar

from asgi_sessions.errors import StoreUnavailable
from asgi_sessions.manager.manager import SessionManager

__all__ = ["TryAgain", "Undecided", "carried_out"]

ANSWER_SECONDS: Final = 0.8
GIVE_UP_SECONDS: Final = 600.0
"""For so long the database may be down: by then the sessions' access tokens have been refused for long (``staleness``),
and whoever sent the order would have acted by hand."""
FIRST_PAUSE: Final = 0.5
LONGEST_PAUSE: Final = 10.0
MOST_AT_WORK: Final = 1000

T = TypeVar("T")
Before = Callable[[], Awaitable[T | None]]
"""Says what the outcome is where nothing is to be done, since it has been done before; None elsewhere."""
Work = Callable[[Callable[[], object]], Awaitable[T]]
"""Does it once; given what is to be called as soon as it would survive the end of this worker."""

_log = logging.getLogger("asgi_sessions")


class TryAgain(Exception):
    """It cannot be carried out now; the text says why."""


class Undecided(Exception):
    """Nothing has been stored so far; the text says why. What has been begun goes on."""


async def carried_out(sessions: SessionManager, issuer: str, before: "Before[T]", work: "Work[T]") -> T | None:
    """Carry out an order; returns its outcome, or None where it has been stored and goes on.

    Args:
        sessions: Whose sessions it is about.
        issuer: Who has ordered it, for the log.
        before: Asked until the database answers, and never again once the work has begun, which leaves traces of its
            own.
        work: Called until it raises neither `StoreUnavailable` nor `TryAgain`; a second time it changes nothing that
            it has changed before.

    Raises:
        Undecided: It has not been stored so far.
    """
    order = _Order(issuer, before, work)
    task = sessions.lifecycle.start_beside(order.carry_out(), at_most=MOST_AT_WORK)
    if task is None:
        raise Undecided("Too many orders wait for the database.")
    await asyncio.wait([task], timeout=ANSWER_SECONDS)
    if order.outcome.done():
        return order.outcome.result()
    if order.is_stored:
        return None
    raise Undecided("The database does not answer; it is tried on.")


class _Order(Generic[T]):
    """One order.

    Attributes:
        outcome: Done as soon as it has been carried out.
        is_stored: Whether it would be carried out even if this worker ended now.
    """

    def __init__(self, issuer: str, before: "Before[T]", work: "Work[T]") -> None:
        self.outcome: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self.is_stored = False
        self._has_begun = False
        self._issuer = issuer
        self._before = before
        self._work = work

    async def carry_out(self) -> None:
        loop = asyncio.get_running_loop()
        deadline, pause = loop.time() + GIVE_UP_SECONDS, FIRST_PAUSE
        while True:
            try:
                self.outcome.set_result(await self._carry_out_once())
            except (StoreUnavailable, TryAgain) as error:
                if loop.time() + pause > deadline:
                    reason = error.detail if isinstance(error, StoreUnavailable) else error
                    _log.error("A logout of %s was given up: %s", self._issuer, reason)
                    return
                await asyncio.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE)
            else:
                return

    async def _carry_out_once(self) -> T:
        if not self._has_begun and (outcome := await self._before()) is not None:
            return outcome
        self._has_begun = True
        return await self._work(self._stored)

    def _stored(self) -> None:
        self.is_stored = True
