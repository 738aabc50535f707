"""HTML from the templates, with the headers that a page about somebody's account should have."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from fastapi import Request
from fastapi.responses import HTMLResponse, RedirectResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from example_app.notices import notice_text
from example_app.relative_time import relative_time
from example_app.sessions import MemberSession, sessions

_HEADERS = {
    "Cache-Control": "no-store",  # "back" after a logout shows nobody's devices
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self'; script-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}

_templates = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_templates.globals["close_code"] = sessions.settings.websocket_close_code
_templates.filters["relative"] = lambda moment: relative_time(moment, datetime.now(UTC))


def page(
    request: Request, template: str, session: MemberSession | None, *, status_code: int = 200, **values: Any
) -> HTMLResponse:
    """A page.

    Args:
        request: For its path and notice.
        template: The file's name.
        session: Whose page it is, None for nobody's.
        status_code: Of the response.
        **values: For the template.
    """
    html = _templates.get_template(template).render(
        path=request.url.path,
        here=request.url.path if request.method == "GET" else "/",
        notice=notice_text(request.query_params.get("notice"), request.query_params.get("count")),
        session=session,
        **values,
    )
    return HTMLResponse(html, status_code, _HEADERS)


def see_other(path: str, **query: str | int | None) -> RedirectResponse:
    """The answer to a form: go and GET that page."""
    given = {name: value for name, value in query.items() if value is not None}
    return RedirectResponse(f"{path}?{urlencode(given)}" if given else path, 303, {"Cache-Control": "no-store"})
