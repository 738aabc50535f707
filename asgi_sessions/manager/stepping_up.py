"""Step-up: a session whose user has been authenticated in one more way, without a new login."""

from dataclasses import replace

from asgi_sessions.errors import ImpersonationRefused
from asgi_sessions.manager.audit import Event
from asgi_sessions.manager.changing import changed, swapped
from asgi_sessions.manager.events import Events
from asgi_sessions.manager.issuing import Issuer
from asgi_sessions.manager.liveness import LivenessCheck
from asgi_sessions.manager.records import IssuedToken
from asgi_sessions.manager.session_data import SessionData
from asgi_sessions.protocol import authentication_methods
from asgi_sessions.protocol.access_token import AccessToken
from asgi_sessions.protocol.clock import Clock
from asgi_sessions.store.repository import SessionRepository, SessionRow


class StepUp:
    """Adds methods of authentication to sessions.

    Args:
        sessions: The store of sessions.
        issuer: Makes the access token that tells of the method.
        liveness: Reads the rows of live sessions.
        data: Counts the changes that answers under way do not know.
        events: The audit log.
        clock: The time, ms.
    """

    def __init__(
        self,
        sessions: SessionRepository,
        issuer: Issuer,
        liveness: LivenessCheck,
        data: SessionData,
        events: Events,
        clock: Clock,
    ) -> None:
        self._sessions = sessions
        self._issuer = issuer
        self._liveness = liveness
        self._data = data
        self._events = events
        self._clock = clock

    async def add(self, access: AccessToken, name: str) -> tuple[IssuedToken, AccessToken]:
        """Note that the session's user has just been authenticated in this way; `auth_time` moves to now.

        Compare-and-set: of several at once none is lost.

        Args:
            access: The session's access token, which the new one replaces.
            name: The method, a checked name.

        Raises:
            Unauthorised: The session is gone.
            ImpersonationRefused: Somebody acts as the user.
            ValueError: The session has too many methods; nothing has changed.
            PayloadTooLarge: Likewise, the access token would not fit into a cookie.
            StoreUnavailable: It may have been noted all the same, or not.
        """

        async def attempt(fresh: bool) -> tuple[IssuedToken, AccessToken] | None:
            row = await self._liveness.live_row(access.handle, fresh=fresh)
            if row.actor is not None:  # a worker of an older version writes no actor into its access tokens
                raise ImpersonationRefused
            now = self._clock()
            methods = authentication_methods.added(authentication_methods.read(row.methods), [name], now)
            said = access.with_payload(row.jwt_payload, row.payload_version + 1)
            said = replace(said, methods=methods, auth_time=max(now, row.auth_time))
            told = await self._issuer.reissue(said, new_payload=True)
            return told if await self._swap(row, said, now) else None

        done = await changed(attempt, "authentication")
        self._events.happened(Event.AUTHENTICATED, session_handle=access.handle, user_id=access.user_id, method=name)
        return done

    async def _swap(self, row: SessionRow, said: AccessToken, now: int) -> bool:
        methods = authentication_methods.written(said.methods)
        try:
            return await swapped(self._sessions.swap_methods(row, methods, now, auth_time=said.auth_time))
        finally:
            self._data.payload_changes += 1
