"""The keys that this worker signs and verifies with.

The life of the key set
=======================

=========  =====================================================  ====================================================
step       what happens                                           when
=========  =====================================================  ====================================================
load       the keys are read and opened, or asked of the          at the start; when a new key is due; when a token
           provider; the first ones are made where there are      names a key that is not known, at most once in
           none (`StoredKeys`, `ProvidedKeys`)                    `RELOAD_INTERVAL_SECONDS`
make next  a key is added that signs `PUBLISH_AHEAD_MS` from now  with a load, where a new key is due and the database
                                                                  says that this worker's time is right
use        the keyring is replaced whole, where keys differ       with a load
forget     keys are deleted of which no cookie is left            at the purge
=========  =====================================================  ====================================================
"""

import asyncio
import logging
import time
from collections.abc import Callable
from typing import TypeVar

from asgi_sessions.errors import ConfigurationError, StoreUnavailable
from asgi_sessions.manager.clocks import Clocks
from asgi_sessions.manager.key_seals import KeySeals
from asgi_sessions.manager.once_per_minute import OncePerMinute
from asgi_sessions.manager.provided_keys import ProvidedKeys
from asgi_sessions.manager.stored_keys import ACCESS, REFRESH, StoredKeys
from asgi_sessions.protocol.durations import format_time
from asgi_sessions.protocol.keyring import PUBLISH_AHEAD_MS, Keyring, SigningKey
from asgi_sessions.protocol.refresh_token import RefreshTokenCodec
from asgi_sessions.protocol.retry_marker import RetryMarkerCodec
from asgi_sessions.protocol.sealing import derive
from asgi_sessions.settings import SessionSettings, manager_log
from asgi_sessions.store.failures import in_full
from asgi_sessions.store.signing_keys import SigningKeyStore

__all__ = ["SigningKeys"]

RELOAD_INTERVAL_SECONDS = 1.0
"""Unknown key ids are untrusted input: they cause no more than one reload in this time."""

CodecT = TypeVar("CodecT", RefreshTokenCodec, RetryMarkerCodec)


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
        self._log = manager_log(__name__, settings)
        self._clocks = clocks
        self._clock = clocks.database_time  # workers must agree on which key signs
        self._monotonic = monotonic
        seals = KeySeals(settings, store)
        self._refresh = StoredKeys(REFRESH, "HS256", store, seals, clocks, self._log)
        self._access = StoredKeys(ACCESS, settings.signing_algorithm, store, seals, clocks, self._log)
        provider = settings.signing_key_provider
        self._provided = (
            None if provider is None else ProvidedKeys(provider, settings.signing_algorithm, clocks, self._log)
        )
        self._not_reloaded = OncePerMinute(self._log, logging.WARNING, clocks.given)
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

    @property
    def signs_now(self) -> SigningKey:
        """The key that signs at this moment, as far as it is known here."""
        return self.keyring.signing_key(self._clock())

    @property
    def next_key_at(self) -> int | None:
        """When the next key is due, ms: whatever signs then makes it. None where the application's provider decides."""
        if self._provided is not None:
            return None
        return self.keyring.newest.signs_from + self._settings.signing_key_lifetime_ms - PUBLISH_AHEAD_MS

    def now(self) -> int:
        """The time by which keys begin and end, ms: the database's."""
        return self._clock()

    def follow(self, take: Callable[[Keyring], None]) -> None:
        """Give the keyring now, and again whenever it is replaced; for callers that need it too often to ask here."""
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
        if self._provided is not None:
            await self._provided.close()

    async def signing_key(self) -> SigningKey:
        """The key to sign with now. Makes the next one when it is due."""
        if self._provided is not None:
            self._use(await self._provided.load())
        elif self._due():
            async with self._lock:
                if self._due():
                    await self._load(strict=False)
        return self.keyring.signing_key(self._clock())

    async def reload_for_unknown_key(self) -> bool:
        """Load the keys for a token that names an unknown one: perhaps another worker has made it a moment ago.

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
        except ConfigurationError as error:  # a mistake of the application's, but no reason to fail the caller
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
        if self._provided is None and kept[0].serial > 0:
            await self._access.remove_before(kept[0].serial)

    def _due(self) -> bool:
        # A worker that is too far off makes no key, and need not look whether another one has.
        return not self._clocks.too_far_off and self.keyring.rotation_due(
            self._clock(),
            self._settings.signing_key_lifetime_ms,
            publish_ahead=PUBLISH_AHEAD_MS,
            algorithm=self._settings.signing_algorithm,
        )

    async def _load(self, *, strict: bool) -> None:
        root = (await self._refresh.load(strict=strict))[-1]
        self.refresh_tokens = self._codec(RefreshTokenCodec, root, "refresh-token")
        self.retry_markers = self._codec(RetryMarkerCodec, root, "retry-marker")
        if self._provided is not None:
            self._use(await self._provided.load())
            return
        self._use(Keyring(await self._access.load(strict=strict)))
        if self._due() and await self._clocks.measure() and self._due():
            await self._make_next()
            self._use(Keyring(await self._access.load(strict=strict)))

    async def _make_next(self) -> None:
        newest, signs_from = self.keyring.newest, self._clock() + PUBLISH_AHEAD_MS
        if newest.signs_from > signs_from:
            self._log.warning(
                "Signing key %s would begin to sign at %s: a worker whose clock was wrong has made it. "
                "The next one does not wait for it.",
                newest.key_id,
                format_time(newest.signs_from),
            )
        await self._access.add_next(signs_from=signs_from)

    def _codec(self, codec: type[CodecT], root: SigningKey, purpose: str) -> CodecT:
        key = derive(root.secret, purpose, owner=self._settings.token_audience)
        legacy_keys = {root.key_id: derive(root.secret, purpose)} if self.legacy_until else None
        return codec({root.key_id: key}, root.key_id, legacy_keys=legacy_keys, legacy_until=self.legacy_until)

    def _use(self, keyring: Keyring) -> None:
        # Only other keys make another keyring: a client that can cause a reload must not empty the caches of the keys.
        if not hasattr(self, "_keyring") or keyring.keys != self.keyring.keys:
            self.keyring = keyring


_NOT_RELOADED = "The signing keys could not be loaded again; going on with the known ones: %s"
