"""Requests that a browser makes before anybody asks for their answer: pages that it fetches or renders ahead.

Nobody may ever look at the answer, and what happens until somebody does, such as a logout, does not show in it.
Browsers name such requests. A page that names its own so takes nothing but rights from them.
"""

from collections.abc import Iterable
from typing import Final

__all__ = ["PURPOSE_HEADERS", "is_speculative", "means_ahead"]

PURPOSE_HEADERS: Final = frozenset({b"sec-purpose", b"purpose", b"x-moz"})
"""In lower case. The first is the standard's (Fetch, section 3.7); the others are what browsers sent before it."""


def is_speculative(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Whether a request says so.

    Args:
        headers: ``scope["headers"]``: names are lower-case bytes (ASGI).
    """
    return means_ahead(value.decode("latin-1") for name, value in headers if name in PURPOSE_HEADERS)


def means_ahead(purposes: Iterable[str]) -> bool:
    """Whether one of these values is ``prefetch``, perhaps with parameters: ``prefetch;prerender``."""
    return any(purpose.partition(";")[0].strip().lower() == "prefetch" for purpose in purposes)
