"""What has been taken down is told to its receivers, again and again where one does not take it.

What must hold
==============

*A row is done only when its receiver has answered so.* An answer that is lost, or a worker that dies after it, makes
the receiver hear of the same end twice, by another token.

*Each token is true when it is made.* One without `sid` says that all of a user's sessions have ended: it is sent in
place of several where the database says, just before, that the user has none. A user who has signed in since is told of
session by session, however old the rows are.

*A receiver that is down is asked for one row at a time*, after pauses that grow to `LONGEST_HOLD_MS`, and delays no
other receiver. A row that alone is not taken delays the others once, by a second.
"""

import asyncio
import logging
import random
from collections import deque
from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from asgi_sessions.manager.audit import Event
from asgi_sessions.manager.lifecycle import Lifecycle
from asgi_sessions.manager.once_per_minute import OncePerMinute
from asgi_sessions.oidc.logout_receiver import LogoutReceiver
from asgi_sessions.oidc.own_logout_token import signed_logout
from asgi_sessions.oidc.telling import Answer, Meaning, Teller
from asgi_sessions.protocol import user_id
from asgi_sessions.store.notifications import Notification, NotificationStore
from asgi_sessions.store.session_row import NOBODY

__all__ = ["GIVE_UP_MS", "Deliverer"]

FIRST_PAUSE_MS: Final = 1_000
LONGEST_PAUSE_MS: Final = 3_600_000
LONGEST_HOLD_MS: Final = 60_000
"""A receiver that is there again hears of it within a minute."""
GIVE_UP_MS: Final = 86_400_000
AT_ONCE: Final = 4
"""Requests to one receiver."""
BATCH: Final = 50

T = TypeVar("T")

_log = logging.getLogger("asgi_sessions")


@dataclass(slots=True)
class _Hold:
    """A receiver that is left alone.

    Attributes:
        until: ms.
        failures: In a row.
    """

    until: int = 0
    failures: int = 0


@dataclass(frozen=True, slots=True)
class _Message:
    """What one token says.

    Attributes:
        handles: Of the rows that it stands for.
        owner: The stored form of the user's id.
        attempts: How many of the oldest of these rows have failed.
        queued_at: When it was taken down, ms.
        asked_at: When the user had no live session, ms; None if one session is meant.
    """

    handles: Sequence[str]
    owner: bytes
    attempts: int
    queued_at: int
    asked_at: int | None = None


class Deliverer:
    """Tells receivers. To be used by one worker at a time; two at once do no harm.

    Args:
        lifecycle: Whose sessions, keys and clock.
        notifications: What is to be told.
        receivers: To whom.
        issuer: Who says it.
        teller: How.
        monotonic: Seconds, by a clock that nobody sets.
        jitter: Multiplies pauses, so that workers and rows come apart.
    """

    def __init__(
        self,
        lifecycle: Lifecycle,
        notifications: NotificationStore,
        receivers: Sequence[LogoutReceiver],
        issuer: str,
        teller: Teller,
        monotonic: Callable[[], float],
        jitter: Callable[[], float] = lambda: random.uniform(0.8, 1.2),  # noqa: S311 - no secret
    ) -> None:
        self._lifecycle = lifecycle
        self._notifications = notifications
        self._receivers = receivers
        self._issuer = issuer
        self._teller = teller
        self._monotonic = monotonic
        self._jitter = jitter
        self._holds = {receiver.audience: _Hold() for receiver in receivers}
        self._warnings = {
            receiver.audience: OncePerMinute(_log, logging.WARNING, lifecycle.clock) for receiver in receivers
        }

    @property
    def free_at(self) -> int:
        """When somebody may be told again, ms: before that all have to be left alone."""
        return min(hold.until for hold in self._holds.values())

    async def deliver(self, until: float) -> bool:
        """Tell each receiver what is due; returns whether more is.

        Args:
            until: When to begin no more requests, in the seconds of ``monotonic``.

        Raises:
            StoreUnavailable: The database did not answer. What has been told may be told again.
        """
        if (await self._lifecycle.keys.signing_key()).algorithm == "HS256":
            return False  # the settings are new, and the first key with a public one signs in a minute
        return any(await _together(self._deliver_to(receiver, until) for receiver in self._receivers))

    async def give_up_on_others(self) -> None:
        """Give up what waits for receivers that there are no more."""
        now = self._now()
        audiences = [receiver.audience for receiver in self._receivers]
        count = await self._notifications.bury_of_others(audiences, now - GIVE_UP_MS, now)
        if count:
            self._lifecycle.events.happened(Event.NOT_TOLD, reason="no such receiver", count=count)

    async def _deliver_to(self, receiver: LogoutReceiver, until: float) -> bool:
        hold = self._holds[receiver.audience]
        if hold.until > self._now():
            return False
        rows = await self._notifications.due(receiver.audience, self._now(), limit=BATCH)
        messages = deque(await self._messages(rows))

        async def work() -> None:
            while messages and hold.until <= self._now() and self._monotonic() < until:
                await self._tell(receiver, hold, messages.popleft())

        at_once = 1 if hold.failures else AT_ONCE
        await _together(work() for _ in range(at_once))
        return bool(rows) and hold.until <= self._now()

    async def _messages(self, rows: Iterable[Notification]) -> list[_Message]:
        of_users: dict[bytes, list[Notification]] = {}
        for row in rows:
            of_users.setdefault(row.user_id, []).append(row)
        messages: list[_Message] = []
        for owner, own in of_users.items():
            asked_at = self._now()
            if owner != NOBODY and len(own) > 1 and not await self._is_anywhere(owner):
                attempts, queued_at = max(row.attempts for row in own), min(row.queued_at for row in own)
                messages.append(_Message([row.handle for row in own], owner, attempts, queued_at, asked_at))
            else:
                messages += (_Message([row.handle], owner, row.attempts, row.queued_at) for row in own)
        return messages

    async def _is_anywhere(self, owner: bytes) -> bool:
        """Whether a token about all of this user's sessions would be wrong, or taken for one about a namesake's."""
        now = self._lifecycle.revoker.ended_before()
        same_text = [user_id.encode(each) for each in user_id.namesakes(user_id.decode(owner))]
        for each in (owner, *same_text):
            if await self._notifications.is_anywhere(each, now):
                return True
        return False

    async def _tell(self, receiver: LogoutReceiver, hold: _Hold, message: _Message) -> None:
        token = signed_logout(
            await self._lifecycle.keys.signing_key(),
            issuer=self._issuer,
            audience=receiver.audience,
            now=self._now(),
            session_handle=message.handles[0] if message.asked_at is None else None,
            owner=message.owner,
        )
        answer = await self._teller.tell(receiver, token)
        if answer.meaning is Meaning.LATER:
            await self._later(receiver, hold, message, answer)
            return
        hold.failures = 0
        if answer.meaning is Meaning.REFUSED:
            await self._give_up(receiver, message, answer.reason)
        elif message.asked_at is None:
            await self._notifications.delivered(message.handles, receiver.audience)
        else:
            await self._notifications.delivered_all_of(message.owner, receiver.audience, message.asked_at)

    async def _later(self, receiver: LogoutReceiver, hold: _Hold, message: _Message, answer: Answer) -> None:
        now = self._now()
        if message.attempts == 0 or answer.is_about_the_receiver:
            hold.failures += hold.until <= now  # of requests that were under way together one counts
            hold.until = max(hold.until, now + max(self._pause(hold.failures, LONGEST_HOLD_MS), answer.retry_after_ms))
        self._warnings[receiver.audience].say(
            "%s could not be told of a logout: %s. It is tried on.", receiver.audience, answer.reason
        )
        if now - message.queued_at >= GIVE_UP_MS:
            await self._give_up(receiver, message, answer.reason)
            count = await self._notifications.bury_older(receiver.audience, now - GIVE_UP_MS, now)
            if count:
                self._not_told(receiver, answer.reason, count=count)
            return
        pause = max(self._pause(message.attempts + 1, LONGEST_PAUSE_MS), answer.retry_after_ms)
        await self._notifications.postpone(message.handles, receiver.audience, now + pause, answer.reason)

    async def _give_up(self, receiver: LogoutReceiver, message: _Message, reason: str) -> None:
        await self._notifications.bury(message.handles, receiver.audience, self._now(), reason)
        owner = None if message.owner == NOBODY else user_id.decode(message.owner)
        if len(message.handles) == 1:
            self._not_told(receiver, reason, session_handle=message.handles[0], user_id=owner)
        else:
            self._not_told(receiver, reason, session_handles=list(message.handles), user_id=owner)

    def _not_told(self, receiver: LogoutReceiver, reason: str, **told: Any) -> None:
        self._lifecycle.events.happened(Event.NOT_TOLD, receiver=receiver.audience, reason=reason, **told)

    def _pause(self, failures: int, longest: int) -> int:
        pause: int = min(longest, FIRST_PAUSE_MS << min(failures - 1, 20))
        return round(pause * self._jitter())

    def _now(self) -> int:
        return self._lifecycle.clock.database_time()


async def _together(several: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """Await all of them to their ends, then raise the first error, if there was one."""
    outcomes = await asyncio.gather(*several, return_exceptions=True)
    for outcome in outcomes:
        if isinstance(outcome, BaseException):
            raise outcome
    return [outcome for outcome in outcomes if not isinstance(outcome, BaseException)]
