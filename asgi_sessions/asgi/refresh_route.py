"""The refresh endpoint must be where the refresh cookie goes: elsewhere everybody would be out after five minutes."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from asgi_sessions.errors import ConfigurationError
from asgi_sessions.settings import SessionSettings

_MARK = "__asgi_sessions_refresh__"


def mark_refresh_endpoint(endpoint: Callable[..., Any]) -> None:
    """Make an endpoint known as the one that refreshes."""
    setattr(endpoint, _MARK, True)


def check_refresh_route(app: Any, settings: SessionSettings) -> None:
    """Compare the refresh endpoint's path with the refresh cookie's.

    Args:
        app: The application, as the server's lifespan scope names it; anything without routes passes.
        settings: Only with ``refresh="endpoint"`` does the cookie go to one path alone.

    Raises:
        ConfigurationError: The endpoint is mounted where the browser would not send the refresh cookie.
    """
    if settings.refresh != "endpoint":
        return
    paths = list(_refresh_paths(getattr(app, "routes", ()), ""))
    # A proxy or `root_path` may put something before the path, so that its end has to do.
    if paths and not any(settings.refresh_path.endswith(path) for path in paths):
        raise ConfigurationError(
            f"refresh_path: is {settings.refresh_path}, but the session routes refresh at {', '.join(paths)}. The "
            "browser sends the refresh cookie to refresh_path only: mount them there, or set refresh_path to the "
            "path as the browser sees it."
        )


def _refresh_paths(routes: Iterable[Any], prefix: str) -> Iterator[str]:
    for route in routes:
        if getattr(getattr(route, "endpoint", None), _MARK, False):
            yield prefix + route.path
        included = getattr(route, "original_router", None)
        if included is not None:  # FastAPI keeps included routers whole, with the prefix beside them
            yield from _refresh_paths(included.routes, prefix + route.include_context.prefix)
        elif getattr(route, "routes", None):
            yield from _refresh_paths(route.routes, prefix + getattr(route, "path", ""))
