"""One call at a time, shared by all who ask meanwhile."""

import asyncio
from collections.abc import Awaitable, Callable
from copy import copy

from asgi_sessions.errors import SessionError, StoreUnavailable
from asgi_sessions.store.cancellation import end_task


class SingleFlight:
    """Calls an async function, for whoever asks: all who ask while it is at work wait for the same answer.

    So they wait once for its time limit, however many they are. The call is nobody's own: who stops waiting takes
    nobody along. All who wait hear of a failure, and whoever asks after it causes the next call.

    Args:
        call: What to do. Raises a `SessionError`, or nothing.
    """

    def __init__(self, call: Callable[[], Awaitable[None]]) -> None:
        self._call = call
        self._flight: asyncio.Task[SessionError | None] | None = None

    async def join(self) -> None:
        """Wait for the call, which begins now unless one is at work.

        Raises:
            SessionError: What it has raised.
            StoreUnavailable: It was given up, since the manager stops.
        """
        flight = self._flight
        if flight is None or flight.done():
            flight = self._flight = asyncio.create_task(self._fly(), name="asgi_sessions single flight")
        await asyncio.wait([flight])
        if flight.cancelled():
            raise StoreUnavailable("The session manager stops.")
        failure = flight.result()
        if failure is not None:
            raise copy(failure) from failure.__cause__  # one each: whoever handles it may change it

    async def close(self) -> None:
        """End a call that is still at work."""
        if self._flight is not None:
            await end_task(self._flight)

    async def _fly(self) -> SessionError | None:
        try:
            await self._call()
        except SessionError as error:
            return error
        return None
