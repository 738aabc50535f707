"""Runs one hook: for some events at once, with a queue for more, and a time limit for each."""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable

from asgi_sessions.manager.audit import SessionEvent
from asgi_sessions.manager.function_call import FunctionTimedOut, result_of
from asgi_sessions.manager.once_per_minute import OncePerMinute
from asgi_sessions.protocol.clock import system_clock

HOOK_SECONDS = 30.0
"""A hook that is at work for longer with one event is cancelled."""
AT_ONCE = 20
"""So many events one hook handles at the same time."""
WAITING = 1000
"""So many more wait for their turn. What comes then is dropped, for this hook alone."""

_log = logging.getLogger(__name__)


class HookLane:
    """The events that one hook has to handle on one event loop. No other hook and no request waits for them.

    Attributes:
        running: The hook's tasks.
    """

    def __init__(self, hook: Callable[[SessionEvent], Awaitable[None]]) -> None:
        self._hook = hook
        self._waiting: deque[SessionEvent] = deque()
        self._dropped = 0
        self._too_slow = OncePerMinute(_log, logging.ERROR, system_clock)
        self.running: set[asyncio.Task[None]] = set()

    def tell(self, event: SessionEvent) -> None:
        """Have the hook called now, or later, or not at all where too many events wait for it."""
        if len(self.running) < AT_ONCE:
            self._start(event)
        elif len(self._waiting) < WAITING:
            self._waiting.append(event)
        else:
            if not self._dropped:
                _log.error("A hook of %s does not keep up: further events are dropped for it.", event.name)
            self._dropped += 1

    def give_up(self) -> int:
        """Forget what waits; return how many events the hook has not heard of, those dropped before included."""
        count, self._dropped = len(self._waiting) + self._dropped, 0
        self._waiting.clear()
        return count

    def _start(self, event: SessionEvent) -> None:
        task = asyncio.get_running_loop().create_task(self._run(event))
        self.running.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self.running.discard(task)
        if self._waiting:
            self._start(self._waiting.popleft())
        elif self._dropped:
            count, self._dropped = self._dropped, 0
            _log.error("A hook keeps up again; %d events were dropped for it.", count)

    async def _run(self, event: SessionEvent) -> None:
        try:
            await result_of(self._hook, event, seconds=HOOK_SECONDS)
        except FunctionTimedOut:
            self._too_slow.say("A hook of %s was cancelled: it took more than %g s.", event.name, HOOK_SECONDS)
        except Exception:
            _log.exception("A hook of %s failed; the request went on.", event.name)
