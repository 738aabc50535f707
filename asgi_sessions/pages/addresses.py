"""The application's own addresses, as links and as goals of redirects."""

from urllib.parse import quote

from starlette.requests import Request

from asgi_sessions.pages.options import Address
from asgi_sessions.pages.rendering import LIST

__all__ = ["address_of", "with_return"]


def address_of(address: Address | None, request: Request) -> str | None:
    """The URL that an option gives for a request."""
    return address(request) if callable(address) else address


def with_return(url: str, request: Request, root: str = LIST) -> str:
    """The URL with ``next``: the path of the list of devices, or another root, to which the user wants to return."""
    path = request.url.path
    if not path.endswith(f"/{root}"):
        path = path[: path.rindex(f"/{root}/") + 1 + len(root)]
    address, mark, fragment = url.partition("#")
    return f"{address}{'&' if '?' in address else '?'}next={quote(path, safe='/')}{mark}{fragment}"
