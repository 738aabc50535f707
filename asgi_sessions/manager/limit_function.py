"""``max_sessions_per_user`` by a function of the application: by plan, role or kind of user."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias, TypeVar

from asgi_sessions.manager.functions import is_async
from asgi_sessions.manager.once_per_minute import OncePerMinute
from asgi_sessions.protocol import json_value, user_id
from asgi_sessions.protocol.clock import Clock
from asgi_sessions.store.repository import SessionRow

LIMIT_SECONDS = 2.0
"""For so long a login waits for the function."""

LimitFunction: TypeAlias = Callable[[Any, Any], Awaitable[int | None]]
"""Given the user's id and the payload of the login, returns how many sessions there may be; None for any number."""
LimitFunctionT = TypeVar("LimitFunctionT", bound=LimitFunction)

_log = logging.getLogger("asgi_sessions")


class LimitByUser:
    """Asks the function, if there is one. One manager's, on all event loops."""

    def __init__(self, clock: Clock) -> None:
        self._function: LimitFunction | None = None
        self._failures = OncePerMinute(_log, logging.ERROR, clock)

    def set(self, function: LimitFunctionT) -> LimitFunctionT:
        """Ask this function at each login from now on, and return it.

        Raises:
            TypeError: It is no async function.
            ValueError: There is one already.
        """
        if not is_async(function):
            raise TypeError('limit_sessions_per_user: the function must be async: define it with "async def"')
        if self._function is not None:
            raise ValueError("limit_sessions_per_user: there is a function already, and only one can decide")
        self._function = function
        return function

    async def of(self, row: SessionRow, otherwise: int | None) -> tuple[int | None, bool]:
        """How many sessions the user of a new session may have, None for any number; and whether the function says so.

        Args:
            row: The new session.
            otherwise: The limit where there is no function, or it raises, takes too long or returns no such number.
        """
        if self._function is None:
            return otherwise, False
        try:
            async with asyncio.timeout(LIMIT_SECONDS):
                limit = await self._function(user_id.decode(row.user_id), json_value.loads(row.jwt_payload))
            if limit is None or (type(limit) is int and limit > 0):
                return limit, True
            self._failed("it returned neither a whole number from 1 nor None", failed=False)
        except TimeoutError:
            self._failed(f"it took longer than {LIMIT_SECONDS:g} s, or ran into a timeout of its own")
        except Exception as error:
            self._failed(f"it raised {type(error).__name__}")
        return otherwise, False

    def _failed(self, how: str, *, failed: bool = True) -> None:
        self._failures.say(
            "The function of limit_sessions_per_user failed, max_sessions_per_user counts: %s.", how, exc_info=failed
        )
