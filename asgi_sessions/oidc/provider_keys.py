"""An issuer's keys: fetched from the one address that is configured, kept, and used on where the issuer is down."""

import asyncio
import json
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final
from weakref import WeakKeyDictionary

import httpx

from asgi_sessions.manager.single_flight import SingleFlight
from asgi_sessions.oidc.issuer import TokenIssuer

__all__ = ["ProviderKeys"]

FETCH_SECONDS: Final = 5.0
MOST_BYTES: Final = 256 * 1024
MOST_KEYS: Final = 100
PAUSE_SECONDS: Final = 10.0
"""Between two fetches, however many tokens name keys that nobody knows."""
FRESH_SECONDS: Final = 3600.0
"""Then keys are fetched anew before the next token: one that the issuer has withdrawn counts no longer."""

_log = logging.getLogger("asgi_sessions")


class _UnusableAnswer(Exception):
    pass


class ProviderKeys:
    """The keys of one issuer.

    Args:
        issuer: Whose.
        monotonic: Seconds, by a clock that nobody sets.

    Attributes:
        fetches: How many there have been.
    """

    def __init__(self, issuer: TokenIssuer, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._issuer = issuer
        self._monotonic = monotonic
        self._keys: Sequence[Mapping[str, Any]] = ()
        self._fetched_at = self._tried_at = float("-inf")
        self._flights: WeakKeyDictionary[asyncio.AbstractEventLoop, SingleFlight] = WeakKeyDictionary()
        self.fetches = 0

    async def of(self, key_id: str | None) -> Sequence[Mapping[str, Any]]:
        """The keys, fetched anew where they are old or have none of this id; empty where there never were any."""
        if self._is_to_be_fetched(key_id):
            flight = self._flights.setdefault(asyncio.get_running_loop(), SingleFlight(self._fetch))
            await flight.join()
        return self._keys

    def _is_to_be_fetched(self, key_id: str | None) -> bool:
        now = self._monotonic()
        if now - self._tried_at < PAUSE_SECONDS:
            return False
        is_known = bool(self._keys) and (key_id is None or any(key.get("kid") == key_id for key in self._keys))
        return not is_known or now - self._fetched_at >= FRESH_SECONDS

    async def _fetch(self) -> None:
        self._tried_at = self._monotonic()
        self.fetches += 1
        try:
            async with asyncio.timeout(FETCH_SECONDS):
                self._keys = _keys_in(await self._answer())
        except (httpx.HTTPError, _UnusableAnswer, TimeoutError, OSError) as error:
            reason = str(error) if isinstance(error, _UnusableAnswer) else type(error).__name__
            _log.warning("The keys of %s could not be fetched: %s.", self._issuer.issuer, reason)
        else:
            self._fetched_at = self._tried_at

    async def _answer(self) -> bytes:
        async with (
            httpx.AsyncClient(timeout=FETCH_SECONDS, follow_redirects=False) as client,
            client.stream("GET", self._issuer.jwks_uri, headers={"Accept": "application/json"}) as answer,
        ):
            if answer.status_code != httpx.codes.OK:
                raise _UnusableAnswer(f"it answered {answer.status_code}")
            body = b""
            async for chunk in answer.aiter_bytes():
                body += chunk
                if len(body) > MOST_BYTES:
                    raise _UnusableAnswer("its answer is too large")
            return body


def _keys_in(body: bytes) -> Sequence[Mapping[str, Any]]:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        raise _UnusableAnswer("its answer is no JSON") from None
    keys = found.get("keys") if isinstance(found, dict) else None
    if not isinstance(keys, list) or len(keys) > MOST_KEYS:
        raise _UnusableAnswer("its answer is no set of keys")
    return [key for key in keys if isinstance(key, dict)]
