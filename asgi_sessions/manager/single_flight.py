"""One call at a time: callers that come while it runs get its outcome."""

import asyncio
from collections.abc import Awaitable, Callable
from copy import copy

from asgi_sessions.errors import SessionError, StoreUnavailable
from asgi_sessions.store.cancellation import end_task


class SingleFlight:
    """Calls an async function. Callers that come while a call runs wait for that call.

    So any number of callers wait for one time limit at most. The call runs in a task of its own: a caller that is
    cancelled does not cancel it. Each caller gets its failure, and the next one after that starts another call.

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
            raise copy(failure) from failure.__cause__  # one for each caller, because a handler may change it

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
