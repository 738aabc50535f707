"""How long a session lasts that begins now: what its login says, as far as the settings allow it."""

from asgi_sessions.manager.records import Login
from asgi_sessions.protocol.timeouts import Lifetime
from asgi_sessions.settings import SessionSettings, manager_log

_CAPPED = "create_new_session: a login asked for a longer %s than the setting %s allows; the setting counts."


class LoginLifetimes:
    """Judges what logins say of how long their sessions last.

    What is longer than a setting is cut, not refused: a deployment that shortens its settings, by a policy say, logs
    people in all the same, and for no longer than it wants. The log says so, once of each timeout.

    Args:
        settings: The limits.
    """

    def __init__(self, settings: SessionSettings) -> None:
        self._log = manager_log("asgi_sessions", settings)
        self._idle = settings.idle_timeouts
        self._absolute = settings.absolute_timeout_ms
        self._access = settings.access_token_lifetime_ms
        self._told: set[str] = set()

    def of(self, login: Login, now: int) -> Lifetime:
        """The lifetime of a session.

        Args:
            login: What the application says of it.
            now: When it begins, ms.

        Raises:
            ValueError: Its idle timeout is shorter than `access_token_lifetime`: it would be over before its first
                refresh, however much it is used.
        """
        idle, absolute = login.idle_timeout, login.absolute_timeout
        if idle is not None and idle < self._access:
            raise ValueError("idle_timeout: must not be shorter than access_token_lifetime")
        allowed, setting = self._idle.persistent, "idle_timeout"
        if not login.persistent:
            allowed, setting = self._idle.nonpersistent, "nonpersistent_idle_timeout"
        self._tell_if_longer("idle_timeout", idle, setting, allowed)
        self._tell_if_longer("absolute_timeout", absolute, "absolute_timeout", self._absolute)
        expires_at = now + (self._absolute if absolute is None else min(absolute, self._absolute))
        # The idle timeout is kept as it was said: what it is cut to follows the setting.
        return Lifetime(expires_at, idle, login.persistent)

    def _tell_if_longer(self, name: str, said: int | None, setting: str, allowed: int) -> None:
        if said is not None and said > allowed and setting not in self._told:
            self._told.add(setting)
            self._log.warning(_CAPPED, name, setting)
