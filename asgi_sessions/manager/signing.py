"""The keys that this worker signs and verifies with: loaded, made once for all workers, rotated, learnt when new."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from asgi_sessions.errors import ConfigurationError, StoreUnavailable
from asgi_sessions.manager.clocks import Clocks
from asgi_sessions.manager.once_per_minute import OncePerMinute
from asgi_sessions.manager.single_flight import SingleFlight
from asgi_sessions.protocol.key_id import key_id_of, new_key_id
from asgi_sessions.protocol.keyring import PUBLISH_AHEAD_MS, Keyring, SigningKey, generate
from asgi_sessions.protocol.lifetimes import format_time
from asgi_sessions.protocol.refresh_token import RefreshTokenCodec
from asgi_sessions.protocol.retry_marker import RetryMarkerCodec
from asgi_sessions.protocol.sealing import SealBroken, Sealer, derive
from asgi_sessions.settings import SessionSettings
from asgi_sessions.store.failures import in_full
from asgi_sessions.store.signing_keys import KeyRow, SigningKeyStore

RELOAD_INTERVAL_SECONDS = 1.0
"""Unknown key ids are untrusted input: they cause no more than one reload in this time."""

PROVIDER_TIMEOUT_SECONDS = 5.0
"""An application's own key provider is asked at every issue: so long all who ask at once wait for it."""

ACCESS, REFRESH = "access", "refresh"

CodecT = TypeVar("CodecT", RefreshTokenCodec, RetryMarkerCodec)
_log = logging.getLogger(__name__)


class SigningKeys:
    """The keys of one worker.

    Attributes:
        refresh_tokens: Reads and writes refresh tokens.
        retry_markers: Reads and writes retry markers.
        legacy_until: What an older version has issued before this time stays good, ms; 0 where there was none.
    """

    refresh_tokens: RefreshTokenCodec
    retry_markers: RetryMarkerCodec
    _keyring: Keyring

    def __init__(
        self,
        settings: SessionSettings,
        store: SigningKeyStore,
        clocks: Clocks,
        monotonic: Callable[[], float] = time.monotonic,
        *,
        legacy_until: int = 0,
    ) -> None:
        self.legacy_until = legacy_until
        self._settings = settings
        self._store = store
        self._clocks = clocks
        self._clock = clocks.database_time  # workers must agree on which key signs
        self._monotonic = monotonic
        self._sealer = sealer_of(settings)
        self._older_sealer = sealer_of(settings, bound=False)
        self._last_serial = {ACCESS: -1, REFRESH: -1}  # of keys that secret_key has sealed, here used or not
        self._provider: Callable[[], Awaitable[str | bytes]] | None = settings.signing_key_provider
        self._provided: list[SigningKey] = []
        self._opened_keys: dict[str, SigningKey] = {}
        self._provision = SingleFlight(self._ask_provider)
        self._provider_failed = OncePerMinute(_log, logging.ERROR, clocks.given)
        self._not_reloaded = OncePerMinute(_log, logging.WARNING, clocks.given)
        self._reported: set[tuple[str, str | None]] = set()  # keys that cannot be opened
        self._lock = asyncio.Lock()
        self._next_reload = 0.0
        self._reload_failure: StoreUnavailable | None = None
        self._followers: list[Callable[[Keyring], None]] = []

    @property
    def keyring(self) -> Keyring:
        """The keys for access tokens, a snapshot that is replaced whole."""
        return self._keyring

    @keyring.setter
    def keyring(self, keyring: Keyring) -> None:
        self._keyring = keyring
        for take in self._followers:
            take(keyring)

    def follow(self, take: Callable[[Keyring], None]) -> None:
        """Give the keyring now, and another one whenever it is replaced: for those who ask too often to look here."""
        self._followers.append(take)
        take(self._keyring)

    async def start(self) -> None:
        """Load the keys, or make the first ones; of many workers that start together one makes them.

        Raises:
            ConfigurationError: The database holds keys that `secret_key` does not open.
        """
        await self._load(strict=True)

    async def close(self) -> None:
        """Wait no longer for an application's own key provider."""
        await self._provision.close()

    async def signing_key(self) -> SigningKey:
        """The key to sign with now. Makes the next one when it is due."""
        if self._provider is not None:
            await self._provision.join()
        elif self._due():
            async with self._lock:
                if self._due():
                    await self._load(strict=False)
        return self.keyring.signing_key(self._clock())

    async def learn(self) -> bool:
        """A token names a key that this worker does not know: perhaps another worker has made it a moment ago.

        Returns:
            Whether the keys were loaded again, so that a second look is worth it. At most once a second.

        Raises:
            StoreUnavailable: They could not be loaded: the token may be good, so nobody may be logged out for it.
        """
        if self._monotonic() >= self._next_reload:
            async with self._lock:  # who comes meanwhile waits for the same keys
                if self._monotonic() >= self._next_reload:
                    await self._reload()
            loaded = True
        else:
            loaded = False
        failure = self._reload_failure
        if failure is not None:
            raise StoreUnavailable(failure.detail) from failure.__cause__  # one each
        return loaded

    async def _reload(self) -> None:
        self._reload_failure = StoreUnavailable("The signing keys could not be loaded again.")  # whatever happens
        try:
            await self._load(strict=False)
            self._reload_failure = None
        except StoreUnavailable as error:
            self._reload_failure = error
            self._not_reloaded.say(_NOT_RELOADED, in_full(error))
        except ConfigurationError as error:  # a mistake of the application's, but no reason to fail whoever asks
            self._not_reloaded.say(_NOT_RELOADED, error)
        finally:
            self._next_reload = self._monotonic() + RELOAD_INTERVAL_SECONDS

    async def forget_old(self) -> None:
        """Delete keys that stopped signing so long ago that no cookie of theirs is left.

        A key that no longer verifies still proves whose an expired token was: that names the session which a login
        replaces. So it stays for as long as the cookies do. To be asked by the purge alone, which
        knows that the time is right.
        """
        oldest_cookie = self._clock() - self._settings.idle_timeout_ms - self._settings.access_token_lifetime_ms
        kept = [key for key in self.keyring.keys if (self.keyring.signs_until(key) or self._clock()) >= oldest_cookie]
        if self._provider is None and kept[0].serial > 0:
            await self._store.remove_before(ACCESS, kept[0].serial)

    def _due(self) -> bool:
        # A worker that is too far off makes no key, and need not look whether another one has.
        return not self._clocks.too_far_off and self.keyring.rotation_due(
            self._clock(),
            self._settings.signing_key_lifetime_ms,
            publish_ahead=PUBLISH_AHEAD_MS,
            algorithm=self._settings.signing_algorithm,
        )

    async def _load(self, *, strict: bool) -> None:
        root = (await self._keys(REFRESH, strict=strict))[-1]
        self.refresh_tokens = self._codec(RefreshTokenCodec, root, "refresh-token")
        self.retry_markers = self._codec(RetryMarkerCodec, root, "retry-marker")
        if self._provider is not None:
            await self._provision.join()
            return
        self._take(await self._keys(ACCESS, strict=strict))
        if self._due() and await self._clocks.measure() and self._due():
            newest, now = self.keyring.newest, self._clock()
            if newest.signs_from > now + PUBLISH_AHEAD_MS:
                _log.warning(
                    "Signing key %s would begin to sign at %s: a worker whose clock was wrong has made it. "
                    "The next one does not wait for it.",
                    newest.key_id,
                    format_time(newest.signs_from),
                )
            await self._make(ACCESS, self._last_serial[ACCESS] + 1, now + PUBLISH_AHEAD_MS)
            self._take(await self._keys(ACCESS, strict=strict))

    def _codec(self, codec: type[CodecT], root: SigningKey, purpose: str) -> CodecT:
        key = derive(root.secret, purpose, owner=self._settings.token_audience)
        legacy_keys = {root.key_id: derive(root.secret, purpose)} if self.legacy_until else None
        return codec({root.key_id: key}, root.key_id, legacy_keys=legacy_keys, legacy_until=self.legacy_until)

    def _take(self, keys: list[SigningKey]) -> None:
        # Another keyring means other keys: whoever can make us load them again must not make us forget what they prove.
        keyring = Keyring(keys)
        if not hasattr(self, "_keyring") or keyring.keys != self.keyring.keys:
            self.keyring = keyring

    async def _keys(self, purpose: str, *, strict: bool) -> list[SigningKey]:
        keys = await self._opened(purpose, strict=strict)
        if not keys and not self._clocks.too_far_off:
            await self._make(purpose, self._last_serial[purpose] + 1, self._clock())
            keys = await self._opened(purpose, strict=strict)
        if not keys:
            raise StoreUnavailable("The database holds no signing key that can be opened.")
        return keys

    async def _make(self, purpose: str, serial: int, signs_from: int) -> None:
        """Add a key. Where another worker was faster its key is as good: nothing happens."""
        algorithm = self._settings.signing_algorithm if purpose == ACCESS else "HS256"
        key_id, material, seal_id = new_key_id(), generate(algorithm), None
        if self._sealer is not None:
            material, seal_id = self._sealer.seal(material, key_id, algorithm, purpose)
        row = KeyRow(purpose, serial, key_id, algorithm, material, seal_id, signs_from, self._clock())
        if await self._store.add(row):
            when = format_time(signs_from)
            _log.info("Made signing key %s (%s, %s), in use from %s.", key_id, purpose, algorithm, when)

    async def _opened(self, purpose: str, *, strict: bool) -> list[SigningKey]:
        opened = []
        for row in await self._store.load(purpose):
            try:
                key = self._opened_keys[row.key_id] = await self._open(row)
                opened.append(key)
                self._last_serial[purpose] = row.serial
            except (SealBroken, ValueError):  # not sealed by us, or no key at all
                # At start this is a mistake in the settings. Later it is a worker with a newer secret_key, or
                # somebody who writes into the database: in both cases the known keys are the ones to trust.
                if self._is_leftover(row):
                    self._last_serial[purpose] = row.serial
                elif strict:
                    raise ConfigurationError(SEAL_BROKEN if self._sealer else _SEALED) from None
                if row.key_id in self._opened_keys:
                    opened.append(self._opened_keys[row.key_id])
                elif (row.key_id, row.seal_id) not in self._reported:  # anybody can have the keys loaded again
                    self._reported.add((row.key_id, row.seal_id))
                    _log.error("Signing key %s cannot be opened with secret_key and is not used.", row.key_id)
        return opened

    def _is_leftover(self, row: KeyRow) -> bool:
        """Whether a worker of an older version has made the key after the upgrade: no reason to keep new ones out."""
        return self._older_sealer is not None and self._older_sealer.knows(row.seal_id)

    async def _open(self, row: KeyRow) -> SigningKey:
        material = row.material
        if self._sealer is None:
            if row.seal_id is not None:
                raise SealBroken
        else:
            if row.seal_id is None:
                raise SealBroken
            material = self._sealer.open(material, row.seal_id, row.key_id, row.algorithm, row.purpose)
            if row.seal_id != self._sealer.current_seal_id:
                sealed, seal_id = self._sealer.seal(material, row.key_id, row.algorithm, row.purpose)
                await self._store.reseal(row, sealed, seal_id)
        return SigningKey(row.key_id, row.serial, row.algorithm, material, row.signs_from)

    async def _ask_provider(self) -> None:
        if self._provider is None:
            return
        try:
            async with asyncio.timeout(PROVIDER_TIMEOUT_SECONDS):
                value = await self._provider()
        except Exception as error:
            self._provider_failed.say("signing_key_provider failed.", exc_info=True)
            raise StoreUnavailable("The signing key provider failed.") from error
        if not isinstance(value, str | bytes):
            raise ConfigurationError("signing_key_provider: must return the key as str or bytes.")
        secret = value.encode() if isinstance(value, str) else value
        if self._provided and self._provided[-1].secret == secret:
            return
        try:
            key = SigningKey(
                key_id_of(secret),
                self._provided[-1].serial + 1 if self._provided else 0,
                self._settings.signing_algorithm,
                secret,
                self._clock(),
                derived=False,
            )
        except ValueError as error:  # says what is wrong with the key, not what the key is
            raise ConfigurationError(f"signing_key_provider: {error}.") from None
        known = [old for old in self._provided if old.key_id != key.key_id]
        self._provided = [*known[-_PROVIDED_KEYS_KEPT:], key]
        self.keyring = Keyring(self._provided)


_NOT_RELOADED = "The signing keys could not be loaded again; going on with the known ones: %s"
_PROVIDED_KEYS_KEPT = 10


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
