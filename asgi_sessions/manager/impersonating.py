"""Impersonation ("log in as"): a session of one user in which another one acts, for a bounded time.

Who acts cannot be made up: it is the user of a live session. Nothing is chained: a session in which somebody acts is
nobody's to act from. Nor is it anybody's to become the user from: a login of that very user is refused. What such a
session says of authentication is the actor's, since the actor is the one who has given a credential.
"""

from collections.abc import Collection, Iterable
from contextlib import suppress
from dataclasses import replace
from functools import partial

from asgi_sessions.errors import ImpersonationRefused, Unauthorised
from asgi_sessions.manager.liveness import REPLACED, LivenessCheck
from asgi_sessions.manager.records import Impersonation, Login
from asgi_sessions.manager.revoking import Revoker
from asgi_sessions.manager.unclaimed import UNCLAIMED
from asgi_sessions.protocol import user_id
from asgi_sessions.protocol.access_token import AccessToken
from asgi_sessions.protocol.clock import Clock
from asgi_sessions.store.repository import SessionRepository, SessionRow

__all__ = ["Impersonator", "in_which_acts"]


class Impersonator:
    """Says who may act, until when, and that nobody stops being an actor by a login.

    Args:
        sessions: The store of sessions.
        revoker: Ends sessions.
        liveness: Reads the rows of live sessions.
        clock: The time, ms.
    """

    def __init__(self, sessions: SessionRepository, revoker: Revoker, liveness: LivenessCheck, clock: Clock) -> None:
        self._sessions = sessions
        self._revoker = revoker
        self._liveness = liveness
        self._clock = clock

    async def by(self, access: AccessToken, *, lifetime: int) -> Impersonation:
        """The user of this session acts, for so long at most, ms, and no longer than that session may live.

        Raises:
            Unauthorised: The session is gone.
            ImpersonationRefused: Somebody acts in it already.
        """
        row = await self._liveness.live_row(access.handle)
        if access.actor is not None or row.actor is not None:  # a worker of an older version writes no actor
            raise ImpersonationRefused
        return Impersonation(
            actor=user_id.decode(row.user_id),
            auth_time=row.auth_time,
            methods=row.methods,
            until=min(self._clock() + lifetime, row.expires_at),
            session_handle=row.handle,
            require_live=partial(self._liveness.live_row, row.handle, fresh=True),
        )

    async def require_alone(self, access: AccessToken) -> None:
        """Raise unless a session lives, by the strongest read, and nobody but its user acts in it.

        Raises:
            Unauthorised: It has ended.
            ImpersonationRefused: Somebody else acts.
        """
        if access.actor is not None or (await self._liveness.live_row(access.handle, fresh=True)).actor is not None:
            raise ImpersonationRefused

    async def actor_in(self, handle: str, access: AccessToken | None) -> user_id.UserId | None:
        """Who acts in a session, live or not, as an access token of it says, or else its row."""
        if access is not None:
            return access.actor
        row = await self._sessions.find(handle)
        return None if row is None or row.actor is None else user_id.decode(row.actor)

    async def require_actor(self, row: SessionRow, impersonation: Impersonation, replaced: Collection[str]) -> None:
        """Raise where whoever is to act in a new session has been logged out since, and leave nothing of it.

        The session is stored before this is asked, and the actor's own one ends no sooner than that, if it ends. So
        whoever ends all sessions of the actor, or erases them, either has ended that one, or finds this one.

        Args:
            row: The new session.
            impersonation: Who is to act in it.
            replaced: The sessions that it replaces. The actor's own ends here if it is among them.

        Raises:
            Unauthorised: The actor's session has ended.
        """
        handle = impersonation.session_handle
        try:
            if handle not in replaced:
                await impersonation.require_live()
            elif not await self._revoker.revoke(handle, reason=REPLACED):
                raise await self._liveness.gone(handle)
        except Unauthorised:
            await self._revoker.revoke(row.handle, reason=UNCLAIMED)
            await self._sessions.erase(row.user_id, [row.handle], self._clock())
            raise

    async def require_the_user(self, login: Login, held: Iterable[str], own: AccessToken | None) -> None:
        """Raise where a login is of the user for whom whoever logs in acts already.

        Args:
            login: What is about to begin. To act is no way out of acting.
            held: The sessions that the request proves to hold. Those that have ended are leftovers, and count for
                nothing.
            own: The session of the request as it was found, which counts though it may have ended since.

        Raises:
            ImpersonationRefused: It is.
        """
        if login.impersonation is not None:
            return
        stored = user_id.encode(login.user_id)
        if own is not None and own.actor is not None and user_id.encode(own.user_id) == stored:
            raise ImpersonationRefused
        for handle in held:  # a refresh token names nobody, nor does an access token of an older version who acts
            with suppress(Unauthorised):
                row = await self._liveness.live_row(handle)
                if row.actor is not None and row.user_id == stored:
                    raise ImpersonationRefused


def in_which_acts(row: SessionRow, impersonation: Impersonation) -> SessionRow:
    """The row of a new session, as one in which somebody else than its user acts."""
    expires_at = min(row.expires_at, impersonation.until)
    return replace(
        row,
        actor=user_id.encode(impersonation.actor),
        auth_time=impersonation.auth_time,
        methods=impersonation.methods,
        expires_at=expires_at,
        idle_expires_at=min(row.idle_expires_at, expires_at),
    )
