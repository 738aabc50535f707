"""A login over plain http is named in the log, once: browsers do not send its Secure cookies back there."""

from collections.abc import Mapping
from typing import Any

from asgi_sessions.settings import SessionSettings, manager_log

_FROM_A_PROXY = frozenset(
    {b"forwarded", b"x-forwarded-proto", b"x-forwarded-for", b"x-forwarded-host", b"x-real-ip", b"via"}
)
_MESSAGE = (
    "A login came over plain http, to %s. Browsers (at localhost only Safari) and Python's clients do not send its "
    "Secure cookies back there, so the next request will be 401. Use https; in tests `testing.client(app)` or "
    'TestClient(app, base_url="https://testserver"); in development http://localhost, for Safari and Python\'s clients '
    "with ASGI_SESSIONS_COOKIE_SECURE=false. Behind a proxy that speaks https all is well."
)


class PlainHttpNotice:
    """Logs the first login over plain http, after which the user would look logged out on the next request.

    Args:
        settings: The manager's settings.
    """

    def __init__(self, settings: SessionSettings) -> None:
        self._log = manager_log("asgi_sessions", settings)
        self._due = settings.cookie_secure

    def look(self, scope: Any) -> None:
        """Look at the scope of a request that has just been given cookies."""
        if not self._due or scope.get("scheme") not in {"http", "ws"}:
            return
        headers = dict(scope["headers"])
        host = headers.get(b"host", b"").decode("latin-1")
        if (_is_this_machine(host) and not _is_pythons(headers)) or not _FROM_A_PROXY.isdisjoint(headers):
            return
        self._due = False
        self._log.warning(_MESSAGE, ascii(f"http://{host[:100]}"))  # quoted: a client chooses it


def _is_pythons(headers: Mapping[bytes, bytes]) -> bool:
    """Whether a client of Python's has asked: to its jars (`http.cookiejar`, aiohttp's) localhost is like any host."""
    agent = headers.get(b"user-agent", b"").lower()
    return b"python" in agent or agent == b"testclient"


def _is_this_machine(host: str) -> bool:
    """Whether browsers (Safari excepted) keep Secure cookies for it over plain http."""
    name = host.lower() if host.endswith("]") else host.lower().rpartition(":")[0] or host.lower()
    return name in {"localhost", "[::1]"} or name.endswith(".localhost") or name.startswith("127.")
