"""When a session ends by itself: its absolute timeout and its idle timeout."""

from dataclasses import dataclass

__all__ = ["IdleTimeouts", "Lifetime", "is_expired"]


@dataclass(frozen=True, slots=True)
class Lifetime:
    """What its login has said of how long a session lasts.

    Attributes:
        expires_at: The absolute timeout, ms.
        idle_timeout: The session's own, ms; None for the setting.
        persistent: Whether its cookies outlive the browser.
    """

    expires_at: int
    idle_timeout: int | None = None
    persistent: bool = True


@dataclass(frozen=True, slots=True)
class IdleTimeouts:
    """The settings, and with them the one rule of how long each session may be idle.

    Attributes:
        persistent: For sessions whose cookies outlive the browser, ms. The longest of all.
        nonpersistent: For those whose cookies do not, ms.
    """

    persistent: int
    nonpersistent: int

    def expiry(self, used_at: int, session: Lifetime) -> int:
        """When a session ends unless it is used again, ms: never after its absolute timeout.

        The setting as it is now is the limit, whatever it was at the login.

        Args:
            used_at: When it was used last, ms.
            session: Which one.
        """
        idle_timeout = self.persistent if session.persistent else self.nonpersistent
        if session.idle_timeout is not None:
            idle_timeout = min(idle_timeout, session.idle_timeout)
        return min(used_at + idle_timeout, session.expires_at)


def is_expired(now: int, *, expires_at: int, idle_expires_at: int) -> bool:
    """Whether one of a session's timeouts has come. As SQL it is `live` in ``store/session_statements.py``.

    Args:
        now: ms.
        expires_at: The absolute timeout, ms.
        idle_expires_at: The idle timeout, ms.
    """
    return expires_at <= now or idle_expires_at <= now
