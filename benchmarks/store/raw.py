"""The floor: the statements that the repository sends, sent again by asyncmy and nothing else."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

import asyncmy
from asyncmy.constants import CLIENT
from sqlalchemy import Executable, make_url, text
from sqlalchemy.dialects.mysql.asyncmy import MySQLDialect_asyncmy
from sqlalchemy.sql import ClauseElement
from sqlalchemy.sql.compiler import SQLCompiler

from asgi_sessions.store.engine import Database, Outcome
from asgi_sessions.store.repository import SessionRepository
from asgi_sessions.store.schema import build_tables
from asgi_sessions.store.tombstones import TombstoneStore

__all__ = ["RawConnection", "RawPool", "Scribe", "Statement", "Stores"]

Statement = tuple[str, Sequence[Any]]
"""As asyncmy takes it: text with placeholders, and their values."""

OWN_VARIABLES = ("innodb_lock_wait_timeout", "max_statement_time", "sql_mode", "tx_isolation")
"""What the package sets on its connections; see ``mysql_session``."""


class Stores:
    """What is measured: the repository and the feed's reader."""

    def __init__(self, database: Database) -> None:
        tables = build_tables()
        self.sessions = SessionRepository(database, tables)
        self.tombstones = TombstoneStore(database, tables)


class Scribe:
    """Stands in for the database and writes down what it is asked to run, compiled.

    Attributes:
        stores: Call these.
        answer: What statements that read give back.
    """

    dialect = "mysql"

    def __init__(self) -> None:
        self.answer: Sequence[Any] = ()
        self.stores = Stores(cast(Database, self))
        self._compiled: dict[Executable, SQLCompiler] = {}
        self._sql_dialect = MySQLDialect_asyncmy(paramstyle="format")
        self._written: list[Statement] = []

    async def run(self, statement: Executable, parameters: Mapping[str, Any] | None = None, **options: bool) -> Outcome:
        """Take the database's place."""
        if statement not in self._compiled:
            compiled = cast(ClauseElement, statement).compile(dialect=self._sql_dialect)
            self._compiled[statement] = cast(SQLCompiler, compiled)
        expanded = self._compiled[statement].construct_expanded_state(dict(parameters or {}))
        self._written.append((expanded.statement, expanded.positional_parameters))
        return Outcome(self.answer, len(self.answer))

    def written(self) -> list[Statement]:
        """What has been written down since the last call."""
        written, self._written = self._written, []
        return written


class RawConnection:
    """One connection of asyncmy, held open, with the session settings of the package's own."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    @classmethod
    async def open(cls, url: str, like: Database) -> "RawConnection":
        """Connect.

        Args:
            url: The address as SQLAlchemy writes it.
            like: Whose connections' settings are to be copied.
        """
        connection = cls(await asyncmy.connect(**_arguments(url)))
        await connection.send("SET SESSION " + await _settings(like), ())
        return connection

    async def send(self, statement: str, values: Sequence[Any]) -> int:
        """Run a statement; the number of rows that it gave, or matched."""
        return await _send(self._connection, statement, values)

    async def close(self) -> None:
        await self._connection.ensure_closed()


class RawPool:
    """asyncmy's own pool: a connection is borrowed for each statement, as the package does it."""

    def __init__(self, pool: Any) -> None:
        self._pool = pool

    @classmethod
    async def open(cls, url: str, like: Database) -> "RawPool":
        """As `RawConnection.open`."""
        arguments = _arguments(url) | {"init_command": "SET SESSION " + await _settings(like)}
        return cls(await asyncmy.create_pool(minsize=1, maxsize=10, **arguments))

    async def send(self, statement: str, values: Sequence[Any]) -> int:
        """As `RawConnection.send`."""
        async with self._pool.acquire() as connection:
            return await _send(connection, statement, values)

    async def close(self) -> None:
        self._pool.close()
        await self._pool.wait_closed()


async def _send(connection: Any, statement: str, values: Sequence[Any]) -> int:
    cursor = connection.cursor()
    await cursor.execute(statement, values)
    count = len(await cursor.fetchall()) if cursor.description else cursor.rowcount
    await cursor.close()
    return int(count)


def _arguments(url: str) -> dict[str, Any]:
    address = make_url(url)
    return {
        "host": address.host,
        "port": address.port,
        "user": address.username,
        "password": address.password or "",
        "db": address.database,
        "autocommit": True,
        "client_flag": CLIENT.FOUND_ROWS,  # as SQLAlchemy's dialect asks for
    }


async def _settings(like: Database) -> str:
    return ", ".join(f"{name} = {value!r}" for name, value in (await own_variables(like)).items())


async def own_variables(database: Database) -> dict[str, Any]:
    """The session settings of the package's connections, as far as they are its own."""
    select = "SELECT " + ", ".join(f"@@{name}" for name in OWN_VARIABLES)
    (row,) = (await database.run(text(select))).rows
    return dict(zip(OWN_VARIABLES, row, strict=True))
