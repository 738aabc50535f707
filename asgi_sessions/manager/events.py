"""What happened to sessions: one stable event each, for the audit log and for the application's own hooks."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from types import MappingProxyType
from typing import Any, TypeAlias, TypeVar
from weakref import WeakKeyDictionary

from asgi_sessions.manager.audit import Event, SessionEvent, record
from asgi_sessions.manager.functions import is_async
from asgi_sessions.manager.hook_lane import HookLane

__all__ = ["Events", "Hook", "HookT"]

SETTLE_SECONDS = 5.0
"""For so long a stop waits for hooks that are still at work."""
CANCEL_SECONDS = 1.0
"""And for so long for those that it has cancelled."""

_log = logging.getLogger(__name__)


Hook: TypeAlias = Callable[[SessionEvent], Awaitable[None]]
HookT = TypeVar("HookT", bound=Hook)


class Events:
    """Tells the audit log, then the hooks. One manager's, on all event loops."""

    def __init__(self) -> None:
        self._hooks: dict[Event, list[Hook]] = {}
        self._lanes: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[tuple[Event, int], HookLane]] = (
            WeakKeyDictionary()
        )

    def add(self, event: Event, hook: HookT) -> HookT:
        """Have `hook` called after each event of this kind, and return it.

        Raises:
            TypeError: It is no async function.
        """
        if not is_async(hook):
            raise TypeError(f'a hook of {event.value} must be async: define it with "async def"')
        self._hooks.setdefault(event, []).append(hook)
        return hook

    def happened(self, event: Event, *, session_handle: str | None = None, user_id: Any = None, **details: Any) -> None:
        """Write the event down, and start its hooks beside the request: none of them can delay or break it.

        A hook that hangs or is slow has its events dropped when too many wait for it; the audit log has them all.

        Args:
            event: What happened.
            session_handle: To which session, where it is one.
            user_id: To whose session, where that is known.
            **details: More of it, e.g. ``reason``, ``count``.
        """
        record(event, session_handle=session_handle, user_id=user_id, **details)
        hooks = self._hooks.get(event)
        if hooks:
            told = SessionEvent(event.value, session_handle, user_id, MappingProxyType(details))
            lanes = self._lanes.setdefault(asyncio.get_running_loop(), {})
            for place, hook in enumerate(hooks):
                lane = lanes.get((event, place))
                if lane is None:
                    lane = lanes[event, place] = HookLane(hook)
                lane.tell(told)

    async def settle(self) -> None:
        """Wait for the hooks of this event loop that are still at work, and cancel those that take too long."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + SETTLE_SECONDS
        try:
            while (at_work := self._at_work()) and (left := deadline - loop.time()) > 0:  # one may set off others
                await asyncio.wait(at_work, timeout=left)
        finally:
            given_up = sum(lane.give_up() for lane in self._lanes.get(loop, {}).values())
            if given_up:
                _log.error("%d events were dropped: their hooks were not done with others.", given_up)
            late = self._at_work()
            for task in late:
                task.cancel()
        if late:
            _log.warning("%d hooks were still at work after %g s and were cancelled.", len(late), SETTLE_SECONDS)
            await asyncio.wait(late, timeout=CANCEL_SECONDS)

    def _at_work(self) -> list[asyncio.Task[None]]:
        loop = asyncio.get_running_loop()
        lanes = self._lanes.get(loop, {}).values()
        at_work = [task for lane in lanes for task in lane.running if not task.done()]
        this = asyncio.current_task()  # which may be a hook that stops its manager
        return [task for task in at_work if task is not this]
