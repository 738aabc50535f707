"""When a session ends by itself: its absolute timeout and its idle timeout."""

__all__ = ["idle_expiry", "is_expired"]


def idle_expiry(used_at: int, *, idle_timeout: int, expires_at: int) -> int:
    """When a session ends unless it is used again, ms: never after its absolute timeout.

    Args:
        used_at: When it was used last, ms.
        idle_timeout: The setting, ms.
        expires_at: Its absolute timeout, ms.
    """
    return min(used_at + idle_timeout, expires_at)


def is_expired(now: int, *, expires_at: int, idle_expires_at: int) -> bool:
    """Whether one of a session's timeouts has come. As SQL it is `live` in ``store/session_statements.py``.

    Args:
        now: ms.
        expires_at: The absolute timeout, ms.
        idle_expires_at: The idle timeout, ms.
    """
    return expires_at <= now or idle_expires_at <= now
