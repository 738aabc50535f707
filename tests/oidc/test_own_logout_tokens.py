"""Our own logout tokens are such for others' eyes: joserfc's, and this package's own receiver."""

import json
from typing import Any

import pytest
from joserfc import jws
from joserfc.jwk import KeySet

from asgi_sessions.oidc import OIDCProvider
from asgi_sessions.oidc.logout_token import EVENT, verified
from asgi_sessions.oidc.own_logout_token import signed_logout
from asgi_sessions.oidc.signed_jwt import Presented, require_signed
from asgi_sessions.protocol import user_id
from asgi_sessions.protocol.key_id import new_key_id
from asgi_sessions.protocol.keyring import Keyring, SigningKey, generate
from asgi_sessions.store.session_row import NOBODY
from tests.clocks import START

ISSUER = "https://shop.example"
PROVIDER = OIDCProvider(issuer=ISSUER, client_id="reports", jwks_uri=f"{ISSUER}/jwks")
ADA = user_id.encode("ada")


@pytest.fixture(params=["ES256", "EdDSA"])
def key(request: pytest.FixtureRequest) -> SigningKey:
    return SigningKey(new_key_id(), 0, request.param, generate(request.param), START)


def made(key: SigningKey, owner: bytes = ADA, session_handle: str | None = "f" * 32) -> str:
    return signed_logout(key, issuer=ISSUER, audience="reports", now=START, session_handle=session_handle, owner=owner)


def content(token: str, key: SigningKey) -> tuple[dict[str, Any], dict[str, Any]]:
    """Header and claims, as joserfc has verified them."""
    keys: Any = Keyring([key]).public_jwks()
    read = jws.deserialize_compact(
        token, KeySet.import_key_set(keys), registry=jws.JWSRegistry(algorithms=[key.algorithm])
    )
    return dict(read.headers()), json.loads(read.payload)


@pytest.mark.filterwarnings("ignore:EdDSA")  # RFC 9864 calls it otherwise
def test_a_token_of_one_session(key: SigningKey) -> None:
    header, claims = content(made(key), key)
    assert header == {"alg": key.algorithm, "kid": key.key_id, "typ": "logout+jwt"}
    assert len(claims.pop("jti")) >= 16
    assert claims == {
        "iss": ISSUER,
        "aud": "reports",
        "iat": START // 1000,
        "exp": START // 1000 + 120,
        "events": {EVENT: {}},
        "sid": "f" * 32,
        "sub": "ada",
    }


@pytest.mark.filterwarnings("ignore:EdDSA")
def test_of_whom_it_speaks(key: SigningKey) -> None:
    all_of_her = content(made(key, session_handle=None), key)[1]
    assert ("sid" in all_of_her, all_of_her["sub"], "uit" in all_of_her) == (False, "ada", False)
    number = content(made(key, user_id.encode(42)), key)[1]
    assert (number["sub"], number["uit"]) == ("42", "int")  # as in our access tokens
    erased = content(made(key, NOBODY), key)[1]
    assert (erased["sid"], "sub" in erased) == ("f" * 32, False)
    with pytest.raises(ValueError, match="a session or a user"):
        made(key, NOBODY, None)


def test_each_has_a_name_of_its_own_and_our_own_receiver_takes_it(key: SigningKey) -> None:
    names = set()
    for _ in range(3):
        presented = Presented.read(made(key))
        require_signed(presented, PROVIDER, Keyring([key]).public_jwks()["keys"])
        token = verified(presented, PROVIDER, START)
        assert (token.sid, token.sub) == ("f" * 32, "ada")
        names.add(token.jti)
    assert len(names) == 3
