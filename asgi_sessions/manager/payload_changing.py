"""Payloads that somebody else changes than the session's own response: an administrator, a job, another session.

What must hold
==============

*A change takes effect at the session's next request*, on every worker that the feed has told of it, as it tells of a
revocation. No worker lets an access token pass as seen whose payload is older than what it has been told
(``noted_sessions``): the row is read, the request gets the payload that is there, and its response a new access token.
With ``revocation_check="none"`` nobody is told, and the next refresh reads the row.

*One session without room keeps no other one's payload.* Its user may have filled it, and must not hold on to a role in
all of them.

*Where a function of ``claims`` may be at work, a change that changes nothing is one too*: a refresh that has asked it
before must not store what it said then, over a payload that looks the same.

*All are told before the payload is replaced.* Whoever reads the row too early finds the payload of before, and looks
again at the next request. Nobody misses one, whenever this worker dies.
"""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from asgi_sessions.errors import PayloadTooLarge, Unauthorised
from asgi_sessions.manager.audit import Event
from asgi_sessions.manager.changing import changed, new_value
from asgi_sessions.manager.claims_function import Claims
from asgi_sessions.manager.events import Events
from asgi_sessions.manager.issuing import Issuer
from asgi_sessions.manager.liveness import LivenessCheck
from asgi_sessions.manager.session_data import SessionData
from asgi_sessions.protocol import json_value, user_id
from asgi_sessions.protocol.clock import Clock
from asgi_sessions.revocation.feed import RevocationFeed
from asgi_sessions.store.payload_changes import PayloadChangeStore
from asgi_sessions.store.repository import SessionRepository, SessionRow

Change = Callable[[Any], Any]

_NO_ROOM = (
    "jwt_payload is too large for %d of the user's sessions, which keep what they had: %s. The others have theirs. "
    "To end these, call revoke_multiple_sessions with the error's session_handles."
)
_NAMED = 20
"""So many of them at most are in the error's text."""


class PayloadChanger:
    """Changes payloads by compare-and-set.

    Args:
        sessions: The store of sessions.
        changes: The store of what the other workers are to know.
        data: Knows that answers under way may carry the payload of before.
        issuer: Knows how much room a payload has.
        liveness: Reads the rows of live sessions.
        claims: The application's function, which refreshes may be asking.
        feed: This event loop's feed; None with ``revocation_check="none"``.
        events: The audit log.
        clock: The time, ms.
        announce: Called after each change, to wake the other workers; must not block.
    """

    def __init__(
        self,
        sessions: SessionRepository,
        changes: PayloadChangeStore,
        data: SessionData,
        issuer: Issuer,
        liveness: LivenessCheck,
        claims: Claims,
        feed: RevocationFeed | None,
        events: Events,
        clock: Clock,
        announce: Callable[[], None],
    ) -> None:
        self._sessions = sessions
        self._changes = changes
        self._data = data
        self._issuer = issuer
        self._liveness = liveness
        self._claims = claims
        self._feed = feed
        self._events = events
        self._clock = clock
        self._announce = announce

    async def change(self, session_handle: str, change: Change) -> Any:
        """Replace one session's payload by what a function makes of it; returns that.

        Raises:
            Unauthorised: The session is gone.
            TypeError, ValueError, PayloadTooLarge: Nothing has changed. So with what the function raises.
            StoreUnavailable: Others were faster each time, nothing has changed; or the database failed, and it may.
        """
        return (await self._change(session_handle, change))[0]

    async def change_of_user(self, owner: user_id.UserId, change: Change) -> int:
        """Replace the payload of each of a user's sessions; returns how many have got another one.

        Raises:
            TypeError, ValueError: As `change`, for the first session for which that is so. Nothing has changed, unless
                somebody else has replaced a payload meanwhile.
            PayloadTooLarge: It names all sessions that have no room. The others have changed.
            StoreUnavailable: Some may have changed.
        """
        stored = user_id.storable(owner)
        if stored is None:
            return 0
        handles = await self._sessions.handles_of(stored, now=self._clock(), fresh=True)
        for handle in handles:  # all of them before the first one is written
            with suppress(Unauthorised, PayloadTooLarge):
                await self._planned(handle, change)
        count, full = 0, []
        for handle in handles:
            try:
                count += (await self._change(handle, change))[1]
            except PayloadTooLarge:
                full.append(handle)
            except Unauthorised:
                pass  # it has ended meanwhile
        if full:
            named = ", ".join([*full[:_NAMED], *["…"][: len(full) - _NAMED]])
            raise PayloadTooLarge(_NO_ROOM % (len(full), named), session_handles=tuple(full))
        return count

    async def _change(self, handle: str, change: Change) -> tuple[Any, bool]:
        """The new payload, and whether it is another one than before."""

        async def attempt(_: bool) -> tuple[Any, bool] | None:
            row, payload, text = await self._planned(handle, change)
            differs = text != row.jwt_payload
            if not differs and not self._claims.is_set:
                return payload, False
            return (payload, differs) if await self._swap(row, text) else None

        return await changed(attempt, "payload")

    async def _planned(self, handle: str, change: Change) -> tuple[SessionRow, Any, str]:
        row = await self._liveness.live_row(handle, fresh=True)  # a payload that lags might be the wanted one
        payload = new_value(change, json_value.loads(row.jwt_payload), "jwt_payload")
        text = json_value.dumps(payload, "jwt_payload")
        await self._issuer.require_room(row, text)
        return row, payload, text

    async def _swap(self, row: SessionRow, text: str) -> bool:
        version = row.payload_version
        await self._changes.note(row.handle, version + 1)
        try:
            done = await self._sessions.swap_payload(row.handle, text, now=self._clock(), version=version)
        finally:  # it may have been done
            self._data.payload_changes += 1
            if self._feed is not None:
                self._feed.payload_changed(row.handle, version + 1)
            self._announce()
        if done and text != row.jwt_payload:
            owner = user_id.decode(row.user_id)
            self._events.happened(Event.PAYLOAD_CHANGED, session_handle=row.handle, user_id=owner)
        return done
