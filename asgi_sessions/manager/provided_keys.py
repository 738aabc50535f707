"""The signing keys of an application's own ``signing_key_provider``, as far as this worker has seen them."""

import logging
from collections.abc import Awaitable, Callable

from asgi_sessions.errors import ConfigurationError, StoreUnavailable
from asgi_sessions.manager.clocks import Clocks
from asgi_sessions.manager.function_call import result_of
from asgi_sessions.manager.once_per_minute import OncePerMinute
from asgi_sessions.manager.single_flight import SingleFlight
from asgi_sessions.protocol.key_id import key_id_of
from asgi_sessions.protocol.keyring import Keyring, SigningKey
from asgi_sessions.settings import ManagerLog

__all__ = ["ProvidedKeys"]

PROVIDER_TIMEOUT_SECONDS = 5.0
"""The provider is asked at every issue: so long all who ask at once wait for it."""
KEPT = 10
"""Keys before the present one."""


class ProvidedKeys:
    """The present key, and those before it.

    Args:
        provider: The application's.
        algorithm: The algorithm of the provider's keys.
        clocks: The time, ms.
        log: The manager's.
    """

    def __init__(
        self, provider: Callable[[], Awaitable[str | bytes]], algorithm: str, clocks: Clocks, log: ManagerLog
    ) -> None:
        self._provider = provider
        self._algorithm = algorithm
        self._clock = clocks.database_time
        self._keyring = Keyring(())
        self._asking = SingleFlight(self._ask)
        self._failed = OncePerMinute(log, logging.ERROR, clocks.given)

    async def load(self) -> Keyring:
        """Ask for the present key and return all known keys. Concurrent callers share the answer.

        Raises:
            StoreUnavailable: The provider failed, or did not answer in time.
            ConfigurationError: What it has given is no key.
        """
        await self._asking.join()
        return self._keyring

    async def close(self) -> None:
        """Wait no longer for the provider."""
        await self._asking.close()

    async def _ask(self) -> None:
        try:
            value = await result_of(self._provider, seconds=PROVIDER_TIMEOUT_SECONDS)
        except Exception as error:
            self._failed.say("signing_key_provider failed.", exc_info=True)
            raise StoreUnavailable("The signing key provider failed.") from error
        if not isinstance(value, str | bytes):
            raise ConfigurationError("signing_key_provider: must return the key as str or bytes.")
        secret = value.encode() if isinstance(value, str) else value
        known = self._keyring.keys
        if known and known[-1].secret == secret:
            return
        serial = known[-1].serial + 1 if known else 0
        try:
            key = SigningKey(key_id_of(secret), serial, self._algorithm, secret, self._clock(), derived=False)
        except ValueError as error:  # says what is wrong with the key, not what the key is
            raise ConfigurationError(f"signing_key_provider: {error}.") from None
        before = [old for old in known if old.key_id != key.key_id]
        self._keyring = Keyring([*before[-KEPT:], key])
