"""OpenID providers whose logouts count."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from asgi_sessions.oidc.issuer import TokenIssuer, require_address, require_issuer, require_text
from asgi_sessions.protocol.json_value import dumps
from asgi_sessions.protocol.session_index import Entry, entry

__all__ = ["ENDED_SESSION", "SUBJECT", "OIDCProvider", "index_of", "oidc_index", "token_mark"]

ENDED_SESSION: Final = "oidc_sid"
"""The name of the index by which sessions of a provider's session are found."""
SUBJECT: Final = "oidc_sub"
"""The same of all sessions of a provider's subject."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OIDCProvider(TokenIssuer):
    """A provider, as its discovery document describes it.

    Attributes:
        issuer: As in its ID tokens, to the last character.
        client_id: Yours there.
        jwks_uri: Where its keys are; nothing else is ever fetched. Without TLS only on this machine.
        algorithms: By which it may sign.
        end_session_endpoint: Where browsers go to sign out there too, for `oidc_logout_url`; None where it has none.
    """

    client_id: str
    end_session_endpoint: str | None = None

    def __post_init__(self) -> None:
        """Raise on what cannot be meant.

        Raises:
            TypeError, ValueError: An attribute is wrong; the text names it.
        """
        require_issuer(self)
        require_text(self.client_id, "client_id")
        if self.end_session_endpoint is not None:
            require_address(self.end_session_endpoint, "end_session_endpoint")


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


def token_mark(kind: str, issuer: str, jti: str) -> Entry:
    """The mark by which an issuer's token is known again.

    Args:
        kind: Of which receiver the token is.
        issuer: Who has made it.
        jti: Its name.
    """
    ((_, value),) = index_of(issuer, sid=jti)
    return entry(kind, value)
