"""What this database was before this version came: whether it has sessions that an older one began."""

from dataclasses import dataclass

from asgi_sessions.manager.signing import REFRESH
from asgi_sessions.store.signing_keys import SigningKeyStore
from asgi_sessions.store.state import StateStore
from asgi_sessions.store.tombstones import TombstoneStore

UPGRADED_AT = "upgraded_at"

ROLLING_RESTART_MS = 24 * 3600 * 1000
"""For so long after the first worker of this version, workers of the older one may still issue tokens."""


@dataclass(frozen=True, slots=True)
class Installation:
    """The same for all workers on one database, for good.

    Attributes:
        upgraded_at: When a version that keeps state first opened a database that was in use already, ms by the
            database's clock; 0 for a database that was new then.
    """

    upgraded_at: int

    @property
    def is_new(self) -> bool:
        """Whether no older version has used this database."""
        return self.upgraded_at == 0

    @property
    def legacy_until(self) -> int:
        """What an older version has issued before this time stays good, ms; 0 where there was none."""
        return 0 if self.is_new else self.upgraded_at + ROLLING_RESTART_MS


async def look_at_installation(state: StateStore, keys: SigningKeyStore, tombstones: TombstoneStore) -> Installation:
    """Find out, or decide where this worker is the first one. To be asked before the first signing keys are made.

    Raises:
        StoreUnavailable: The database does not answer.
    """
    upgraded_at = (await state.all()).get(UPGRADED_AT)
    if upgraded_at is None:
        in_use = await keys.load(REFRESH)  # every installation has made one, also where a provider has the others
        upgraded_at = await state.settle(UPGRADED_AT, await tombstones.now() if in_use else 0)
    return Installation(upgraded_at)
