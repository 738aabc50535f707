"""What a session carries for the application: its info, which stays in the database, and its payload."""

import asyncio
import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from asgi_sessions.errors import StoreUnavailable
from asgi_sessions.manager.issuing import Issuer, authentication_of
from asgi_sessions.manager.liveness import LivenessCheck
from asgi_sessions.manager.records import IssuedToken
from asgi_sessions.protocol import json_value
from asgi_sessions.protocol.access_token import AccessToken
from asgi_sessions.protocol.clock import Clock
from asgi_sessions.protocol.session_handle import is_handle
from asgi_sessions.store.repository import SessionRepository

MAX_INFO_BYTES = 1024 * 1024
"""Session info is read and written whole; what is larger belongs into the application's own tables."""
MOST_TRIES = 100
"""Of a change that others overtake: at each try one of them has made theirs."""
LONGEST_PAUSE_SECONDS = 0.1
NO_INFO = "change must return the new session_info, and returned None; update_session_info stores None"
"""The mistake of a function that changes what it is given, and returns nothing."""


class SessionData:
    """Reads and replaces the info and the payload.

    Args:
        sessions: The store of sessions.
        issuer: Makes the access token that carries a new payload.
        liveness: Says why a session is gone.
        clock: The time, ms.

    Attributes:
        payload_changes: Grows whenever this worker changes what access tokens say of a session: payload, methods.
    """

    def __init__(self, sessions: SessionRepository, issuer: Issuer, liveness: LivenessCheck, clock: Clock) -> None:
        self._sessions = sessions
        self._issuer = issuer
        self._liveness = liveness
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
        if not is_handle(session_handle):
            raise await self._liveness.gone(session_handle)
        for tried in range(MOST_TRIES):
            # What a node that lags says would be refused for ever.
            text = await self._sessions.get_info(session_handle, now=self._clock(), fresh=tried > 0)
            if text is not None:
                info = change(json_value.loads(text))
                if info is None:
                    raise TypeError(NO_INFO)
                new = info_json(info)
                if await self._sessions.swap_info(session_handle, new, now=self._clock(), replaced=text):
                    return info
            elif tried:
                raise await self._liveness.gone(session_handle)
            await asyncio.sleep(random.uniform(0, min(LONGEST_PAUSE_SECONDS, tried / 100)))  # noqa: S311 - no secret
        raise StoreUnavailable("The session's info is being changed all the time.")

    async def set_payload(self, access: AccessToken, payload: Any) -> tuple[IssuedToken, AccessToken]:
        """Replace the payload in the row and in a new access token.

        Raises:
            Unauthorised: The session is gone.
            TypeError, ValueError, PayloadTooLarge: Nothing has changed.
        """
        text = json_value.dumps(payload, "jwt_payload")
        version = access.payload_version
        token, changed = await self._issuer.reissue(access, text, version + 1, new_payload=True)
        try:
            if await self._sessions.set_payload(access.handle, text, now=self._clock(), version=version):
                return token, changed
            # Somebody else has replaced it since the caller's token was made, or there is nothing to replace. Measured
            # again: the session may have got a method of authentication, which takes room too.
            row = await self._liveness.live_row(access.handle, fresh=True)
            now_said = replace(access, **authentication_of(row))
            await self._issuer.reissue(now_said, text, row.payload_version + 1, new_payload=True)
            if not await self._sessions.set_payload(access.handle, text, now=self._clock()):
                raise await self._liveness.gone(access.handle)
            return await self.newest(changed, fresh=True) or (token, changed)
        finally:
            self.payload_changes += 1  # answers that are under way may carry the payload of before

    async def newest(self, access: AccessToken, *, fresh: bool = False) -> tuple[IssuedToken, AccessToken] | None:
        """The same access token with what the row says by now; None where it says that already.

        Args:
            access: The token.
            fresh: Read at the strongest consistency.

        Raises:
            Unauthorised: The session is gone.
            PayloadTooLarge: The payload does not fit into this token's cookie.
        """
        row = await self._liveness.live_row(access.handle, fresh=fresh)
        version = row.payload_version
        if version == access.payload_version or (version < access.payload_version and not fresh):
            return None
        now_said = replace(access, **authentication_of(row))
        return await self._issuer.reissue(now_said, row.jwt_payload, version, new_payload=False)


def info_json(info: Any) -> str:
    """The info as it is stored.

    Raises:
        TypeError, ValueError: What cannot be kept exactly, or is too large.
    """
    text = json_value.dumps(info, "session_info")
    if len(text) > MAX_INFO_BYTES:
        raise ValueError(f"session_info is too large: {len(text)} bytes of JSON, at most {MAX_INFO_BYTES}.")
    return text
