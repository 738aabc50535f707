"""The signing keys of one purpose in the database: loaded, opened, and made."""

from asgi_sessions.errors import ConfigurationError, StoreUnavailable
from asgi_sessions.manager.clocks import Clocks
from asgi_sessions.manager.key_seals import KeySeals
from asgi_sessions.protocol.durations import format_time
from asgi_sessions.protocol.key_id import new_key_id
from asgi_sessions.protocol.keyring import SigningKey, generate
from asgi_sessions.protocol.sealing import SealBroken
from asgi_sessions.settings import ManagerLog
from asgi_sessions.store.signing_keys import KeyRow, SigningKeyStore

__all__ = ["ACCESS", "REFRESH", "StoredKeys"]

ACCESS, REFRESH = "access", "refresh"


class StoredKeys:
    """One worker's view of them.

    Args:
        purpose: `ACCESS` or `REFRESH`.
        algorithm: The algorithm of the keys that this worker makes.
        store: The store of the keys.
        seals: Opens and seals them.
        clocks: The time; where it is too far off the database's, no key is made.
        log: The manager's.
    """

    def __init__(
        self,
        purpose: str,
        algorithm: str,
        store: SigningKeyStore,
        seals: KeySeals,
        clocks: Clocks,
        log: ManagerLog,
    ) -> None:
        self._purpose = purpose
        self._algorithm = algorithm
        self._store = store
        self._seals = seals
        self._clocks = clocks
        self._log = log
        self._last_serial = -1  # of keys that secret_key has sealed, used here or not
        self._known: dict[str, SigningKey] = {}  # that have been opened, by their ids
        self._reported: set[tuple[str, str | None]] = set()

    async def load(self, *, strict: bool) -> list[SigningKey]:
        """The keys, oldest first. Where there are none the first one is made, of many workers by one.

        Args:
            strict: Whether a key that does not open is a mistake in the settings, as it is at a start. Later it comes
                from a worker with a newer ``secret_key``, or from somebody who writes into the database: in both cases
                the keys that are known here are the ones to trust.

        Raises:
            ConfigurationError: A key does not open, and that is a mistake.
            StoreUnavailable: The database did not answer, or holds no key that can be opened and used.
        """
        keys = await self._open_all(strict=strict)
        if not keys and not self._clocks.too_far_off:
            await self.add_next(signs_from=self._clocks.database_time())
            keys = await self._open_all(strict=strict)
        if not keys:
            raise StoreUnavailable("The database holds no signing key that can be opened.")
        return keys

    async def add_next(self, *, signs_from: int) -> None:
        """Make a key, the next after those loaded. Where another worker was faster its key is as good.

        Args:
            signs_from: When it begins to sign, ms.
        """
        await self._add(self._last_serial + 1, signs_from)

    async def remove_before(self, serial: int) -> None:
        """Delete the keys before this one."""
        await self._store.remove_before(self._purpose, serial)

    async def _add(self, serial: int, signs_from: int) -> None:
        key_id, algorithm = new_key_id(), self._algorithm
        material, seal_id = self._seals.seal(generate(algorithm), key_id, algorithm, self._purpose)
        now = self._clocks.database_time()
        if await self._store.add(KeyRow(self._purpose, serial, key_id, algorithm, material, seal_id, signs_from, now)):
            when = format_time(signs_from)
            self._log.info("Made signing key %s (%s, %s), in use from %s.", key_id, self._purpose, algorithm, when)

    async def _open_all(self, *, strict: bool) -> list[SigningKey]:
        opened = []
        for row in await self._store.load(self._purpose):
            try:
                key = self._known[row.key_id] = await self._seals.open(row)
                opened.append(key)
                self._last_serial = row.serial
            except (SealBroken, ValueError):
                if self._seals.is_leftover(row):
                    self._last_serial = row.serial
                elif strict:
                    raise ConfigurationError(self._seals.mistake) from None
                if row.key_id in self._known:
                    opened.append(self._known[row.key_id])
                else:
                    self._report(row)
        return opened

    def _report(self, row: KeyRow) -> None:
        if (row.key_id, row.seal_id) not in self._reported:  # anybody can have the keys loaded again
            self._reported.add((row.key_id, row.seal_id))
            self._log.error("Signing key %s cannot be opened with secret_key and is not used.", row.key_id)
