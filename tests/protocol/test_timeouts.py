import pytest

from asgi_sessions.protocol.timeouts import IdleTimeouts, Lifetime

TIMEOUTS = IdleTimeouts(persistent=1000, nonpersistent=100)
END = 1_000_000


@pytest.mark.parametrize(
    ("lifetime", "expected"),
    [
        (Lifetime(END), 1000),
        (Lifetime(END, persistent=False), 100),
        (Lifetime(END, 999), 999),
        (Lifetime(END, 1001), 1000),
        (Lifetime(END, 99, persistent=False), 99),
        (Lifetime(END, 101, persistent=False), 100),
        (Lifetime(510), 10),
        (Lifetime(510, 11), 10),
        (Lifetime(510, 9), 9),
    ],
)
def test_a_session_is_idle_after_the_shortest_of_the_setting_its_own_and_its_end(
    lifetime: Lifetime, expected: int
) -> None:
    assert TIMEOUTS.expiry(500, lifetime) == 500 + expected
