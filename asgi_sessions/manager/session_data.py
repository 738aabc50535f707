"""What a session carries for the application: its info, which stays in the database, and its payload."""

from collections.abc import Callable, Sequence
from typing import Any

from asgi_sessions.errors import ImpersonationRefused, PayloadChanged
from asgi_sessions.manager.changing import changed, new_value, swapped
from asgi_sessions.manager.claims_function import Claims
from asgi_sessions.manager.issuing import Issuer
from asgi_sessions.manager.liveness import LivenessCheck
from asgi_sessions.manager.records import IssuedToken
from asgi_sessions.manager.row_claims import as_the_row_says
from asgi_sessions.protocol import json_value
from asgi_sessions.protocol.access_token import AccessToken
from asgi_sessions.protocol.clock import Clock
from asgi_sessions.protocol.session_handle import is_handle
from asgi_sessions.store.failures import StatementInterrupted
from asgi_sessions.store.repository import SessionRepository, SessionRow

MAX_INFO_BYTES = 1024 * 1024
"""Session info is read and written whole; what is larger belongs into the application's own tables."""


class SessionData:
    """Reads and replaces the info and the payload.

    Args:
        sessions: The store of sessions.
        issuer: Makes the access token that carries a new payload.
        liveness: Says why a session is gone.
        claims: The application's function, which may replace payloads too.
        clock: The time, ms.

    Attributes:
        payload_changes: Grows whenever this worker changes what access tokens say of a session: payload, methods.
    """

    def __init__(
        self, sessions: SessionRepository, issuer: Issuer, liveness: LivenessCheck, claims: Claims, clock: Clock
    ) -> None:
        self._sessions = sessions
        self._issuer = issuer
        self._liveness = liveness
        self._claims = claims
        self._clock = clock
        self.payload_changes = 0

    async def get_info(self, session_handle: Any) -> Any:
        """The session's server-side data.

        Raises:
            Unauthorised: The session is gone.
        """
        if is_handle(session_handle):
            text = await self._sessions.get_info(session_handle, now=self._clock())
            if text is not None:
                return json_value.loads(text)
        raise await self._liveness.gone(session_handle)

    async def infos_with(self, key: str, session_handles: Sequence[str]) -> dict[str, Any]:
        """What those of these sessions hold under a key whose data are an object with it. One statement.

        Args:
            key: Printable ASCII.
            session_handles: At most `LIVING_BATCH`.
        """
        texts = await self._sessions.infos_with(json_value.dumps(key, "key"), session_handles, self._clock())
        infos = {handle: json_value.loads(text) for handle, text in texts.items()}
        return {handle: info[key] for handle, info in infos.items() if isinstance(info, dict) and key in info}

    async def set_info(self, session_handle: Any, info: Any) -> None:
        """Replace the session's server-side data.

        Raises:
            Unauthorised: The session is gone.
            TypeError, ValueError: What cannot be kept exactly; nothing has changed.
        """
        text = info_json(info)
        if not is_handle(session_handle) or not await self._sessions.set_info(session_handle, text, now=self._clock()):
            raise await self._liveness.gone(session_handle)

    async def change_info(self, session_handle: Any, change: Callable[[Any], Any]) -> Any:
        """Replace the session's server-side data by what a function makes of it; returns that.

        Compare-and-set: where somebody else has replaced it meanwhile, the function is asked again.

        Raises:
            Unauthorised: The session is gone.
            TypeError, ValueError: What cannot be kept exactly; nothing has changed. So with what the function raises.
            StoreUnavailable: Others were faster each time, nothing has changed; or the database failed, and it may.
        """

        async def attempt(fresh: bool) -> tuple[Any] | None:
            text = await self._sessions.get_info(session_handle, now=self._clock(), fresh=fresh)
            if text is None:
                if fresh:
                    raise await self._liveness.gone(session_handle)
                return None
            info = new_value(change, json_value.loads(text), "session_info")
            done = await self._sessions.swap_info(session_handle, info_json(info), now=self._clock(), replaced=text)
            return (info,) if done else None

        if not is_handle(session_handle):
            raise await self._liveness.gone(session_handle)
        return (await changed(attempt, "info"))[0]

    async def set_payload(self, access: AccessToken, payload: Any) -> tuple[IssuedToken, AccessToken]:
        """Replace the payload in the row and in a new access token.

        Raises:
            Unauthorised: The session is gone.
            PayloadChanged: Somebody else has changed the payload since the token was made.
            TypeError, ValueError, PayloadTooLarge: Nothing has changed.
            StoreUnavailable: Others were faster each time, nothing has changed; or the database failed, and it may.
        """
        text, version = json_value.dumps(payload, "jwt_payload"), access.payload_version
        token = await self._issuer.reissue(access.with_payload(text, version + 1), new_payload=True)
        try:
            swap = self._sessions.swap_payload(access.handle, text, now=self._clock(), version=version)
            if await swapped(swap):
                return token
            return await self._replace_own(access, text)
        finally:
            self.payload_changes += 1  # answers that are under way may carry the payload of before

    async def _replace_own(self, access: AccessToken, text: str) -> tuple[IssuedToken, AccessToken]:
        """Replace a payload that the session's own responses have replaced since. Compare-and-set.

        Each try measures again: the session may have got a method of authentication, which takes room too.
        """
        refused: int | None = None  # the version at which the row has refused

        async def attempt(_: bool) -> tuple[IssuedToken, AccessToken] | None:
            nonlocal refused
            row = await self._liveness.live_row(access.handle, fresh=True)
            version = row.payload_version
            if version == refused or self._counts_as_somebody_elses(row, access, text):
                raise PayloadChanged(access.handle)
            token = await self._issuer.reissue(
                as_the_row_says(access, row).with_payload(text, version + 1), new_payload=True
            )
            try:
                if await self._sessions.swap_own_payload(
                    access.handle, text, now=self._clock(), version=version, known=access.payload_version
                ):
                    return token
            except StatementInterrupted:
                return None  # done or not: to do it once more is the same
            refused = version
            return None

        return await changed(attempt, "payload")

    def _counts_as_somebody_elses(self, row: SessionRow, access: AccessToken, text: str) -> bool:
        """Whether the row's payload is somebody else's as far as one can tell, whatever ``payload_changes`` has.

        Nothing tells what a function of ``claims`` has replaced from what the session's own responses have. And once
        the token has expired, what others have changed since may be purged from the changes.
        """
        if row.jwt_payload in {access.payload_json, text}:
            return False
        return self._claims.is_set or self._clock() >= access.expires_at

    async def change_payload(
        self, access: AccessToken, change: Callable[[Any], Any]
    ) -> tuple[IssuedToken, AccessToken]:
        """Replace the payload by what a function makes of it, in the row and in a new access token. Compare-and-set.

        Raises:
            Unauthorised: The session is gone.
            TypeError, ValueError, PayloadTooLarge: Nothing has changed. So with what the function raises.
            StoreUnavailable: Others were faster each time, nothing has changed; or the database failed, and it may.
        """

        async def attempt(fresh: bool) -> tuple[IssuedToken, AccessToken] | None:
            row = await self._liveness.live_row(access.handle, fresh=fresh)
            if row.actor is not None:  # a worker of an older version writes no actor into its access tokens
                raise ImpersonationRefused
            payload = new_value(change, json_value.loads(row.jwt_payload), "jwt_payload")
            text, version = json_value.dumps(payload, "jwt_payload"), row.payload_version
            # The row may also have a method of authentication that the caller's token does not know.
            now_said = as_the_row_says(access, row).with_payload(text, version + 1)
            token = await self._issuer.reissue(now_said, new_payload=True)
            done = await self._sessions.swap_payload(access.handle, text, now=self._clock(), version=version)
            return token if done else None

        try:
            return await changed(attempt, "payload")
        finally:
            self.payload_changes += 1

    async def newest(self, access: AccessToken, *, fresh: bool = False) -> tuple[IssuedToken, AccessToken] | None:
        """The same access token with what the row says by now; None where it says that already.

        Args:
            access: The token.
            fresh: Read at the strongest consistency.

        Raises:
            Unauthorised: The session is gone.
            PayloadTooLarge: The payload does not fit into this token's cookie.
        """
        newest = await self._liveness.newest(access, fresh=fresh)
        return None if newest is access else await self._issuer.reissue(newest, new_payload=False)


def info_json(info: Any) -> str:
    """The info as it is stored.

    Raises:
        TypeError, ValueError: What cannot be kept exactly, or is too large.
    """
    text = json_value.dumps(info, "session_info")
    if len(text) > MAX_INFO_BYTES:
        raise ValueError(f"session_info is too large: {len(text)} bytes of JSON, at most {MAX_INFO_BYTES}.")
    return text
