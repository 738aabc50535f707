"""Makes the tokens that a client gets, from its session's row and refresh token."""

import secrets
import uuid
from dataclasses import replace

from asgi_sessions.errors import PayloadTooLarge
from asgi_sessions.manager.records import IssuedToken, TokenSet
from asgi_sessions.manager.row_claims import authentication_of
from asgi_sessions.manager.signing import SigningKeys
from asgi_sessions.protocol import access_token, user_id
from asgi_sessions.protocol.access_token import BACKGROUND, ORDINARY, AccessLineage, AccessToken
from asgi_sessions.protocol.clock import Clock
from asgi_sessions.protocol.cookies import ACCESS_COOKIE, MAX_SIZE, prefixed_name
from asgi_sessions.protocol.durations import from_ms
from asgi_sessions.protocol.keyring import SigningKey
from asgi_sessions.protocol.refresh_token import RefreshToken
from asgi_sessions.settings import SessionSettings
from asgi_sessions.store.repository import SessionRow

LINEAGE_GROWTH = 200
"""Bytes by which an access token grows once its lineage has parents (promote_on="first_use"), at most."""
COUNTER_GROWTH = 60
"""Bytes by which times, generation, marks and the payload's version may grow during a session's life, at most."""
METHOD_GROWTH = 6
"""Bytes by which the time of a method of authentication may grow, at most. A new method is measured when it comes."""


class Issuer:
    """Makes tokens. Stores nothing."""

    def __init__(self, settings: SessionSettings, keys: SigningKeys, clock: Clock) -> None:
        self._settings = settings
        self._keys = keys
        self._clock = clock
        self._audience = settings.token_audience
        self._idle = settings.idle_timeouts
        self._cookie_name = prefixed_name(
            ACCESS_COOKIE,
            settings.cookie_prefix_in_use,
            secure=settings.cookie_secure,
            domain=settings.cookie_domain,
            path=settings.access_token_path,
        )
        self._with_lineage = settings.promote_on == "first_use"
        self._with_csrf_token = settings.uses_csrf_tokens

    async def issue(
        self,
        row: SessionRow,
        refresh: RefreshToken,
        *,
        carries_over: AccessToken | None = None,
        extend: bool = True,
    ) -> TokenSet:
        """Sign a new pair.

        Args:
            row: The session.
            refresh: The refresh token to hand out.
            carries_over: An access token whose anti-CSRF token the new one is to have; where it has none, or none is
                given, and the settings want one, it is a new one.
            extend: See `describe`.

        Raises:
            PayloadTooLarge: The payload does not fit into a cookie.
        """
        now = self._clock()
        access = self.describe(row, refresh.generation, now, extend=extend)
        if self._with_csrf_token:
            csrf_token = None if carries_over is None else carries_over.anti_csrf_token
            access = replace(access, anti_csrf_token=csrf_token or secrets.token_urlsafe(32))
        if self._with_lineage:
            access = replace(access, lineage=_lineage(refresh))
        expires_at = self._idle.expiry(refresh.issued_at, row.lifetime)
        until = from_ms(expires_at)
        return TokenSet(
            access=access,
            expires_at=expires_at,
            refresh=refresh,
            access_token=self.sign(await self._keys.signing_key(), access, new_payload=refresh.generation == 0),
            refresh_token=IssuedToken(self._keys.refresh_tokens.encode(refresh), until),
            anti_csrf_token=(
                IssuedToken(access.anti_csrf_token, from_ms(access.expires_at)) if access.anti_csrf_token else None
            ),
            id_refresh_token=IssuedToken(str(uuid.uuid4()), until) if self._settings.speaks_supertokens else None,
        )

    def describe(self, row: SessionRow, generation: int, now: int, *, extend: bool = True) -> AccessToken:
        """What an access token for this row would say now; good for no longer than the session itself.

        Args:
            row: The session.
            generation: That of the refresh token from the same pair.
            now: ms.
            extend: Whether the request extends the session. If not, the token ends with the idle timeout that the row
                has.
        """
        return AccessToken(
            handle=row.handle,
            user_id=user_id.decode(row.user_id),
            issued_at=now,
            expires_at=min(
                now + self._settings.access_token_lifetime_ms, row.expires_at if extend else row.idle_expires_at
            ),
            session_expires_at=row.expires_at,
            generation=generation,
            anti_csrf_token=None,
            lineage=None,
            payload_json=row.jwt_payload,
            kind=ORDINARY if extend else BACKGROUND,
            payload_version=row.payload_version,
            idle_timeout=row.idle_timeout,
            persistent=bool(row.persistent),
            **authentication_of(row),
        )

    async def reissue(self, access: AccessToken, *, new_payload: bool) -> tuple[IssuedToken, AccessToken]:
        """Sign an access token again, whose payload has changed; it lasts no longer than the old one.

        Args:
            access: What to say.
            new_payload: See `sign`.

        Raises:
            PayloadTooLarge: The payload does not fit into a cookie.
        """
        changed = replace(access, kind=access.kind_written)
        return self.sign(await self._keys.signing_key(), changed, new_payload=new_payload), changed

    async def require_room(self, row: SessionRow, payload_json: str) -> None:
        """Raise unless a session's access tokens have room for a payload, now and later; see `sign`.

        There always is room for one that is no longer than that of before: it has been accepted with all that grows.

        Raises:
            PayloadTooLarge: It names the session.
        """
        access = self.describe(replace(row, jwt_payload=payload_json), row.gen, self._clock())
        if self._with_csrf_token:
            access = replace(access, anti_csrf_token=secrets.token_urlsafe(32))
        if self._with_lineage:
            access = replace(access, lineage=AccessLineage(row.gen, token_hash=bytes(32), issued_at=row.cur_iat))
        try:
            longer = len(payload_json) > len(row.jwt_payload)
            self.sign(await self._keys.signing_key(), access, new_payload=longer)
        except PayloadTooLarge as error:
            raise PayloadTooLarge(error.detail, session_handles=(row.handle,)) from None

    async def rewrite_as_promoted(self, access: AccessToken) -> tuple[IssuedToken, AccessToken]:
        """The same access token, good for as long, that says that its pair has been promoted.

        Raises:
            PayloadTooLarge: It does not fit into a cookie: so it is with a payload that was accepted by other settings.
        """
        if access.lineage is None:
            raise ValueError("an access token without a lineage is never promoted")
        lineage = replace(access.lineage, promoted=True)
        return await self.reissue(replace(access, lineage=lineage), new_payload=False)

    def sign(self, key: SigningKey, access: AccessToken, *, new_payload: bool) -> IssuedToken:
        """Sign an access token.

        Args:
            key: To sign with.
            access: What to say.
            new_payload: Whether the payload is accepted here and now, so that it must leave room for what grows
                later. One that was accepted once is not refused at a refresh.

        Raises:
            PayloadTooLarge: With its cookie's name it would be longer than browsers accept, now or some refreshes on.
        """
        text = access_token.sign(key, access, audience=self._audience)
        size = len(text) + len(self._cookie_name)
        if new_payload:
            size += COUNTER_GROWTH + METHOD_GROWTH * len(access.methods)
            if access.lineage is not None and access.lineage.grandparent_hash is None:
                size += LINEAGE_GROWTH
        if size > MAX_SIZE:
            raise PayloadTooLarge(
                f"jwt_payload is too large: the access token would need {size} bytes of a cookie's {MAX_SIZE}. "
                "Keep what is large in session_info, which stays on the server."
            )
        return IssuedToken(text, from_ms(access.expires_at))


def _lineage(refresh: RefreshToken) -> AccessLineage:
    return AccessLineage(
        generation=refresh.generation,
        token_hash=refresh.token_hash,
        issued_at=refresh.issued_at,
        parent_hash=refresh.parent_hash,
        parent_issued_at=refresh.parent_issued_at,
        grandparent_hash=refresh.grandparent_hash,
    )
