"""What a form of the pages has sent."""

from urllib.parse import parse_qs

from starlette.exceptions import HTTPException
from starlette.requests import Request

__all__ = ["MOST_FIELDS", "submitted"]

MOST_FIELDS = 1000
LONGEST_BODY = 64 * 1024
_TYPE = "application/x-www-form-urlencoded"


async def submitted(request: Request) -> dict[str, list[str]]:
    """The fields, each with all its values.

    Raises:
        HTTPException: 400, 413 or 415: it is no form, or no form of ours.
    """
    if request.headers.get("content-type", _TYPE).partition(";")[0].strip().lower() != _TYPE:
        raise HTTPException(415, "Send a form.")
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > LONGEST_BODY:
            raise HTTPException(413, "The form is too long.")
    try:
        fields = parse_qs(body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=MOST_FIELDS)
    except ValueError:
        raise HTTPException(400, "This is no form.") from None
    return fields
