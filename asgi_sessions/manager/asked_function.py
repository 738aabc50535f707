"""An async function of the application that is asked about a session while a login or a refresh waits for it."""

import logging
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

from asgi_sessions.manager.function_call import FunctionFailed, result_of
from asgi_sessions.manager.functions import is_async
from asgi_sessions.manager.once_per_minute import OncePerMinute
from asgi_sessions.protocol import json_value, user_id
from asgi_sessions.protocol.clock import Clock
from asgi_sessions.store.repository import SessionRow

ASKED_SECONDS = 2.0
"""For so long a login or refresh waits for the function; see `function_call` for what counts."""
NO_ANSWER: Final = object()
"""It has failed, and the log says so."""

FunctionT = TypeVar("FunctionT", bound=Callable[[Any, Any], Awaitable[Any]])

_log = logging.getLogger("asgi_sessions")


class AskedFunction:
    """One function at most. One manager's, on all event loops.

    Args:
        name: Of the method that sets it.
        otherwise: What counts where it fails, for the log.
        clock: The time, ms.
    """

    def __init__(self, name: str, otherwise: str, clock: Clock) -> None:
        self._name = name
        self._otherwise = otherwise
        self._function: Callable[[Any, Any], Awaitable[Any]] | None = None
        self._failures = OncePerMinute(_log, logging.ERROR, clock)

    @property
    def is_set(self) -> bool:
        """Whether there is a function."""
        return self._function is not None

    def set(self, function: FunctionT) -> FunctionT:
        """Ask this function from now on, and return it.

        Raises:
            TypeError: It is no async function.
            ValueError: There is one already.
        """
        if not is_async(function):
            raise TypeError(f'{self._name}: the function must be async: define it with "async def"')
        if self._function is not None:
            raise ValueError(f"{self._name}: there is a function already, and only one can decide")
        self._function = function
        return function

    async def ask(self, row: SessionRow) -> Any:
        """What the function says of a session, given its user's id and payload; `NO_ANSWER` where it fails."""
        if self._function is None:
            return NO_ANSWER
        user, payload = user_id.decode(row.user_id), json_value.loads(row.jwt_payload)
        try:
            return await result_of(self._function, user, payload, seconds=ASKED_SECONDS)
        except FunctionFailed as failure:
            self.failed(str(failure), raised=True)
        except Exception as error:
            self.failed(f"it raised {type(error).__name__}", raised=True)
        return NO_ANSWER

    def failed(self, how: str, *, raised: bool = False) -> None:
        """Say in the log, once a minute, that the function is of no use."""
        self._failures.say("The function of %s failed, %s: %s.", self._name, self._otherwise, how, exc_info=raised)
