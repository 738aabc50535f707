"""What the engines' errors mean: which statements may be repeated, and what everything else becomes.

==========================================  ==============================================  ==================
event                                       seen as                                         kind
==========================================  ==============================================  ==================
lock wait, deadlock, certification          1205, 1213; 1020, 1180, 1317, 3101; 40001,      ``ROLLED_BACK``
conflict, query killed, SQLite busy         40P01, 55P03; SQLITE_BUSY…, SQLITE_LOCKED…
connection cut, node leaves, loses the      2006, 2013, …; 1047, 1053, 1290, 1792, 1836,    ``DISCONNECTED``
majority or turns read-only                 3100, 3796, 3797; class 08, 57P01-57P03,
                                            25006; OSError
the key is there already                    ``IntegrityError``                              ``DUPLICATE``
everything else, and all at connect         2003, 1040, pool exhausted, tables missing, …   ``UNAVAILABLE``
==========================================  ==============================================  ==================

Texts of the database layer can hold values (a duplicate key's message does), so none is passed on or chained.
"""

from enum import Enum, auto

from sqlalchemy.exc import DBAPIError, IntegrityError

from asgi_sessions.errors import StoreUnavailable

__all__ = [
    "DatabaseFailure",
    "FailureKind",
    "StatementInterrupted",
    "classify",
    "describe",
    "error_code",
    "in_full",
    "is_lost_node",
]

LOST_NODE_CODES = frozenset({1047, 1053, 1290, 1792, 1836, 3100, 3796, 3797})
"""The server answers, but it is no longer the one to ask; the drivers take these for ordinary errors."""

_MYSQL_ROLLED_BACK = frozenset({1020, 1180, 1205, 1213, 1317, 3101})
# 0A000: a prepared statement from before a migration; SQLAlchemy prepares it anew.
_POSTGRESQL_ROLLED_BACK = frozenset({"0A000", "40001", "40P01", "55P03"})
_POSTGRESQL_LOST = frozenset({"25006", "57P01", "57P02", "57P03"})
_SQLITE_ROLLED_BACK = ("SQLITE_BUSY", "SQLITE_LOCKED")


class FailureKind(Enum):
    """What may be done after a failed statement."""

    ROLLED_BACK = auto()
    """It had no effect: repeat it, whatever it was."""
    DISCONNECTED = auto()
    """It may or may not have had its effect: repeat it only if twice is as good as once."""
    DUPLICATE = auto()
    """A row with that key exists."""
    UNAVAILABLE = auto()
    """Nothing to be done here."""


class StatementInterrupted(StoreUnavailable):
    """The connection was lost under a compare-and-swap: read the row again, then decide again.

    Becomes the same 503 as its base when nobody reads again.
    """


class DatabaseFailure(Exception):
    """The cause of a ``StoreUnavailable``: the database layer's error by class and code, without its text.

    Attributes:
        name: Class and code.
        code: See ``error_code``.
        phrase: What that means here, empty where nobody knows.
    """

    def __init__(self, name: str, code: int | str | None = None, phrase: str = "") -> None:
        self._arguments = name, code, phrase
        self.name = name if code is None else f"{name} {code}"
        self.code = code
        self.phrase = phrase
        super().__init__(f"{phrase} ({self.name})" if phrase else self.name)

    def __reduce__(self) -> tuple[type["DatabaseFailure"], tuple[str, int | str | None, str]]:
        return type(self), self._arguments

    def again(self) -> "DatabaseFailure":
        """The same cause for another error: a raised one carries the frames that it went through."""
        return type(self)(*self._arguments)


def classify(error: Exception) -> FailureKind:
    """Tell what a failed statement's error means. The connection had been established before."""
    code = error_code(error)
    if code in _MYSQL_ROLLED_BACK or code in _POSTGRESQL_ROLLED_BACK:
        return FailureKind.ROLLED_BACK
    if isinstance(code, str) and code.startswith(_SQLITE_ROLLED_BACK):
        return FailureKind.ROLLED_BACK
    if isinstance(error, IntegrityError):
        return FailureKind.DUPLICATE
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return FailureKind.DISCONNECTED
    # A TimeoutError is an OSError, and ours: the time for the whole operation is over.
    if isinstance(error, OSError) and not isinstance(error, TimeoutError):
        return FailureKind.DISCONNECTED
    if is_lost_node(error):
        return FailureKind.DISCONNECTED
    return FailureKind.UNAVAILABLE


def is_lost_node(error: BaseException) -> bool:
    """Tell whether a server that can no longer serve us gave this error, though the connection stands."""
    code = error_code(error)
    return code in LOST_NODE_CODES or code in _POSTGRESQL_LOST or (isinstance(code, str) and code[:2] == "08")


def error_code(error: BaseException) -> int | str | None:
    """Return MySQL's number, PostgreSQL's SQLSTATE or the name of SQLite's result code, if there is one."""
    original = error.orig if isinstance(error, DBAPIError) else error
    if isinstance(original, OSError):
        return None  # its number is the operating system's
    for attribute in ("sqlite_errorname", "sqlstate"):
        code = getattr(original, attribute, None)
        # MySQL has both, and its number says more.
        if isinstance(code, str) and not isinstance(_first_argument(original), int):
            return code
    number = _first_argument(original)
    return number if isinstance(number, int) else None


def _first_argument(error: BaseException | None) -> object:
    return error.args[0] if error is not None and error.args else None


def describe(error: BaseException, phrase: str = "") -> DatabaseFailure:
    """Return a cause that names the error by class and code, without its text, statement and parameters.

    Args:
        error: An error of the database layer.
        phrase: What it means, if that is known.
    """
    original = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    return DatabaseFailure(f"{type(original).__module__}.{type(original).__qualname__}", error_code(error), phrase)


def in_full(error: StoreUnavailable) -> str:
    """Return a sentence with the cause, for a log or a terminal. Not for clients, who see no more than the class."""
    if error.detail != type(error).detail:
        return error.detail
    cause = error.__cause__
    if cause is None:
        return error.detail
    # The text of any other error than ours may hold values, or be empty.
    return f"{error.detail.rstrip('.')}: {cause if isinstance(cause, DatabaseFailure) else describe(cause)}."
