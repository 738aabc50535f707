"""One worker's part in telling others: one of all workers does it, for as long as it has the lease."""

import asyncio
import logging
import random
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack, suppress
from types import TracebackType
from typing import Final, Self

from asgi_sessions.errors import StoreUnavailable
from asgi_sessions.manager.companions import Opened
from asgi_sessions.manager.once_per_minute import OncePerMinute
from asgi_sessions.oidc.collecting import Collector
from asgi_sessions.oidc.delivering import Deliverer
from asgi_sessions.oidc.logout_receiver import LogoutReceiver
from asgi_sessions.oidc.telling import TELL_SECONDS, Teller
from asgi_sessions.store.cancellation import end_task
from asgi_sessions.store.failures import in_full

__all__ = ["OutboxWorker"]

LEASE: Final = "tell others of logouts"
LEASE_SECONDS: Final = 20.0
"""For so long nobody is told where the worker that does it has been killed."""
POLL_SECONDS: Final = 0.5
"""Between looks for ends of other workers; its own wake it."""
LOOK_SECONDS: Final = 5.0
"""Between looks for a free lease, and for what a command has queued anew."""
LONGEST_REST_SECONDS: Final = 1.0
"""While much is to be told half of the time is left to users."""
OTHERS_SECONDS: Final = 3600.0

_log = logging.getLogger("asgi_sessions")


class OutboxWorker:
    """As an asynchronous context manager it works in a task of its own until the end.

    Args:
        opened: Of the manager.
        receivers: To whom.
        issuer: Who says it.
        monotonic: Seconds, by a clock that nobody sets.
        works: False only for tests, which call `turn` themselves.
    """

    def __init__(
        self,
        opened: Opened,
        receivers: Sequence[LogoutReceiver],
        issuer: str,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        works: bool = True,
    ) -> None:
        self._leases = opened.leases
        self._notifications = opened.notifications
        self._name = opened.name
        self._monotonic = monotonic
        self._works = works
        self._now = opened.lifecycle.clock.database_time
        self._audiences = [receiver.audience for receiver in receivers]
        self._teller = Teller()
        self._collector = Collector(
            opened.notifications, opened.tombstones, opened.state, self._audiences, self._now, monotonic
        )
        self._deliverer = Deliverer(opened.lifecycle, opened.notifications, receivers, issuer, self._teller, monotonic)
        self._put_off = OncePerMinute(_log, logging.WARNING, opened.lifecycle.clock)
        self._held_until = self._look_at = self._others_at = float("-inf")
        self._next_due: int | None = None
        self._woken = asyncio.Event()
        opened.wakes.append(self._woken.set)
        self._opened = AsyncExitStack()

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as opened:
            await opened.enter_async_context(self._teller)
            opened.push_async_callback(self._give_back)
            if self._works:
                task = asyncio.create_task(self._work_for_ever(), name="asgi_sessions outbox")
                opened.push_async_callback(end_task, task)
            self._opened = opened.pop_all()
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._opened.aclose()

    async def turn(self) -> float:
        """Do what there is to do; returns after how many seconds to come again.

        Raises:
            StoreUnavailable: The database did not answer.
        """
        if not await self._holds_lease():
            return LOOK_SECONDS * random.uniform(0.8, 1.2)  # noqa: S311 - no secret
        count, more = await self._collector.collect()
        if count or self._is_due():
            until = self._held_until - TELL_SECONDS
            more = await self._deliverer.deliver(until) or more
            self._next_due = await self._notifications.next_due(self._audiences)
            self._look_at = self._monotonic() + LOOK_SECONDS
        if self._monotonic() >= self._others_at:
            self._others_at = self._monotonic() + OTHERS_SECONDS
            await self._deliverer.give_up_on_others()
            await self._collector.say_that_somebody_tells()
        return 0.0 if more else POLL_SECONDS

    def _is_due(self) -> bool:
        now = self._now()
        is_due = self._next_due is not None and max(self._next_due, self._deliverer.free_at) <= now
        return is_due or self._monotonic() >= self._look_at

    async def _holds_lease(self) -> bool:
        now = self._monotonic()
        if now < self._held_until - LEASE_SECONDS / 2:
            return True
        was_held = now < self._held_until
        if not await self._leases.acquire(LEASE, self._name, round(LEASE_SECONDS * 1000)):
            self._held_until = float("-inf")
            return False
        if not was_held:
            await self._collector.begin()
            self._look_at = float("-inf")
        self._held_until = now + LEASE_SECONDS
        return True

    async def _work_for_ever(self) -> None:
        while True:
            self._woken.clear()
            began = self._monotonic()
            try:
                pause = await self.turn()
            except StoreUnavailable as error:
                self._put_off.say("Others are told of logouts later. %s", in_full(error))
                pause = LOOK_SECONDS
            except Exception:
                _log.exception("Others could not be told of logouts; it is tried on.")
                pause = LOOK_SECONDS
            if not pause:
                await asyncio.sleep(min(self._monotonic() - began, LONGEST_REST_SECONDS))
            elif pause == POLL_SECONDS:
                with suppress(TimeoutError):
                    async with asyncio.timeout(pause):
                        await self._woken.wait()
            else:
                await asyncio.sleep(pause)

    async def _give_back(self) -> None:
        if self._monotonic() < self._held_until:
            with suppress(StoreUnavailable):
                await self._leases.give_back(LEASE, self._name)
