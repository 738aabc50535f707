"""The database's address: what is refused, and what its drivers have to be told."""

import inspect
import re
from collections.abc import Callable, Collection
from importlib import import_module
from typing import Any
from urllib.parse import parse_qsl

from sqlalchemy import URL
from sqlalchemy.exc import ArgumentError

from asgi_sessions.errors import ConfigurationError
from asgi_sessions.settings.database_url import DRIVERS
from asgi_sessions.settings.several_hosts import HostsProblem, hosts_of, parse_url
from asgi_sessions.store.hosts import Hosts, Opener
from asgi_sessions.store.members import MySQLMembers, PostgreSQLMembers
from asgi_sessions.store.opening import open_postgresql, open_sqlite
from asgi_sessions.store.tls_files import tls_files_problem

__all__ = ["engine_arguments", "is_pooled", "parse_database_url"]

PGBOUNCER = "pgbouncer"
"""A parameter of our own: whether a pooler lends PostgreSQL's connections for one transaction each, as PgBouncer does
in its transaction mode. A statement that was prepared in one is missing in the next, or is another client's."""
_NOTHING_PREPARED = {"statement_cache_size": "0", "prepared_statement_cache_size": "0"}
"""The driver's parameter and SQLAlchemy's. With both a statement has no name, and is sent and executed in one go."""
_SWITCH = {"true": True, "1": True, "false": False, "0": False}

_OPENERS = {"sqlite": open_sqlite, "postgresql": open_postgresql}
_MEMBERS: dict[str, Callable[[], Opener]] = {"mysql": MySQLMembers, "postgresql": PostgreSQLMembers}


def parse_database_url(database_url: str | URL) -> URL:
    """Read the address of the database and refuse what would be unsafe or could not work.

    Args:
        database_url: ``sqlite+aiosqlite://…``, ``mysql+asyncmy://…`` (``mariadb+asyncmy``) or
            ``postgresql+asyncpg://…``.

    Raises:
        ConfigurationError: It is none of these, asks for TLS that verifies nobody, has a parameter that nothing reads,
            or names a file that cannot be read.
    """
    try:
        text = database_url if isinstance(database_url, str) else database_url.render_as_string(hide_password=False)
        url = parse_url(text)
    except HostsProblem as hosts_problem:
        raise ConfigurationError(f"database_url: {hosts_problem}") from None
    except (ArgumentError, ValueError):
        raise ConfigurationError("database_url: not an SQLAlchemy URL such as mysql+asyncmy://user@host/db") from None
    if blank := _blank_tls_options(text):
        # SQLAlchemy drops them without a word, and the connection would be plain text.
        raise ConfigurationError(f"database_url: {', '.join(blank)} without a value")
    known = [driver.name for driver in DRIVERS.values()]
    if url.drivername not in known:
        raise ConfigurationError(f"database_url: must begin with one of {', '.join(known)}")
    if url.get_backend_name() == "mariadb":
        url = url.set(drivername=DRIVERS["mysql"].name)
    if problem := {"mysql": _mysql_url_problem, "postgresql": _postgresql_url_problem}.get(
        url.get_backend_name(), lambda _: None
    )(url):
        raise ConfigurationError(f"database_url: {problem}")
    url = _without_prepared_statements(url)
    if problem := _parameter_problem(url) or tls_files_problem(url):
        raise ConfigurationError(f"database_url: {problem}")
    return url


def _without_prepared_statements(url: URL) -> URL:
    """What `PGBOUNCER` means, in the words of those who take the address."""
    if url.get_backend_name() != "postgresql" or PGBOUNCER not in url.query:
        return url
    given = url.query[PGBOUNCER]
    if not isinstance(given, str) or given.lower() not in _SWITCH:
        raise ConfigurationError(f"database_url: {PGBOUNCER} must be true or false")
    plain = url.difference_update_query([PGBOUNCER])
    return plain.update_query_dict(_NOTHING_PREPARED) if _SWITCH[given.lower()] else plain


def is_pooled(url: URL) -> bool:
    """Whether an address, as `parse_database_url` returns it, leads to a pooler that lends connections."""
    return url.get_backend_name() == "postgresql" and _NOTHING_PREPARED.items() <= url.query.items()


def _parameter_problem(url: URL) -> str | None:
    """What the driver would stumble over at the first connection, or, with SQLite, leave out without a word."""
    backend = url.get_backend_name()
    unknown = [name for name in url.query if name not in _known_parameters(url)]
    if not unknown:
        return None
    shown = ", ".join(name if re.fullmatch(r"[\w-]{1,40}", name) else "(not shown)" for name in sorted(unknown))
    hints = {hint for name in unknown if (hint := _HINTS[backend].get(name.lower().replace("-", "_")))}
    if backend == "sqlite" and _SQLITE_URI.issuperset(unknown):
        hints = {"it needs uri=true beside it, and a path that begins with file:"}
    return f"unknown URL parameter {shown}" + "".join(f"; {hint}" for hint in sorted(hints))


def _known_parameters(url: URL) -> Collection[str]:
    if url.get_backend_name() == "sqlite":
        return _SQLITE | _SQLITE_URI if url.query.get("uri") in ("true", "1", "yes", "on") else _SQLITE
    try:
        taken = inspect.signature(import_module(url.get_driver_name()).connect).parameters
    except (ImportError, ValueError):
        return url.query  # told elsewhere, or an extension that does not say what it takes
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in taken.values()):
        return url.query
    return {*taken, *_BY_SQLALCHEMY}


_BY_SQLALCHEMY = frozenset(
    {"ssl_ca", "ssl_capath", "ssl_cert", "ssl_key", "ssl_cipher", "ssl_check_hostname"}
    | {"async_creator_fn", "prepared_statement_cache_size", "prepared_statement_name_func"}
)
_SQLITE = frozenset({"uri", "timeout", "isolation_level", "detect_types", "check_same_thread", "cached_statements"})
_SQLITE_URI = frozenset({"cache", "immutable", "mode", "modeof", "nolock", "psow", "vfs"})
"""https://www.sqlite.org/c3ref/open.html"""
_MYSQL_TLS = "MySQL and MariaDB want ssl_ca=/path/to/ca.pem"
_POSTGRESQL_TLS = "PostgreSQL wants ssl=verify-full, and the CA's file in PGSSLROOTCERT"
_HINTS = {
    "mysql": dict.fromkeys(("sslmode", "ssl_mode", "sslrootcert", "tls", "ssl_verify_cert"), _MYSQL_TLS),
    "postgresql": dict.fromkeys(("sslmode", "ssl_mode", "sslrootcert", "tls", "ssl_ca"), _POSTGRESQL_TLS),
    "sqlite": dict[str, str](),
}


def _blank_tls_options(database_url: str) -> list[str]:
    options = parse_qsl(database_url.partition("?")[2], keep_blank_values=True)
    return [name for name, value in options if name.startswith("ssl") and not value]


def _mysql_url_problem(url: URL) -> str | None:
    if "ssl" in url.query:
        return "ssl=… does not verify the server or is silently ignored; give ssl_ca=/path/to/ca.pem instead"
    tls = {name for name in url.query if name.startswith("ssl_")}
    if tls and not (url.query.get("ssl_ca") or url.query.get("ssl_capath")):
        return "TLS without ssl_ca=… (or ssl_capath=…) does not verify the server"
    if "read_timeout" in url.query:
        return "read_timeout swallows cancellations on Python 3.11; statements have a timeout of their own"
    return None


def _postgresql_url_problem(url: URL) -> str | None:
    if "ssl" in url.query and url.query["ssl"] not in ("disable", "verify-ca", "verify-full"):
        return "ssl=… other than verify-full or verify-ca does not verify the server (CA: PGSSLROOTCERT)"
    return None


def _number(url: URL, name: str) -> int:
    try:
        return int(str(url.query[name]))
    except ValueError:
        raise ConfigurationError(f"database_url: {name} must be a whole number") from None


def engine_arguments(url: URL) -> dict[str, Any]:
    """Return what every engine on this address needs, pooled or not."""
    connect: dict[str, Any] = {}
    backend = url.get_backend_name()
    if hosts := hosts_of(url):
        connect["async_creator_fn"] = Hosts(hosts, _MEMBERS[backend]()).open
    elif (opener := _OPENERS.get(backend)) is not None:
        connect["async_creator_fn"] = opener
    if "statement_cache_size" in url.query:  # asyncpg takes no text
        connect["statement_cache_size"] = _number(url, "statement_cache_size")
    if backend == "mysql":
        # Without it bytes go as text: the server warns, and asyncmy fetches the warnings and logs values.
        connect["binary_prefix"] = True
        connect["autocommit"] = True  # else asyncmy switches it off, and SQLAlchemy on again
        if url.password is not None:
            # asyncmy would encode as Latin-1, and fail on what that lacks; servers hash UTF-8.
            connect["password"] = url.password.encode()
    return {"hide_parameters": True, "connect_args": connect}
