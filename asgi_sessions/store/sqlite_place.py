"""Where an SQLite database is kept: a file for its owner only, or this process's memory."""

import os
import sqlite3
import uuid
from contextlib import suppress
from pathlib import Path
from urllib.parse import unquote, urlsplit

from sqlalchemy import URL, Dialect

from asgi_sessions.errors import ConfigurationError

__all__ = ["file_of", "first_failure", "hold_memory", "is_in_memory", "make_file", "shared_memory"]


def is_in_memory(url: URL) -> bool:
    """Whether an address is that of a database in memory."""
    return url.get_backend_name() == "sqlite" and url.database in (None, "", ":memory:")


def shared_memory(url: URL) -> URL:
    """The address of a new database in memory that all connections of one engine share, and nobody else sees."""
    return url.set(
        database=f"file:asgi_sessions_{uuid.uuid4().hex}",
        query={"mode": "memory", "cache": "shared", "uri": "true"},
    )


def hold_memory(url: URL) -> sqlite3.Connection:
    """A connection to a database of `shared_memory`, which lives for as long as one is open."""
    return sqlite3.connect(f"{url.database}?mode=memory&cache=shared", uri=True)


def file_of(url: URL) -> str | None:
    """The path of the file in which an address keeps its database; None for one in memory, and for other engines."""
    if url.get_backend_name() != "sqlite" or is_in_memory(url):
        return None
    name = url.database or ""
    if not name.startswith("file:") or url.query.get("uri") not in ("true", "1", "yes", "on"):
        return name
    path = unquote(urlsplit(name).path)  # https://www.sqlite.org/uri.html
    return None if path in ("", ":memory:") or url.query.get("mode") == "memory" else path


def make_file(url: URL) -> None:
    """Make the file of a database that has none yet: for its owner only, since it may hold signing keys.

    SQLite's other files inherit that.

    Raises:
        ConfigurationError: Its folder does not exist.
    """
    if url.database is None or url.database.startswith("file:"):
        return
    if not (folder := Path(url.database).parent).is_dir():
        raise ConfigurationError(f"database_url: the folder {folder} does not exist")
    with suppress(OSError):  # there already; or it cannot be, and SQLite will say so
        os.close(os.open(url.database, os.O_CREAT | os.O_EXCL, 0o600))


def first_failure(dialect: Dialect, url: URL) -> sqlite3.Error | None:
    """Open the file once and close it; returns why that has failed."""
    (file,), options = dialect.create_connect_args(url)
    try:
        sqlite3.connect(file, uri=options.get("uri", False)).close()
    except sqlite3.Error as error:
        return error
    return None
