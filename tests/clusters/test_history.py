"""The check of histories can fail, in each way in which a cluster could."""

from collections.abc import Awaitable, Callable

import pytest

from asgi_sessions import StoreUnavailable, Unauthorised
from tests.clusters.history import (
    CHECKED,
    GONE,
    LOGIN,
    LOGOUT,
    OK,
    REFRESH,
    REQUEST,
    THEFT,
    UNKNOWN,
    History,
    Operation,
    violations,
)


def called(kind: str, began: float, ended: float, outcome: str, session: int = 1) -> Operation:
    return Operation(kind, session, began, ended, outcome)


def found(*operations: Operation, lag: float = 1.0) -> list[str]:
    return list(violations(operations, lag=lag))


BEGUN = called(LOGIN, 0, 1, OK)
OVER = called(LOGOUT, 10, 11, OK)


@pytest.mark.parametrize(
    "operations",
    [
        (called(CHECKED, 2, 3, OK), OVER, called(CHECKED, 12, 13, GONE), called(REFRESH, 12, 13, GONE)),
        (called(CHECKED, 9, 14, OK), OVER),  # it took effect before
        (called(CHECKED, 10.5, 10.6, GONE), OVER),  # and the logout before this
        (called(REQUEST, 11.9, 12.1, OK), OVER),
        (called(LOGOUT, 10, 11, UNKNOWN), called(CHECKED, 12, 13, OK), called(CHECKED, 14, 15, GONE)),
        (called(LOGOUT, 10, 11, UNKNOWN), called(CHECKED, 12, 13, GONE)),
        (OVER, called(CHECKED, 12, 13, OK, session=2)),
        (OVER, called(CHECKED, 12, 13, UNKNOWN), called(REFRESH, 12, 13, UNKNOWN), called(LOGIN, 12, 13, OK)),
        (called(REQUEST, 10.1, 10.2, GONE), OVER, called(CHECKED, 10.3, 10.4, OK)),  # from memory: it shows nothing
    ],
)
def test_what_a_sound_server_may_tell_is_fine(operations: tuple[Operation, ...]) -> None:
    assert found(BEGUN, *operations) == []


@pytest.mark.parametrize(
    "operations",
    [
        (OVER, called(CHECKED, 11.1, 12, OK)),
        (OVER, called(REFRESH, 11.1, 12, OK)),
        (OVER, called(REQUEST, 12.1, 13, OK)),
        (called(LOGOUT, 10, 11, UNKNOWN), called(CHECKED, 12, 13, GONE), called(CHECKED, 14, 15, OK)),
        (called(LOGOUT, 10, 11, UNKNOWN), called(REFRESH, 12, 13, GONE), called(REQUEST, 14.1, 15, OK)),
        (called(CHECKED, 2, 3, GONE), OVER),
        (called(REFRESH, 2, 3, GONE),),
        (called(REQUEST, 2, 3, GONE),),
        (called(REFRESH, 2, 3, THEFT),),
        (called(LOGIN, 2, 3, "KeyError"),),
        (called(LOGOUT, 2, 3, "OperationalError"),),
    ],
)
def test_what_it_could_not_tell_is_found(operations: tuple[Operation, ...]) -> None:
    assert len(found(BEGUN, *operations)) == 1


async def test_calls_are_noted_with_their_times_and_outcomes() -> None:
    seconds = iter(range(100))
    history = History(clock=lambda: float(next(seconds)))

    async def give() -> str:
        return "given"

    def raising(error: Exception) -> Callable[[], Awaitable[str]]:
        async def fail() -> str:
            raise error

        return fail

    assert await history.note(LOGIN, 1, give) == "given"
    for error in (Unauthorised(), StoreUnavailable(), KeyError("x")):
        assert await history.note(CHECKED, 1, raising(error)) is None
    assert [(call.began, call.ended, call.outcome) for call in history.operations] == [
        (0, 1, OK),
        (2, 3, GONE),
        (4, 5, UNKNOWN),
        (6, 7, "KeyError"),
    ]
    assert history.table() == {"login: ok": 1, "checked request: gone": 1, "checked request: unknown": 1} | {
        "checked request: KeyError": 1
    }
