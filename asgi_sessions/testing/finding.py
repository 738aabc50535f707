"""Finds the manager of an application by its middleware."""

from collections.abc import Iterator
from typing import Any

from asgi_sessions.asgi.middleware import SessionMiddleware
from asgi_sessions.errors import ConfigurationError
from asgi_sessions.manager import SessionManager

__all__ = ["manager_of", "managers_of"]

_INSIDE = ("app", "middleware_stack", "router")
_FAR_ENOUGH = 10_000
"""How many objects are searched at most. No application has more; a mock, which has every attribute, has no end."""


def manager_of(app: Any, asked_by: str) -> SessionManager:
    """Return the one manager whose middleware an application, or one mounted in it, has.

    Args:
        app: Any ASGI application. The search goes into Starlette's and FastAPI's applications, and into every object
            that keeps the wrapped application in ``.app``.
        asked_by: The helper's name, for the error.

    Raises:
        ConfigurationError: There is no manager, or more than one.
    """
    managers = managers_of(app)
    if not managers:
        raise ConfigurationError(
            f"{asked_by}: found no SessionMiddleware in the client's application. Add it, "
            "`app.add_middleware(SessionMiddleware, manager=sessions)`, or where it is out of sight name the manager: "
            f"`{asked_by}(client, user_id, manager=sessions)`."
        )
    if len(managers) > 1:
        raise ConfigurationError(
            f"{asked_by}: the application has {len(managers)} session managers; say which one: "
            f"`{asked_by}(client, user_id, manager=sessions)`."
        )
    return managers[0]


def managers_of(app: Any) -> list[SessionManager]:
    """Return every manager whose middleware an application, or one mounted in it, has."""
    return list({id(manager): manager for manager in _managers_in(app)}.values())


def _managers_in(app: Any) -> Iterator[SessionManager]:
    waiting, seen = [app], set[int]()
    while waiting and len(seen) < _FAR_ENOUGH:
        found = waiting.pop()
        if found is None or id(found) in seen:
            continue
        seen.add(id(found))
        if isinstance(found, SessionMiddleware):
            yield found.manager
        for middleware in getattr(found, "user_middleware", ()):
            if isinstance(middleware.cls, type) and issubclass(middleware.cls, SessionMiddleware):
                yield middleware.kwargs.get("manager") or middleware.args[0]
        waiting += [getattr(found, name, None) for name in _INSIDE]
        waiting += getattr(found, "routes", None) or ()
