"""What happened to sessions, one stable event each, on the logger ``asgi_sessions.audit`` (ASVS 5.0, V16).

The event's name and data are attributes of the log record (``event``, ``session_handle``, ``user_id``, ``reason``),
so that a formatter or a filter need not parse sentences. No event holds a token.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

_log = logging.getLogger("asgi_sessions.audit")


class Event(StrEnum):
    """The events."""

    CREATED = "session.created"
    REFRESHED = "session.refreshed"
    AUTHENTICATED = "session.authenticated"
    SERVED_LATE = "session.served_late"
    REVOKED = "session.revoked"
    THEFT = "session.theft"
    PAYLOAD_CHANGED = "session.payload_changed"
    CSRF_REJECTED = "session.csrf_rejected"
    ADMINISTERED = "session.administered"
    NOT_TOLD = "session.end_not_told"


@dataclass(frozen=True, slots=True)
class SessionEvent:
    """One event, as hooks get it. Holds no secret.

    Attributes:
        name: ``session.created``, ``session.refreshed``, ``session.revoked`` or ``session.theft``.
        session_handle: The session; None if several sessions ended at once.
        user_id: The session's user; None if sessions of several users ended at once, or if the call did not need to
            look the user up.
        details: The other data of the audit log, by the same names: ``reason``, ``count``, ``device``, ….
    """

    name: str
    session_handle: str | None
    user_id: Any
    details: Mapping[str, Any] = field(default_factory=dict)


def by(actor: Any) -> dict[str, Any]:
    """The datum that tells who acts in the session; none where it is the user."""
    return {} if actor is None else {"actor": actor}


_WARNINGS = {Event.THEFT, Event.CSRF_REJECTED, Event.NOT_TOLD}


def record(event: Event, *, session_handle: str | None = None, user_id: Any = None, **data: Any) -> None:
    """Write one event.

    Args:
        event: The event.
        session_handle: The session, if there is one.
        user_id: The session's user.
        **data: Further data, for example ``reason``, ``count``.
    """
    level = logging.WARNING if event in _WARNINGS else logging.INFO
    if _log.isEnabledFor(level):
        facts = {"session_handle": session_handle, "user_id": user_id, **data}
        known = {name: value for name, value in facts.items() if value is not None}
        text = " ".join(f"{name}={value!r}" for name, value in known.items())
        _log.log(level, "%s %s", event.value, text, extra={"event": event.value, **facts})
