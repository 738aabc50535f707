"""Pages to drop into an application, for FastAPI and Starlette.

*Your devices* for users (`pages_router`, `pages_routes`), and everybody's sessions for administrators
(`administrators_router`, `administrators_routes`).

They need the extra ``pages``. Nothing else in the package imports them.
"""

from importlib.util import find_spec

_NEEDED = {"jinja2": "Jinja2", "babel": "Babel", "ua_parser": "ua-parser"}
if _missing := [title for module, title in _NEEDED.items() if find_spec(module) is None]:
    raise ImportError(
        f"asgi_sessions.pages needs {', '.join(_missing)}: install the extra, asgi-user-sessions[pages].",
        name="asgi_sessions.pages",
    )

from asgi_sessions.pages.labels import device_label  # noqa: E402 - only where the extra is installed
from asgi_sessions.pages.options import AdministratorsOptions, PagesOptions, SecurityNotice  # noqa: E402
from asgi_sessions.pages.routes import (  # noqa: E402
    administrators_router,
    administrators_routes,
    pages_router,
    pages_routes,
)

__all__ = [
    "AdministratorsOptions",
    "PagesOptions",
    "SecurityNotice",
    "administrators_router",
    "administrators_routes",
    "device_label",
    "pages_router",
    "pages_routes",
]
