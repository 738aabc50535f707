"""Where a command looks: the environment's database and tables, and no others; what is not there, it does not make."""

import os
from collections.abc import Sequence

from asgi_sessions.errors import StoreUnavailable
from asgi_sessions.settings import SessionSettings
from asgi_sessions.store.engine import open_database, parse_database_url
from asgi_sessions.store.migrations import has_tables
from asgi_sessions.store.place import Place
from asgi_sessions.store.sqlite_place import file_of

__all__ = ["NothingThere", "require_tables", "tables_of"]

_HINT = (
    "The commands read the environment alone: what the application's code gives to SessionSettings, give them as "
    "ASGI_SESSIONS_DATABASE_URL and ASGI_SESSIONS_TABLE_PREFIX. New tables are made by `asgi-sessions migrate`."
)


class NothingThere(Exception):
    """There is no such database, or it has no such tables.

    Attributes:
        lines: What to print.
    """

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.lines: Sequence[str] = (text, _HINT)


def tables_of(settings: SessionSettings) -> str:
    """Where the sessions are: ``the tables asgi_sessions_* of /data/sessions.db``."""
    place = Place.of(parse_database_url(settings.database_url_text))
    return f"the tables {settings.table_prefix}* of {place}"


async def require_tables(settings: SessionSettings) -> None:
    """Return if there are sessions to be managed, be they none: a manager's start would make what is not there.

    Raises:
        NothingThere: The file, or the tables, are not there. Nothing has been made.
        ConfigurationError: The settings do not fit the database.
        StoreUnavailable: The database does not answer, or refused.
    """
    url = parse_database_url(settings.database_url_text)
    if (file := file_of(url)) is not None and _is_missing(file):
        raise NothingThere(f"There is no database {Place.of(url)}.")
    database = await open_database(url)
    try:
        if not await has_tables(database, settings.table_prefix):
            raise NothingThere(f"There are no tables {settings.table_prefix}* of {database.place}.")
    except StoreUnavailable as error:
        raise database.told(error) from error.__cause__
    finally:
        await database.close()


def _is_missing(file: str) -> bool:
    try:
        os.stat(file)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except (OSError, ValueError):  # SQLite will say why
        return False
    return False
