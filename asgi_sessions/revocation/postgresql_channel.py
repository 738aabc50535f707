"""PostgreSQL's own channel, LISTEN and NOTIFY, for installations whose sessions are in PostgreSQL."""

import asyncio
import secrets
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from sqlalchemy import Select, func, literal, select

from asgi_sessions.revocation.channel import ANSWER_SECONDS, FAREWELL_SECONDS, QUIET_SECONDS, ChannelSilent
from asgi_sessions.store.address import engine_arguments
from asgi_sessions.store.engine import Database

__all__ = ["PostgreSQLChannel"]

CONNECT_SECONDS = 10.0

_DIALECT_ARGUMENTS = ("prepared_statement_cache_size", "prepared_statement_name_func")
"""SQLAlchemy takes these for itself."""


_SILENT = (
    "a message to itself does not arrive, so there may be a pooler on the way; name a Redis in revocation_channel_url, "
    "or an address of the server itself in database_url"
)


class ConnectionLost(Exception):
    """The server, or something on the way to it, has closed the connection."""


def _notification(name: str) -> Select[Any]:
    return select(func.pg_notify(literal(name), literal("")))


class PostgreSQLChannel:
    """Listens on a connection of its own, and publishes by one of the engine's.

    Args:
        database: This event loop's database.
        name: The channel's name.
    """

    kind = "PostgreSQL"

    def __init__(self, database: Database, name: str) -> None:
        self._database = database
        self._name = name
        self._notify = _notification(name)

    async def listen(self, heard: Callable[[], None]) -> None:
        lost = asyncio.Event()
        async with asyncio.timeout(CONNECT_SECONDS):
            connection = await self._open()
        try:
            connection.add_termination_listener(lambda _: lost.set())
            await self._prove(connection)
            async with asyncio.timeout(ANSWER_SECONDS):
                await connection.add_listener(self._name, lambda *_: heard())
            heard()
            while not lost.is_set():
                try:
                    async with asyncio.timeout(QUIET_SECONDS):
                        await lost.wait()
                except TimeoutError:
                    async with asyncio.timeout(ANSWER_SECONDS):
                        await connection.execute("SELECT 1")
            raise ConnectionLost
        finally:
            with suppress(Exception):
                await connection.close(timeout=FAREWELL_SECONDS)

    async def _prove(self, connection: Any) -> None:
        """Listen to a message of one's own, on a channel that nobody else hears.

        Raises:
            ChannelSilent: It does not come. Poolers take LISTEN, and keep what comes of it to themselves.
            ConnectionLost: Meanwhile.
        """
        name, decided = f"{self._name}_{secrets.token_hex(4)}", asyncio.Event()

        def decide(*_: object) -> None:
            decided.set()

        connection.add_termination_listener(decide)
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                await connection.add_listener(name, decide)
                await self._database.run(_notification(name))
                await decided.wait()
                if connection.is_closed():
                    raise ConnectionLost
                await connection.remove_listener(name, decide)
        except TimeoutError:
            raise ChannelSilent(_SILENT) from None

    async def publish(self) -> None:
        await self._database.run(self._notify)

    async def close(self) -> None:
        """Nothing: what it publishes by is the engine's."""

    async def _open(self) -> Any:
        """Connect as the engine does: with TLS, to one of several hosts, and whatever else the address says."""
        url = self._database.url
        _, arguments = self._database.engine.dialect.create_connect_args(url)
        arguments = {**arguments, **engine_arguments(url)["connect_args"]}
        open_one = arguments.pop("async_creator_fn")
        return await open_one(**{name: given for name, given in arguments.items() if name not in _DIALECT_ARGUMENTS})
