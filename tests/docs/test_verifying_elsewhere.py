"""Other libraries verify our access tokens by our JWK set, as docs/verifying-elsewhere.md says."""

import copy
from typing import Any

import jwt
import pytest
from joserfc import jwt as joserfc
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from asgi_sessions import SessionManager, SessionSettings
from tests.docs.pages import ROOT, as_one_module

RENAMED = pytest.mark.filterwarnings("ignore:EdDSA is deprecated")  # RFC 9864 calls it Ed25519
PAGE = ROOT / "docs" / "verifying-elsewhere.md"


async def issued(algorithm: str) -> tuple[str, Any]:
    """A token of this algorithm, and the JWK set as the route gives it."""
    settings = SessionSettings(database_url="sqlite+aiosqlite://", signing_algorithm=algorithm)
    async with SessionManager(settings) as sessions:
        session = await sessions.create_new_session_without_request(42, jwt_payload={"role": "editor"})
        return session.access_token.value, sessions.lifecycle.keys.keyring.public_jwks()


async def test_the_pages_function_verifies() -> None:
    namespace: dict[str, Any] = {"__name__": "reports"}
    exec(compile(as_one_module(PAGE), str(PAGE), "exec"), namespace)
    token, keys = await issued("ES256")
    claims = namespace["verify"](token, keys)
    assert (claims["sub"], claims["payload"]) == ("42", {"role": "editor"})
    assert set(claims) >= {"sid", "iat", "exp", "auth_time", "sexp"}
    _, keys_of_another = await issued("ES256")
    with pytest.raises((jwt.InvalidTokenError, KeyError)):
        namespace["verify"](token, keys_of_another)


@RENAMED
@pytest.mark.parametrize("algorithm", ["EdDSA", "ES256"])
async def test_joserfc_verifies_where_the_algorithm_is_listed(algorithm: str) -> None:
    token, keys = await issued(algorithm)
    claims = joserfc.decode(token, KeySet.import_key_set(copy.deepcopy(keys)), algorithms=[algorithm]).claims
    assert claims["sub"] == "42"


@RENAMED
async def test_joserfc_refuses_eddsa_where_it_is_not_listed() -> None:
    token, keys = await issued("EdDSA")
    with pytest.raises(JoseError):
        joserfc.decode(token, KeySet.import_key_set(copy.deepcopy(keys)))
