"""Pages to drop into an application: *Your devices*, for FastAPI (`pages_router`) and Starlette (`pages_routes`).

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
from asgi_sessions.pages.options import PagesOptions, SecurityNotice  # noqa: E402
from asgi_sessions.pages.routes import pages_router, pages_routes  # noqa: E402

__all__ = ["PagesOptions", "SecurityNotice", "device_label", "pages_router", "pages_routes"]
