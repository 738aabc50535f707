"""An OpenID provider's side: keys behind a real HTTP server, and logout tokens, made by joserfc."""

import json
import threading
import warnings
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from joserfc import jws
from joserfc.errors import SecurityWarning
from joserfc.jwk import ECKey, OKPKey, RSAKey

from asgi_sessions.oidc import OIDCProvider

EVENT = "http://schemas.openid.net/event/backchannel-logout"
CLIENT_ID = "our-application"
Key = RSAKey | ECKey | OKPKey


class OpenIDProvider:
    """As a context manager: its keys are served meanwhile.

    Args:
        now: The time, ms.

    Attributes:
        keys: What is served, by algorithm.
        answer: Called for each request for the keys: a status, headers and a body.
        asked: How many there have been.
    """

    def __init__(self, now: Callable[[], int]) -> None:
        self.keys: dict[str, Key] = {
            "RS256": RSAKey.generate_key(2048, {"kid": "rsa", "use": "sig", "alg": "RS256"}),
            "ES256": ECKey.generate_key("P-256", {"kid": "ec", "use": "sig"}),
            "PS256": RSAKey.generate_key(2048, {"kid": "pss"}),
            "EdDSA": OKPKey.generate_key("Ed25519", {"kid": "ed"}),
        }
        self.answer: Callable[[], tuple[int, Mapping[str, str], bytes]] = self.key_set
        self.asked = 0
        self._now = now
        self._jti = 0

    def key_set(self) -> tuple[int, Mapping[str, str], bytes]:
        return 200, {}, json.dumps({"keys": [key.as_dict(private=False) for key in self.keys.values()]}).encode()

    @property
    def issuer(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def as_configured(self, **changes: Any) -> OIDCProvider:
        values = {"issuer": self.issuer, "client_id": CLIENT_ID, "jwks_uri": f"{self.issuer}/jwks"}
        return OIDCProvider(**(values | changes))

    def id_token_claims(self, sid: str | None = "session-1", sub: str = "ada") -> dict[str, Any]:
        return {"iss": self.issuer, "sub": sub, "aud": CLIENT_ID} | ({} if sid is None else {"sid": sid})

    def claims(self, **changes: Any) -> dict[str, Any]:
        """Of a logout token; None leaves one out."""
        self._jti += 1
        seconds = self._now() // 1000
        values = {
            **self.id_token_claims(),
            "iat": seconds,
            "exp": seconds + 120,
            "jti": f"token-{self._jti}",
            "events": {EVENT: {}},
        }
        return {name: value for name, value in (values | changes).items() if value is not None}

    def logout_token(
        self, *, algorithm: str = "RS256", key: Key | None = None, header: Mapping[str, Any] = {}, **changes: Any
    ) -> str:
        return self.signed(json.dumps(self.claims(**changes)), algorithm=algorithm, key=key, header=header)

    def signed(
        self, content: str, *, algorithm: str = "RS256", key: Key | None = None, header: Mapping[str, Any] = {}
    ) -> str:
        """Whatever it is, signed."""
        key = key or self.keys["EdDSA" if algorithm == "Ed25519" else algorithm]
        protected = {"alg": algorithm, "typ": "logout+jwt", "kid": key.kid} | dict(header)
        present = {name: value for name, value in protected.items() if value is not None}
        registry = jws.JWSRegistry(algorithms=[algorithm], strict_check_header=False)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SecurityWarning)  # EdDSA has a newer name, HS256 is what we refuse
            return jws.serialize_compact(present, content, key, registry=registry)

    def odd(
        self,
        header: Mapping[str, Any],
        sign: Callable[[bytes], bytes] | None = None,
        claims: Mapping[str, Any] | None = None,
    ) -> str:
        """A token whose header joserfc does not write; signed by RS256, whatever the header says."""
        parts = {"alg": "RS256", "typ": "logout+jwt", "kid": "rsa", **header}, claims or self.claims()
        text = ".".join(_encoded(json.dumps(part).encode()) for part in parts)
        return f"{text}.{_encoded((sign or self._by_rsa)(text.encode()))}"

    def _by_rsa(self, text: bytes) -> bytes:
        key: Any = self.keys["RS256"].get_op_key("sign")
        return bytes(key.sign(text, padding.PKCS1v15(), hashes.SHA256()))

    def __enter__(self) -> Self:
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:  # the name that http.server wants
                provider.asked += 1
                status, headers, body = provider.answer()
                self.send_response(status)
                for name, value in {"Content-Length": str(len(body)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                """Nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def _encoded(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()
