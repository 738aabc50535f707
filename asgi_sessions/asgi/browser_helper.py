"""The script for pages, as the routes serve it: ``asgi_sessions/browser/session.js``, which bundlers take as it is."""

from hashlib import sha256
from importlib.resources import files

from starlette.requests import Request
from starlette.responses import Response

_SCRIPT = files("asgi_sessions").joinpath("browser", "session.js").read_bytes()
_ETAG = f'"{sha256(_SCRIPT).hexdigest()[:16]}"'
_HEADERS = {
    # An hour, since the address does not change with the version: then the browser asks whether it has.
    "Cache-Control": "public, max-age=3600",
    "ETag": _ETAG,
    "X-Content-Type-Options": "nosniff",
}


def browser_helper(request: Request) -> Response:
    """The script, or 304 for a browser that has it (RFC 9110, section 13.1.2). It is the same for everybody."""
    known = {tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")}
    if known & {_ETAG, "*"}:
        return Response(status_code=304, headers=_HEADERS)
    return Response(_SCRIPT, media_type="text/javascript", headers=_HEADERS)
