"""Which failed attempts are made again, how often, and what the others become."""

import asyncio
import random
import time

from sqlalchemy.util import greenlet_spawn

from asgi_sessions.errors import ConfigurationError, StoreUnavailable
from asgi_sessions.store.attempt import Attempt
from asgi_sessions.store.causes import Cause, explain
from asgi_sessions.store.circuit import Circuit
from asgi_sessions.store.failures import DatabaseFailure, FailureKind, StatementInterrupted, classify
from asgi_sessions.store.mysql_session import LOCK_WAIT_SECONDS
from asgi_sessions.store.place import Place
from asgi_sessions.store.prepared import Outcome

__all__ = ["NOT_TAKEN", "DuplicateKey", "Retries"]

MAX_TRIES = 5
QUICK_SECONDS = 0.02
"""A statement that waits for nothing is at its end by then. While another one did wait, none counts as quick."""
NOT_TAKEN = "database_url: its driver takes no such host, or no such value of a URL parameter"

_jitter = random.SystemRandom().uniform


class DuplicateKey(Exception):
    """A row with this key exists.

    Attributes:
        after_interruption: An earlier try of the same insert was cut off: the row may be its own.
    """

    def __init__(self, *, after_interruption: bool) -> None:
        super().__init__()
        self.after_interruption = after_interruption


class Retries:
    """The kind of a failure decides whether the attempt is made again.

    ================  =======================================  ==============================================
    kind              the attempt                              what it becomes otherwise
    ================  =======================================  ==============================================
    ``ROLLED_BACK``   is made again after a pause              after `MAX_TRIES`: ``StoreUnavailable``
    ``DISCONNECTED``  is made again once, where it is no swap  ``StatementInterrupted``, ``StoreUnavailable``
    ``DUPLICATE``     is not made again                        ``DuplicateKey``
    ``UNAVAILABLE``   is not made again                        ``StoreUnavailable``
    ================  =======================================  ==============================================

    A statement that is cancelled costs its connection, and MySQL runs it to its end all the same: one that waits for a
    lock for `LOCK_WAIT_SECONDS`. So long its slot stays taken, or cancellations by the hundred would open connections
    until the server takes no more (1040). (PostgreSQL's driver tells the server.)

    Args:
        slots: How many attempts may run at the same time.
        circuit: Is told of each answer, and of each failure to connect.
        place: The place of the database.
        runs_to_the_end: Whether the server does so with a statement that was cancelled.
    """

    def __init__(self, slots: asyncio.Semaphore, circuit: Circuit, place: Place, *, runs_to_the_end: bool) -> None:
        self._slots = slots
        self._circuit = circuit
        self._place = place
        self._runs_to_the_end = runs_to_the_end
        self._has_connected = False
        self._held = 0  # slots, by statements that were cancelled

    def connected(self, *_: object) -> None:
        """To be called when a connection has been opened: the driver takes the address as it is."""
        self._has_connected = True

    async def run(self, attempt: Attempt, *, swap: bool) -> Outcome | tuple[Exception, DatabaseFailure | None]:
        """Make an attempt, again where its failure allows that.

        Args:
            attempt: What to do.
            swap: A compare-and-swap, not to be made again when nobody knows whether it was done.

        Returns:
            The outcome; or what to raise, and its cause. Raised outside of any except block, it carries no text of the
            driver's along.
        """
        interrupted = False
        for tries in range(1, MAX_TRIES + 1):
            try:
                attempt.waits_for = Cause.ALL_IN_USE
                outcome = await self._in_a_slot(attempt)
            except ConfigurationError as error:
                return error, None
            except Exception as error:
                connected = attempt.waits_for is Cause.STATEMENT_TIMEOUT
                if not self._has_connected and _is_of_the_arguments(error):
                    return ConfigurationError(NOT_TAKEN), None
                cause = explain(error, self._place, connecting=not connected)
                kind = self._kind_of(error, cause, connected=connected)
            else:
                self._circuit.answered()
                return outcome
            if kind is FailureKind.DUPLICATE:
                return DuplicateKey(after_interruption=interrupted), None
            if kind is FailureKind.DISCONNECTED:
                if swap:
                    return StatementInterrupted(), cause
                if interrupted:
                    break
                interrupted = True
            elif kind is FailureKind.ROLLED_BACK and tries < MAX_TRIES:
                await asyncio.sleep(_jitter(0.002, 0.02) * 2**tries)
            else:
                break
        return StoreUnavailable(), cause

    def _kind_of(self, error: Exception, cause: DatabaseFailure, *, connected: bool) -> FailureKind:
        if not connected:
            self._circuit.failed(cause)
            return FailureKind.UNAVAILABLE
        kind = classify(error)
        if kind is not FailureKind.DISCONNECTED:  # else it was cut: what comes of the next connection will tell
            self._circuit.answered()
        return kind

    async def _in_a_slot(self, attempt: Attempt) -> Outcome:
        await self._slots.acquire()
        seconds = 0.0
        try:
            return await greenlet_spawn(attempt)
        except asyncio.CancelledError:
            if self._runs_to_the_end and attempt.waits_for is Cause.STATEMENT_TIMEOUT:
                seconds = self._still_running(time.monotonic() - attempt.sent_at)
            raise
        finally:
            if seconds:
                self._held += 1
                asyncio.get_running_loop().call_later(seconds, self._release)
            else:
                self._slots.release()

    def _still_running(self, ran: float) -> float:
        """For how much longer the server may be busy with a statement that has run for so long, seconds."""
        is_slow = self._held or ran > QUICK_SECONDS
        return LOCK_WAIT_SECONDS - ran if is_slow and ran < LOCK_WAIT_SECONDS else 0.0

    def _release(self) -> None:
        self._held -= 1
        self._slots.release()


def _is_of_the_arguments(error: Exception) -> bool:
    # A certificate that is not trusted is a ValueError too.
    return isinstance(error, TypeError | ValueError) and not isinstance(error, OSError)
