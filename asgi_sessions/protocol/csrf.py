"""Whether a request was made by another site's page, from what the browser says about it.

The rule of Go's ``CrossOriginProtection`` (net/http/csrf.go), made stricter: see ``check``. No token is
needed, since ``Sec-Fetch-*`` and ``Origin`` are headers that no script can set.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import Final, TypeAlias

from asgi_sessions.errors import CsrfRejected
from asgi_sessions.protocol.origin import split_origin
from asgi_sessions.protocol.speculative import PURPOSE_HEADERS, means_ahead

__all__ = ["BROWSER_HEADERS", "EXEMPT", "Headers", "check", "is_form_of", "refresh_allowed"]

Text: TypeAlias = str | bytes
Headers: TypeAlias = Mapping[str, str] | Iterable[tuple[Text, Text]]

BROWSER_HEADERS: Final = PURPOSE_HEADERS | {b"origin", b"sec-fetch-site", b"sec-fetch-mode", b"sec-fetch-dest"}
"""The headers that are looked at, in lower case."""

# RFC 9110, section 9.2.1, without TRACE, which no browser sends.
EXEMPT: Final = frozenset({("http", "GET"), ("http", "HEAD"), ("http", "OPTIONS")})
"""The kinds of connection (ASGI's scope types) and their methods that pass `check` whatever their headers say."""
_OWN_SITES: Final = (["same-origin"], ["none"])

_SCHEMES: Final = {"http": "http", "ws": "http", "https": "https", "wss": "https"}


def check(
    *,
    method: str,
    scheme: str,
    host: Text | None,
    headers: Headers,
    trusted_origins: Collection[str],
    websocket: bool = False,
    require_origin: bool = False,
) -> None:
    """Refuse what another site's page has sent. Says nothing about whether the request carries a session.

    Safe methods pass. ``Sec-Fetch-Site: same-origin`` or ``none`` passes; any other value, or several, needs
    a trusted ``Origin``. Without that header, ``Origin`` must be the request's own or trusted. With neither,
    no browser sent it. A page that the browser fetches ahead has ``none`` as well, though a page has asked for it
    and no user: there that is no evidence. A WebSocket handshake is a GET that a page of any site may open, so there
    ``Origin`` comes first, which every browser sends. A header that is there twice is no evidence: browsers send
    one.

    Args:
        method: The request's method, upper case. Not looked at for WebSockets.
        scheme: ``http``, ``https``, ``ws`` or ``wss``.
        host: The ``Host`` header, with the port if there is one.
        headers: All headers, as a mapping or as pairs; names in any case.
        trusted_origins: Other origins that may send requests, as browsers write them: ``scheme://host[:port]``.
        websocket: Whether this is a WebSocket handshake.
        require_origin: Refuse requests with neither header, which scripts send.

    Raises:
        CsrfRejected: The request comes from another site or may come from one.

    Source: Fetch Metadata (W3C), section 2.3; ASVS 5.0, 3.5.1.
    """
    if ("websocket" if websocket else "http", method) in EXEMPT:
        return
    found = _browser_headers(headers)
    sites, origins = found["sec-fetch-site"], found["origin"]
    if websocket and origins:
        passed = _is_trusted(origins, trusted_origins) or _is_own(origins, scheme, host)
    elif sites:
        passed = _is_own_site(found) or _is_trusted(origins, trusted_origins)
    elif origins:
        passed = _is_trusted(origins, trusted_origins) or _is_own(origins, scheme, host)
    else:
        passed = not require_origin
    if not passed:
        raise CsrfRejected()


def is_form_of(origins: Collection[str], *, method: str, headers: Headers) -> bool:
    """Whether a page of one of these origins has sent the browser here by a form, as identity providers do.

    The browser goes to the answer (OAuth 2.0 Form Post Response Mode, SAML's HTTP POST binding); a script's fetch, with
    which a page would act behind the user's back, is none. Without ``Sec-Fetch-Mode`` (old browsers, plain http) the
    origin decides alone. ``null`` is the origin of any page that wishes so, and counts only where it is named.

    Args:
        origins: As browsers write them, or ``null``.
        method: The request's method, upper case; empty for a WebSocket.
        headers: All headers, as a mapping or as pairs; names in any case.
    """
    if method != "POST" or not origins:
        return False
    found = _browser_headers(headers)
    named = found["origin"]
    return len(named) == 1 and named[0] in origins and found["sec-fetch-mode"] in ([], ["navigate"])


def refresh_allowed(
    *, scheme: str, host: Text | None, headers: Headers, trusted_origins: Collection[str], embedded: bool = False
) -> bool:
    """Whether a request may renew the tokens by the way: never for an image, frame or fetch of another site.

    Such a request may lack the newer cookies or lose the answer's, and another site would decide when tokens
    rotate. A top-level navigation from there, a link that the user followed, may.

    Args:
        scheme: ``http``, ``https``, ``ws`` or ``wss``.
        host: The ``Host`` header, with the port if there is one.
        headers: All headers, as a mapping or as pairs; names in any case.
        trusted_origins: Other origins that may send requests.
        embedded: Whether the cookies are partitioned, so that a frame in another site's page has its own, and keeps
            what its answer sets: then its navigation may as well.
    """
    found = _browser_headers(headers)
    sites, origins = found["sec-fetch-site"], found["origin"]
    if _is_trusted(origins, trusted_origins):
        return True
    if not sites:
        # Plain http: no Sec-Fetch headers there, but a cross-origin fetch still sends its Origin.
        return not origins or _is_own(origins, scheme, host)
    if sites in (*_OWN_SITES, ["same-site"]):
        return True
    goes_to = (["document"], ["iframe"]) if embedded else (["document"],)
    return found["sec-fetch-mode"] == ["navigate"] and found["sec-fetch-dest"] in goes_to


def _browser_headers(headers: Headers) -> dict[str, list[str]]:
    """Every value of the headers that matter here, so that repeats are seen."""
    found: dict[str, list[str]] = {name.decode(): [] for name in BROWSER_HEADERS}
    pairs: Iterable[tuple[Text, Text]]
    multi_items = getattr(headers, "multi_items", None)  # Starlette's Headers keep repeats
    if callable(multi_items):
        pairs = multi_items()
    elif isinstance(headers, Mapping):
        pairs = headers.items()
    else:
        pairs = headers
    for name, value in pairs:
        values = found.get(_text(name).lower())
        if values is not None:
            values.append(_text(value))
    return found


def _text(value: Text | None) -> str:
    if isinstance(value, bytes):
        return value.decode("latin-1")
    return value or ""


def _is_own_site(found: Mapping[str, list[str]]) -> bool:
    sites = found["sec-fetch-site"]
    ahead = sites == ["none"] and means_ahead(value for name in PURPOSE_HEADERS for value in found[name.decode()])
    return sites in _OWN_SITES and not ahead


def _is_own(origins: list[str], scheme: str, host: Text | None) -> bool:
    known = _SCHEMES.get(scheme.lower())
    if known is None or len(origins) != 1:
        return False
    own = _normalised(f"{known}://{_text(host)}")  # None for a host that no browser could have asked for
    return own is not None and _normalised(origins[0]) == own


def _is_trusted(origins: list[str], trusted_origins: Collection[str]) -> bool:
    # Exactly as written: browsers send lower case and no default port, and a list of trust is no place for
    # guesses. "null" is every sandboxed frame and is never trusted, not even by a mistake in the list.
    return len(origins) == 1 and origins[0] != "null" and origins[0] in trusted_origins


def _normalised(origin: str) -> str | None:
    """An origin in lower case without its default port; None for what is no http origin (``null``)."""
    # ASCII first: lower() maps some other letters (the Kelvin sign) to ASCII ones.
    found = split_origin(origin.lower()) if origin.isascii() else None
    return None if found is None else f"{found.scheme}://{found.host}:{found.number}"
