"""Where a database is, for people: what of its address may be shown."""

import os
from dataclasses import dataclass

from sqlalchemy import URL

__all__ = ["Place", "printable"]

_NAMES = {"mysql": "MySQL or MariaDB", "postgresql": "PostgreSQL", "sqlite": "SQLite"}
_PORTS = {"mysql": "3306", "postgresql": "5432"}
_SHOWN = 200


@dataclass(frozen=True, slots=True)
class Place:
    """The parts of an address that are no secret, fit for a terminal and a log.

    Attributes:
        engine: ``"MySQL or MariaDB"``, ``"PostgreSQL"`` or ``"SQLite"``.
        where: ``db:3307``, a socket's path, or SQLite's file.
        host: The name or address alone.
        user: The database user; empty with SQLite.
        database: Its name; empty with SQLite.
        has_tls: Whether the address asks for TLS.
        is_socket: Whether it leads to a socket in the file system.
    """

    engine: str
    where: str
    host: str = ""
    user: str = ""
    database: str = ""
    has_tls: bool = False
    is_socket: bool = False

    @classmethod
    def of(cls, url: URL) -> "Place":
        """What of this address may be shown: never its password, nor what stands in its query but paths of sockets."""
        backend = url.get_backend_name()
        if backend == "sqlite":
            return cls("SQLite", _file(url.database or ":memory:"))
        environment = os.environ if backend == "postgresql" else {}  # asyncpg reads it, as libpq does
        hosts, ports = _text(url.query.get("host")), _text(url.query.get("port"))  # of several servers, or a socket
        host = url.host or hosts or environment.get("PGHOST") or "localhost"
        port = str(url.port or ports or environment.get("PGPORT") or _PORTS[backend])
        socket = _text(url.query.get("unix_socket")) or (host if host.startswith("/") else "")
        user = url.username or environment.get("PGUSER") or "of the operating system"
        server = hosts if hosts and not ports else _joined(host, port)
        return cls(
            engine=_NAMES[backend],
            where=printable(f"the socket {socket}" if socket else server),
            host=printable(host),
            user=printable(user),
            database=printable(url.database or environment.get("PGDATABASE") or ""),
            has_tls=any(name.startswith("ssl") and value != "disable" for name, value in url.query.items()),
            is_socket=bool(socket),
        )

    def __str__(self) -> str:
        if self.engine == "SQLite":
            return self.where
        server = self.where if self.is_socket else f"server {self.where}"
        return f"{server}, user {self.user}, database {self.database or 'none'}"


def _file(database: str) -> str:
    if database == ":memory:":
        return "the database in memory"
    return printable(database if database.startswith("file:") else os.path.abspath(database))


def _joined(host: str, port: str) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _text(value: str | tuple[str, ...] | None) -> str:
    return value if isinstance(value, str) else ",".join(value or ())


def printable(text: str) -> str:
    """The text without what a terminal would obey, and not too long."""
    shown = "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)
    return shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}..."
