"""A transmitter's side of shared signals, and a revoker's: an OpenID provider that also sends these tokens."""

import json
from collections.abc import Mapping
from typing import Any

from asgi_sessions.oidc import SSFTransmitter, TokenRevoker
from tests.oidc.openid_provider import Key, OpenIDProvider

CAEP = "https://schemas.openid.net/secevent/caep/event-type/"
RISC = "https://schemas.openid.net/secevent/risc/event-type/"
SSF = "https://schemas.openid.net/secevent/ssf/event-type/"
OAUTH = "https://schemas.openid.net/secevent/oauth/event-type/"
REVOKED = f"{CAEP}session-revoked"
AUDIENCE = "https://shop.example/events"
ENDPOINT = "https://shop.example/auth/global-token-revocation"
SET = "secevent+jwt"
GTR = "global-token-revocation+jwt"


class Transmitter(OpenIDProvider):
    """Its keys are served as its superclass does it; tokens are made by joserfc."""

    def as_transmitter(self, **changes: Any) -> SSFTransmitter:
        values = {"issuer": self.issuer, "audience": AUDIENCE, "jwks_uri": f"{self.issuer}/jwks"}
        return SSFTransmitter(**(values | changes))

    def as_revoker(self, **changes: Any) -> TokenRevoker:
        values = {"issuer": self.issuer, "audience": ENDPOINT, "jwks_uri": f"{self.issuer}/jwks"}
        return TokenRevoker(**(values | changes))

    def iss_sub(self, sub: str = "ada") -> dict[str, str]:
        return {"format": "iss_sub", "iss": self.issuer, "sub": sub}

    def session(self, sid: str = "session-1") -> dict[str, Any]:
        """A session of Ada's, as CAEP names it."""
        return {"format": "complex", "session": {"format": "opaque", "id": sid}, "user": self.iss_sub()}

    def event_claims(self, kind: str = REVOKED, event: Mapping[str, Any] = {}, **changes: Any) -> dict[str, Any]:
        """Of a security event token; None leaves one out."""
        self._jti += 1
        values = {
            "iss": self.issuer,
            "aud": AUDIENCE,
            "iat": self._now() // 1000,
            "jti": f"event-{self._jti}",
            "sub_id": self.iss_sub(),
            "events": {kind: event},
        }
        return {name: value for name, value in (values | changes).items() if value is not None}

    def event(
        self,
        kind: str = REVOKED,
        event: Mapping[str, Any] = {},
        *,
        algorithm: str = "RS256",
        key: Key | None = None,
        header: Mapping[str, Any] = {},
        **changes: Any,
    ) -> str:
        content = json.dumps(self.event_claims(kind, event, **changes))
        return self.signed(content, algorithm=algorithm, key=key, header={"typ": SET} | dict(header))

    def order_claims(self, **changes: Any) -> dict[str, Any]:
        """Of the token of a request to revoke, as Okta sends it; None leaves one out."""
        self._jti += 1
        seconds = self._now() // 1000
        values = {
            "iss": self.issuer,
            "sub": "0oa1b2c3d4e5f6g7h8i9",
            "aud": ENDPOINT,
            "iat": seconds,
            "nbf": seconds - 300,
            "exp": seconds + 300,
            "jti": f"order-{self._jti}",
        }
        return {name: value for name, value in (values | changes).items() if value is not None}

    def order(
        self, *, algorithm: str = "RS256", key: Key | None = None, header: Mapping[str, Any] = {}, **changes: Any
    ) -> str:
        content = json.dumps(self.order_claims(**changes))
        return self.signed(content, algorithm=algorithm, key=key, header={"typ": GTR} | dict(header))
