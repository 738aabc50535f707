"""A request's whole body, of one media type, and bounded: for our own pages and receivers."""

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request

__all__ = ["whole_body"]

LONGEST_BODY = 64 * 1024


async def whole_body(request: Request, kind: str, *, untyped: bool, what: str) -> bytes:
    """The body.

    Args:
        request: Whose body nobody has read.
        kind: The media type, in lower case; its parameters do not matter.
        untyped: Whether a body without a Content-Type is taken for one of that type.
        what: What it should be, for errors.

    Raises:
        HTTPException: 400, 413 or 415: it is none of ours.
    """
    given = request.headers.get("content-type", kind if untyped else "").partition(";")[0].strip().lower()
    if given != kind:
        raise HTTPException(415, f"Send a {what}.")
    body = bytearray()
    try:
        async for part in request.stream():
            body += part
            if len(body) > LONGEST_BODY:
                raise HTTPException(413, f"The {what} is too long.")
    except ClientDisconnect:
        raise HTTPException(400, f"The {what} has not come whole.") from None
    return bytes(body)
