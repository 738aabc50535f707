"""Whose signed tokens count: an issuer, and the one address of its keys."""

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

__all__ = ["ALGORITHMS", "TokenIssuer", "require_address", "require_issuer", "require_text", "several"]

ALGORITHMS: Final = ("RS256", "ES256", "PS256", "EdDSA", "Ed25519")
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_PRINTABLE: Final = re.compile(r"[!-~]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenIssuer:
    """An issuer of tokens that are signed for us.

    Attributes:
        issuer: As in its tokens, to the last character.
        jwks_uri: Where its keys are; nothing else is ever fetched. Without TLS only on this machine.
        algorithms: By which it may sign.
    """

    issuer: str
    jwks_uri: str
    algorithms: tuple[str, ...] = ALGORITHMS


def require_issuer(issuer: TokenIssuer) -> None:
    """Raise on an issuer that cannot be meant.

    Raises:
        TypeError, ValueError: An attribute is wrong; the text names it.
    """
    require_text(issuer.issuer, "issuer")
    require_address(issuer.jwks_uri, "jwks_uri")
    if not issuer.algorithms or not set(issuer.algorithms) <= set(ALGORITHMS):
        raise ValueError(f"algorithms must be some of {', '.join(ALGORITHMS)}")


def require_text(value: Any, name: str) -> None:
    """Raise unless it is a text that is not empty.

    Raises:
        TypeError, ValueError: It is none.
    """
    if not isinstance(value, str):
        raise TypeError(f"{name} must be str, not {type(value).__name__}")
    if not value:
        raise ValueError(f"{name} is empty")


def require_address(value: Any, name: str) -> None:
    """Raise unless it is an address to which this server, or a browser, may be sent.

    Raises:
        TypeError, ValueError: It is no absolute address; has no TLS, though it is not on this machine; has a fragment
            or a user's name; or has a character that no address has.
    """
    require_text(value, name)
    try:
        address = urlsplit(value)
        host = address.hostname
    except ValueError:  # a bracket that nothing closes
        host = None
    if host is None or not (address.scheme == "https" or (address.scheme == "http" and host in _LOOPBACK)):
        raise ValueError(f"{name} must begin with https:// and a host (http:// only on localhost)")
    if not _PRINTABLE.fullmatch(value) or "#" in value or "@" in address.netloc:
        raise ValueError(f"{name} must have no fragment and no user's name, and printable ASCII characters alone")


def several(value: Any, name: str, *, least: int = 1) -> tuple[str, ...]:
    """The texts that somebody gave: one, or a collection of them.

    Raises:
        TypeError, ValueError: One is no text, or there are too few.
    """
    values = (value,) if isinstance(value, str) else tuple(value) if isinstance(value, Collection) else (value,)
    for each in values:
        require_text(each, name)
    if len(values) < least:
        raise ValueError(f"{name} is empty")
    return values
