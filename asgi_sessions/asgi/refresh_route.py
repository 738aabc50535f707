"""The refresh endpoint must be where the refresh cookie goes: elsewhere everybody would be out after five minutes."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from asgi_sessions.errors import ConfigurationError
from asgi_sessions.manager import SessionManager

_MARK = "__asgi_sessions_refresh__"
_MOST_MIDDLEWARES = 100
"""Around one application. No more are looked at: a mock, which has every attribute, has no end."""


def mark_refresh_endpoint(endpoint: Callable[..., Any]) -> None:
    """Make an endpoint known as the one that refreshes."""
    setattr(endpoint, _MARK, True)


def check_refresh_route(app: Any, manager: SessionManager) -> None:
    """Compare the path of a manager's refresh endpoint with that of its refresh cookie.

    Args:
        app: The application, as the server's lifespan scope names it; anything without routes passes.
        manager: Whose. An endpoint belongs to the manager whose middleware is nearest. Only with ``refresh="endpoint"``
            does the cookie go to one path alone.

    Raises:
        ConfigurationError: The endpoint is mounted where the browser would not send the refresh cookie.
    """
    settings = manager.settings
    if settings.refresh != "endpoint":
        return
    found = _refresh_paths(getattr(app, "routes", ()), "", _nearest(app, manager))
    paths = [path for path, nearest in found if nearest is manager]
    # A proxy or `root_path` may put something before the path, so that its end has to do.
    if paths and not any(settings.refresh_path.endswith(path) for path in paths):
        raise ConfigurationError(
            f"refresh_path: is {settings.refresh_path}, but the session routes refresh at {', '.join(paths)}. The "
            "browser sends the refresh cookie to refresh_path only: mount them there, or set refresh_path to the "
            "path as the browser sees it."
        )


def _refresh_paths(routes: Iterable[Any], prefix: str, nearest: SessionManager) -> Iterator[tuple[str, SessionManager]]:
    for route in routes:
        if getattr(getattr(route, "endpoint", None), _MARK, False):
            yield prefix + route.path, nearest
        included = getattr(route, "original_router", None)
        if included is not None:  # FastAPI keeps included routers whole, with the prefix beside them
            yield from _refresh_paths(included.routes, prefix + route.include_context.prefix, nearest)
        elif getattr(route, "routes", None):
            inside = _nearest(getattr(route, "app", None), nearest)
            yield from _refresh_paths(route.routes, prefix + getattr(route, "path", ""), inside)


def _nearest(app: Any, outside: SessionManager) -> SessionManager:
    """The manager whose middleware is nearest to the routes of an application."""
    nearest = outside
    for _ in range(_MOST_MIDDLEWARES):
        for middleware in getattr(app, "user_middleware", ()):  # the outermost first
            given = (*middleware.args, *middleware.kwargs.values())
            nearest = next((value for value in given if isinstance(value, SessionManager)), nearest)
        manager = getattr(app, "manager", None)
        nearest = manager if isinstance(manager, SessionManager) else nearest
        app = getattr(app, "app", None)  # what a middleware has inside
    return nearest
