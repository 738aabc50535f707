"""A response's headers with ours: what caches are told, and what the old browser client can read."""

from collections.abc import Iterable

RawHeaders = list[tuple[bytes, bytes]]

# Cache-Control does not bind a cache that knows a field for it alone (RFC 9213, section 2.2): those of content delivery
# networks end in -Cache-Control, or are one of these (Fastly, Varnish and Akamai; Akamai; nginx; HTTP/1.0).
_CACHE_FIELDS = frozenset({b"cache-control", b"surrogate-control", b"edge-control", b"x-accel-expires", b"expires"})
_NOT_STORED = ((b"cache-control", b"no-store"), (b"cdn-cache-control", b"no-store"))
_OF_BROWSERS = frozenset({b"cache-control", b"expires"})
"""The fields by which an application tells browsers how to store a response."""
THEIRS = _OF_BROWSERS | {b"vary"}
"""The application's own fields of which ours depend. A response with none of them gets `CacheHeaders.default`."""


class CacheHeaders:
    """What caches are told of a response whose application has asked for the session, or which sets tokens.

    Args:
        names: The request headers that say who it is.
        cache_control: What caches may do with a response of which the application says nothing; None for what they
            will.

    Attributes:
        default: What is added where the application says nothing, at hand for what each request needs.
    """

    __slots__ = ("_cache_control", "_names", "default")

    def __init__(self, names: Iterable[str], cache_control: str | None) -> None:
        self._names = [name.encode() for name in names]
        vary = (b"vary", b", ".join(self._names))
        self._cache_control = () if cache_control is None else ((b"cache-control", cache_control.encode()),)
        self.default = (vary, *self._cache_control)

    def vary(self, headers: RawHeaders) -> None:
        """Let a response's headers name all of what it depends on, and nothing twice."""
        theirs = [value for name, value in headers if name.lower() == b"vary"]
        named = {part.strip().lower() for value in theirs for part in value.split(b",")}
        missing = [name for name in self._names if name.lower() not in named]
        if missing and b"*" not in named:
            headers.append((b"vary", b", ".join(missing)))

    def keep_private(self, headers: RawHeaders) -> None:
        """Say how a response may be stored, unless the application has said so."""
        if not any(name.lower() in _OF_BROWSERS for name, _ in headers):
            headers.extend(self._cache_control)


def with_ours(
    theirs: Iterable[tuple[bytes, bytes]], ours: RawHeaders, caches: CacheHeaders, *, looked: bool
) -> RawHeaders:
    """The headers of a response: the application's and ours.

    No cache keeps a response that hands out or clears tokens, whatever the application says to caches.

    Args:
        theirs: The application's.
        ours: Those that hand out or clear tokens, and what belongs to them.
        caches: What caches are told.
        looked: Whether the application has asked for the session, so that the response may be for one user alone.
    """
    headers = list(theirs)
    sets = any(name == b"set-cookie" or name.startswith(b"st-") for name, _ in ours)
    if sets:
        headers = [header for header in headers if not _allows_storing(header[0].lower())]
        ours = [*ours, *_NOT_STORED]
    if looked or sets:
        caches.vary(headers)
    if looked and not sets:
        caches.keep_private(headers)
    return _exposed_once([*headers, *ours]) if ours else headers


def not_stored(theirs: Iterable[tuple[bytes, bytes]]) -> RawHeaders:
    """The headers of a response that no cache is to keep, unless its own say what caches may do."""
    headers = list(theirs)
    if not any(name.lower() in _OF_BROWSERS for name, _ in headers):
        headers.append(_NOT_STORED[0])
    return headers


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
