"""The application's own tables, beside those of the library."""

from sqlalchemy import Table
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.schema import CreateTable


class Database:
    """Connections.

    Args:
        database_url: For an asynchronous driver, as for the library.
    """

    def __init__(self, database_url: str) -> None:
        self.engine = create_async_engine(
            database_url,
            isolation_level="AUTOCOMMIT",  # each change here is one statement
            hide_parameters=True,  # no hash of a password or a code in a traceback
            pool_pre_ping=True,
        )

    async def create_table(self, table: Table) -> None:
        """Make the table where it is missing. All workers do so at once."""
        tries = 5
        for left in reversed(range(tries)):
            try:
                async with self.engine.connect() as connection:
                    if not await connection.run_sync(lambda sync: self.engine.dialect.has_table(sync, table.name)):
                        await connection.execute(CreateTable(table, if_not_exists=True))
                    return
            except DBAPIError:  # PostgreSQL's "if not exists" may still lose a race
                if not left:
                    raise

    async def close(self) -> None:
        await self.engine.dispose()
