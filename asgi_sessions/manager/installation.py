"""What the workers on one database must know of each other, and of workers of older versions."""

from dataclasses import dataclass

from asgi_sessions.manager.stored_keys import REFRESH
from asgi_sessions.settings import SessionSettings
from asgi_sessions.store.signing_keys import SigningKeyStore
from asgi_sessions.store.state import StateStore
from asgi_sessions.store.tombstones import LONGEST_DELAY, LONGEST_LIFETIME, TombstoneStore, tombstone_lifetime

UPGRADED_AT = "upgraded_at"

ROLLING_RESTART_MS = 24 * 3600 * 1000
"""For so long after the first worker of this version, workers of the older one may still issue tokens."""


@dataclass(frozen=True, slots=True)
class Installation:
    """What this worker has found at its start.

    Attributes:
        upgraded_at: When a version that keeps state first opened a database that was in use already, ms by the
            database's clock; 0 for a database that was new then. The same for all workers, for good.
        longest_lifetime: The longest ``access_token_lifetime`` that any worker has had, ms. It never shrinks.
        longest_delay: For how long a token may be taken for good beyond two lifetimes, after any worker's settings:
            news of a revocation may be so old, and two clocks further apart than a lifetime, ms. It never shrinks.
    """

    upgraded_at: int
    longest_lifetime: int
    longest_delay: int

    @property
    def is_new(self) -> bool:
        """Whether no older version has used this database."""
        return self.upgraded_at == 0

    @property
    def legacy_until(self) -> int:
        """What an older version has issued before this time stays good, ms; 0 where there was none."""
        return 0 if self.is_new else self.upgraded_at + ROLLING_RESTART_MS

    @property
    def tombstone_lifetime(self) -> int:
        """How long a revoked session is remembered, in the database and by every worker, ms."""
        return tombstone_lifetime({LONGEST_LIFETIME: self.longest_lifetime, LONGEST_DELAY: self.longest_delay})


async def look_at_installation(
    state: StateStore, keys: SigningKeyStore, tombstones: TombstoneStore, settings: SessionSettings
) -> Installation:
    """Find out, or decide where this worker is the first one, and tell the others of this worker's settings.

    To be asked before the first signing keys are made, and before a token is issued. One read, but at a first start.

    Raises:
        StoreUnavailable: The database does not answer.
    """
    known = await state.all()
    upgraded_at = known.get(UPGRADED_AT)
    if upgraded_at is None:
        in_use = await keys.load(REFRESH)  # every installation has made one, also where a provider has the others
        upgraded_at = await state.settle(UPGRADED_AT, await tombstones.now() if in_use else 0)
    lifetime = settings.access_token_lifetime_ms
    delay = settings.revocation_max_staleness_ms + max(0, 2 * settings.max_clock_difference_ms - lifetime)
    longest = {LONGEST_LIFETIME: lifetime, LONGEST_DELAY: delay}
    for name, here in longest.items():
        longest[name] = known.get(name, -1)
        if longest[name] < here:
            longest[name] = await state.raise_to(name, here)
    return Installation(upgraded_at, longest[LONGEST_LIFETIME], longest[LONGEST_DELAY])
