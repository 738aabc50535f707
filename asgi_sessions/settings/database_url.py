"""How the address of the database is read. Its text is a secret: no error repeats a part of it."""

import importlib.util
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from pydantic import SecretStr
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError

from asgi_sessions.settings.several_hosts import HostsProblem, parse_url

__all__ = ["DRIVERS", "Driver", "names_sqlite", "read_database_url"]


class Driver(NamedTuple):
    """What speaks to a kind of database.

    Attributes:
        name: With what an address begins.
        module: What is imported.
        extra: What installs it.
    """

    name: str
    module: str
    extra: str


DRIVERS: Final[Mapping[str, Driver]] = MappingProxyType(
    {
        "sqlite": Driver("sqlite+aiosqlite", "aiosqlite", "sqlite"),
        "mysql": Driver("mysql+asyncmy", "asyncmy", "mysql"),
        "mariadb": Driver("mariadb+asyncmy", "asyncmy", "mysql"),
        "postgresql": Driver("postgresql+asyncpg", "asyncpg", "postgresql"),
    }
)
"""The drivers by SQLAlchemy's names of the databases. A new engine begins here."""
_BACKEND_ALIASES = {"postgres": "postgresql"}


def read_database_url(value: object) -> SecretStr:
    """Read an address as text or as SQLAlchemy's `URL`.

    Raises:
        ValueError: It is none that can work; the text says what would be right.
    """
    # str(URL) would put *** where the password was
    if isinstance(value, SecretStr):
        value = value.get_secret_value()
    text = value if isinstance(value, str) else getattr(value, "render_as_string", lambda **_: "")(hide_password=False)
    drivers = ", ".join(f"{driver.name}://" for driver in DRIVERS.values())
    try:
        url = parse_url(text.strip())
        backend = _BACKEND_ALIASES.get(url.get_backend_name(), url.get_backend_name())
    except HostsProblem as hosts_problem:
        raise ValueError(str(hosts_problem)) from None
    except (ArgumentError, ValueError):
        raise ValueError(f"must be a database URL that begins with one of {drivers}") from None
    if backend not in DRIVERS:
        raise ValueError(f"must begin with one of {drivers}")
    driver = DRIVERS[backend]
    if url.drivername != driver.name:
        raise ValueError(f"must use the asynchronous driver: {driver.name}://")
    if problem := _sqlite_problem(url) if backend == "sqlite" else _server_problem(url, text):
        raise ValueError(problem)
    if importlib.util.find_spec(driver.module) is None:
        raise ValueError(
            f"its driver {driver.module} is not installed: pip install 'asgi-user-sessions[{driver.extra}]'"
        )
    return SecretStr(text.strip())


def names_sqlite(database_url: str) -> bool:
    """Whether an address that `read_database_url` has read is that of an SQLite database."""
    return database_url.startswith("sqlite")


def _sqlite_problem(url: URL) -> str | None:
    if url.host or url.username or url.password or url.port:
        return (
            "must have three slashes before a relative path (sqlite+aiosqlite:///./sessions.db), four before an "
            "absolute one"
        )
    return None


def _server_problem(url: URL, text: str) -> str | None:
    # Else the rest of the password would pass for a host, a database or a parameter, and be shown as one.
    _, _, behind_the_user = re.sub(r"^[^:]*://[^:/]*", "", text).partition("@")
    if "@" in behind_the_user:
        return "has one @ too many: in a user's name and a password write %40 for @, %2F for /, %3F for ?, %25 for %"
    if url.port is not None and not 0 < url.port < 65_536:
        return "must have a port from 1 to 65535"
    return None
