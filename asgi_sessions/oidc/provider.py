"""OpenID providers whose logouts count."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from asgi_sessions.protocol.json_value import dumps

__all__ = ["ALGORITHMS", "ENDED_SESSION", "OIDCProvider", "index_of", "oidc_index"]

ALGORITHMS: Final = ("RS256", "ES256", "PS256", "EdDSA", "Ed25519")
ENDED_SESSION: Final = "oidc_sid"
"""The name of the index by which sessions of a provider's session are found."""
SUBJECT: Final = "oidc_sub"
"""The same of all sessions of a provider's subject."""
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True, kw_only=True)
class OIDCProvider:
    """A provider, as its discovery document describes it.

    Attributes:
        issuer: As in its ID tokens, to the last character.
        client_id: Yours there.
        jwks_uri: Where its keys are; nothing else is ever fetched. Without TLS only on this machine.
        algorithms: By which it may sign.
    """

    issuer: str
    client_id: str
    jwks_uri: str
    algorithms: tuple[str, ...] = ALGORITHMS

    def __post_init__(self) -> None:
        """Raise on what cannot be meant.

        Raises:
            TypeError, ValueError: An attribute is wrong; the text names it.
        """
        for name in ("issuer", "client_id", "jwks_uri"):
            value = getattr(self, name)
            if not isinstance(value, str):
                raise TypeError(f"{name} must be str, not {type(value).__name__}")
            if not value:
                raise ValueError(f"{name} is empty")
        address = urlsplit(self.jwks_uri)
        if address.scheme != "https" and not (address.scheme == "http" and address.hostname in _LOOPBACK):
            raise ValueError("jwks_uri must begin with https:// (http:// only on localhost)")
        if not self.algorithms or not set(self.algorithms) <= set(ALGORITHMS):
            raise ValueError(f"algorithms must be some of {', '.join(ALGORITHMS)}")


def oidc_index(claims: Mapping[str, Any]) -> dict[str, str]:
    """Say by what a provider's logout finds a session: ``create_new_session(…, index=oidc_index(id_token_claims))``.

    Args:
        claims: Of the ID token, verified: `iss`, `sub`, and `sid` where the provider has one.

    Raises:
        TypeError, ValueError: The claims lack an issuer or a subject.
    """
    if not isinstance(claims, Mapping):
        raise TypeError(f"claims must be a mapping, not {type(claims).__name__}")
    for name in ("iss", "sub"):
        if not isinstance(claims.get(name), str):
            raise ValueError(f"claims: {name} must be a text, as in every ID token")
    found = index_of(claims["iss"], sid=claims.get("sid"), sub=claims["sub"])
    return dict(found)


def index_of(issuer: str, *, sid: Any = None, sub: Any = None) -> list[tuple[str, str]]:
    """Names and values of a provider's session and subject, as far as they are given."""
    given = ((ENDED_SESSION, sid), (SUBJECT, sub))
    return [(name, dumps([issuer, value], name)) for name, value in given if value is not None]
