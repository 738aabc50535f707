"""How the origins of other pages are read: exactly as browsers write them, or not at all."""

import re
from ipaddress import AddressValueError, IPv6Address
from typing import Final

from asgi_sessions.protocol.origin import split_origin

__all__ = ["read_origin"]

_LONGEST_HOST: Final = 253  # RFC 1035, section 2.3.4
_MOST_PORTS: Final = 65_535
_APP: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://([A-Za-z0-9._-]+)(?::([0-9]{1,5}))?")
# Browsers write "null" for pages of these; ws:, wss: and ftp: are no pages'.
_NO_PAGES_OWN: Final = {"about", "blob", "data", "file", "filesystem", "ftp", "javascript", "ws", "wss"}

_WANTED: Final = (
    'each must be an exact origin such as "https://app.example.com", "http://localhost:3000" or '
    '"capacitor://localhost": no path (not even a slash), no wildcard, international names as xn--, no scheme whose '
    "pages have no origin of their own (file, data, ws)"
)


def read_origin(value: object) -> str:
    """An origin as browsers write it.

    The hosts of http and https are in lower case there, and a default port is left out. Of an application's own scheme
    (the Fetch standard and the URL standard: not "special") the scheme alone is; its host is as the application has it.

    Raises:
        ValueError: It is none, or not exactly one.
    """
    text = value.strip() if isinstance(value, str) else ""
    return _web(text) if text.lower().startswith(("http:", "https:")) else _of_an_application(text)


def _web(text: str) -> str:
    found = split_origin(text.lower()) if text.isascii() else None
    if found is None or len(found.host) > _LONGEST_HOST or found.port == "" or not 0 < found.number <= _MOST_PORTS:
        raise ValueError(_WANTED)
    host = found.host
    if host.startswith("["):
        try:
            host = f"[{IPv6Address(host[1:-1]).compressed}]"
        except AddressValueError:
            raise ValueError(_WANTED) from None
    return f"{found.scheme}://{host}" if found.has_default_port else f"{found.scheme}://{host}:{found.number}"


def _of_an_application(text: str) -> str:
    match = _APP.fullmatch(text)
    if match is None or match[1].lower() in _NO_PAGES_OWN or len(match[2]) > _LONGEST_HOST:
        raise ValueError(_WANTED)
    origin = f"{match[1].lower()}://{match[2]}"
    if match[3] is None:
        return origin
    if not 0 < int(match[3]) <= _MOST_PORTS:
        raise ValueError(_WANTED)
    return f"{origin}:{int(match[3])}"
