"""Which tombstones a purge has to leave, because others may not have been told of these ends: see ``notifications``."""

from collections.abc import Mapping
from typing import Final

__all__ = ["TELLER_SEEN", "TOLD_UNTIL", "left_by_purge"]

TOLD_UNTIL: Final = "told_until"
"""Below this ``revoked_at``, ms, each end has been taken down to be told. Missing where nobody ever was."""
TELLER_SEEN: Final = "teller_seen"
"""When there was a worker that tells others, ms."""
LONGEST_MS: Final = 86_400_000
"""So old an end is purged though nobody has been told."""


def left_by_purge(state: Mapping[str, int], now: int) -> int | None:
    """From which ``revoked_at`` on tombstones stay, ms; None if nobody tells others, or has for twice `LONGEST_MS`.

    Args:
        state: The numbers that all workers share.
        now: The database's time, ms.
    """
    told_until = state.get(TOLD_UNTIL)
    if told_until is None or state.get(TELLER_SEEN, 0) < now - 2 * LONGEST_MS:
        return None
    return max(told_until, now - LONGEST_MS)
