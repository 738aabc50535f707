"""Cookies as they come in and go out: reading loses no repeated value, writing lets only cookies through."""

import re
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

__all__ = [
    "ACCESS_COOKIE",
    "ID_REFRESH_COOKIE",
    "MAX_SIZE",
    "REFRESH_COOKIE",
    "RETRY_COOKIE",
    "CookieSpec",
    "SameSite",
    "only_value",
    "parse",
    "path_matches",
    "prefixed_name",
    "values",
]

ACCESS_COOKIE: Final = "sAccessToken"
REFRESH_COOKIE: Final = "sRefreshToken"
ID_REFRESH_COOKIE: Final = "sIdRefreshToken"
RETRY_COOKIE: Final = "sRetryMarker"

MAX_SIZE: Final = 4096
"""Bytes of name and value together; browsers drop larger cookies silently (RFC 6265bis, section 5.6)."""

SameSite: TypeAlias = Literal["lax", "strict", "none"]

_HOST: Final = "__Host-"
_SECURE: Final = "__Secure-"
# The prefixes that take HttpOnly besides, and those that do for a cookie which scripts read.
_FOR_SCRIPTS: Final = {"__host-http-": "__Host-", "__http-": "__Secure-"}
_GUARDED: Final = (_HOST.lower(), _SECURE.lower(), *_FOR_SCRIPTS)

_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110 token
_VALUE: Final = re.compile(r"[\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]*")  # RFC 6265, cookie-octet
_PATH: Final = re.compile(r"/[\x20-\x3a\x3c-\x7e]{0,1023}")  # browsers ignore attributes above 1024 bytes
_DOMAIN: Final = re.compile(r"\.?[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*")

_SPACE: Final = " \t"

_DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_LAST_SECOND: Final = 253_402_300_799  # of the year 9999: the format has four digits for it


def parse(header_values: Iterable[str | bytes]) -> dict[str, list[str]]:
    """Every value of every cookie, in the order of the headers.

    Browsers send one name several times when cookies of several paths or domains match, and nothing tells
    which is which: taking the first or last would let a subdomain choose (RFC 6265, section 8.6). Nothing is
    unquoted.

    Args:
        header_values: The values of all ``Cookie`` headers, or one of them. Nothing is refused.

    Returns:
        The values by name. A cookie without ``=`` has the name ``""``.
    """
    if isinstance(header_values, str | bytes):
        header_values = (header_values,)
    found: dict[str, list[str]] = {}
    for header in header_values:
        text = header.decode("latin-1") if isinstance(header, bytes) else header
        for piece in text.split(";"):
            if piece.strip(_SPACE):
                name, value = _cookie(piece)
                found.setdefault(name, []).append(value)
    return found


def values(raw_headers: Iterable[tuple[bytes, bytes]], name: bytes) -> list[str]:
    """Every value of one cookie, as ``parse`` gives them, without taking the other cookies apart.

    Args:
        raw_headers: ``scope["headers"]``: names are lower-case bytes (ASGI).
        name: The cookie's name, which is not empty.
    """
    wanted = name.decode("latin-1")
    found: list[str] = []
    for header, text in raw_headers:
        position = text.find(name) if header == b"cookie" else -1
        while position >= 0:
            # The name may be a part of another name or of a value. Each piece between two semicolons is looked at
            # once, so that no header makes this slower than linear.
            end = text.find(b";", position)
            end = len(text) if end < 0 else end
            of_piece, value = _cookie(text[text.rfind(b";", 0, position) + 1 : end].decode("latin-1"))
            if of_piece == wanted:
                found.append(value)
            position = text.find(name, end)
    return found


def _cookie(piece: str) -> tuple[str, str]:
    """The name and the value of what stands between two semicolons; without an equals sign the name is empty."""
    name, equals, value = piece.partition("=")
    return (name.strip(_SPACE), value.strip(_SPACE)) if equals else ("", piece.strip(_SPACE))


def only_value(raw_headers: Iterable[tuple[bytes, bytes]], names: Sequence[bytes]) -> bytes | None:
    """The value of a cookie that is there once, written as browsers write it.

    A value that this finds is the only one that ``values`` finds, which costs several times as much.

    Args:
        raw_headers: As in ``values``.
        names: The cookie's name, then those of others that matter where this one is missing.

    Returns:
        The value; empty where the request certainly has none of the cookies. None where ``values`` has to be asked.
    """
    text = crumbs = None
    for header, value in raw_headers:
        if header == b"cookie":
            if text is None:
                text = value
            elif crumbs is None:  # HTTP/2 sends one header for each cookie (RFC 9113, section 8.2.3)
                crumbs = [text, value]
            else:
                crumbs.append(value)
    if text is None:
        return b""
    if crumbs is not None:
        text = b"; ".join(crumbs)
    name = names[0]
    position = text.find(name)
    if position < 0:
        for other in names:
            if other in text:
                return None
        return b""
    after = position + len(name)
    if text[after : after + 1] != b"=" or text.rfind(name) > position:
        return None
    if position and text[position - 2 : position] != b"; ":
        return None
    end = text.find(b";", after)
    return text[after + 1 : len(text) if end < 0 else end].strip(b" \t") or None


def path_matches(path: str, cookie_path: str) -> bool:
    """Whether a browser sends a cookie of this path with a request to that one (RFC 6265, section 5.1.4)."""
    if path == cookie_path:
        return True
    return path.startswith(cookie_path) and (cookie_path.endswith("/") or path[len(cookie_path)] == "/")


def prefixed_name(
    name: str, prefix: str | None, *, secure: bool, domain: str | None, path: str, http_only: bool = True
) -> str:
    """The cookie's name behind its prefix.

    Args:
        name: The name without prefix.
        prefix: What to put before it, ``""`` for nothing. None chooses the strongest that the
            attributes allow: ``__Host-``, else ``__Secure-``, else nothing.
        secure: Whether the cookie is Secure.
        domain: Its Domain attribute, None for the host alone.
        path: Its Path attribute.
        http_only: Whether scripts cannot read it. If they can, ``__Host-`` stands in for ``__Host-Http-``, and
            ``__Secure-`` for ``__Http-``.

    Raises:
        ValueError: A browser would refuse the cookie, since the prefix demands other attributes.

    Source: RFC 6265bis, section 4.1.3.
    """
    if prefix is None:
        strongest = _HOST if domain is None and path == "/" else _SECURE
        prefix = strongest if secure else ""
    elif not http_only:
        taken = next((guarded for guarded in _FOR_SCRIPTS if prefix.lower().startswith(guarded)), "")
        prefix = _FOR_SCRIPTS.get(taken, "") + prefix[len(taken) :]
    _check_prefix(prefix + name, secure=secure, domain=domain, path=path, http_only=http_only)
    return prefix + name


def _check_prefix(name: str, *, secure: bool, domain: str | None, path: str, http_only: bool) -> None:
    lowered = name.lower()  # browsers compare prefixes without case
    if lowered.startswith(tuple(_FOR_SCRIPTS)) and not http_only:
        raise ValueError(f"cookie {name!r}: the prefix requires HttpOnly")
    if lowered.startswith(_GUARDED) and not secure:
        raise ValueError(f"cookie {name!r}: the prefix requires Secure")
    if lowered.startswith(_HOST.lower()) and (domain is not None or path != "/"):
        raise ValueError(f"cookie {name!r}: the prefix requires the path / and no domain")


@dataclass(frozen=True, slots=True, kw_only=True)
class CookieSpec:
    """All of a cookie but its value: what is set and what is cleared differ in nothing else.

    Attributes:
        name: The whole name, prefix included.
        path: The path as the browser sees it.
        domain: The Domain attribute; None leaves it out, so that only this host gets the cookie.
        secure: Whether it is sent over https only.
        samesite: ``lax``, ``strict`` or ``none``.
        http_only: Whether scripts cannot read it.
        partitioned: Whether browsers keep it apart for each site in whose pages this one is embedded (CHIPS). One of
            the same name without that is another cookie.

    Raises:
        ValueError: A browser would refuse the cookie, or an attribute could break out of the header.
    """

    name: str
    path: str = "/"
    domain: str | None = None
    secure: bool = True
    samesite: SameSite = "lax"
    http_only: bool = True
    partitioned: bool = False
    _middle: str = field(init=False, repr=False, compare=False)
    _end: str = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ValueError("a cookie's name must be letters, digits and !#$%&'*+-.^_`|~")
        if not _PATH.fullmatch(self.path):
            raise ValueError(f"cookie {self.name!r}: the path must be printable ASCII that begins with /")
        if self.domain is not None and not _DOMAIN.fullmatch(self.domain):
            raise ValueError(f"cookie {self.name!r}: the domain is not a host name")
        if self.samesite not in ("lax", "strict", "none"):
            raise ValueError(f"cookie {self.name!r}: samesite must be lax, strict or none")
        if self.samesite == "none" and not self.secure:
            raise ValueError(f"cookie {self.name!r}: samesite none requires Secure")
        if self.partitioned and not self.secure:
            raise ValueError(f"cookie {self.name!r}: Partitioned requires Secure")
        _check_prefix(self.name, secure=self.secure, domain=self.domain, path=self.path, http_only=self.http_only)
        domain = "" if self.domain is None else f"; Domain={self.domain}"
        flags = ("; HttpOnly" if self.http_only else "") + ("; Secure" if self.secure else "")
        apart = "; Partitioned" if self.partitioned else ""
        object.__setattr__(self, "_middle", f"{domain}; Path={self.path}")
        object.__setattr__(self, "_end", f"{flags}; SameSite={self.samesite.capitalize()}{apart}")

    def set_header(self, value: str, now: int, expires_at: int | None) -> bytes:
        """The value of a ``Set-Cookie`` header.

        Args:
            value: The cookie's value.
            now: The time, in milliseconds.
            expires_at: When the browser shall forget the cookie, in milliseconds; None for when it is closed.

        Raises:
            ValueError: The value has characters that end a cookie or a header.
        """
        if not _VALUE.fullmatch(value):
            raise ValueError(f"cookie {self.name!r}: the value has characters that a cookie cannot hold")
        if expires_at is None:
            return f"{self.name}={value}{self._middle}{self._end}".encode("ascii")
        # Rounded up: a cookie that leaves early costs a login, one that stays half a second costs nothing.
        max_age = max(0, -((now - expires_at) // 1000))
        expires = _http_date(-(-expires_at // 1000))
        return f"{self.name}={value}{self._middle}; Expires={expires}; Max-Age={max_age}{self._end}".encode("ascii")

    def clear_header(self) -> bytes:
        """The value of a ``Set-Cookie`` header that makes the browser forget the cookie."""
        return self.set_header("", 0, 0)


def _http_date(seconds: int) -> str:
    """IMF-fixdate (RFC 9110, section 5.6.7). Not by strftime: the names must not follow the locale."""
    at = time.gmtime(min(max(seconds, 0), _LAST_SECOND))
    return (
        f"{_DAYS[at.tm_wday]}, {at.tm_mday:02} {_MONTHS[at.tm_mon - 1]} {at.tm_year:04} "
        f"{at.tm_hour:02}:{at.tm_min:02}:{at.tm_sec:02} GMT"
    )
