"""What an access token says because its session's row says it, and what may change during the session's life."""

from dataclasses import replace
from typing import Any

from asgi_sessions.protocol import authentication_methods, user_id
from asgi_sessions.protocol.access_token import AccessToken
from asgi_sessions.store.session_row import SessionRow

__all__ = ["as_the_row_says", "authentication_of"]


def authentication_of(row: SessionRow) -> dict[str, Any]:
    """What an access token says of a session's authentication, and of who acts in it."""
    return {
        "auth_time": row.auth_time,
        "methods": authentication_methods.read(row.methods),
        "actor": None if row.actor is None else user_id.decode(row.actor),
    }


def as_the_row_says(access: AccessToken, row: SessionRow) -> AccessToken:
    """The same access token with the payload and the authentication of the row: all that ``payload_version`` counts."""
    return replace(access.with_payload(row.jwt_payload, row.payload_version), **authentication_of(row))
