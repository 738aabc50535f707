"""Runs Alembic under the database's own lock. Imported only where there is something to do."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from asgi_sessions.store.address import engine_arguments
from asgi_sessions.store.connection_setup import set_up_connections
from asgi_sessions.store.engine import Database
from asgi_sessions.store.migrations import REVISIONS, version_table
from asgi_sessions.store.schema import PREFIXES

__all__ = ["migrate"]

LOCK_WAIT_SECONDS = 60

_made: dict[str, Sequence[str]] = {}
"""What makes the tables of a new SQLite database, by their prefix."""


async def migrate(database: Database, table_prefix: str, revision: str = "head") -> None:
    """Upgrade to a revision, the newest by default, over a connection of its own that is closed before this returns.

    Raises:
        DBAPIError, OSError: As the database says. TimeoutError (an OSError) if another one keeps the lock.
    """
    engine = create_async_engine(database.url, poolclass=NullPool, **engine_arguments(database.url))
    set_up_connections(engine.sync_engine, statement_timeout=LOCK_WAIT_SECONDS, hurried=False)
    run = {"mysql": _under_get_lock, "postgresql": _under_advisory_lock, "sqlite": _in_one_transaction}
    try:
        async with engine.connect() as connection:
            if database.dialect != "postgresql":
                await connection.execution_options(isolation_level="AUTOCOMMIT")
            await connection.run_sync(run[database.dialect], table_prefix, revision)
    finally:
        await engine.dispose()


def lock_name(database: str, table_prefix: str) -> str:
    """Return a name for MySQL's locks, which have at most 64 characters and are common to a server's databases."""
    return f"asgi_sessions/{hashlib.sha256(f'{database}/{table_prefix}'.encode()).hexdigest()[:32]}"


def _under_get_lock(connection: Connection, table_prefix: str, revision: str) -> None:
    # The lock ends with the connection, which nobody borrows after us.
    name = lock_name(connection.engine.url.database or "", table_prefix)
    if connection.scalar(text("SELECT GET_LOCK(:name, :seconds)"), {"name": name, "seconds": LOCK_WAIT_SECONDS}) != 1:
        raise TimeoutError
    _upgrade(connection, table_prefix, revision)


def _under_advisory_lock(connection: Connection, table_prefix: str, revision: str) -> None:
    key = int.from_bytes(hashlib.sha256(f"asgi_sessions/{table_prefix}".encode()).digest()[:8], signed=True)
    with connection.begin():
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": key})
        _upgrade(connection, table_prefix, revision)


def _in_one_transaction(connection: Connection, table_prefix: str, revision: str) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")
    try:
        if revision == "head" and _is_empty(connection):
            _make(connection, table_prefix)
        else:
            _upgrade(connection, table_prefix, revision)
    except BaseException:
        if not connection.invalidated:  # a cancellation costs the connection, and the transaction with it
            connection.exec_driver_sql("ROLLBACK")
        raise
    connection.exec_driver_sql("COMMIT")


def _make(connection: Connection, table_prefix: str) -> None:
    """Upgrade an SQLite database without tables: by Alembic the first time in a process, then by what that has made.

    Alembic takes most of a start, and tests start on a new database each.
    """
    definitions = _made.get(table_prefix)
    if definitions is not None:
        for definition in definitions:
            connection.exec_driver_sql(definition)
        connection.execute(version_table(table_prefix).insert().values(version_num=REVISIONS[-1]))
        return
    _upgrade(connection, table_prefix, "head")
    if len(_made) < PREFIXES:
        made = text("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY rowid")
        _made[table_prefix] = connection.scalars(made).all()


def _is_empty(connection: Connection) -> bool:
    return connection.scalar(text("SELECT 1 FROM sqlite_master LIMIT 1")) is None


def _upgrade(connection: Connection, table_prefix: str, revision: str) -> None:
    # Alembic would name the primary key, about which MySQL warns and asyncmy writes into the log.
    version_table(table_prefix).create(connection, checkfirst=True)
    config = Config()  # no file: nothing in it could set up the application's logging
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    config.attributes["table_prefix"] = table_prefix
    command.upgrade(config, revision)
