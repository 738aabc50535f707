"""How the attributes of cookies are read, and which prefixes of their names browsers guard."""

import re
from typing import Final

__all__ = [
    "HOST_PREFIX",
    "SECURE_PREFIXES",
    "begins_with",
    "read_domain",
    "read_older_domain",
    "read_each_path",
    "read_older_prefix",
    "read_path",
    "read_prefix",
]

HOST_PREFIX: Final = ("__host-",)
"""Browsers take such a cookie from one host only: Secure, no Domain, the path "/" (RFC 6265bis, section 4.1.3)."""
# __Http- and __Host-Http- are newer: Secure, HttpOnly and set by a server, as our cookies are.
SECURE_PREFIXES: Final = (*HOST_PREFIX, "__secure-", "__http-")
"""Browsers take such a cookie only where it is Secure."""

_COOKIE_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]*")  # a token of RFC 9110, section 5.6.2
_PATH = re.compile(r"/[!-~]*")
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_DOMAIN = re.compile(rf"(?=.{{1,253}}\Z)(?:{_LABEL}\.)*{_LABEL}")


def begins_with(prefix: str | None, guarded: tuple[str, ...]) -> bool:
    """Whether a prefix of cookies' names is one of these: browsers compare without regard to case."""
    return (prefix or "").lower().startswith(guarded)


def read_path(value: object) -> str:
    if not isinstance(value, str) or not _PATH.fullmatch(value.strip()) or re.search(r"[;,?#]", value):
        raise ValueError('must be a path: begin with "/" and have no space, ";", ",", "?", "#" or control character')
    return value.strip()


def read_each_path(value: object) -> str:
    try:
        return read_path(value)
    except ValueError as error:
        raise ValueError(f"each {error}") from None


def read_domain(value: object) -> str:
    # Browsers ignore a leading dot (RFC 6265, section 5.2.3).
    text = value.strip().lower().removeprefix(".") if isinstance(value, str) else ""
    if not _DOMAIN.fullmatch(text) or re.fullmatch(r"[0-9.]+", text):
        raise ValueError('must be a domain such as "example.com": no scheme, port, path or IP address')
    return text


def read_older_domain(value: object) -> str | None:
    if value is None or (isinstance(value, str) and value.strip().lower() == "host-only"):
        return None
    try:
        return read_domain(value)
    except ValueError:
        raise ValueError('each must be a domain such as "example.com", or "host-only" for no domain') from None


def read_prefix(value: object) -> str:
    text = value.strip() if isinstance(value, str) else None
    # Blanks are no way to ask for no prefix: that would be weaker by accident.
    if text is None or not _COOKIE_NAME.fullmatch(text) or (value and not text):
        raise ValueError(
            "must be the first characters of a cookie's name (letters, digits and !#$%&'*+-.^_`|~), "
            'or "none" for no prefix'
        )
    return "" if text.lower() == "none" else text


def read_older_prefix(value: object) -> str | None:
    if isinstance(value, str) and value.strip().lower() == "automatic":
        return None
    try:
        return read_prefix(value)
    except ValueError:
        raise ValueError('each must be the first characters of a cookie\'s name, "none" or "automatic"') from None
