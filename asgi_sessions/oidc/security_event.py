"""Security event tokens (RFC 8417), as Shared Signals 1.0 profiles them: what they say, and what follows from it."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, Final

from asgi_sessions.oidc.signed_jwt import (
    TOLERANCE_MS,
    InvalidToken,
    Presented,
    require_audience,
    require_issued,
    required_identifier,
    time_of,
)
from asgi_sessions.oidc.subjects import Subject, older_subject, subject_in

__all__ = ["CREDENTIAL_CHANGE", "ENDING_EVENTS", "SESSION_REVOKED", "Follows", "SecurityEvent", "event_in"]

_BASE: Final = "https://schemas.openid.net/secevent/"
SESSION_REVOKED: Final = f"{_BASE}caep/event-type/session-revoked"
CREDENTIAL_CHANGE: Final = f"{_BASE}caep/event-type/credential-change"
ENDING_EVENTS: Final = frozenset(
    {
        SESSION_REVOKED,
        CREDENTIAL_CHANGE,
        f"{_BASE}risc/event-type/account-disabled",
        f"{_BASE}risc/event-type/account-purged",
        f"{_BASE}risc/event-type/sessions-revoked",
        f"{_BASE}oauth/event-type/tokens-revoked",
    }
)
"""Events that end sessions unless a transmitter's `ends` says otherwise.

CAEP's `session-revoked` and `credential-change` (not where a credential was only added), RISC's `account-disabled`,
`account-purged` and `sessions-revoked`, Google's `tokens-revoked`.
"""
_VERIFICATION: Final = frozenset(f"{_BASE}{family}/event-type/verification" for family in ("ssf", "sse", "risc"))
_STREAM_UPDATED: Final = frozenset(f"{_BASE}{family}/event-type/stream-updated" for family in ("ssf", "sse"))
TYPES: Final = frozenset({"secevent+jwt", "application/secevent+jwt"})
OLDER_TYPES: Final = frozenset({"jwt", None})
MOST_EVENTS: Final = 10
"""In one token: the same event under several names."""
LONGEST_TYPE: Final = 500


class Follows(Enum):
    """What follows from an event."""

    END = auto()
    VERIFIED = auto()
    STREAM_UPDATED = auto()
    NOTHING = auto()


@dataclass(frozen=True, slots=True)
class SecurityEvent:
    """An event that a transmitter has signed for us.

    Attributes:
        type: Its name, a URI.
        follows: What follows.
        claims: The event's own members.
        subject: About whom; None where it does not matter, or is not said.
        jti: The token's name.
        happened_at: ms. Sessions that began later do not end.
    """

    type: str
    follows: Follows
    claims: Mapping[str, Any]
    subject: Subject | None
    jti: str
    happened_at: int

    @property
    def is_about_session(self) -> bool:
        """Whether it ends one session where its subject names one; else all of the user's."""
        return self.type == SESSION_REVOKED


def event_in(
    presented: Presented, audiences: tuple[str, ...], ends: frozenset[str], now: int, *, older: bool
) -> SecurityEvent:
    """The event of a token.

    Args:
        presented: The token; the transmitter that it names has signed it.
        audiences: Our names there.
        ends: The events that end sessions.
        now: ms.
        older: Whether the transmitter speaks as drafts did: the subject inside the event, and any `typ`.

    Raises:
        InvalidToken: It is no token for us.
    """
    if presented.type not in TYPES and not (older and presented.type in OLDER_TYPES):
        raise InvalidToken("Its typ is not secevent+jwt.")
    claims = presented.claims
    require_audience(claims, audiences)
    issued_at = require_issued(claims, now)
    jti = required_identifier(claims, "jti")
    for name in ("exp", "sub", "nonce"):
        if name in claims:
            raise InvalidToken(f"It has {name}, which no security event token has.")
    kind, follows, event = _event(claims, ends)
    subject = _subject(claims, event, older=older) if follows is Follows.END else None
    return SecurityEvent(kind, follows, event, subject, jti, _happened_at(claims, event, issued_at, now))


def _event(claims: Mapping[str, Any], ends: frozenset[str]) -> tuple[str, Follows, Mapping[str, Any]]:
    events = claims.get("events")
    if not isinstance(events, dict) or not 0 < len(events) <= MOST_EVENTS:
        raise InvalidToken("Its events are no object with one event.")
    found = []
    for kind, event in events.items():
        if not kind or len(kind) > LONGEST_TYPE or not isinstance(event, dict):
            raise InvalidToken("Its event is no object, or has no name.")
        found.append((kind, _follows(kind, event, ends), event))
    known = [each for each in found if each[1] is not Follows.NOTHING]
    if len({each[1] for each in known}) > 1:
        raise InvalidToken("Its events are of several kinds.")
    return (known or found)[0]


def _follows(kind: str, event: Mapping[str, Any], ends: frozenset[str]) -> Follows:
    if kind in _VERIFICATION:
        return Follows.VERIFIED
    if kind in _STREAM_UPDATED:
        return Follows.STREAM_UPDATED
    is_added = kind == CREDENTIAL_CHANGE and event.get("change_type") == "create"
    return Follows.END if kind in ends and not is_added else Follows.NOTHING


def _subject(claims: Mapping[str, Any], event: Mapping[str, Any], *, older: bool) -> Subject:
    if "sub_id" in claims:
        return subject_in(claims["sub_id"])
    if older and "subject" in event:
        return older_subject(event["subject"])
    raise InvalidToken("It has no sub_id.")


def _happened_at(claims: Mapping[str, Any], event: Mapping[str, Any], issued_at: int, now: int) -> int:
    for members, name in ((event, "event_timestamp"), (claims, "toe")):
        if name in members:
            happened_at = time_of(members, name)
            if happened_at > now + TOLERANCE_MS:
                raise InvalidToken(f"Its {name} is in the future.")
            return happened_at
    return issued_at
