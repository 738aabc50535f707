"""The logout tokens that we make: Back-Channel Logout 1.0, section 2.4."""

import json
import secrets
from collections.abc import Mapping
from typing import Any, Final

from jwt import PyJWS

from asgi_sessions.oidc.logout_token import EVENT
from asgi_sessions.protocol import user_id
from asgi_sessions.protocol.keyring import SigningKey
from asgi_sessions.store.session_row import NOBODY

__all__ = ["LIFE_SECONDS", "signed_logout"]

LIFE_SECONDS: Final = 120
"""As the specification advises: a token that was caught on the way is soon worth nothing."""

_JWS: Final = PyJWS(algorithms=["ES256", "EdDSA"])


def signed_logout(
    key: SigningKey, *, issuer: str, audience: str, now: int, session_handle: str | None, owner: bytes
) -> str:
    """A logout token, with a name of its own.

    It names session and user as our access tokens do: `sid` is the session's handle, `sub` the user's id as text, with
    the type `uit` where it is no string.

    Args:
        key: Signs it; asymmetric.
        issuer: Its `iss`.
        audience: Its `aud`.
        now: ms.
        session_handle: The session that has ended; None if all of the user's have.
        owner: The stored form of the user's id; `NOBODY` if only the session is known.

    Raises:
        ValueError: It would name neither.
    """
    session = {} if session_handle is None else {"sid": session_handle}
    about = {**session, **_subject(owner)}
    if not about:
        raise ValueError("a logout token names a session or a user")
    claims = {
        "iss": issuer,
        "aud": audience,
        "iat": now // 1000,
        "exp": now // 1000 + LIFE_SECONDS,
        "jti": secrets.token_urlsafe(16),
        "events": {EVENT: {}},
        **about,
    }
    body = json.dumps(claims, separators=(",", ":")).encode()
    return _JWS.encode(body, key.sign_key, key.algorithm, {"kid": key.key_id, "typ": "logout+jwt"})


def _subject(owner: bytes) -> Mapping[str, Any]:
    if owner == NOBODY:
        return {}
    text, kind = user_id.split(user_id.decode(owner))
    return {"sub": text} if kind is None else {"sub": text, "uit": kind}
