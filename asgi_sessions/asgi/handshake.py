"""What a server can do with a WebSocket's handshake, as far as its scope tells."""

import re
from collections.abc import MutableMapping
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

DENIAL = "websocket.http.response"
"""The extension of ASGI by which a server lets a handshake be answered with a response."""

_HEADERS_SINCE = (2, 1)  # of the specification of WebSockets in ASGI: before, an acceptance has no headers
_VERSION = re.compile(r"([0-9]{1,9})\.([0-9]{1,9})")
_GRANIAN = "http.response.pathsend"
_GRANIAN_DENIES = (2, 8, 9)


def can_deny(scope: MutableMapping[str, Any]) -> bool:
    """Whether the server lets this handshake be answered with a response that sets or clears cookies.

    granian before 2.8.9 does not survive a response with two headers of one name.
    """
    extensions = scope.get("extensions") or {}
    return DENIAL in extensions and (_GRANIAN not in extensions or _granian() >= _GRANIAN_DENIES)


def accepts_with_headers(scope: MutableMapping[str, Any]) -> bool:
    """Whether headers of ``websocket.accept`` reach the client.

    daphne names no version of the specification that has them, and drops them. granian names one and drops them all the
    same, without a word; it alone lists an extension of HTTP responses in the scope of a WebSocket.
    """
    if _GRANIAN in (scope.get("extensions") or {}):
        return False
    asgi = scope.get("asgi")
    if asgi is None:  # a test client: every server names its version
        return True
    named = _VERSION.match(asgi.get("spec_version", "2.0"))
    return named is None or (int(named[1]), int(named[2])) >= _HEADERS_SINCE


@cache
def _granian() -> tuple[int, ...]:
    """Its version; () where that is not to be found."""
    try:
        return tuple(int(part) for part in version("granian").split(".") if part.isdecimal())
    except PackageNotFoundError:
        return ()
