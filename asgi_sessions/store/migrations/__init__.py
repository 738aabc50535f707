"""Bringing the tables up to date at start: one worker does it, the others wait or find it done.

The usual start reads one row and does not even import Alembic.
"""

import asyncio
import random
import threading
from functools import lru_cache

from sqlalchemy import Column, MetaData, Select, String, Table, select
from sqlalchemy.exc import DBAPIError

from asgi_sessions.errors import ConfigurationError, StoreUnavailable
from asgi_sessions.store.causes import Cause, phrase
from asgi_sessions.store.engine import Database
from asgi_sessions.store.failures import DatabaseFailure
from asgi_sessions.store.prepared import prepared
from asgi_sessions.store.schema import DEFAULT_TABLE_PREFIX, PREFIXES, build_tables

__all__ = ["REVISIONS", "has_tables", "is_missing_table", "upgrade", "version_table"]

REVISIONS = ("0001", "0002", "0003", "0004", "0005", "0006")
"""All revisions of this package, oldest first. A database at another one was made by a newer package."""
MIGRATION_TIMEOUT_SECONDS = 120.0
"""For waiting on other workers and for the changes themselves."""
MAX_TRIES = 5

# An SQLite error says no more than that: with a statement this plain it can only be the table.
_NO_SUCH_TABLE = frozenset({1146, "42P01", "SQLITE_ERROR"})
_jitter = random.SystemRandom().uniform
_alembic_is_global = threading.Lock()


def version_table(table_prefix: str) -> Table:
    """Describe the table that holds the schema's revision, as Alembic wants it."""
    return Table(f"{table_prefix}alembic_version", MetaData(), Column("version_num", String(32), primary_key=True))


@lru_cache(PREFIXES)
def _version(table_prefix: str) -> Select[tuple[str]]:
    return prepared(select(version_table(table_prefix).c.version_num))


async def upgrade(database: Database, table_prefix: str = DEFAULT_TABLE_PREFIX) -> None:
    """Create the tables or bring them up to date. Any number of processes may do so at once.

    Args:
        database: An open database. Changes are made over a connection of their own, which is closed
            afterwards.
        table_prefix: What all names of tables and indexes begin with, the version table's too.

    Raises:
        ConfigurationError: The tables were made by a newer version of this package.
        StoreUnavailable: The database refused, or another worker's migration does not end.
    """
    for tries in range(1, MAX_TRIES + 1):
        if await _is_current(database, table_prefix):
            return
        cause = await _migrate(database, table_prefix)
        if cause is None:
            return
        # GET_LOCK is local to a node of a Galera cluster: a worker on another one may have been faster.
        await asyncio.sleep(_jitter(0.05, 0.1) * 2**tries)
    if not await _is_current(database, table_prefix):
        raise StoreUnavailable() from cause


async def _is_current(database: Database, table_prefix: str) -> bool:
    try:
        versions = [version for (version,) in (await database.run(_version(table_prefix))).rows]
    except StoreUnavailable as error:
        if is_missing_table(error):
            return False
        raise
    if unknown := set(versions) - set(REVISIONS):
        raise ConfigurationError(
            f"table_prefix: the tables {table_prefix}… are at revision {', '.join(sorted(unknown))}, made by "
            f"a newer version of this package; this one knows revisions up to {REVISIONS[-1]}: upgrade it"
        )
    return versions == [REVISIONS[-1]]


async def has_tables(database: Database, table_prefix: str = DEFAULT_TABLE_PREFIX) -> bool:
    """Whether there is a table of sessions, whoever has made it, and whatever its version. Makes none.

    Raises:
        StoreUnavailable: The database does not answer, or refused.
    """
    try:
        await database.run(select(build_tables(table_prefix).sessions.c.handle).limit(1))
    except StoreUnavailable as error:
        if is_missing_table(error):
            return False
        raise
    return True


def is_missing_table(error: StoreUnavailable) -> bool:
    """Whether a plain statement may have failed because its table is not there."""
    return isinstance(error.__cause__, DatabaseFailure) and error.__cause__.code in _NO_SUCH_TABLE


async def _migrate(database: Database, table_prefix: str) -> DatabaseFailure | None:
    from asgi_sessions.store.migrations.run import migrate  # noqa: PLC0415 - Alembic, which few starts need

    try:
        async with asyncio.timeout(MIGRATION_TIMEOUT_SECONDS):
            # Alembic's `op` and `context` are one for the whole process. Waiting for it comes before the
            # database's lock, and does not block the loop that the one ahead may be running on.
            while not _alembic_is_global.acquire(blocking=False):  # noqa: ASYNC110 - loops share no Event
                await asyncio.sleep(0.01)
            try:
                await migrate(database, table_prefix)
            finally:
                _alembic_is_global.release()
    except TimeoutError:
        return DatabaseFailure("timeout", phrase=phrase(Cause.MIGRATION, database.place))
    except (DBAPIError, OSError) as error:
        return database.describe(error)
    return None
