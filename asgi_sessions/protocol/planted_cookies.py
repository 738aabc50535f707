"""Clears cookies that somebody else has set beside ours under the same name.

A request says nothing of a cookie but its name and value. Which domains and paths it can have come from is known: those
that match the request (RFC 6265, sections 5.1.3 and 5.1.4). Clearing all of them but ours leaves ours. A cookie that
was set with ``Partitioned`` is another one beside that without (CHIPS).
"""

import re
from collections.abc import Collection, Iterator

from asgi_sessions.protocol.cookies import CookieSpec

__all__ = ["MOST", "clear_planted"]

MOST = 80
"""Headers for one name: a path of any number of parts must not make an answer that proxies refuse."""

_HOST = re.compile(r"(?=.{1,253}\Z)[a-z0-9_-]+(?:\.[a-z0-9_-]+)*\.?")
_PATH = re.compile(r"/[!-:<-~]{0,200}")


def clear_planted(name: str, host: str, path: str, kept: Collection[CookieSpec]) -> list[bytes]:
    """``Set-Cookie`` values that clear every cookie of a name that comes with such a request, but ours.

    Args:
        name: The cookies'.
        host: The request's Host header, whatever it is.
        path: The request's path as the browser sees it; where it is no plain text only the path ``/`` is looked at.
        kept: The cookies to keep.

    Returns:
        At most ``MOST``, those of the widest domains and the shortest paths first, where most cookies are.
    """
    if name.lower().startswith("__host-"):
        return []  # nobody but this host sets them; with __Http- alone a sibling's server can, for the whole domain
    ours = {(cookie.domain, cookie.path) for cookie in kept if cookie.name == name}
    secure = any(cookie.secure for cookie in kept)
    found: list[str] = []
    for each in _paths(path):
        for domain in _domains(host):
            # Not at our places: browsers that do not know Partitioned would clear ours. One such cookie may stay there.
            if (domain, each) not in ours:
                cleared = f"{name}=;{f' Domain={domain};' if domain else ''} Path={each}; Max-Age=0"
                found += [f"{cleared}; Secure", f"{cleared}; Secure; Partitioned"] if secure else [cleared]
    return [line.encode("ascii") for line in found[:MOST]]


def _domains(host: str) -> Iterator[str | None]:
    """Every domain whose cookies come to this host; None for the host alone."""
    labels = host.lower().partition(":")[0].rstrip(".").split(".")
    known = _HOST.fullmatch(".".join(labels)) is not None and not labels[-1].isdigit()
    # Not the last label alone: browsers take no cookie for a whole top-level domain.
    for start in range(len(labels) - 2, -1, -1) if known else ():
        yield ".".join(labels[start:])
    yield None


def _paths(path: str) -> Iterator[str]:
    """Every path whose cookies come to this one."""
    yield "/"
    if not _PATH.fullmatch(path) or path == "/":
        return
    parts = path.strip("/").split("/")
    for end in range(1, len(parts) + 1):
        yield "/" + "/".join(parts[:end])
        if end < len(parts) or path.endswith("/"):
            yield "/" + "/".join(parts[:end]) + "/"
