"""What an application sees of a server: rows, or the number of the error."""

import asyncio

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from tests.patience import PATIENCE


async def rows(url: str, statement: str) -> list[tuple[object, ...]]:
    """Run a statement on a connection of its own, and return its rows."""
    engine = create_async_engine(url, isolation_level="AUTOCOMMIT", skip_autocommit_rollback=True, poolclass=NullPool)
    async with asyncio.timeout(PATIENCE), engine.connect() as connection:
        result = await connection.execute(text(statement))
        return [tuple(row) for row in result] if result.returns_rows else []


async def failure(url: str, statement: str) -> int | str:
    """Run a statement that fails, and return the error's number, PostgreSQL's SQLSTATE, or the exception's name."""
    try:
        return f"no failure: {await rows(url, statement)}"
    except DBAPIError as error:
        first = error.orig.args[0] if error.orig is not None and error.orig.args else None
        return first if isinstance(first, int) else str(getattr(error.orig, "sqlstate", error))
    except OSError as error:  # asyncpg lets it through
        return type(error).__name__


async def until(url: str, statement: str, expected: list[tuple[object, ...]]) -> None:
    """Ask until the rows are these: a replica has them a moment later."""
    async with asyncio.timeout(PATIENCE):
        while await rows(url, statement) != expected:
            await asyncio.sleep(0.05)
