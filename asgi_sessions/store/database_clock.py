"""The database's own time as an SQL expression: the one clock that all workers share."""

from typing import Any

from sqlalchemy import BigInteger
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import GenericFunction

__all__ = ["database_now"]


class database_now(GenericFunction[int]):  # noqa: N801 - an SQL function, named as they are
    """Milliseconds since 1970, UTC, by the database's clock at the statement."""

    type = BigInteger()
    inherit_cache = True


@compiles(database_now)
def _unsupported(element: database_now, compiler: SQLCompiler, **_: Any) -> str:
    raise NotImplementedError(f"no clock expression for {compiler.dialect.name}")


@compiles(database_now, "mysql")
@compiles(database_now, "mariadb")
def _mysql(element: database_now, compiler: SQLCompiler, **_: Any) -> str:
    # UNIX_TIMESTAMP(NOW(3)) would go through the session's time zone: an hour wrong when summer time ends.
    return "(TIMESTAMPDIFF(MICROSECOND, '1970-01-01 00:00:00', UTC_TIMESTAMP(3)) DIV 1000)"


@compiles(database_now, "postgresql")
def _postgresql(element: database_now, compiler: SQLCompiler, **_: Any) -> str:
    return "CAST(FLOOR(EXTRACT(EPOCH FROM CLOCK_TIMESTAMP()) * 1000) AS BIGINT)"


@compiles(database_now, "sqlite")
def _sqlite(element: database_now, compiler: SQLCompiler, **_: Any) -> str:
    # unixepoch('subsec') needs SQLite 3.42. Both 'now' of one statement are the same moment.
    return "(CAST(STRFTIME('%s', 'now') AS INTEGER) * 1000 + CAST(SUBSTR(STRFTIME('%f', 'now'), 4) AS INTEGER))"
