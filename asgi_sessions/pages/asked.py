"""Functions of the application that a page asks: none can delay it by more than a bound, and none can break it."""

import asyncio
import logging
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from inspect import isawaitable
from typing import Any

from asgi_sessions.manager.function_call import FunctionFailed, result_of
from asgi_sessions.manager.functions import is_async
from asgi_sessions.manager.once_per_minute import OncePerMinute
from asgi_sessions.protocol.clock import Clock

__all__ = ["ASKED_SECONDS", "AT_ONCE", "Asked"]

ASKED_SECONDS = 1.0
"""For so long a page waits for all that it asks; see `function_call` for what counts."""
AT_ONCE = 8
"""Calls of one function that are under way at the same time."""

_log = logging.getLogger("asgi_sessions")


class Asked:
    """One function. Async, or plain: then it runs on a thread.

    Args:
        name: The option's, for the log.
        function: The function; None for one that knows nothing.
        clock: The time, ms.
        read: Reads what the function has said; if it raises, the function has failed.
    """

    def __init__(
        self,
        name: str,
        function: Callable[..., Any] | None,
        clock: Clock,
        read: Callable[[Any], Any] | None = None,
    ) -> None:
        self._name = name
        self._function = function
        self._read = read
        self._failures = OncePerMinute(_log, logging.ERROR, clock)
        self._threads: ThreadPoolExecutor | None = None

    async def of(self, argument: Any) -> Any:
        """What the function says; None where it fails or takes too long."""
        return (await self.of_each((argument,))).get(argument)

    async def of_each(self, arguments: Iterable[Any]) -> dict[Any, Any]:
        """What it says of each of these, without those of which it knows nothing, or not in time."""
        wanted = list(dict.fromkeys(arguments))
        found: dict[Any, Any] = {}
        if self._function is None or not wanted:
            return found
        try:
            await result_of(self._ask_all, wanted, found, seconds=ASKED_SECONDS)
        except FunctionFailed as failure:
            self._failed(str(failure))
        return {argument: value for argument, value in found.items() if value is not None}

    async def _ask_all(self, arguments: list[Any], found: dict[Any, Any]) -> None:
        queue = iter(arguments)

        async def ask_one_after_the_other() -> None:
            for argument in queue:
                try:
                    said = await self._ask(argument)
                    found[argument] = said if said is None or self._read is None else self._read(said)
                except Exception as error:
                    self._failed(f"it raised {type(error).__name__}", raised=True)

        async with asyncio.TaskGroup() as group:
            for _ in range(min(AT_ONCE, len(arguments))):
                group.create_task(ask_one_after_the_other())

    async def _ask(self, argument: Any) -> Any:
        function = self._function
        if function is None:
            return None
        if is_async(function):
            return await function(argument)
        # A call that hangs keeps its thread, and none of the others waits for it longer than for any.
        if self._threads is None:
            self._threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix=f"asgi_sessions {self._name}")
        call = partial(copy_context().run, function, argument)
        said = await asyncio.get_running_loop().run_in_executor(self._threads, call)
        return await said if isawaitable(said) else said  # of a function that calls an async one

    def _failed(self, how: str, *, raised: bool = False) -> None:
        self._failures.say(
            "The function of %s failed, the page is shown without it: %s.", self._name, how, exc_info=raised
        )
