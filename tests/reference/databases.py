"""A look into the tables past the package."""

import asyncio
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, inspect, text
from sqlalchemy.ext.asyncio import create_async_engine


async def execute(database_url: str, *statements: str, **parameters: Any) -> Sequence[Any]:
    """Run the statements and return the rows of the last one, if it has any."""
    rows: Sequence[Any] = ()
    engine = create_async_engine(database_url)
    try:
        async with engine.begin() as connection:
            for statement in statements:
                result = await connection.execute(text(statement), parameters)
                rows = result.all() if result.returns_rows else ()
    finally:
        await engine.dispose()
    return rows


def execute_now(database_url: str, *statements: str, **parameters: Any) -> Sequence[Any]:
    """The same for tests that have no event loop."""
    return asyncio.run(execute(database_url, *statements, **parameters))


def empty(database_url: str) -> None:
    """Delete every row of the package's tables, as far as there are any."""

    async def run() -> None:
        engine = create_async_engine(database_url)
        try:
            async with engine.begin() as connection:
                for name in sorted(await connection.run_sync(_tables)):
                    if "alembic" not in name:
                        await connection.execute(text(f"DELETE FROM {name}"))
        finally:
            await engine.dispose()

    asyncio.run(run())


async def tables_in(database_url: str) -> set[str]:
    engine = create_async_engine(database_url)
    try:
        async with engine.connect() as connection:
            return await connection.run_sync(_tables)
    finally:
        await engine.dispose()


def _tables(connection: Connection) -> set[str]:
    return set(inspect(connection).get_table_names())


async def session_count(database_url: str) -> int:
    ((count,),) = await execute(database_url, "SELECT COUNT(*) FROM asgi_sessions_sessions")
    return int(count)
