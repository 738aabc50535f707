"""The seals on the signing keys in the database: what makes them, and what opens them."""

from asgi_sessions.protocol.keyring import SigningKey
from asgi_sessions.protocol.sealing import SealBroken, Sealer
from asgi_sessions.settings import SessionSettings
from asgi_sessions.store.signing_keys import KeyRow, SigningKeyStore

__all__ = ["SEAL_BROKEN", "KeySeals", "sealer_of"]


def sealer_of(settings: SessionSettings, *, bound: bool = True) -> Sealer | None:
    """What seals the keys, and opens them; None without ``secret_key``.

    Args:
        settings: The manager's.
        bound: False for the seals of version 0.1, which were bound to no table.
    """
    secrets = [secret.get_secret_value().encode() for secret in settings.secret_key]
    return Sealer(secrets, settings.table_prefix if bound else None) if secrets else None


_AFRESH = (
    "Or delete the rows of the signing key table and restart all workers: once none is left that knows the old keys, "
    "every token is refused and everybody logs in again."
)
SEAL_BROKEN = (
    "secret_key: the database holds signing keys that none of these secrets opens, or that belong to another table. "
    "Put the secret they were sealed with behind the new one. " + _AFRESH
)
_SEALED = "secret_key: the signing keys in the database are sealed. Give the secret that sealed them. " + _AFRESH


class KeySeals:
    """Seals and opens keys with ``secret_key``; without it keys are stored as they are, and no seal opens.

    Args:
        settings: The manager's.
        store: The store to which a key is written anew if an older secret has sealed it.
    """

    def __init__(self, settings: SessionSettings, store: SigningKeyStore) -> None:
        self._store = store
        self._sealer = sealer_of(settings)
        self._older_sealer = sealer_of(settings, bound=False)

    def seal(self, material: bytes, key_id: str, algorithm: str, purpose: str) -> tuple[bytes, str | None]:
        """How a key is stored, and which secret seals it; None where none does."""
        if self._sealer is None:
            return material, None
        return self._sealer.seal(material, key_id, algorithm, purpose)

    async def open(self, row: KeyRow) -> SigningKey:
        """The key in a row. One that an older secret has sealed is sealed with the newest one on the way.

        Raises:
            SealBroken: None of our secrets has sealed it.
            ValueError: It is no key.
            StoreUnavailable: The database did not store the new seal.
        """
        material = row.material
        if (self._sealer is None) is not (row.seal_id is None):
            raise SealBroken
        if self._sealer is not None:
            material = self._sealer.open(material, row.seal_id, row.key_id, row.algorithm, row.purpose)
            if row.seal_id != self._sealer.current_seal_id:
                sealed, seal_id = self._sealer.seal(material, row.key_id, row.algorithm, row.purpose)
                await self._store.reseal(row, sealed, seal_id)
        return SigningKey(row.key_id, row.serial, row.algorithm, material, row.signs_from)

    def is_leftover(self, row: KeyRow) -> bool:
        """Whether a worker of an older version has made the key after the upgrade: no reason to keep new ones out."""
        return self._older_sealer is not None and self._older_sealer.knows(row.seal_id)

    @property
    def mistake(self) -> str:
        """What is wrong with the settings where a key does not open at a start."""
        return _SEALED if self._sealer is None else SEAL_BROKEN
