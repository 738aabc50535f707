"""Redis or Valkey, publish and subscribe: a channel for whichever database. Imports the extra ``redis``."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from asgi_sessions.revocation.channel import ANSWER_SECONDS, FAREWELL_SECONDS, QUIET_SECONDS

__all__ = ["RedisChannel"]

CONNECT_SECONDS = 5.0


class NoAnswer(Exception):
    """The server is silent, though it was asked."""


class RedisChannel:
    """Listens on one connection and publishes by another.

    Args:
        address: ``redis://``, ``rediss://``, ``valkey://``, ``valkeys://`` or ``unix://``; has been checked.
        name: Of the channel. It knows no databases: all of one server share it.
    """

    kind = "Redis"

    def __init__(self, address: str, name: str) -> None:
        self._name = name
        scheme, _, rest = address.partition("://")
        scheme = scheme.lower().replace("valkey", "redis")
        options: dict[str, Any] = {
            "protocol": 2,
            "socket_connect_timeout": CONNECT_SECONDS,
            "socket_timeout": ANSWER_SECONDS,
            # A connection that the client mended by itself would hide what was said meanwhile.
            "retry": Retry(NoBackoff(), 0),
        }
        if scheme == "rediss":
            options |= {"ssl_cert_reqs": "required", "ssl_check_hostname": True}  # False before redis-py 6
        self._client: Redis = Redis.from_url(f"{scheme}://{rest}", **options)

    async def listen(self, heard: Callable[[], None]) -> None:
        subscription = self._client.pubsub()
        try:
            await subscription.subscribe(self._name)
            await _next(subscription)  # the answer
            heard()
            while True:
                message = await subscription.get_message(timeout=QUIET_SECONDS)
                if message is None:
                    await subscription.ping()
                    message = await _next(subscription)
                if message["type"] == "message":
                    heard()
                await asyncio.sleep(0)  # a flood leaves room for requests
        finally:
            with suppress(Exception):
                async with asyncio.timeout(FAREWELL_SECONDS):
                    await subscription.aclose()  # type: ignore[no-untyped-call] # redis-py's own

    async def publish(self) -> None:
        await self._client.publish(self._name, "")

    async def close(self) -> None:
        async with asyncio.timeout(FAREWELL_SECONDS):
            await self._client.aclose()


async def _next(subscription: PubSub) -> dict[str, Any]:
    message: dict[str, Any] | None = await subscription.get_message(timeout=ANSWER_SECONDS)
    if message is None:
        raise NoAnswer
    return message
