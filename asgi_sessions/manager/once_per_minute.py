"""Log lines that anybody can cause any number of times: at most one a minute is written, and all are counted."""

import asyncio
from typing import Any

from asgi_sessions.protocol.clock import Clock
from asgi_sessions.settings import ManagerLog

MINUTE_MS = 60_000


class OncePerMinute:
    """Writes at most one line a minute, and counts the others.

    The first one is written at once. Those of the minute after it are counted; when it has passed, one line says how
    many there were and what the last one was. It does so by itself where an event loop runs, else with the next one.

    Args:
        logger: The logger to write to.
        level: The level of every line.
        clock: The time, ms.
    """

    def __init__(self, logger: ManagerLog, level: int, clock: Clock) -> None:
        self._logger = logger
        self._level = level
        self._clock = clock
        self._said_at: int | None = None
        self._more = 0
        self._last: tuple[str, tuple[Any, ...]] = "", ()
        self._timed: int | None = None  # the minute at whose end a timer tells the rest

    def say(self, message: str, *arguments: Any, exc_info: bool = False) -> None:
        """Write a line, or count it.

        Args:
            message: With places for the arguments, as for a logger.
            *arguments: What goes there.
            exc_info: Whether a line that is written at once carries the traceback.
        """
        now = self._clock()
        # A clock that was set back must not silence the log until it is where it was.
        if self._said_at is None or not self._said_at <= now < self._said_at + MINUTE_MS:
            if not self._more:
                self._said_at = now
                self._logger.log(self._level, message, *arguments, exc_info=exc_info)
                return
            self._tell_rest(self._said_at)
        self._more += 1
        self._last = message, arguments
        if self._timed != self._said_at:
            self._tell_rest_later()

    def _tell_rest_later(self) -> None:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return
        self._timed = self._said_at
        loop.call_later(MINUTE_MS / 1000, self._tell_rest, self._said_at)

    def _tell_rest(self, minute: int | None) -> None:
        """Say how many were counted in the minute that began then, and begin the next one."""
        if self._more and minute == self._said_at:
            message, arguments = self._last
            count, self._more = self._more, 0
            self._said_at = self._clock()
            self._logger.log(self._level, f"%d more within a minute, at last: {message}", count, *arguments)
