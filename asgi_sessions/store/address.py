"""The database's address: what is refused, and what its drivers have to be told."""

from typing import Any
from urllib.parse import parse_qsl

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from asgi_sessions.errors import ConfigurationError

__all__ = ["engine_arguments", "parse_database_url"]

_DRIVERS = {
    "sqlite": "aiosqlite",
    "mysql": "asyncmy",
    "mariadb": "asyncmy",
    "postgresql": "asyncpg",
}


def parse_database_url(database_url: str | URL) -> URL:
    """Read the address of the database and refuse what would be unsafe or could not work.

    Args:
        database_url: ``sqlite+aiosqlite://…``, ``mysql+asyncmy://…`` (``mariadb+asyncmy``) or
            ``postgresql+asyncpg://…``.

    Raises:
        ConfigurationError: It is none of these, or asks for TLS that verifies nobody.
    """
    try:
        url = make_url(database_url)
    except (ArgumentError, ValueError):
        raise ConfigurationError("database_url: not an SQLAlchemy URL such as mysql+asyncmy://user@host/db") from None
    if blank := _blank_tls_options(str(database_url)):
        # SQLAlchemy drops them without a word, and the connection would be plain text.
        raise ConfigurationError(f"database_url: {', '.join(blank)} without a value")
    backend, _, driver = url.drivername.partition("+")
    if driver != _DRIVERS.get(backend):
        known = ", ".join(f"{name}+{driver}" for name, driver in _DRIVERS.items())
        raise ConfigurationError(f"database_url: must begin with one of {known}")
    if backend == "mariadb":
        url = url.set(drivername="mysql+asyncmy")
    if problem := {"mysql": _mysql_url_problem, "postgresql": _postgresql_url_problem}.get(
        url.get_backend_name(), lambda _: None
    )(url):
        raise ConfigurationError(f"database_url: {problem}")
    return url


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
    if "sslmode" in url.query:
        return "asyncpg calls it ssl=…, not sslmode=…"
    if "ssl" in url.query and url.query["ssl"] not in ("disable", "verify-ca", "verify-full"):
        return "ssl=… other than verify-full or verify-ca does not verify the server (CA: PGSSLROOTCERT)"
    return None


def engine_arguments(url: URL) -> dict[str, Any]:
    """Return what every engine on this address needs, pooled or not."""
    connect: dict[str, Any] = {}
    if url.get_backend_name() == "mysql":
        # Without it bytes go as text: the server warns, and asyncmy fetches the warnings and logs values.
        connect["binary_prefix"] = True
        if url.password is not None:
            # asyncmy would encode as Latin-1, and fail on what that lacks; servers hash UTF-8.
            connect["password"] = url.password.encode()
    return {"hide_parameters": True, "connect_args": connect}
