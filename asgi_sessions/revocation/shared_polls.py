"""Polls that callers share, one at a time."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from asgi_sessions.errors import StoreUnavailable

__all__ = ["SharedPolls"]

_News = TypeVar("_News")


class SharedPolls(Generic[_News]):
    """Gives each caller a poll that has begun after the call: callers that come during one share the one after it.

    Polls are numbered from 1.

    Args:
        poll: Makes the poll of a number.

    Attributes:
        begun: The number of the last poll that has begun.
    """

    def __init__(self, poll: Callable[[int], Awaitable[_News]]) -> None:
        self._poll = poll
        self._one_at_a_time = asyncio.Lock()
        self._done = self._failed = 0
        self.begun = 0

    async def join(self) -> _News | None:
        """Make a poll, or wait for the one that another caller makes.

        Returns:
            What the poll has found; None where it was another caller's.

        Raises:
            StoreUnavailable: Another caller's poll has failed, and with it this one.
            Exception: This caller's poll has failed.
        """
        needed = self.begun + 1
        async with self._one_at_a_time:
            if self._done >= needed:
                return None
            if self._failed >= needed:
                raise StoreUnavailable("The revocations could not be read.")
            self.begun = number = self.begun + 1
            try:
                news = await self._poll(number)
            except Exception:
                self._failed = number
                raise
            self._done = number
            return news
