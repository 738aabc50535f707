"""Changes by compare-and-set: read, change, write where nobody else has written meanwhile; else again."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from asgi_sessions.errors import StoreUnavailable
from asgi_sessions.store.failures import StatementInterrupted

MOST_TRIES = 100
"""Of a change that others overtake: at each try one of them has made theirs."""
LONGEST_PAUSE_SECONDS = 0.1

T = TypeVar("T")


async def changed(attempt: Callable[[bool], Awaitable[T | None]], what: str) -> T:
    """Try until nobody is faster; returns what the attempt has given.

    Args:
        attempt: Told whether to read at the strongest consistency, since what a node that lags says would be refused
            for ever. None says that somebody else was faster.
        what: Of what it is, for the error.

    Raises:
        StoreUnavailable: Others were faster each time: nothing has changed.
    """
    for tried in range(MOST_TRIES):
        done = await attempt(tried > 0)
        if done is not None:
            return done
        await asyncio.sleep(random.uniform(0, min(LONGEST_PAUSE_SECONDS, tried / 100)))  # noqa: S311 - no secret
    raise StoreUnavailable(f"The session's {what} is being changed all the time.")


async def swapped(swap: Awaitable[bool]) -> bool:
    """Whether a compare-and-set of the store is known to be done. One that was cut off may be done all the same.

    For whoever reads the row again then, and to whom once more is the same.
    """
    try:
        return await swap
    except StatementInterrupted:
        return False


def new_value(change: Callable[[Any], Any], old: Any, name: str) -> Any:
    """What an application's function makes of a value.

    Raises:
        TypeError: None, the mistake of a function that changes what it is given, and returns nothing.
    """
    value = change(old)
    if value is None:
        raise TypeError(f"change must return the new {name}, and returned None; update_{name} stores None")
    return value
