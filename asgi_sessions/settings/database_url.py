"""How the address of the database is read. Its text is a secret: no error repeats a part of it."""

import importlib.util
import re

from pydantic import SecretStr
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

__all__ = ["names_sqlite", "read_database_url"]

# backend -> (the driver that we speak, its module, the extra that installs it)
_DRIVERS = {
    "sqlite": ("sqlite+aiosqlite", "aiosqlite", "sqlite"),
    "mysql": ("mysql+asyncmy", "asyncmy", "mysql"),
    "mariadb": ("mariadb+asyncmy", "asyncmy", "mysql"),
    "postgresql": ("postgresql+asyncpg", "asyncpg", "postgresql"),
}
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
    drivers = ", ".join(f"{driver}://" for driver, _, _ in _DRIVERS.values())
    try:
        url = make_url(text.strip())
        backend = _BACKEND_ALIASES.get(url.get_backend_name(), url.get_backend_name())
    except (ArgumentError, ValueError):
        raise ValueError(f"must be a database URL that begins with one of {drivers}") from None
    if backend not in _DRIVERS:
        raise ValueError(f"must begin with one of {drivers}")
    driver, module, extra = _DRIVERS[backend]
    if url.drivername != driver:
        raise ValueError(f"must use the asynchronous driver: {driver}://")
    if problem := _sqlite_problem(url) if backend == "sqlite" else _server_problem(url, text):
        raise ValueError(problem)
    if importlib.util.find_spec(module) is None:
        raise ValueError(f"its driver {module} is not installed: pip install 'asgi-user-sessions[{extra}]'")
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
