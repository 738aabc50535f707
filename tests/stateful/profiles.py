"""Which settings the sessions run with: eight profiles, every duration given explicitly, in ms."""

from dataclasses import dataclass
from itertools import product
from typing import Any

from asgi_sessions import SessionSettings

ACCESS = 300_000
WINDOW = 180_000
LATE = 120_000
YOUNG = 240_000
IDLE = 900_000
ABSOLUTE = 2_100_000

CONNECTION = 600_000
CONNECTION_AT_LEAST = CONNECTION * 19 // 20
"""Between these two a connection may end, so that those that came together do not all come again together."""

MOST_PARENTS = 4
"""At how many generations of a session a parent is served that arrived after its child's promotion."""
MARKER = LATE + 30_000
"""The retry marker outlives the window by the largest difference between clocks."""
TOUCHED = ACCESS // 2
"""A session that was active so short a time ago is not touched again."""
CLOCKS_APART = 60_000
"""A revocation reaches what has expired by this worker's clock for so long."""
KEPT = 2 * ACCESS + 30_000
"""How long a tombstone stays: two access lifetimes and `revocation_max_staleness`."""
FRESH_ANSWER = 100
LONGEST_ANSWER = 30_000

REFRESH_PATH = "/auth/session/refresh"
SECRET = "a-secret-key-of-the-tests-0123456789-abcdefghij"


def persistent(user: str) -> bool:
    """Whether a user's sessions outlive the browser. Their idle timeout is that of the others."""
    return user != "bob"


@dataclass(frozen=True)
class Profile:
    """One way to run.

    Attributes:
        first_use: ``promote_on="first_use"``.
        endpoint: ``refresh="endpoint"``.
        checked: ``revocation_check="database"``.
    """

    first_use: bool
    endpoint: bool
    checked: bool

    @property
    def refresh_path(self) -> str:
        """The path of the refresh cookie and of the retry marker."""
        return REFRESH_PATH if self.endpoint else "/"

    @property
    def access_cookie(self) -> str:
        return "__Host-sAccessToken"

    @property
    def refresh_cookie(self) -> str:
        return "__Secure-sRefreshToken" if self.endpoint else "__Host-sRefreshToken"

    @property
    def marker_cookie(self) -> str:
        return "__Secure-sRetryMarker" if self.endpoint else "__Host-sRetryMarker"

    def path_of(self, cookie: str) -> str:
        return "/" if cookie == self.access_cookie else self.refresh_path

    def name_of(self, kind: str) -> str:
        """The cookie's name, of ``access``, ``refresh`` or ``marker``."""
        return {"access": self.access_cookie, "refresh": self.refresh_cookie, "marker": self.marker_cookie}[kind]

    def settings(self, database_url: str) -> SessionSettings:
        values: dict[str, Any] = {
            "database_url": database_url,
            "secret_key": SECRET,
            "migrate_on_start": False,
            "access_token_lifetime": ACCESS / 1000,
            "idle_timeout": IDLE / 1000,
            "nonpersistent_idle_timeout": IDLE / 1000,
            "absolute_timeout": ABSOLUTE / 1000,
            "connection_lifetime": CONNECTION / 1000,
            "sibling_window": WINDOW / 1000,
            "late_parent_window": LATE / 1000,
            "min_refresh_age": YOUNG / 1000,
            "revocation_max_staleness": 30,
            "signing_key_lifetime": "3650d",  # the examples all begin at the same time, and keys stay
            "purge_interval": 0,
            "promote_on": "first_use" if self.first_use else "refresh",
            "refresh": "endpoint" if self.endpoint else "inline",
            "revocation_check": "database" if self.checked else "none",
        }
        return SessionSettings(**values)

    def __str__(self) -> str:
        names = (
            "first use" if self.first_use else "refresh",
            "endpoint" if self.endpoint else "inline",
            "database" if self.checked else "none",
        )
        return ", ".join(names)


PROFILES = tuple(Profile(*choice) for choice in product((False, True), repeat=3))
