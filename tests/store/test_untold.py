"""For how long a purge leaves the tombstones of ends of which others have not been told."""

import pytest

from asgi_sessions.store.untold import TELLER_SEEN, TOLD_UNTIL, left_by_purge
from tests.store.rows import HOUR, NOW

DAY = 24 * HOUR


@pytest.mark.parametrize(
    ("told_until", "teller_seen", "left"),
    [
        (None, None, None),
        (None, NOW, None),
        (NOW - HOUR, None, None),
        (NOW - HOUR, NOW, NOW - HOUR),
        (NOW - HOUR, NOW - 2 * DAY, NOW - HOUR),
        (NOW - HOUR, NOW - 2 * DAY - 1, None),
        (NOW - 3 * DAY, NOW, NOW - DAY),
        (NOW - 3 * DAY, NOW - DAY - HOUR, NOW - DAY),
    ],
)
def test_from_where_on_they_are_left(told_until: int | None, teller_seen: int | None, left: int | None) -> None:
    state = {TOLD_UNTIL: told_until, TELLER_SEEN: teller_seen, "revocation_clock": NOW}
    assert left_by_purge({name: value for name, value in state.items() if value is not None}, NOW) == left
