"""Revocation: the tombstone, then everybody who should know: this worker at once, the others by their feeds.

The file is longer than others because it holds each way to end sessions, with what each promises.
"""

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from typing import Any, TypeAlias

from asgi_sessions.errors import StoreUnavailable
from asgi_sessions.manager.audit import Event, by
from asgi_sessions.manager.events import Events
from asgi_sessions.manager.parts import acted_in, begun_before, end_all_of
from asgi_sessions.manager.records import SessionRecord
from asgi_sessions.protocol import user_id
from asgi_sessions.protocol.clock import Clock
from asgi_sessions.protocol.session_handle import is_handle
from asgi_sessions.revocation.feed import RevocationFeed
from asgi_sessions.revocation.termination_listeners import TerminationListeners
from asgi_sessions.settings import SessionSettings
from asgi_sessions.store.repository import LIVING_BATCH, REVOKE_BATCH, SessionRepository, SessionRow

EVICTED = "evicted"
"""The reason in the tombstone of a session that was one too many."""
LOGOUT_ALL = "logout_all"
LOGOUT_EVERYBODY = "logout_everybody"
"""The reasons in the tombstones of all of a user's sessions, and of everybody's."""

Progress: TypeAlias = Callable[[int], object]
"""Told how many sessions have ended so far."""


class Revoker:
    """Ends sessions.

    Args:
        settings: How far workers' clocks may be apart.
        sessions: The store of sessions.
        feed: This event loop's feed; None with ``revocation_check="none"``.
        listeners: Called at a session's end.
        events: The audit log and the hooks.
        clock: The time, ms.
        announce: Called after each revocation that ended something, to wake the other workers; must not block.
    """

    def __init__(
        self,
        settings: SessionSettings,
        sessions: SessionRepository,
        feed: RevocationFeed | None,
        listeners: TerminationListeners,
        events: Events,
        clock: Clock,
        announce: Callable[[], None],
    ) -> None:
        self._workers_apart = settings.workers_apart_ms
        self._sessions = sessions
        self._feed = feed
        self._listeners = listeners
        self._events = events
        self._clock = clock
        self._announce = announce

    async def revoke(
        self,
        session_handle: Any,
        *,
        reason: str = "logout",
        owner: user_id.UserId | None = None,
        actor: user_id.UserId | None = None,
    ) -> bool:
        """End one session, or only one of this user's. False for no handle, no such session, or an ended one."""
        stored = None if owner is None else user_id.storable(owner)
        if not is_handle(session_handle) or (owner is not None and stored is None):
            return False
        revoked = await self._end(session_handle, reason, stored)
        if revoked:
            self._events.happened(
                Event.REVOKED, session_handle=session_handle, user_id=owner, reason=reason, **by(actor)
            )
        return revoked

    async def evict(self, records: Sequence[SessionRecord]) -> Sequence[SessionRecord]:
        """End a user's sessions that are too many; returns them, or none where they had ended already."""
        if len(records) > 1:
            handles = [record.session_handle for record in records]
            return records if await self.revoke_many(handles, reason=EVICTED, of_one_user=records) else ()
        for record in records:
            if not await self._end(record.session_handle, EVICTED):
                return ()
            self._events.happened(
                Event.REVOKED,
                session_handle=record.session_handle,
                user_id=record.user_id,
                reason=EVICTED,
                device=record.device_label,
            )
        return records

    async def revoke_many(
        self,
        session_handles: Iterable[Any],
        *,
        reason: str = "logout",
        of_one_user: Sequence[SessionRecord] = (),
        actor: user_id.UserId | None = None,
    ) -> int:
        """End several sessions, batch by batch; returns how many of them were still alive.

        Args:
            session_handles: Which ones.
            reason: Why.
            of_one_user: More about them, for those who are told.
            actor: Who acts in all of them; None where that is not known.

        Raises:
            StoreUnavailable: The batches before have ended.
        """
        handles = list(dict.fromkeys(handle for handle in session_handles if is_handle(handle)))
        batches = (handles[start : start + REVOKE_BATCH] for start in range(0, len(handles), REVOKE_BATCH))
        over: list[str] = []
        count = 0
        try:
            for batch in batches:
                count += await self._end_batch(batch, reason)
                over += batch
        finally:  # what has ended stays ended
            if count:
                more: dict[str, Any] = {"session_handles": over, **by(actor)}
                if of_one_user:
                    more["user_id"] = of_one_user[0].user_id
                    more["devices"] = [record.device_label for record in of_one_user[: len(over)]]
                self._events.happened(Event.REVOKED, reason=reason, count=count, **more)
        return count

    async def revoke_pages(self, pages: AsyncIterator[Sequence[str]], *, reason: str, **told: Any) -> int:
        """End sessions as they are found; returns how many. One event tells of all of them, however many.

        Args:
            pages: Their handles, at most `REVOKE_BATCH` at a time.
            reason: Why.
            **told: How they were found, for those who are told.

        Raises:
            StoreUnavailable: The pages before have ended.
        """
        count = 0
        try:
            async for handles in pages:
                count += await self._end_batch(handles, reason)
        finally:  # what has ended stays ended
            if count:
                self._events.happened(Event.REVOKED, reason=reason, count=count, **told)
        return count

    async def revoke_all(
        self,
        owner: user_id.UserId,
        *,
        except_handle: str | None = None,
        acting: bool = False,
        reason: str = LOGOUT_ALL,
    ) -> int:
        """End all of a user's sessions, perhaps but one; returns how many.

        Args:
            owner: Whose.
            except_handle: A session to keep.
            acting: Whether those end too in which this user acts as somebody else; see `revoke_acting`. The user's own
                end first: afterwards the user cannot begin to act.
            reason: Why.

        Raises:
            ValueError: `except_handle` is no session handle.
            StoreUnavailable: Some of many sessions may have ended.
        """
        require_handle(except_handle)
        stored = user_id.storable(owner)
        if stored is None:
            return 0
        count, done = 0, False
        try:
            async for ended in end_all_of(
                self._sessions, stored, reason, self.ended_before(), except_handle=except_handle
            ):
                count += ended
            done = True
        finally:  # what has ended stays ended, whatever becomes of the rest
            if self._feed is not None and (count or done):
                self._feed.expect_tombstones_of(stored)  # the statements do not say which sessions they have ended
            if count:
                self._announce()
                self._events.happened(Event.REVOKED, user_id=owner, reason=reason, count=count)
        await self._notify_listeners(self._listeners.handles_of(stored), except_handle)
        if acting:
            async for _, ended in self.revoke_acting(owner, except_handle=except_handle, reason=reason):
                count += ended
        return count

    async def revoke_begun_before(self, owner: user_id.UserId, before: int, *, except_handle: str | None = None) -> int:
        """End those of a user's sessions that began before a time, part by part; returns how many.

        Args:
            owner: Whose.
            before: ms.
            except_handle: A session to keep.

        Raises:
            ValueError: `except_handle` is no session handle.
            StoreUnavailable: Some may have ended.
        """
        require_handle(except_handle)
        stored = user_id.storable(owner)
        if stored is None:
            return 0
        pages = begun_before(self._sessions, stored, self.ended_before(), before, except_handle=except_handle)
        return await self.revoke_pages(pages, reason=LOGOUT_ALL, user_id=owner)

    async def revoke_acting(
        self, owner: user_id.UserId, *, except_handle: str | None = None, reason: str
    ) -> AsyncIterator[tuple[Sequence[str], int]]:
        """End the sessions in which a user acts as somebody else; goes through all rows, part by part.

        Args:
            owner: Who acts.
            except_handle: A session to keep.
            reason: Why.

        Yields:
            Of each part the handles of these sessions, also of those that had ended before or are kept, and how many
            have ended now.
        """
        stored = user_id.storable(owner)
        if stored is not None:
            async for handles, live in acted_in(self._sessions, stored, self.ended_before()):
                ending = [handle for handle in live if handle != except_handle]
                yield handles, await self.revoke_many(ending, reason=reason, actor=owner)

    async def revoke_everybody(
        self, *, begun_before: int | None = None, except_handle: str | None = None, progress: Progress | None = None
    ) -> int:
        """End everybody's sessions, part by part; returns how many.

        Args:
            begun_before: Only those that were created before this, ms. What stands when the call begins is over when
                it returns, whatever the clocks say, so that without it there is no bound at all.
            except_handle: A session to keep.
            progress: Called after each part.

        Raises:
            ValueError: `except_handle` is no session handle.
            StoreUnavailable: Some may have ended.
        """
        require_handle(except_handle)
        count, done = 0, False
        try:
            parts = await self._sessions.parts_of_all()
            for part in range(parts):
                ended = await self._sessions.revoke_any_part(
                    LOGOUT_EVERYBODY,
                    self.ended_before(),
                    part,
                    parts,
                    begun_before=begun_before,
                    except_handle=except_handle,
                )
                count += ended
                if ended:
                    self._announce()  # the others need not wait for the last part
                if progress is not None:
                    progress(count)
            done = True
        finally:  # what has ended stays ended, whatever becomes of the rest
            if self._feed is not None and (count or done):
                self._feed.expect_tombstones_of(None)
            if count:
                self._events.happened(Event.REVOKED, reason=LOGOUT_EVERYBODY, count=count)
        await self._notify_listeners(self._listeners.handles(), except_handle)
        return count

    async def theft(self, row: SessionRow, verdict: str) -> None:
        """End a session whose refresh token was stolen.

        Args:
            row: The session.
            verdict: What gave the thief away.
        """
        await self._end(row.handle, "theft")
        self._events.happened(
            Event.THEFT,
            session_handle=row.handle,
            user_id=user_id.decode(row.user_id),
            reason=verdict,
            **by(None if row.actor is None else user_id.decode(row.actor)),
        )

    async def _end_batch(self, handles: Sequence[str], reason: str) -> int:
        ended = await self._sessions.revoke_many(handles, reason, now=self.ended_before())
        if ended:
            self._announce()
        self._over(handles)  # none of them is live now, whichever worker has ended it
        return ended

    async def _end(self, handle: str, reason: str, owner: bytes | None = None) -> bool:
        revoked = await self._sessions.revoke(handle, reason, now=self.ended_before(), user_id=owner)
        if revoked:
            self._announce()
            self._over((handle,))
        elif self._feed is not None and handle not in self._feed and await self._has_tombstone(handle):
            # Another worker was faster, or the answer to the same statement was lost.
            self._over((handle,))
        return revoked

    def _over(self, handles: Sequence[str]) -> None:
        """These sessions count as ended in this worker from now on."""
        if self._feed is not None:
            for handle in handles:
                self._feed.add(handle)
        self._listeners.notify(handles)

    async def _has_tombstone(self, handle: str) -> bool:
        try:
            row = await self._sessions.find(handle, fresh=True)
        except StoreUnavailable:
            return True  # it is not alive, or it would have been ended
        return row is not None and row.revoked_at is not None

    async def _notify_listeners(self, handles: Iterable[str], except_handle: str | None) -> None:
        """Call the listeners of these sessions on this worker, if they have ended. Without any no statement is sent."""
        watched = [handle for handle in handles if handle != except_handle]
        for start in range(0, len(watched), LIVING_BATCH):
            batch = watched[start : start + LIVING_BATCH]
            try:
                living = await self._sessions.living(batch, now=self.ended_before())
            except StoreUnavailable:
                living = set()  # a connection that ends too early may come again; one that does not end must not be
            self._listeners.notify(handle for handle in batch if handle not in living)

    def ended_before(self) -> int:
        """What has expired before this is over on every worker's clock; the rest another one might still refresh."""
        return self._clock() - self._workers_apart


def require_handle(except_handle: str | None) -> None:
    if except_handle is not None and not is_handle(except_handle):
        raise ValueError("except_handle: is no session handle; without one to keep, leave it out.")
