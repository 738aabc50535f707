"""The wake-up that is faster than the poll: a worker that has ended a session says so, and every worker polls at once.

A message says "something has ended" and nothing else: which sessions are revoked is read from the database alone. So
an attacker who can write to the channel can cause polls, of which there are few (`SHORTEST_GAP_SECONDS`). One who can
silence it can only make workers wait for their next poll, which comes in any case.
"""

import asyncio
import logging
import random
from collections.abc import Callable
from typing import Protocol

from asgi_sessions.revocation.alerts import Alert
from asgi_sessions.settings import ManagerLog
from asgi_sessions.store.failures import describe

_log = logging.getLogger(__name__)

__all__ = ["ANSWER_SECONDS", "FAREWELL_SECONDS", "QUIET_SECONDS", "Channel", "ChannelSilent", "WakeUps", "channel_name"]

SHORTEST_GAP_SECONDS = 0.05
"""Between two wake-ups: many logouts, or a flood of messages, become at most twenty polls per second."""
QUIET_SECONDS = 15.0
"""After so much silence the server is asked whether it is still there: a connection that a firewall has dropped is
silent for ever."""
ANSWER_SECONDS = 5.0
FAREWELL_SECONDS = 1.0
SHORTEST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 30.0
PUBLISH_SECONDS = 2.0
SETTLE_SECONDS = 3.0
"""For so long a stop waits for what has still to be said."""


class ChannelSilent(Exception):
    """Messages do not arrive, though nothing has failed. The text says why, and holds no value."""


class Channel(Protocol):
    """One kind of channel. Belongs to an event loop; nothing is connected before `listen` or `publish`.

    Attributes:
        kind: For the log.
    """

    kind: str

    async def listen(self, heard: Callable[[], None]) -> None:
        """Listen for as long as the connection lasts, on a connection of its own that is closed in the end.

        Args:
            heard: Called once it listens, for something may have been said before, and at every message.

        Raises:
            Exception: The connection was lost, or there was none.
        """

    async def publish(self) -> None:
        """Have `heard` called wherever somebody listens, here too.

        Raises:
            Exception: It could not be said.
        """

    async def close(self) -> None:
        """Close what `publish` has opened."""


def channel_name(table_prefix: str) -> str:
    """The same for all workers with the same tables, and short enough for a name of PostgreSQL."""
    return f"{table_prefix}revoked"


class WakeUps:
    """Listens and publishes. No request waits for either; what fails is told once in the log, and tried again.

    Args:
        channel: The channel.
        wake: Called soon after a session was ended, on whichever worker; None only publishes.
        log: Where that is told.
    """

    def __init__(self, channel: Channel, wake: Callable[[], None] | None, log: ManagerLog = _log) -> None:
        self._log = log
        self._channel = channel
        self._wake = wake
        self._loop = asyncio.get_running_loop()
        self._woken_at = float("-inf")
        self._waking: asyncio.TimerHandle | None = None
        self._listening: asyncio.Task[None] | None = None
        self._publishing: asyncio.Task[None] | None = None
        self._unpublished = self._closed = False
        self._unheard, self._unsent = Alert(), Alert()

    def start(self) -> None:
        """Begin to listen; whether that works shows later."""
        if self._wake is not None:
            self._listening = self._loop.create_task(self._listen_for_ever(), name="asgi_sessions revocation channel")

    def publish(self) -> None:
        """Tell all workers, beside the request. What comes while a message is under way shares the one after it."""
        self._unpublished = True
        if not self._closed and (self._publishing is None or self._publishing.done()):
            self._publishing = self._loop.create_task(self._publish(), name="asgi_sessions revocation message")

    async def close(self) -> None:
        """Say what has still to be said, but not for ever, and close the connections."""
        self._closed = True
        if self._publishing is not None:
            await asyncio.wait([self._publishing], timeout=SETTLE_SECONDS)
        tasks = [task for task in (self._publishing, self._listening) if task is not None]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=SETTLE_SECONDS)
        if self._waking is not None:
            self._waking.cancel()
        try:
            await self._channel.close()
        except Exception as error:
            self._log.warning(
                "The revocation channel (%s) was not closed in order: %s.", self._channel.kind, describe(error)
            )

    # -- listening

    async def _listen_for_ever(self) -> None:
        tries = 0
        while not self._closed:  # on Python 3.11 a driver may lose a cancellation
            began = self._loop.time()
            try:
                await self._channel.listen(self._heard)
            except Exception as error:
                self._lost(error)
            if self._loop.time() - began > LONGEST_PAUSE_SECONDS:
                tries = 0  # what is lost again at once has not recovered
            tries += 1
            if not self._closed:
                await asyncio.sleep(_pause(tries))

    def _heard(self) -> None:
        if self._unheard.resolve():
            self._log.warning("The revocation channel (%s) is heard again.", self._channel.kind)
        if self._waking is None and not self._closed:
            # The first at once, and of those that follow closely the last: it stands for all between.
            due = max(self._loop.time(), self._woken_at + SHORTEST_GAP_SECONDS)
            self._waking = self._loop.call_at(due, self._wake_now)

    def _wake_now(self) -> None:
        self._waking = None
        self._woken_at = self._loop.time()
        if self._wake is not None:
            self._wake()

    def _lost(self, error: Exception) -> None:
        if self._unheard.fire():
            self._log.warning(
                "The revocation channel (%s) is not heard: %s. Until it is, revocations are found by polling alone.",
                self._channel.kind,
                # The texts of drivers may hold addresses and names.
                error if isinstance(error, ChannelSilent) else describe(error),
            )

    # -- publishing

    async def _publish(self) -> None:
        while self._unpublished:
            self._unpublished = False
            try:
                async with asyncio.timeout(PUBLISH_SECONDS):
                    await self._channel.publish()
            except Exception as error:
                if self._unsent.fire():
                    self._log.warning(
                        "The revocation channel (%s) takes no message: %s. Other workers learn of revocations by "
                        "polling alone.",
                        self._channel.kind,
                        describe(error),
                    )
            else:
                if self._unsent.resolve():
                    self._log.warning("The revocation channel (%s) takes messages again.", self._channel.kind)


def _pause(tries: int) -> float:
    """Longer at each try, and by chance, so that workers that lost their server together do not come back together."""
    longest = min(LONGEST_PAUSE_SECONDS, SHORTEST_PAUSE_SECONDS * 2 ** min(tries, 10))
    return random.uniform(longest / 2, longest)  # noqa: S311 - no secret
