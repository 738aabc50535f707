"""Telling others of our own logouts."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime

from asgi_sessions.errors import ConfigurationError
from asgi_sessions.manager.companions import Opened
from asgi_sessions.manager.manager import SessionManager, require_manager
from asgi_sessions.oidc.issuer import require_text
from asgi_sessions.oidc.logout_receiver import LogoutReceiver
from asgi_sessions.oidc.outbox_worker import OutboxWorker
from asgi_sessions.protocol.durations import from_ms
from asgi_sessions.store.notifications import Backlog

__all__ = ["LogoutNotifier", "NotifierBacklog"]


@dataclass(frozen=True, slots=True)
class NotifierBacklog:
    """What a receiver has not been told.

    Attributes:
        audience: The receiver's.
        waiting: How many ends are still to be told.
        dead: How many have been given up.
        waiting_since: Since when the oldest of those that wait does; None if none does.
    """

    audience: str
    waiting: int
    dead: int
    waiting_since: datetime | None


class LogoutNotifier:
    """Tells other services of each end of a session: OpenID Connect Back-Channel Logout 1.0, as the one who sends.

    It works for as long as the manager does. No login or logout waits for it, or costs a statement more: what is to be
    told is found by the tombstones, which stand in the database when an end is acknowledged. Of all workers one
    delivers.

    Args:
        sessions: Whose ends are told; not started yet. Its `signing_algorithm` has public keys.
        receivers: Who is told.
        issuer: `iss` of the tokens, by which receivers know you: mostly your address, ``https://shop.example.com``.

    Raises:
        TypeError, ValueError: A receiver is none, there is none, two have one audience, or the issuer is no text.
        ConfigurationError: The manager signs by HS256, has been started, or has a notifier already.
    """

    def __init__(self, sessions: SessionManager, receivers: Sequence[LogoutReceiver], *, issuer: str) -> None:
        require_manager(sessions, "sessions")
        require_text(issuer, "issuer")
        for receiver in receivers:
            if not isinstance(receiver, LogoutReceiver):
                raise TypeError(f"receivers must be LogoutReceiver, not {type(receiver).__name__}")
        if not receivers or len({receiver.audience for receiver in receivers}) < len(receivers):
            raise ValueError("receivers: give at least one, and no audience twice")
        if sessions.settings.signing_algorithm == "HS256":
            raise ConfigurationError(
                "signing_algorithm: HS256 has no public keys, by which others could verify logout tokens: choose ES256 "
                "or EdDSA"
            )
        self._sessions = sessions
        self._receivers = tuple(receivers)
        self._issuer = issuer
        sessions.companions.add("LogoutNotifier", self._beside)

    async def backlog(self) -> list[NotifierBacklog]:
        """What each receiver has not been told so far; for a gauge.

        Raises:
            StoreUnavailable: The database did not answer.
        """
        found = {each.receiver: each for each in await self._sessions.lifecycle.notifications.backlog()}
        known = {receiver.audience: Backlog(receiver.audience, 0, 0, None) for receiver in self._receivers}
        return [
            NotifierBacklog(
                audience=each.receiver,
                waiting=each.waiting,
                dead=each.dead,
                waiting_since=None if each.oldest_at is None else from_ms(each.oldest_at),
            )
            for each in (known | found).values()
        ]

    @asynccontextmanager
    async def _beside(self, opened: Opened) -> AsyncIterator[None]:
        async with OutboxWorker(opened, self._receivers, self._issuer):
            yield
