"""A form acts for whom it was shown to: what a request says of the session that its page was made for."""

from typing import Any, Final
from urllib.parse import parse_qs

from starlette.requests import ClientDisconnect, Request
from starlette.types import Message

from asgi_sessions.asgi.credentials import header_values
from asgi_sessions.asgi.header_names import FORM_TAG_HEADER
from asgi_sessions.errors import ConfigurationError, FormForAnotherSession
from asgi_sessions.manager.connection import ASGIConnection
from asgi_sessions.manager.session import Session
from asgi_sessions.protocol.csrf import EXEMPT

__all__ = ["FIELD", "LARGEST_FORM", "require_form_of"]

FIELD: Final = "form_tag"
"""The name of the form's field."""
LARGEST_FORM: Final = 1024 * 1024
"""Bytes of a body that is read for the field."""
_MOST_FIELDS: Final = 1000

_A_SOCKET_HAS_NO_FORM = (
    "require_session(form_tag=True) is for requests: a WebSocket's handshake has no form. Take the route out of what "
    "requires it, and compare session.form_tag with what the page sends."
)


async def require_form_of(session: Session[Any, Any], connection: ASGIConnection) -> None:
    """Raise unless a request that may change something names this session as the one that its page was made for.

    The tag is no secret, so nothing is gained by comparing in constant time.

    Raises:
        FormForAnotherSession: It names another, several, or none.
        ConfigurationError: It is a WebSocket.
    """
    scope = connection.scope
    if scope["type"] == "websocket":
        raise ConfigurationError(_A_SOCKET_HAS_NO_FORM)
    if (scope["type"], scope["method"]) in EXEMPT:
        return
    named = header_values(scope["headers"], FORM_TAG_HEADER)
    if not named and isinstance(connection, Request):
        named = await _fields(connection)
    if not named or any(tag != session.form_tag for tag in named):
        raise FormForAnotherSession(session.session_handle)


async def _fields(request: Request) -> list[Any]:
    """Every value of the field; none where the body is no form, cannot be read, or is too large.

    The route can read the form, or the body, as if nobody had.
    """
    form = getattr(request, "_form", None)  # FastAPI, or the route, has read it: of whatever size
    if form is not None:
        return list(form.getlist(FIELD))
    kinds = header_values(request.scope["headers"], b"content-type")
    kind = kinds[0].partition(";")[0].strip().lower() if len(kinds) == 1 else ""
    if kind not in {"application/x-www-form-urlencoded", "multipart/form-data"} or not _is_small(request):
        return []
    try:
        body = await request.body()
    except (ClientDisconnect, RuntimeError):  # RuntimeError: the application has read the stream itself
        return []
    return await (_of_urlencoded(body) if kind.startswith("application") else _of_multipart(request, body))


def _is_small(request: Request) -> bool:
    """Whether the request says how long its body is, which the server then sees to, and that is not too long."""
    headers = request.scope["headers"]
    lengths = header_values(headers, b"content-length")
    if len(lengths) != 1 or header_values(headers, b"transfer-encoding"):  # which overrules the length
        return False
    (length,) = lengths
    return length.isascii() and length.isdigit() and len(length) < 10 and int(length) <= LARGEST_FORM


async def _of_urlencoded(body: bytes) -> list[Any]:
    try:  # python-multipart, which Starlette's parser wants, is not needed for this
        fields = parse_qs(body.decode("latin-1"), keep_blank_values=True, max_num_fields=_MOST_FIELDS)
    except ValueError:  # more of them
        return []
    return list(fields.get(FIELD, ()))


async def _of_multipart(request: Request, body: bytes) -> list[Any]:
    async def receive() -> Message:
        return {"type": "http.request", "body": body}

    # A request of its own: the route's keeps its limits, its files and its errors.
    try:
        async with Request(request.scope, receive).form(max_files=_MOST_FIELDS, max_fields=_MOST_FIELDS) as form:
            return list(form.getlist(FIELD))
    except Exception:  # which errors a broken body raises depends on the versions of Starlette and python-multipart
        return []
