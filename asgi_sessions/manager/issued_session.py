"""`IssuedSession`: a session with its tokens."""

from dataclasses import dataclass
from typing import Generic

from asgi_sessions.manager.records import IssuedToken, UserIdT
from asgi_sessions.manager.session import PayloadT, Session


@dataclass(frozen=True, slots=True)
class IssuedSession(Generic[UserIdT, PayloadT]):
    """A session with its tokens, for applications that carry the tokens to the client themselves.

    Attributes:
        session: The session.
        access_token: A short-lived JWT.
        refresh_token: An opaque text; good once, then rotated.
        anti_csrf_token: The anti-CSRF token with csrf="token" or "both", else None.
        id_refresh_token: The third cookie of client_protocol="supertokens", else None.
    """

    session: Session[UserIdT, PayloadT]
    access_token: IssuedToken
    refresh_token: IssuedToken
    anti_csrf_token: IssuedToken | None
    id_refresh_token: IssuedToken | None
