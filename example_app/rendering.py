"""HTML from the templates, with the headers that a page about somebody's account should have."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from fastapi import Request
from fastapi.responses import HTMLResponse, RedirectResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from example_app.company import company
from example_app.head import GUEST_LINKS, links_of
from example_app.notices import in_words, notices
from example_app.relative_time import relative_time
from example_app.sessions import MemberSession, sessions

_HEADERS = {
    "Cache-Control": "no-store",  # "back" after a logout shows nobody's devices
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self'; script-src 'self'; connect-src 'self'; "
        "form-action 'self'{company}; base-uri 'none'; frame-ancestors 'none'"
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
_templates.globals["with_company"] = company is not None
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
    notice = notices.read(request)
    html = _templates.get_template(template).render(
        path=request.url.path,
        here=request.url.path if request.method == "GET" else "/",
        notice=notice and in_words(notice),
        session=session,
        links=links_of(session) if session else GUEST_LINKS,
        **values,
    )
    response = HTMLResponse(html, status_code, _headers())
    notices.clear(request, response)
    return response


def _headers() -> dict[str, str]:
    """The form for logging out may lead to the company's provider."""
    origin = f" {company.origin}" if company else ""
    return {name: value.format(company=origin) for name, value in _HEADERS.items()}


def see_other(
    request: Request,
    path: str,
    *,
    next: str | None = None,  # noqa: A002  # the parameter's name
    notice: str | None = None,
    count: int | None = None,
) -> RedirectResponse:
    """The answer to a form: go and GET that page.

    Args:
        request: Which is answered.
        path: Of the page.
        next: Where that page leads in the end.
        notice: What the page is to say: a code of notices.py.
        count: Of how many it tells.
    """
    location = path if next is None else f"{path}?{urlencode({'next': next})}"
    response = RedirectResponse(location, 303, {"Cache-Control": "no-store"})
    if notice is not None:
        notices.leave(request, response, notice, count)
    return response
