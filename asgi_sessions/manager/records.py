"""Values that the files of this package hand each other and the application. They know no store and no clock."""

import re
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Generic

from typing_extensions import TypeVar

from asgi_sessions.protocol.access_token import AccessToken
from asgi_sessions.protocol.durations import datetime_to_ms
from asgi_sessions.protocol.refresh_token import RefreshToken
from asgi_sessions.protocol.session_handle import HANDLE_PATTERN
from asgi_sessions.protocol.user_id import UserId

__all__ = ["CURSOR", "Device", "IssuedToken", "SessionRecord", "TokenSet", "UserIdT", "read_cursor"]

UserIdT = TypeVar("UserIdT", bound=UserId, default=Any)


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """A token and the moment until which it is good.

    Attributes:
        value: What to hand to the client. Hidden from ``repr``.
        expires_at: Aware, UTC.
    """

    value: str = field(repr=False)
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class TokenSet:
    """All that one issue hands out.

    Attributes:
        access: What the access token says.
        expires_at: When the refresh token ends unless used, ms; the cookies live as long.
        refresh: The refresh token itself.
        access_token: As the client gets it; likewise the others.
    """

    access: AccessToken
    expires_at: int
    refresh: RefreshToken
    access_token: IssuedToken
    refresh_token: IssuedToken
    anti_csrf_token: IssuedToken | None
    id_refresh_token: IssuedToken | None

    def with_access(self, token: IssuedToken, access: AccessToken) -> "TokenSet":
        """The same pair with another access token."""
        return replace(self, access_token=token, access=access)


@dataclass(frozen=True, slots=True)
class Device:
    """Where a login comes from.

    Attributes:
        label: For people.
        ip_address: The client's, None where unknown.
    """

    label: str
    ip_address: str | None


@dataclass(frozen=True, slots=True)
class SessionRecord(Generic[UserIdT]):
    """One line of "your devices". Holds no secret.

    Attributes:
        session_handle: For `revoke_session_using_session_handle`.
        user_id: Whose session.
        created_at: When it began. All times aware, UTC.
        last_active_at: The last rotation, so accurate to about an access token's lifetime.
        expires_at: When it ends unless used before: the earlier of idle and absolute timeout.
        device_label: Made from the User-Agent at login, e.g. "Firefox on Windows".
        ip_address: The client's address at login, None where unknown.
    """

    session_handle: str
    user_id: UserIdT
    created_at: datetime
    last_active_at: datetime
    expires_at: datetime
    device_label: str
    ip_address: str | None

    @property
    def cursor(self) -> str:
        """Where the next page of `list_sessions_for_user` begins: ``after=records[-1].cursor``. No secret."""
        return f"{datetime_to_ms(self.created_at)}-{self.session_handle}"


CURSOR = f"^([0-9]{{1,15}})-({HANDLE_PATTERN})$"
"""The form of a cursor, for whoever describes an interface."""


def read_cursor(cursor: Any) -> tuple[int, str]:
    """The time of creation, ms, and the handle that a `SessionRecord.cursor` says.

    Raises:
        ValueError: It is none.
    """
    match = re.fullmatch(CURSOR, cursor) if isinstance(cursor, str) else None
    if match is None:
        raise ValueError("after: is no cursor of a list of sessions")
    return int(match[1]), match[2]
