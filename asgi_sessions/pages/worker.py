"""What the worker that answers knows of itself, without asking the database."""

import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from asgi_sessions.manager.manager import SessionManager
from asgi_sessions.protocol.durations import from_ms

__all__ = ["Key", "Worker", "this_worker"]


@dataclass(frozen=True, slots=True)
class Key:
    """A signing key, without its material.

    Attributes:
        key_id: The `kid` of its tokens.
        algorithm: Its own.
        since: When it began, or begins, to sign.
        until: When its successor takes over; None while it has none.
        is_signing: Whether it signs now.
        is_to_come: Whether it does not sign yet.
    """

    key_id: str
    algorithm: str
    since: datetime
    until: datetime | None
    is_signing: bool
    is_to_come: bool


@dataclass(frozen=True, slots=True)
class Worker:
    """One worker.

    Attributes:
        host: Of its machine.
        process: Its number there.
        staleness: How old its knowledge of logouts is; None where it keeps none.
        limit: Above which staleness it refuses requests; None where it does not.
        keys: The newest first.
        next_key_at: When the next key is due; None where a function of the application decides.
    """

    host: str
    process: int
    staleness: timedelta | None
    limit: timedelta | None
    keys: Sequence[Key]
    next_key_at: datetime | None

    @property
    def is_stale(self) -> bool:
        """Whether it refuses requests, because it has not heard of logouts for too long."""
        return self.staleness is not None and self.limit is not None and self.staleness > self.limit


def this_worker(sessions: SessionManager) -> Worker:
    """The one that answers."""
    signing, settings = sessions.lifecycle.keys, sessions.settings
    ring, signs, next_key_at = signing.keyring, signing.signs_now, signing.next_key_at
    now = signing.now()
    return Worker(
        host=socket.gethostname(),
        process=os.getpid(),
        staleness=sessions.revocation_staleness,
        limit=settings.revocation_max_staleness if settings.revocation_check == "feed" else None,
        keys=[
            Key(
                key_id=key.key_id,
                algorithm=key.algorithm,
                since=from_ms(key.signs_from),
                until=None if (until := ring.signs_until(key)) is None else from_ms(until),
                is_signing=key is signs,
                is_to_come=key is not signs and key.signs_from > now,
            )
            for key in reversed(ring.keys)
        ],
        next_key_at=None if next_key_at is None else from_ms(next_key_at),
    )
