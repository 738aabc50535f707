"""The pages as routes of Starlette, and as a router of FastAPI."""

from typing import TYPE_CHECKING, Unpack

from starlette.routing import Route

from asgi_sessions.asgi.fastapi_router import as_fastapi_router
from asgi_sessions.manager.manager import SessionManager
from asgi_sessions.pages.administration import ROOT, Administration, administrators
from asgi_sessions.pages.frame import Frame, Permission
from asgi_sessions.pages.live import LiveList
from asgi_sessions.pages.options import AdministratorsOptions, Configuration, PagesOptions
from asgi_sessions.pages.rendering import LIST
from asgi_sessions.pages.static_files import static_file
from asgi_sessions.pages.your_devices import YourDevices

if TYPE_CHECKING:
    from fastapi import APIRouter

__all__ = ["administrators_router", "administrators_routes", "pages_router", "pages_routes"]


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
    return as_fastapi_router(pages_routes(sessions, **options))


def administrators_routes(
    sessions: SessionManager, *, permission: Permission, **options: Unpack[AdministratorsOptions]
) -> list[Route]:
    """Make the administrators' pages for Starlette, below ``/sessions``: find others' sessions, and end them.

    ``Mount("/admin", routes=administrators_routes(sessions, permission=…))`` has ``/admin/sessions``. Each action is in
    the audit log with the administrator's user id and session.

    Args:
        sessions: The manager whose sessions are shown.
        permission: Lets administrators in: an async function of the request that returns the administrator's `Session`,
            or raises. `require_session(claims={"admin": True}, max_auth_age=900)` is one. It is asked for each page.
            Whoever acts as somebody else is refused in any case.
        **options: How the pages look, and what the application knows; see `AdministratorsOptions`.

    Returns:
        ``GET /sessions``, the pages below it that list and end sessions and tell of the worker, and the files that they
        load.

    Raises:
        TypeError, ValueError: An argument is wrong.
    """
    configuration = Configuration.of(options, AdministratorsOptions)
    frame = Frame(
        sessions,
        configuration,
        permission=administrators(permission),
        root=ROOT,
        error_template="administrators/error.html",
    )
    pages = Administration(frame)
    return [
        Route(f"/{ROOT}", frame.page(pages.start), methods=["GET"]),
        Route(f"/{ROOT}/found", frame.page(pages.found), methods=["GET"]),
        Route(f"/{ROOT}/end", frame.page(pages.ask_to_end), methods=["GET"]),
        Route(f"/{ROOT}/end", frame.page(pages.end), methods=["POST"]),
        Route(f"/{ROOT}/end-all", frame.page(pages.ask_to_end_all), methods=["GET"]),
        Route(f"/{ROOT}/end-all", frame.page(pages.end_all), methods=["POST"]),
        Route(f"/{ROOT}/worker", frame.page(pages.worker), methods=["GET"]),
        Route(f"/{ROOT}/static/{{name}}", static_file, methods=["GET"]),
    ]


def administrators_router(
    sessions: SessionManager, *, permission: Permission, **options: Unpack[AdministratorsOptions]
) -> "APIRouter":
    """Make the administrators' pages for FastAPI: ``app.include_router(…, prefix="/admin")`` has ``/admin/sessions``.

    The arguments and errors are those of `administrators_routes`. The pages are not in the OpenAPI document.
    """
    return as_fastapi_router(administrators_routes(sessions, permission=permission, **options))
