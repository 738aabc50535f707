"""Why a database does not serve us, as a phrase for the administrator who has to mend it.

The phrases are made of our own words and of what `Place` shows. The texts of drivers and servers are read here and
never passed on: they may hold values.
"""

import errno
import re
import socket
import ssl
from collections.abc import Mapping
from enum import Enum

from sqlalchemy.exc import DBAPIError

from asgi_sessions.store.failures import DatabaseFailure, describe, error_code
from asgi_sessions.store.place import Place

__all__ = ["Cause", "diagnose", "explain", "phrase"]


class Cause(Enum):
    """Each cause with its phrase; docs/databases.md lists them all."""

    NOTHING_LISTENS = "nothing listens on {where}"
    NO_SOCKET = "{where} does not exist, or may not be opened"
    UNKNOWN_HOST = "unknown host {host}"
    NO_ROUTE = "no route to {where}"
    NO_ANSWER = "{where} does not answer in time"
    HUNG_UP = "{where} hung up: it may be no {engine} server, or refuse this machine"
    NOT_READY = "{where} is starting or stopping"
    TOO_MANY = "{where} has as many connections as it takes"
    ALL_IN_USE = "all connections of this worker are in use"
    ACCESS_DENIED = "access denied for user {user}"
    ACCOUNT_CLOSED = "the account of user {user} is locked, or its password has expired"
    NOT_ADMITTED = "{where} does not admit user {user} to database {database} from here {with_tls}"
    HOST_REFUSED = "{where} does not take connections from this machine"
    UNKNOWN_DATABASE = "unknown database {database}"
    NO_ACCESS = "user {user} may not use database {database}"
    NO_RIGHT = "user {user} lacks a right in database {database}"
    TLS_REFUSED = "{where} refuses TLS"
    TLS_REQUIRED = "{where} requires TLS"
    TLS_UNTRUSTED = "the certificate of {where} is not trusted: {detail}"
    TLS_FILE = "a file that TLS needs can no longer be read"
    TLS_FAILED = "the TLS handshake with {where} failed: {detail}"
    POOLED = "{where} is a pooler that lends connections: add pgbouncer=true to database_url's parameters"
    READ_ONLY = "{where} is read-only"
    NO_MAJORITY = "{where} has lost the majority of its cluster, or leaves it"
    FULL = "{where} has no room left"
    STATEMENT_TIMEOUT = "a statement took too long, or waited for a lock"
    MIGRATION = "another worker's migration does not end, or this one"
    LOCKED = "another program holds a lock in {where}"
    NOT_OPENED = "cannot open {where}: this process may not read or write it or its folder, or it is a folder"
    NO_DATABASE = "{where} is no SQLite database, or is damaged"


_BY_CODE: Mapping[int | str | None, Cause] = {
    # MySQL and MariaDB
    1021: Cause.FULL,
    1040: Cause.TOO_MANY,
    1044: Cause.NO_ACCESS,
    1045: Cause.ACCESS_DENIED,
    1047: Cause.NO_MAJORITY,
    1049: Cause.UNKNOWN_DATABASE,
    1053: Cause.NOT_READY,
    1114: Cause.FULL,
    1129: Cause.HOST_REFUSED,
    1130: Cause.HOST_REFUSED,
    1142: Cause.NO_RIGHT,
    1143: Cause.NO_RIGHT,
    1203: Cause.TOO_MANY,
    1205: Cause.STATEMENT_TIMEOUT,
    1226: Cause.TOO_MANY,
    1227: Cause.NO_RIGHT,
    1290: Cause.READ_ONLY,
    1698: Cause.ACCESS_DENIED,
    1792: Cause.READ_ONLY,
    1820: Cause.ACCOUNT_CLOSED,
    1836: Cause.READ_ONLY,
    1862: Cause.ACCOUNT_CLOSED,
    1969: Cause.STATEMENT_TIMEOUT,
    3024: Cause.STATEMENT_TIMEOUT,
    3100: Cause.NO_MAJORITY,
    3118: Cause.ACCOUNT_CLOSED,
    3159: Cause.TLS_REQUIRED,
    3796: Cause.NO_MAJORITY,
    3797: Cause.NO_MAJORITY,
    4151: Cause.ACCOUNT_CLOSED,
    # PostgreSQL
    "25006": Cause.READ_ONLY,
    "26000": Cause.POOLED,  # a statement that was prepared on another connection
    "28000": Cause.NOT_ADMITTED,
    "28P01": Cause.ACCESS_DENIED,
    "3D000": Cause.UNKNOWN_DATABASE,
    "3F000": Cause.NO_RIGHT,  # no schema in which it may make tables
    "42501": Cause.NO_RIGHT,
    "42P05": Cause.POOLED,  # likewise, by another client
    "53100": Cause.FULL,
    "53300": Cause.TOO_MANY,
    "55P03": Cause.STATEMENT_TIMEOUT,
    "57014": Cause.STATEMENT_TIMEOUT,
    "57P01": Cause.NOT_READY,
    "57P02": Cause.NOT_READY,
    "57P03": Cause.NOT_READY,
}
_AT_CONNECT: Mapping[int | str | None, Cause] = {
    2013: Cause.HUNG_UP,
    "08003": Cause.HUNG_UP,
    "42501": Cause.NO_ACCESS,
    "55000": Cause.NO_ACCESS,
}
_OF_SQLITE = (
    ("SQLITE_CANTOPEN", Cause.NOT_OPENED),
    ("SQLITE_READONLY", Cause.READ_ONLY),
    ("SQLITE_BUSY", Cause.LOCKED),
    ("SQLITE_LOCKED", Cause.LOCKED),
    ("SQLITE_NOTADB", Cause.NO_DATABASE),
    ("SQLITE_CORRUPT", Cause.NO_DATABASE),
    ("SQLITE_FULL", Cause.FULL),
)
_BY_ERRNO: Mapping[int, Cause] = {
    errno.ECONNREFUSED: Cause.NOTHING_LISTENS,
    errno.EHOSTUNREACH: Cause.NO_ROUTE,
    errno.ENETUNREACH: Cause.NO_ROUTE,
    errno.EHOSTDOWN: Cause.NO_ROUTE,
    errno.ETIMEDOUT: Cause.NO_ANSWER,
    errno.ECONNRESET: Cause.HUNG_UP,
    errno.ECONNABORTED: Cause.HUNG_UP,
    errno.EPIPE: Cause.HUNG_UP,
    errno.ENOTCONN: Cause.HUNG_UP,
    errno.EBADF: Cause.HUNG_UP,  # it did so before the driver had set its options
}
_NO_FILE = frozenset({errno.ENOENT, errno.EACCES})


def diagnose(error: BaseException, place: Place, *, connecting: bool = False) -> str:
    """Say why a statement or a connection failed.

    Args:
        error: SQLAlchemy's, the driver's or the operating system's.
        place: The place of the database.
        connecting: Whether there was no connection yet.

    Returns:
        A phrase, empty where nobody knows more than the error's class and code.
    """
    cause, detail = None, ""
    reason = _of_the_network(error) if connecting else None
    if isinstance(reason, ssl.SSLError):
        cause, detail = _of_tls(reason)
    elif reason is not None:
        cause = _of_the_system(reason, place)
    if cause is None:
        cause = _of_the_database(error, connecting=connecting)
    return "" if cause is None else phrase(cause, place, detail)


def explain(error: BaseException, place: Place, *, connecting: bool = False) -> DatabaseFailure:
    """What an error means, as the cause of a ``StoreUnavailable``; the arguments are those of `diagnose`."""
    return describe(error, diagnose(error, place, connecting=connecting))


def phrase(cause: Cause, place: Place, detail: str = "") -> str:
    """A cause in words."""
    return cause.value.format(
        engine=place.engine,
        where=place.where,
        host=place.host,
        user=place.user,
        database=place.database or "none",
        with_tls="with TLS" if place.has_tls else "without TLS",
        detail=detail,
    )


def _of_the_database(error: BaseException, *, connecting: bool) -> Cause | None:
    code = error_code(error)
    if isinstance(code, str) and code.startswith("SQLITE_"):
        return next((cause for name, cause in _OF_SQLITE if code.startswith(name)), None)
    cause = _AT_CONNECT.get(code) if connecting else None
    return cause or _BY_CODE.get(code)


def _of_the_network(error: BaseException) -> OSError | None:
    """What the operating system, or TLS, has said to the driver."""
    found: BaseException | None = error
    while found is not None and not isinstance(found, OSError):
        # asyncmy's own error hides it; that of a server has a code, and whatever was handled before does not count.
        found = found.orig if isinstance(found, DBAPIError) else found.__cause__
    return found


def _of_tls(error: ssl.SSLError) -> tuple[Cause, str]:
    if isinstance(error, ssl.SSLCertVerificationError):
        return Cause.TLS_UNTRUSTED, _plain(error.verify_message)
    if error.reason in ("WRONG_VERSION_NUMBER", "UNKNOWN_PROTOCOL"):
        return Cause.TLS_REFUSED, ""  # what came was no TLS
    return Cause.TLS_FAILED, _plain(error.reason)


def _of_the_system(error: OSError, place: Place) -> Cause | None:
    if isinstance(error, socket.gaierror):
        return Cause.UNKNOWN_HOST
    if isinstance(error, TimeoutError):
        return Cause.NO_ANSWER
    if type(error) is ConnectionError:  # asyncpg's: the server said no, or said what it does not understand
        return Cause.TLS_REFUSED if place.has_tls else Cause.HUNG_UP
    # Of a host with several addresses asyncio tells all errors in one text.
    numbers = [error.errno] if error.errno else [int(number) for number in re.findall(r"\[Errno (\d+)\]", str(error))]
    if not _NO_FILE.isdisjoint(numbers):
        return Cause.NO_SOCKET if place.is_socket else Cause.TLS_FILE
    return next((_BY_ERRNO[number] for number in numbers if number in _BY_ERRNO), None)


def _plain(reason: str | None) -> str:
    return re.sub(r"[^\w .,:'-]", "", reason or "no reason given").rstrip(".")
