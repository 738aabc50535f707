"""The outbox: which ends of sessions are to be told to which receivers.

What must hold
==============

*No end is lost.* The tombstone itself is the first entry: whoever ends a session, by whichever statement, on a worker
of whichever version or on the command line, has written it with the end. So an end costs no statement more, however
many sessions end at once. Later the one worker that delivers takes a row down for each receiver. A tombstone is purged
only when that has been done, or after a day (``untold``).

*An end is told to a receiver once, unless an answer is lost.* A row is written only where there is none of that handle
and receiver. It stays, delivered, for as long as its tombstone is read again: see ``oidc.collecting``.

*Nothing is kept for ever.* `purge` deletes whatever is older than `KEPT_MS`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from asgi_sessions.store.batches import delete_in_batches
from asgi_sessions.store.engine import Database, DuplicateKey
from asgi_sessions.store.notification_statements import (
    Notification,
    NotificationState,
    NotificationStatements,
    is_receiver,
)
from asgi_sessions.store.schema import Tables, of_tables

__all__ = ["KEPT_MS", "Backlog", "Notification", "NotificationState", "NotificationStore", "is_receiver"]

COLLECT_BATCH = 500
PIECE = 2_000
"""Each needs a page or two of the table, which may lie on disk: a third of a second at the worst."""
_NEVER = 2**63 - 1
KEPT_MS = 30 * 86_400_000


@dataclass(frozen=True, slots=True)
class Backlog:
    """What a receiver has not been told.

    Attributes:
        receiver: Its audience.
        waiting: How many ends are still to be told.
        dead: How many have been given up.
        oldest_at: Since when the oldest of those that wait does, ms; None where none does.
    """

    receiver: str
    waiting: int
    dead: int
    oldest_at: int | None


class NotificationStore:
    """Every statement about notifications. Each is safe to repeat. Failures as in ``SessionRepository``."""

    def __init__(self, database: Database, tables: Tables) -> None:
        self._run = database.run
        self._statements = of_tables(NotificationStatements, tables)

    # -- ends are taken down

    async def boundary(self, since: int) -> int | None:
        """Until when, from a time on, ms, about `PIECE` sessions ended; None if they are fewer.

        So many are looked at by one statement, however many have been taken down.
        """
        outcome = await self._run(self._statements.boundary, {"since": since, "size": PIECE}, strong=True)
        return int(outcome.rows[0][0]) if outcome.rows else None

    async def uncollected(
        self, since: int, receivers: Sequence[str], *, until: int | None = None, strong: bool
    ) -> list[tuple[str, int]]:
        """The oldest ends that have not been taken down for each of these receivers: handles, and when they ended.

        Args:
            since: Only those that ended then or later, ms.
            receivers: Each once.
            until: Only those that ended then or sooner, ms.
            strong: See `Database.run`.
        """
        values = {"since": since, "until": _NEVER if until is None else until, "size": COLLECT_BATCH}
        values_of_receivers = {"receivers": list(receivers), "number": len(receivers)}
        outcome = await self._run(self._statements.uncollected, values | values_of_receivers, strong=strong)
        return [(handle, int(ended_at)) for handle, ended_at in outcome.rows]

    async def add(self, handles: Sequence[str], receiver: str, now: int) -> None:
        """Take down that these sessions have ended, where it has not been; for a receiver.

        Args:
            handles: At most `COLLECT_BATCH`.
            receiver: Its audience.
            now: ms.
        """
        values = {"handles": list(handles), "p_receiver": receiver, "now": now}
        try:
            await self._run(self._statements.add, values, strong=True)
        except DuplicateKey:  # a worker that had the lease before is still at it: the next pass finds the rest
            return

    async def newest(self, since: int) -> int | None:
        """When the last session ended, ms; None if none has since then."""
        value = (await self._run(self._statements.newest, {"since": since}, strong=True)).rows[0][0]
        return None if value is None else int(value)

    # -- they are delivered

    async def due(self, receiver: str, now: int, *, limit: int) -> list[Notification]:
        """What this receiver is to be told by now, ms; what has been due for longest first."""
        outcome = await self._run(self._statements.due, {"p_receiver": receiver, "now": now, "size": limit})
        return [_notification(row) for row in outcome.rows]

    async def next_due(self, receivers: Sequence[str]) -> int | None:
        """When the next one is due, ms."""
        value = (await self._run(self._statements.next_due, {"receivers": list(receivers)})).rows[0][0]
        return None if value is None else int(value)

    async def is_anywhere(self, user_id: bytes, now: int) -> bool:
        """Whether a user has a live session at this time, ms, at the strongest consistency."""
        values = {"p_user_id": user_id, "now": now}
        return bool((await self._run(self._statements.live, values, strong=True)).rows)

    async def delivered(self, handles: Sequence[str], receiver: str) -> None:
        """A receiver knows of these ends."""
        await self._run(self._statements.delivered, {"handles": list(handles), "p_receiver": receiver})

    async def delivered_all_of(self, user_id: bytes, receiver: str, until: int) -> None:
        """A receiver knows of all ends of a user's sessions that were taken down until then, ms."""
        values = {"p_user_id": user_id, "p_receiver": receiver, "until": until}
        await self._run(self._statements.delivered_of, values)

    async def postpone(self, handles: Sequence[str], receiver: str, next_at: int, failure: str) -> None:
        """A receiver could not be told of these ends; it is tried again then, ms."""
        values = {"handles": list(handles), "p_receiver": receiver, "p_next_at": next_at, "p_failure": failure}
        await self._run(self._statements.postpone, values)

    async def bury(self, handles: Sequence[str], receiver: str, now: int, failure: str) -> int:
        """Give up telling a receiver of these ends; returns how many were."""
        values = {"handles": list(handles), "p_receiver": receiver, "now": now, "p_failure": failure}
        return (await self._run(self._statements.bury, values)).rowcount

    async def bury_older(self, receiver: str, queued_before: int, now: int) -> int:
        """Give up telling a receiver of what has waited since before then, ms; returns how many were."""
        values = {"p_receiver": receiver, "queued_before": queued_before, "now": now}
        return (await self._run(self._statements.bury_older, values)).rowcount

    async def bury_of_others(self, receivers: Sequence[str], queued_before: int, now: int) -> int:
        """The same for all receivers but these, which nobody delivers to any more."""
        values = {"receivers": list(receivers), "queued_before": queued_before, "now": now}
        return (await self._run(self._statements.bury_others, values)).rowcount

    async def forget_delivered(self, receiver: str, below: int) -> int:
        """Delete what was delivered to a receiver about ends before this, ms; returns how many."""
        keys, deletion = self._statements.forget
        return await delete_in_batches(self._run, keys, deletion, {"p_receiver": receiver, "below": below})

    async def purge(self, now: int) -> int:
        """Delete what is older than `KEPT_MS`, whatever has become of it; returns about how many."""
        keys, deletion = self._statements.purge
        return await delete_in_batches(self._run, keys, deletion, {"queued_before": now - KEPT_MS})

    # -- people look at them

    async def list_of(self, *states: NotificationState, limit: int) -> list[Notification]:
        """Those in these states, the oldest first."""
        outcome = await self._run(self._statements.list_of, {"states": [str(state) for state in states], "size": limit})
        return [_notification(row) for row in outcome.rows]

    async def backlog(self) -> list[Backlog]:
        """What each receiver has not been told, in the order of their names."""
        found: dict[str, dict[str, tuple[int, int]]] = {}
        for receiver, state, count, oldest in (await self._run(self._statements.backlog)).rows:
            found.setdefault(receiver, {})[state] = int(count), int(oldest)
        return [_backlog(receiver, states) for receiver, states in sorted(found.items())]

    async def requeue(self, now: int, *, handles: Sequence[str] = (), receiver: str | None = None) -> int:
        """Try again what has been given up: of all, or only of these sessions and this receiver; returns how many."""
        values = _chosen(handles, receiver) | {"now": now}
        return (await self._run(self._statements.requeue[bool(handles), receiver is not None], values)).rowcount

    async def drop(self, *, handles: Sequence[str] = (), receiver: str | None = None) -> int:
        """Delete what has been given up: of all, or only of these sessions and this receiver; returns how many."""
        values = _chosen(handles, receiver)
        return (await self._run(self._statements.drop[bool(handles), receiver is not None], values)).rowcount

    async def of_user(self, user_id: bytes) -> list[Notification]:
        """All that are about a user."""
        outcome = await self._run(self._statements.of_user, {"p_user_id": user_id}, strong=True)
        return [_notification(row) for row in outcome.rows]

    async def erase(self, user_id: bytes) -> int:
        """Take the user away from all that are about one; returns how many. The receivers know the sessions."""
        return (await self._run(self._statements.erase, {"p_user_id": user_id}, strong=True)).rowcount


def _notification(row: Sequence[Any]) -> Notification:
    handle, receiver, user_id, *rest = row
    return Notification(handle, receiver, bytes(user_id), *rest)


def _backlog(receiver: str, states: Mapping[str, tuple[int, int]]) -> Backlog:
    waiting, oldest = states.get(NotificationState.WAITING, (0, None))
    return Backlog(receiver, waiting, states.get(NotificationState.DEAD, (0, 0))[0], oldest)


def _chosen(handles: Sequence[str], receiver: str | None) -> dict[str, Any]:
    values: dict[str, Any] = {}
    if handles:
        values["handles"] = list(handles)
    if receiver is not None:
        values["p_receiver"] = receiver
    return values
