"""What an error means, and that nothing of its text leaves the store."""

import asyncio
import pickle

import pytest
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from asgi_sessions.errors import StoreUnavailable
from asgi_sessions.store.failures import FailureKind, StatementInterrupted, classify, describe


class WithSqlState(Exception):
    def __init__(self, sqlstate: str) -> None:
        super().__init__("canary")
        self.sqlstate = sqlstate


class WithSqliteName(Exception):
    def __init__(self, name: str) -> None:
        super().__init__("canary")
        self.sqlite_errorname = name


def failed(original: Exception, *, lost: bool = False) -> DBAPIError:
    return OperationalError("UPDATE canary", {"user": "canary"}, original, connection_invalidated=lost)


def mysql(code: int) -> Exception:
    return Exception(code, "canary")


def name_of(error: Exception) -> str:
    return str(describe(error))


@pytest.mark.parametrize(
    "error",
    [
        *(failed(mysql(code)) for code in (1020, 1180, 1205, 1213, 1317, 3101)),
        *(failed(WithSqlState(state)) for state in ("0A000", "40001", "40P01", "55P03")),
        *(
            failed(WithSqliteName(name))
            for name in ("SQLITE_BUSY", "SQLITE_BUSY_SNAPSHOT", "SQLITE_LOCKED_SHAREDCACHE")
        ),
    ],
    ids=name_of,
)
def test_a_statement_that_was_rolled_back_may_be_repeated(error: Exception) -> None:
    assert classify(error) is FailureKind.ROLLED_BACK


@pytest.mark.parametrize(
    "error",
    [
        *(failed(mysql(code), lost=True) for code in (2006, 2013)),
        *(failed(mysql(code)) for code in (1047, 1053, 1290, 1792, 1836, 3100, 3796, 3797)),
        *(failed(WithSqlState(state)) for state in ("08006", "25006", "57P01", "57P02", "57P03")),
        ConnectionResetError(104, "canary"),
        BrokenPipeError(32, "canary"),
    ],
    ids=name_of,
)
def test_after_a_lost_connection_nobody_knows(error: Exception) -> None:
    assert classify(error) is FailureKind.DISCONNECTED


def test_a_taken_key_is_told_apart() -> None:
    assert classify(IntegrityError("INSERT", None, mysql(1062))) is FailureKind.DUPLICATE


@pytest.mark.parametrize(
    "error",
    [
        *(failed(mysql(code)) for code in (1040, 1045, 1142, 1146, 1406, 2003)),
        failed(WithSqlState("42P01")),
        failed(WithSqliteName("SQLITE_ERROR")),
        PoolTimeout("canary"),
        TimeoutError(),
        RuntimeError("canary"),
    ],
    ids=name_of,
)
def test_everything_else_is_unavailable(error: Exception) -> None:
    assert classify(error) is FailureKind.UNAVAILABLE


def test_the_operating_systems_numbers_are_not_the_databases() -> None:
    # 5 and 6 are SQLite's busy and locked, and EIO and ENXIO.
    assert classify(OSError(5, "canary")) is FailureKind.DISCONNECTED


@pytest.mark.parametrize(
    "original", [mysql(1062), WithSqlState("23505"), WithSqliteName("SQLITE_FULL"), OSError(5, "canary")]
)
def test_a_cause_names_class_and_code_and_no_text(original: Exception) -> None:
    cause = describe(failed(original))
    assert "canary" not in f"{cause} {cause!r}"
    assert type(original).__name__ in str(cause)
    assert isinstance(original, OSError) or str(cause.code) in str(cause)


def test_causes_can_be_pickled() -> None:
    cause = describe(failed(mysql(1062)))
    copy = pickle.loads(pickle.dumps(cause))
    assert (str(copy), copy.code) == (str(cause), cause.code)


def test_an_interrupted_statement_is_a_503_if_nobody_reads_again() -> None:
    assert issubclass(StatementInterrupted, StoreUnavailable)
    assert not issubclass(StatementInterrupted, asyncio.CancelledError)
