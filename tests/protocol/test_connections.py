"""For how long a connection goes on: every edge, to the millisecond. Source: settings, `connection_lifetime`."""

import pytest

from asgi_sessions.protocol.connections import EARLIER, End, came_in_time, end_at, is_over, lasts_until

ARRIVED, LIFETIME = 1_800_000_000_000, 86_400_000


@pytest.mark.parametrize(("arrived_at", "good"), [(999, True), (1000, False), (1001, False)])
def test_a_token_counts_that_had_not_expired_when_the_connection_arrived(arrived_at: int, good: bool) -> None:
    assert came_in_time(arrived_at, expires_at=1000) is good


@pytest.mark.parametrize(("age", "over"), [(0, False), (LIFETIME - 1, False), (LIFETIME, True), (9 * LIFETIME, True)])
def test_what_a_connection_came_with_is_good_for_its_lifetime(age: int, over: bool) -> None:
    assert is_over(ARRIVED, now=ARRIVED + age, lifetime=LIFETIME) is over


def test_an_open_connection_ends_at_its_lifetime_or_a_twentieth_earlier() -> None:
    assert lasts_until(ARRIVED, lifetime=LIFETIME) == ARRIVED + LIFETIME
    assert lasts_until(ARRIVED, lifetime=LIFETIME, earlier=EARLIER) == ARRIVED + LIFETIME * 19 // 20


@pytest.mark.parametrize(
    ("now", "until", "session_expires_at", "end"),
    [
        (999, 1000, 2000, None),
        (1000, 1000, 2000, End.CONNECTION),
        (1999, 1000, 2000, End.CONNECTION),
        (2000, 1000, 2000, End.SESSION),
        (999, 2000, 1000, None),
        (1000, 2000, 1000, End.SESSION),
        (1000, 1000, 1000, End.SESSION),
    ],
)
def test_whichever_comes_first_ends_it_and_a_session_that_is_over_says_so(
    now: int, until: int, session_expires_at: int, end: End | None
) -> None:
    assert end_at(now, until=until, session_expires_at=session_expires_at) is end
