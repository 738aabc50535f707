"""A response's headers with ours: what caches are told, and what the old browser client can read."""

from collections.abc import Iterable

RawHeaders = list[tuple[bytes, bytes]]

# Cache-Control does not bind a cache that knows a field for it alone (RFC 9213, section 2.2): those of content delivery
# networks end in -Cache-Control, or are one of these (Fastly, Varnish and Akamai; Akamai; nginx; HTTP/1.0).
_CACHE_FIELDS = frozenset({b"cache-control", b"surrogate-control", b"edge-control", b"x-accel-expires", b"expires"})
_NOT_STORED = ((b"cache-control", b"no-store"), (b"cdn-cache-control", b"no-store"))


class Vary:
    """What a response depends on whose application has asked for the session, or which sets tokens.

    Args:
        names: The request headers that say who it is.

    Attributes:
        header: What `add` appends to a response that names no Vary itself.
    """

    __slots__ = ("_names", "header")

    def __init__(self, *names: str) -> None:
        self._names = [name.encode() for name in names]
        self.header = (b"vary", b", ".join(self._names))

    def add(self, headers: RawHeaders) -> None:
        """Let a response's headers name all of it, and nothing twice."""
        theirs = [value for name, value in headers if name.lower() == b"vary"]
        named = {part.strip().lower() for value in theirs for part in value.split(b",")}
        missing = [name for name in self._names if name.lower() not in named]
        if missing and b"*" not in named:
            headers.append((b"vary", b", ".join(missing)))


def with_ours(theirs: Iterable[tuple[bytes, bytes]], ours: RawHeaders, vary: Vary, *, looked: bool) -> RawHeaders:
    """The headers of a response: the application's and ours.

    No cache keeps a response that hands out or clears tokens, whatever the application says to caches.

    Args:
        theirs: The application's.
        ours: Those that hand out or clear tokens, and what belongs to them.
        vary: What the response depends on.
        looked: Whether the application has asked for the session, so that caches must tell users apart.
    """
    headers = list(theirs)
    sets = any(name == b"set-cookie" or name.startswith(b"st-") for name, _ in ours)
    if sets:
        headers = [header for header in headers if not _allows_storing(header[0].lower())]
        ours = [*ours, *_NOT_STORED]
    if looked or sets:
        vary.add(headers)
    return _exposed_once([*headers, *ours]) if ours else headers


def _allows_storing(name: bytes) -> bool:
    return name in _CACHE_FIELDS or name.endswith(b"-cache-control")


def _exposed_once(headers: RawHeaders) -> RawHeaders:
    """One Access-Control-Expose-Headers, no name twice: the old browser client reads only the first."""
    exposing = [value for name, value in headers if name.lower() == b"access-control-expose-headers"]
    if len(exposing) < 2:
        return headers
    names = dict.fromkeys(part.strip() for value in exposing for part in value.split(b","))
    others = [header for header in headers if header[0].lower() != b"access-control-expose-headers"]
    return [*others, (b"access-control-expose-headers", b", ".join(names))]
