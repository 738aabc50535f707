"""A stub of the SuperTokens core: as much of its interface as ``verify_session`` needs, on one RSA key.

It keeps nothing: a session exists as far as its access token says so. That is enough, for the SDK verifies access
tokens by itself and asks its core only to begin sessions and for the public keys.

Runs in the environment of the SDK, whose PyJWT signs. Prints its port, then serves until its input ends.
"""

import json
import sys
import threading
import time
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

VERSIONS = ["5.0", "5.1", "5.2", "5.3", "5.4"]
LIFETIME = 24 * 60 * 60
KEY_ID = f"d-{uuid.uuid4()}"  # "d-" marks a key that rotates, which the SDK expects by default
KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
JWKS = {"keys": [{**RSAAlgorithm.to_jwk(KEY.public_key(), as_dict=True), "kid": KEY_ID, "alg": "RS256", "use": "sig"}]}


def new_session(asked: dict[str, Any]) -> dict[str, Any]:
    """Begin a session, with an access token as the SDK reads it today: version 5."""
    user, handle, now = asked["userId"], str(uuid.uuid4()), int(time.time())
    claims = {
        **asked["userDataInJWT"],
        "sub": user,
        "rsub": user,
        "tId": "public",
        "iat": now,
        "exp": now + LIFETIME,
        "sessionHandle": handle,
        "refreshTokenHash1": uuid.uuid4().hex * 2,
        "parentRefreshTokenHash1": None,
        "antiCsrfToken": None,
    }
    token = jwt.encode(claims, KEY, "RS256", headers={"kid": KEY_ID, "version": "5"})
    session = {"handle": handle, "userId": user, "recipeUserId": user, "userDataInJWT": claims, "tenantId": "public"}
    times = {"createdTime": now * 1000, "expiry": (now + LIFETIME) * 1000}
    return {
        "status": "OK",
        "session": session,
        "accessToken": {"token": token, **times},
        "refreshToken": {"token": uuid.uuid4().hex * 4, **times},
    }


class Core(BaseHTTPRequestHandler):
    """The few answers."""

    def do_GET(self) -> None:
        if self.path.startswith("/apiversion"):
            self._answer({"versions": VERSIONS})
        elif self.path.startswith("/.well-known/jwks.json"):
            self._answer(JWKS)
        elif self.path.startswith("/user/id"):
            self._answer({"status": "UNKNOWN_USER_ID_ERROR"})  # sessions need no user in the core
        else:
            self.send_error(404)

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers.get("content-length", "0"))) or b"{}")
        if self.path.endswith("/recipe/session"):
            self._answer(new_session(asked))
        else:
            self.send_error(404)

    def _answer(self, value: Any) -> None:
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Say nothing; errors are logged by themselves."""


def main() -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Core)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_port, flush=True)
    sys.stdin.read()
