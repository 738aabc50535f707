"""A row of the sessions table, and which handles a row can have."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import NamedTuple

from asgi_sessions.protocol.rotation import Chain, Served
from asgi_sessions.protocol.timeouts import Lifetime, is_expired

__all__ = [
    "COLUMNS",
    "ERASED",
    "ERASURE",
    "EXPORTED_COLUMNS",
    "NOBODY",
    "READ_COLUMNS",
    "ListedSession",
    "SessionRow",
    "is_storable",
]

_HANDLE = re.compile(r"[!-~]{1,32}\Z")


@dataclass(frozen=True, slots=True)
class SessionRow:
    """A row of the sessions table. Times in ms, hashes as stored, texts as JSON.

    Attributes:
        handle: The session's public name.
        user_id: The stored form of the user id.
        gen: The current token's generation.
        cur: The current token's hash.
        cur_iat: When the current token was issued.
        prev: The hash of the current token's parent; None for generation 0.
        promoted_at: When the current token was promoted; None if none was.
        created_at: When the session was created.
        last_active_at: When it was created or last promoted.
        auth_time: When the user last gave a credential.
        expires_at: The absolute end.
        idle_expires_at: The end if nothing more happens; never later than ``expires_at``.
        revoked_at: When it was revoked, by the database's clock; None while it is not.
        revoked_reason: Why, in a word of at most 20 ASCII characters.
        jwt_payload: What goes into every access token.
        device_label: At most 100 characters.
        ip_address: At most 45 characters.
        payload_version: How many times the payload or the methods have been changed.
        late_gen: The generation at which the session was last served without new tokens; None if it never was.
        late_at: When that began, ms.
        late_count: At how many generations an overtaken parent was served so.
        idle_timeout: This session's own idle timeout, ms, which the setting can shorten; None for the setting.
        persistent: Whether its cookies outlive the browser: 1 or 0.
        actor: The stored form of the id of the user who acts as this one; None if nobody does.
        methods: How the user has been authenticated, as JSON: a name (RFC 8176) and the time, ms.
        session_info: For ``insert``; None in rows that were read: it may be large, see ``get_info``.
    """

    handle: str
    user_id: bytes
    gen: int
    cur: bytes
    cur_iat: int
    prev: bytes | None
    promoted_at: int | None
    created_at: int
    last_active_at: int
    auth_time: int
    expires_at: int
    idle_expires_at: int
    revoked_at: int | None
    revoked_reason: str | None
    jwt_payload: str = field(repr=False)
    device_label: str
    ip_address: str | None
    payload_version: int = 0
    late_gen: int | None = None
    late_at: int | None = None
    late_count: int = 0
    idle_timeout: int | None = None
    persistent: int = 1
    actor: bytes | None = None
    methods: str = "{}"
    session_info: str | None = field(default=None, repr=False)

    @property
    def chain(self) -> Chain:
        """What rotation decides by."""
        return Chain(self.gen, self.cur, self.cur_iat, self.prev, self.promoted_at)

    @property
    def served(self) -> Served:
        """What service without tokens is decided by."""
        return Served(self.late_gen, self.late_at, self.late_count)

    @property
    def lifetime(self) -> Lifetime:
        """What its idle timeout is counted by."""
        return Lifetime(self.expires_at, self.idle_timeout, bool(self.persistent))

    def is_expired(self, now: int) -> bool:
        """Whether one of the session's timeouts has come at ``now`` (ms)."""
        return is_expired(now, expires_at=self.expires_at, idle_expires_at=self.idle_expires_at)


class ListedSession(NamedTuple):
    """What the limit of sessions sees of a row; see `SessionRow`."""

    handle: str
    created_at: int
    last_active_at: int
    idle_expires_at: int
    device_label: str
    ip_address: str | None
    methods: str
    actor: bytes | None


COLUMNS = tuple(field.name for field in fields(SessionRow))
READ_COLUMNS = tuple(name for name in COLUMNS if name != "session_info")

_SECRETS = frozenset({"cur", "prev"})
"""What the tokens could be found by. A column that is not named here is exported."""
EXPORTED_COLUMNS = tuple(name for name in COLUMNS if name not in _SECRETS)

NOBODY = b""
"""In place of a user id: `user_id.encode` makes no such bytes of any."""
ERASED: Mapping[str, bytes | str | None] = {
    "user_id": NOBODY,
    "actor": None,
    "jwt_payload": "null",
    "session_info": "null",
    "device_label": "",
    "ip_address": None,
    "methods": "{}",
}
"""What is personal in a row, and what stands there once it is erased. The rest, random or a time, is what the tombstone
is kept for."""
ERASURE = "erased"
"""The reason in the tombstone of a session that had none before it was erased."""


def is_storable(handle: str) -> bool:
    """Whether a row can have this handle: 1 to 32 printable ASCII characters.

    MySQL pads with spaces when it compares, PostgreSQL refuses NUL: such handles do not get there.
    """
    return _HANDLE.match(handle) is not None
