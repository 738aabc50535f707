"""Sessions as the administrators' pages show them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from asgi_sessions.manager.records import SessionRecord
from asgi_sessions.pages.labels import kind_of
from asgi_sessions.pages.wanted import OfUser

__all__ = ["PAGE", "Found", "FoundPage", "found", "page_of"]

PAGE = 100
"""Sessions on one page."""


@dataclass(frozen=True, slots=True)
class Found:
    """One session.

    Attributes:
        handle: The session's.
        owner: Whose it is.
        actor: Who acts as that user there; None for nobody else.
        label: What its device is called. A client may have chosen it.
        kind: What its icon shows.
        address: From where it has signed in, as far as that is kept.
        created_at: When it has signed in.
        last_active_at: When it was last used, by an access token's lifetime at most too early.
        expires_at: When it ends unless it is used before.
        is_active: Whether the last use is as good as now.
        is_here: Whether it is the administrator's own, which asks.
    """

    handle: str
    owner: OfUser
    actor: OfUser | None
    label: str
    kind: str
    address: str | None
    created_at: datetime
    last_active_at: datetime
    expires_at: datetime
    is_active: bool
    is_here: bool


@dataclass(frozen=True, slots=True)
class FoundPage:
    """A page of them, newest first.

    Attributes:
        sessions: At most `PAGE`.
        next: The cursor of the next page; None on the last one.
    """

    sessions: Sequence[Found]
    next: str | None


def page_of(
    records: Sequence[SessionRecord[Any]], here: str, *, now: datetime, accuracy: timedelta = timedelta()
) -> FoundPage:
    """A page of these records, of which one more was asked for than it shows; see `found` for the arguments."""
    shown = records[:PAGE]
    return FoundPage(
        sessions=[found(record, here, now=now, accuracy=accuracy) for record in shown],
        next=shown[-1].cursor if len(records) > len(shown) else None,
    )


def found(record: SessionRecord[Any], here: str, *, now: datetime, accuracy: timedelta = timedelta()) -> Found:
    """One session as it is shown.

    Args:
        record: The session.
        here: The handle of the session that asks.
        now: The time.
        accuracy: By how much a last use may be too early.
    """
    is_here = record.session_handle == here
    return Found(
        handle=record.session_handle,
        owner=OfUser(record.user_id),
        actor=None if record.actor is None else OfUser(record.actor),
        label=record.device_label,
        kind=kind_of(record.device_label),
        address=record.ip_address,
        created_at=record.created_at,
        last_active_at=record.last_active_at,
        expires_at=record.expires_at,
        is_active=is_here or now - record.last_active_at <= accuracy,
        is_here=is_here,
    )
