"""What a database says of itself, as SQL expressions: its time, which node gives it, and whether it takes no writes.

Its time is the one clock that all workers share, where the database is one node. The clocks of several nodes may
differ.
"""

from typing import Any

from sqlalchemy import BigInteger, String
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import GenericFunction

__all__ = ["NOT_READ_ONLY", "database_node", "database_now", "database_read_only", "greatest"]

NOT_READ_ONLY = ("0", "OFF")
"""The variable ``read_only`` of a server that takes writes: a number in an expression, a word where SHOW gives it, and
everywhere on newer versions of MariaDB."""


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


class database_node(GenericFunction[str]):  # noqa: N801 - likewise
    """What the node that runs the statement is called."""

    type = String()
    inherit_cache = True


@compiles(database_node, "mysql")
@compiles(database_node, "mariadb")
def _mysql_node(element: database_node, compiler: SQLCompiler, **_: Any) -> str:
    return "CONCAT(@@hostname, ':', @@port)"


@compiles(database_node, "postgresql")
def _postgresql_node(element: database_node, compiler: SQLCompiler, **_: Any) -> str:
    # Over a socket of the same machine there is no address.
    return "COALESCE(HOST(INET_SERVER_ADDR()) || ':' || INET_SERVER_PORT(), 'localhost')"


@compiles(database_node, "sqlite")
def _sqlite_node(element: database_node, compiler: SQLCompiler, **_: Any) -> str:
    return "'localhost'"


class database_read_only(GenericFunction[int]):  # noqa: N801 - likewise
    """1 on a replica, or on a server that was turned read-only as those are; 0 on all others."""

    type = BigInteger()
    inherit_cache = True


@compiles(database_read_only, "mysql")
@compiles(database_read_only, "mariadb")
def _mysql_read_only(element: database_read_only, compiler: SQLCompiler, **_: Any) -> str:
    return f"(CAST(@@GLOBAL.read_only AS CHAR) NOT IN {NOT_READ_ONLY})"


@compiles(database_read_only, "postgresql")
def _postgresql_read_only(element: database_read_only, compiler: SQLCompiler, **_: Any) -> str:
    return "CAST(CAST(CURRENT_SETTING('transaction_read_only') = 'on' AS INTEGER) AS BIGINT)"


@compiles(database_read_only, "sqlite")
def _sqlite_read_only(element: database_read_only, compiler: SQLCompiler, **_: Any) -> str:
    return "0"


class greatest(GenericFunction[int]):  # noqa: N801 - likewise
    """The greater one of two numbers, none of which is NULL."""

    type = BigInteger()
    inherit_cache = True


@compiles(greatest, "sqlite")
def _sqlite_greatest(element: greatest, compiler: SQLCompiler, **kwargs: Any) -> str:
    return f"MAX({compiler.process(element.clauses, **kwargs)})"
