"""The pages as routes of Starlette, and as a router of FastAPI."""

from typing import TYPE_CHECKING, Unpack

from starlette.routing import Route

from asgi_sessions.manager.manager import SessionManager
from asgi_sessions.pages.frame import Frame
from asgi_sessions.pages.live import LiveList
from asgi_sessions.pages.options import Configuration, PagesOptions
from asgi_sessions.pages.rendering import LIST
from asgi_sessions.pages.static_files import static_file
from asgi_sessions.pages.your_devices import YourDevices

if TYPE_CHECKING:
    from fastapi import APIRouter

__all__ = ["pages_router", "pages_routes"]


def pages_routes(sessions: SessionManager, **options: Unpack[PagesOptions]) -> list[Route]:
    """Make *Your devices* for Starlette: ``Mount("/account", routes=pages_routes(sessions))`` has ``/account/devices``.

    Args:
        sessions: The manager of the `SessionMiddleware` around the routes.
        **options: How the pages look, and what the application knows; see `PagesOptions`.

    Returns:
        ``GET /devices``, the pages below it that log out and rename, the style sheet, script and icons that they load,
        and an event stream that tells of changes.

    Raises:
        TypeError, ValueError: An option is wrong.
    """
    frame = Frame(sessions, Configuration.of(options))
    pages = YourDevices(frame)
    live = LiveList(sessions)
    return [
        Route(f"/{LIST}", frame.page(pages.devices), methods=["GET"]),
        Route(f"/{LIST}/log-out", frame.page(pages.ask_to_log_out), methods=["GET"]),
        Route(f"/{LIST}/log-out", frame.page(pages.log_out), methods=["POST"]),
        Route(f"/{LIST}/log-out-others", frame.page(pages.ask_to_log_out_others), methods=["GET"]),
        Route(f"/{LIST}/log-out-others", frame.page(pages.log_out_others), methods=["POST"]),
        Route(f"/{LIST}/rename", frame.page(pages.ask_for_a_name), methods=["GET"]),
        Route(f"/{LIST}/rename", frame.page(pages.rename), methods=["POST"]),
        Route(f"/{LIST}/news", live.endpoint, methods=["GET"]),
        Route(f"/{LIST}/static/{{name}}", static_file, methods=["GET"]),
    ]


def pages_router(sessions: SessionManager, **options: Unpack[PagesOptions]) -> "APIRouter":
    """Make *Your devices* for FastAPI: ``app.include_router(pages_router(sessions), prefix="/account")``.

    The arguments and errors are those of `pages_routes`. The pages are not in the OpenAPI document.
    """
    from fastapi import APIRouter  # noqa: PLC0415 - Starlette alone is enough for the others

    router = APIRouter(include_in_schema=False)
    for route in pages_routes(sessions, **options):
        router.add_route(route.path, route.endpoint, methods=list(route.methods or ()), include_in_schema=False)
    return router
