"""Which requests are background requests: those that a page makes by itself, and that do not extend the session."""

from collections.abc import Collection
from typing import Any

from asgi_sessions.asgi.credentials import header_values
from asgi_sessions.asgi.header_names import BACKGROUND_HEADER
from asgi_sessions.asgi.transport import request_path
from asgi_sessions.protocol.cookies import path_matches
from asgi_sessions.protocol.speculative import PURPOSE_HEADERS, is_speculative

__all__ = ["is_background"]

_TELLING = PURPOSE_HEADERS | {BACKGROUND_HEADER, b"accept"}


def is_background(scope: Any, paths: Collection[str]) -> bool:
    """Whether a connection is a background request, as far as that can be seen by itself.

    A WebSocket and an event stream are: a page opens them, and opens them again when the network comes back, whether
    anybody is there or not. So is what a browser fetches ahead. A client that says so of a request of its own shortens
    its own session alone.

    Args:
        scope: The connection's.
        paths: The setting ``background_paths``.
    """
    if scope["type"] == "websocket":
        return True
    headers = [header for header in scope["headers"] if header[0] in _TELLING]
    if header_values(headers, BACKGROUND_HEADER) == ["1"] or is_speculative(headers):
        return True
    # As EventSource asks. A form's answer that is streamed (POST) is for somebody who has just sent it.
    if scope.get("method") == "GET" and _media_types(header_values(headers, b"accept")) == ["text/event-stream"]:
        return True
    path = request_path(scope)
    return any(path_matches(path, prefix) for prefix in paths)


def _media_types(accept: list[str]) -> list[str]:
    return [part.partition(";")[0].strip().lower() for value in accept for part in value.split(",")]
