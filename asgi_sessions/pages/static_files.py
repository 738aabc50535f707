"""The style sheet, the script and the icons: the same for everybody, so that browsers may keep them."""

from hashlib import sha256
from pathlib import Path
from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

__all__ = ["VERSIONS", "static_file"]

_FOLDER = Path(__file__).parent / "static"
_TYPES: Final = {
    "pages.css": "text/css; charset=utf-8",
    "pages.js": "text/javascript; charset=utf-8",
    "icons.svg": "image/svg+xml",
}
_CONTENTS: Final = {name: (_FOLDER / name).read_bytes() for name in _TYPES}
VERSIONS: Final = {name: sha256(content).hexdigest()[:12] for name, content in _CONTENTS.items()}
"""By name: what a URL ends with, so that a new version is asked for at once."""


async def static_file(request: Request) -> Response:
    """One of them. A URL with its version may be kept for ever.

    Raises:
        HTTPException: 404 where there is none of this name.
    """
    name = request.path_params["name"]
    if name not in _CONTENTS:
        raise HTTPException(404)
    current = request.query_params.get("v") == VERSIONS[name]
    headers = {
        "Cache-Control": "public, max-age=31536000, immutable" if current else "no-cache",
        "X-Content-Type-Options": "nosniff",
    }
    return Response(_CONTENTS[name], headers=headers, media_type=_TYPES[name])
