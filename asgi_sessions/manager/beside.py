"""Tasks beside the requests: nothing waits for them but a stop."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from asgi_sessions.store.cancellation import end_task

CLOSE_SECONDS = 5.0
"""For so long a stop waits for what is under way."""


class Beside:
    """Holds the tasks of one event loop until they are done."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[Any]] = set()

    def __len__(self) -> int:
        return len(self._running)

    def start(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        """Start a task. It must handle its own errors, unless the caller looks at its outcome."""
        task = asyncio.get_running_loop().create_task(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return task

    async def close(self) -> None:
        """Wait `CLOSE_SECONDS` for the tasks that run, then cancel them."""
        if self._running:
            await asyncio.wait(self._running, timeout=CLOSE_SECONDS)
        for task in list(self._running):
            await end_task(task)
