"""How long an access token is good at most, whichever worker has issued it.

What must hold: *a worker accepts a token for no longer after its issue than revoked sessions are remembered.* Settings
change and differ, so what counts is the longest lifetime that any worker on this database has ever had. Each worker
stores its own before it issues a token, and the stored number never shrinks.

A token that claims a longer lifetime comes from a worker that has started since this one read the number, or is
wrong. The number is read once more; then the token is good for as long as this worker remembers revocations, or not at
all. A token that was issued in the future comes from a wrong clock, and could outlive its session's tombstone: it is
not good at all. Such a token is still authentic. It counts as expired, so that its client refreshes.
"""

import time
from collections.abc import Callable
from dataclasses import replace

from asgi_sessions.manager.installation import Installation
from asgi_sessions.protocol.access_token import AccessToken
from asgi_sessions.settings import SessionSettings
from asgi_sessions.store.state import StateStore
from asgi_sessions.store.tombstones import LONGEST_DELAY, LONGEST_LIFETIME

__all__ = ["TokenTimes"]

LOOK_AGAIN_SECONDS = 1.0
"""What a token claims is no reason to ask the database more than once in this time."""
NO_TIME = 0
"""When a token expires that is not good at any time, ms."""


class TokenTimes:
    """One event loop's.

    Args:
        settings: How far clocks may be apart.
        state: The store of the longest lifetime.
        installation: The installation as this worker found it at its start.
        monotonic: Seconds by a clock that nobody can set.

    Attributes:
        covered: The longest lifetime that this worker's memory of revocations is made for, ms.
        ahead: How far in the future a token may have been issued by another worker's clock, ms.
    """

    def __init__(
        self,
        settings: SessionSettings,
        state: StateStore,
        installation: Installation,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._state = state
        self._monotonic = monotonic
        self._installation = installation
        self._next_look = float("-inf")
        self.covered = installation.longest_lifetime
        self.ahead = settings.workers_apart_ms

    @property
    def tombstone_lifetime(self) -> int:
        """How long tombstones are needed, as far as this worker knows, ms."""
        return self._installation.tombstone_lifetime

    async def look(self) -> None:
        """Find out whether another worker has a longer lifetime since: to be asked before a tombstone is deleted.

        Raises:
            StoreUnavailable: The database does not answer.
        """
        known, here = await self._state.all(), self._installation
        self._installation = replace(
            here,
            longest_lifetime=max(here.longest_lifetime, known.get(LONGEST_LIFETIME, 0)),
            longest_delay=max(here.longest_delay, known.get(LONGEST_DELAY, 0)),
        )

    def bounded(self, token: AccessToken, now: int) -> AccessToken:
        """A token that lasts longer than this worker's memory, or begins in the future, with the time that it has.

        Args:
            token: Authentic; it lasts for more than `covered`, or was issued more than `ahead` from now.
            now: ms.
        """
        longest = self._installation.longest_lifetime
        if token.issued_at > now + self.ahead or token.expires_at - token.issued_at > longest:
            return replace(token, expires_at=NO_TIME)
        return replace(token, expires_at=min(token.expires_at, token.issued_at + self.covered))

    async def look_again(self, token: AccessToken) -> bool:
        """`look`, where the token has no time: perhaps another worker's lifetime is longer than was known.

        Returns:
            Whether a second look at the token is worth it. The database is asked at most once a second.

        Raises:
            StoreUnavailable: It did not answer.
        """
        if token.expires_at != NO_TIME or self._monotonic() < self._next_look:
            return False
        self._next_look = self._monotonic() + LOOK_AGAIN_SECONDS
        before = self._installation
        await self.look()
        return self._installation != before
