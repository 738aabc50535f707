#!/bin/sh
# python-jose 3.5.0 with a JWK set that holds keys of two kinds, as every issuer's does after a change of algorithm.
#
# Guess before the run: the header's `kid` picks the key, so that the order of the set does not matter.
# Seen: `jwt.decode(token, jwk_set, algorithms=["ES256"])` ignores `kid`. It tries the keys in turn, and a key of another
#   kind in front of the right one ends the attempt with JWKError ("Incorrect key type"), although the token is good.
#   With the right key in front the same token is accepted.
# Why it matters: a service that verifies our access tokens with python-jose refuses all of them for as long as an
#   Ed25519 key of before stands in front. docs/verifying-elsewhere.md says to hand it the one key of the `kid`.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check "python-jose[cryptography]==3.5.0" "pyjwt[crypto]==2.15.1"
"$folder/venv/bin/python" - <<'EOP'
import base64
import json

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from jose import jwt as jose
from jose.exceptions import JWKError

curve_key = ec.generate_private_key(ec.SECP256R1())
token = jwt.encode({"sub": "42"}, curve_key, algorithm="ES256", headers={"kid": "new"})
ec_jwk = jwt.algorithms.ECAlgorithm.to_jwk(curve_key.public_key(), as_dict=True) | {"kid": "new", "alg": "ES256"}
raw = ed25519.Ed25519PrivateKey.generate().public_key().public_bytes_raw()
okp_jwk = {"kty": "OKP", "crv": "Ed25519", "x": base64.urlsafe_b64encode(raw).rstrip(b"=").decode(), "kid": "old"}


def outcome(keys):
    try:
        return jose.decode(token, {"keys": keys}, algorithms=["ES256"])["sub"]
    except JWKError as error:
        return f"JWKError: {error}"


seen = {"old key first": outcome([okp_jwk, ec_jwk]), "new key first": outcome([ec_jwk, okp_jwk])}
print(json.dumps(seen, indent=2))
assert seen["old key first"].startswith("JWKError: Incorrect key type"), "the behaviour has changed"
assert seen["new key first"] == "42", "the behaviour has changed"
EOP
echo "python-jose 3.5.0 still tries every key of a set, whatever the token's kid."
