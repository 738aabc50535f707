"""``max_sessions_per_user`` by a function of the application: by plan, role or kind of user."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias, TypeVar

from asgi_sessions.manager.asked_function import NO_ANSWER, AskedFunction
from asgi_sessions.protocol.clock import Clock
from asgi_sessions.store.repository import SessionRow

LimitFunction: TypeAlias = Callable[[Any, Any], Awaitable[int | None]]
"""Given the user's id and the payload of the login, returns how many sessions there may be; None for any number."""
LimitFunctionT = TypeVar("LimitFunctionT", bound=LimitFunction)


class LimitByUser(AskedFunction):
    """Asks the function, if there is one. One manager's, on all event loops."""

    def __init__(self, clock: Clock) -> None:
        super().__init__("limit_sessions_per_user", "max_sessions_per_user counts", clock)

    async def of(self, row: SessionRow, otherwise: int | None) -> tuple[int | None, bool]:
        """How many sessions the user of a new session may have, None for any number; and whether the function says so.

        Args:
            row: The new session.
            otherwise: The limit where there is no function, or it raises, takes too long or returns no such number.
        """
        limit = await self.ask(row)
        if limit is NO_ANSWER:
            return otherwise, False
        if limit is None or (type(limit) is int and limit > 0):
            return limit, True
        self.failed("it returned neither a whole number from 1 nor None")
        return otherwise, False
