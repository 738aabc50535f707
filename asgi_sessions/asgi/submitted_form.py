"""What a form has sent, read without python-multipart: for our own pages and receivers."""

from urllib.parse import parse_qs

from starlette.exceptions import HTTPException
from starlette.requests import Request

from asgi_sessions.asgi.submitted_body import whole_body

__all__ = ["submitted"]

MOST_FIELDS = 1000
_TYPE = "application/x-www-form-urlencoded"


async def submitted(request: Request, *, untyped: bool = True, most_fields: int = MOST_FIELDS) -> dict[str, list[str]]:
    """The fields, each with all its values.

    Args:
        request: Whose body nobody has read.
        untyped: Whether a body without a Content-Type is taken for a form.
        most_fields: How many there may be.

    Raises:
        HTTPException: 400, 413 or 415: it is no form, or no form of ours.
    """
    body = await whole_body(request, _TYPE, untyped=untyped, what="form")
    try:
        return parse_qs(body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=most_fields)
    except ValueError:
        raise HTTPException(400, "This is no form.") from None
