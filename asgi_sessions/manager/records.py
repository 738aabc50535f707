"""Values that the files of this package hand each other and the application. They know no store and no clock."""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Generic

from typing_extensions import TypeVar

from asgi_sessions.errors import PayloadTooLarge
from asgi_sessions.protocol.access_token import AccessToken
from asgi_sessions.protocol.durations import datetime_to_ms
from asgi_sessions.protocol.refresh_token import RefreshToken
from asgi_sessions.protocol.session_handle import HANDLE_PATTERN
from asgi_sessions.protocol.session_index import Entry
from asgi_sessions.protocol.user_id import UserId

__all__ = [
    "CURSOR",
    "Device",
    "Impersonation",
    "IssuedToken",
    "Login",
    "Refreshed",
    "SessionRecord",
    "TokenSet",
    "UserIdT",
    "read_cursor",
]

UserIdT = TypeVar("UserIdT", bound=UserId, default=Any)


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """A token and the time until which it is good.

    Attributes:
        value: The text to give to the client. ``repr`` does not show it.
        expires_at: When the token expires. Aware, UTC.
    """

    value: str = field(repr=False)
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class TokenSet:
    """All tokens of one login or rotation.

    Attributes:
        access: The claims of the access token.
        expires_at: When the refresh token ends if it is not used, ms; the cookies live as long.
        refresh: The content of the refresh token.
        access_token: The access token as the client gets it.
        refresh_token: The refresh token as the client gets it.
        anti_csrf_token: The anti-CSRF token as the client gets it, None if the settings use none.
        id_refresh_token: The third cookie of the protocol of `supertokens-website`, else None.
        evicted: The sessions that a login has ended because of the limit of sessions.
    """

    access: AccessToken
    expires_at: int
    refresh: RefreshToken
    access_token: IssuedToken
    refresh_token: IssuedToken
    anti_csrf_token: IssuedToken | None
    id_refresh_token: IssuedToken | None
    evicted: Sequence["SessionRecord[Any]"] = ()

    def with_access(self, token: IssuedToken, access: AccessToken) -> "TokenSet":
        """The same pair with another access token."""
        return replace(self, access_token=token, access=access)


@dataclass(frozen=True, slots=True)
class Refreshed:
    """What came of a refresh.

    Attributes:
        access: The access token that authenticates the request.
        tokens: What to hand out; None for a late parent (and where nothing may be issued).
        late: The refresh token that came too late, for its retry marker; else None.
        served: Whether the request is to be served. False only for a late parent.
        no_room: Why there is nothing to hand out, where the session's payload no longer fits into a cookie.
    """

    access: AccessToken
    tokens: TokenSet | None
    late: RefreshToken | None
    served: bool = True
    no_room: PayloadTooLarge | None = None


@dataclass(frozen=True, slots=True)
class Device:
    """The device of a login.

    Attributes:
        label: A text for people, such as "Firefox on Windows".
        ip_address: The client's address, as far as `SessionSettings.ip_address` keeps it; None if it is unknown.
    """

    label: str
    ip_address: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Impersonation:
    """Who acts in a new session, and until when.

    Attributes:
        actor: The user who acts.
        auth_time: When that user last gave a credential, ms.
        methods: How that user was authenticated, in the stored form.
        until: When the session ends at the latest, ms.
        session_handle: The session from which that user acts.
        require_live: Asks once more, at the strongest consistency, whether that session lives; else `Unauthorised`.
    """

    actor: UserId
    auth_time: int
    methods: str
    until: int
    session_handle: str
    require_live: Callable[[], Awaitable[object]] = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """What the application says of a session that it begins.

    Attributes:
        user_id: The session's user.
        jwt_payload: A JSON value, readable by the client, in every access token.
        session_info: A JSON value that stays in the database.
        persistent: Whether the session's cookies outlive the browser.
        idle_timeout: Its own, ms; None for the setting.
        absolute_timeout: Its own, ms; None for the setting.
        methods: How the user has just been authenticated: checked names, see `protocol.authentication_methods`.
        impersonation: Who acts in the session; None for the user.
        index: By what the session is found: checked, see `protocol.session_index`.
    """

    user_id: UserId
    jwt_payload: Any = field(default=None, repr=False)
    session_info: Any = field(default=None, repr=False)
    persistent: bool = True
    idle_timeout: int | None = None
    absolute_timeout: int | None = None
    methods: tuple[str, ...] = ()
    impersonation: Impersonation | None = None
    index: tuple[Entry, ...] = ()


@dataclass(frozen=True, slots=True)
class SessionRecord(Generic[UserIdT]):
    """One session in a list "your devices". Holds no secret. All times are aware, UTC.

    Attributes:
        session_handle: The handle, for `revoke_session_using_session_handle`.
        user_id: The session's user.
        created_at: When the session began.
        last_active_at: When its tokens were last rotated, so accurate to about an access token's lifetime.
        expires_at: When the session ends if it is not used before: the earlier of idle and absolute timeout.
        device_label: Made from the User-Agent at login, for example "Firefox on Windows".
        ip_address: The client's address at login, as far as `SessionSettings.ip_address` keeps it; None if it is
            unknown, or is kept no longer.
        authentication_methods: How the user has been authenticated: a name (RFC 8176) and when that was last.
        actor: Who acts as the user in this session (`SessionManager.impersonate`); None for the user.
    """

    session_handle: str
    user_id: UserIdT
    created_at: datetime
    last_active_at: datetime
    expires_at: datetime
    device_label: str
    ip_address: str | None
    authentication_methods: Mapping[str, datetime] = field(default_factory=dict, hash=False)
    actor: UserId | None = None

    @property
    def cursor(self) -> str:
        """Where the next page of `list_sessions_for_user` begins: ``after=records[-1].cursor``. No secret."""
        return f"{datetime_to_ms(self.created_at)}-{self.session_handle}"


CURSOR = f"^([0-9]{{1,15}})-({HANDLE_PATTERN})$"
"""The form of a cursor, for descriptions of an interface."""


def read_cursor(cursor: Any) -> tuple[int, str]:
    """Return the time of creation, ms, and the handle that a `SessionRecord.cursor` holds.

    Raises:
        ValueError: The argument is no cursor.
    """
    match = re.fullmatch(CURSOR, cursor) if isinstance(cursor, str) else None
    if match is None:
        raise ValueError("after: is no cursor of a list of sessions")
    return int(match[1]), match[2]
