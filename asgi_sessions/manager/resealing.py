"""Keys that an older version sealed, which bound them to no table: opened once, at the upgrade, and sealed anew."""

from asgi_sessions.errors import ConfigurationError
from asgi_sessions.manager.installation import Installation
from asgi_sessions.manager.key_seals import SEAL_BROKEN, sealer_of
from asgi_sessions.manager.stored_keys import ACCESS, REFRESH
from asgi_sessions.protocol.sealing import SealBroken
from asgi_sessions.settings import SessionSettings
from asgi_sessions.store.signing_keys import SigningKeyStore
from asgi_sessions.store.state import StateStore

RESEALED = "keys_resealed"


async def reseal_older_keys(
    settings: SessionSettings, installation: Installation, state: StateStore, store: SigningKeyStore
) -> None:
    """Bind every key to this table. Once that is done, for good, no older seal opens here any more.

    A worker that dies on the way leaves the rest to the next one; several at once do the same.

    Raises:
        ConfigurationError: A key does not open; nothing is settled.
        StoreUnavailable: The database does not answer.
    """
    sealer, older = sealer_of(settings), sealer_of(settings, bound=False)
    if installation.is_new or sealer is None or older is None or RESEALED in await state.all():
        return
    for purpose in (REFRESH, ACCESS):
        for row in await store.load(purpose):
            if sealer.knows(row.seal_id):
                continue
            try:
                material = older.open(row.material, row.seal_id, row.key_id, row.algorithm, row.purpose)
            except SealBroken:
                raise ConfigurationError(SEAL_BROKEN) from None
            await store.reseal(row, *sealer.seal(material, row.key_id, row.algorithm, row.purpose))
    await state.settle(RESEALED, 1)
