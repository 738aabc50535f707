import base64
import json
import uuid
from dataclasses import replace
from functools import partial
from itertools import product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jwt import PyJWS

from asgi_sessions.errors import TryRefreshToken
from asgi_sessions.protocol import access_token, json_value
from asgi_sessions.protocol.access_content import Kind
from asgi_sessions.protocol.access_token import (
    BACKGROUND,
    LEGACY,
    ORDINARY,
    AccessLineage,
    AccessToken,
    InvalidAccessToken,
    LegacyAccessToken,
)
from asgi_sessions.protocol.authentication_methods import Methods
from asgi_sessions.protocol.key_id import new_key_id
from asgi_sessions.protocol.keyring import ALGORITHMS, Keyring, SigningKey, generate
from asgi_sessions.protocol.refresh_token import RefreshToken
from asgi_sessions.protocol.timeouts import Lifetime

AUDIENCE = "shop_"
sign = partial(access_token.sign, audience=AUDIENCE)
verify = partial(access_token.verify, audience=AUDIENCE)

HANDLE = "0123456789abcdef" * 2
NOW = 1_700_000_000_123
LIFETIME = 300_000
KEYS = {
    algorithm: SigningKey(f"{serial:016x}", serial, algorithm, generate(algorithm), NOW)
    for serial, algorithm in enumerate(ALGORITHMS)
}
HS256, EDDSA, ES256 = KEYS.values()
LINEAGE = AccessLineage(3, b"m" * 32, NOW, b"p" * 32, NOW - 1, b"g" * 32)
TOKEN = AccessToken(
    handle=HANDLE,
    user_id=42,
    issued_at=NOW,
    expires_at=NOW + LIFETIME,
    session_expires_at=NOW + 10**9,
    auth_time=NOW - 10**9,
    generation=3,
    anti_csrf_token="csrf",
    lineage=LINEAGE,
    payload_json='{"role":"admin"}',
)


def check(text: object, *keys: SigningKey) -> AccessToken:
    return verify(text, Keyring(keys or [HS256]), access_token_lifetime=LIFETIME)


def claims_of(text: str) -> dict[str, Any]:
    body = text.split(".")[1]
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    return claims


# Round trips


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_token_reads_back_as_it_was(algorithm: str) -> None:
    assert check(sign(KEYS[algorithm], TOKEN), *KEYS.values()) == TOKEN


@pytest.mark.parametrize("csrf", [None, "", "x" * 100, "ä\ud800"])
def test_the_csrf_token_reads_back_as_it_was(csrf: str | None) -> None:
    assert check(sign(HS256, replace(TOKEN, anti_csrf_token=csrf))).anti_csrf_token == csrf


@pytest.mark.parametrize(
    "lineage",
    [None, AccessLineage(3, b"m" * 32, NOW), AccessLineage(3, b"m" * 32, NOW, b"p" * 32, NOW), LINEAGE],
)
def test_the_lineage_reads_back_as_it_was(lineage: AccessLineage | None) -> None:
    assert check(sign(HS256, replace(TOKEN, lineage=lineage))).lineage == lineage


@pytest.mark.parametrize("version", [0, 1, 2**63 - 1])
def test_the_version_of_the_payload_reads_back_and_0_takes_no_room(version: int) -> None:
    text = sign(HS256, replace(TOKEN, payload_version=version))
    assert check(text).payload_version == version
    assert claims_of(text).get("pv") == (version or None)


@pytest.mark.parametrize("actor", ["admin", 7, uuid.UUID(int=7), None])
def test_who_acts_reads_back_of_its_type_and_nobody_takes_no_room(actor: Any) -> None:
    text = sign(HS256, replace(TOKEN, actor=actor))
    found = check(text).actor
    assert (found, type(found)) == (actor, type(actor))
    assert ("act" in claims_of(text)) == (actor is not None)


@pytest.mark.parametrize("methods", [(), (("pwd", NOW),), (("pwd", 0), ("my-own", NOW - 1))])
def test_the_methods_of_authentication_read_back_and_none_take_no_room(methods: Methods) -> None:
    text = sign(HS256, replace(TOKEN, methods=methods))
    assert check(text).methods == methods
    claims = claims_of(text)
    assert ("amr" in claims, "amt" in claims) == (bool(methods), bool(methods))
    if methods:
        assert claims["amr"] == [name for name, _ in methods]  # as other services read it


@pytest.mark.parametrize("version", [-1, 2**63, 1.0, True, "1", None, [1]])
def test_a_version_that_is_none_makes_no_token(version: Any) -> None:
    body = json.dumps(claims_of(sign(HS256, TOKEN)) | {"pv": version}).encode()
    text = PyJWS().encode(body, HS256.sign_key, "HS256", {"kid": HS256.key_id, "typ": "at+jwt"})
    with pytest.raises(InvalidAccessToken):
        check(text)


@pytest.mark.parametrize("persistent", [True, False])
@pytest.mark.parametrize("idle_timeout", [None, 1000, 300_500, 10**12])
def test_what_the_login_said_of_the_lifetime_reads_back_and_the_defaults_take_no_room(
    idle_timeout: int | None, persistent: bool
) -> None:
    text = sign(HS256, replace(TOKEN, idle_timeout=idle_timeout, persistent=persistent))
    assert check(text).lifetime == Lifetime(TOKEN.session_expires_at, idle_timeout, persistent)
    assert ("idle" in claims_of(text)) == (idle_timeout is not None)
    assert claims_of(text).get("pers", True) is persistent


@pytest.mark.parametrize(
    ("claim", "value"),
    [
        *product(["idle"], [-1, True, "1", None, [1], 10**20]),
        *product(["pers"], [True, 0, None, "no", []]),
    ],
)
def test_a_lifetime_that_is_none_makes_no_token(claim: str, value: Any) -> None:
    body = json.dumps(claims_of(sign(HS256, TOKEN)) | {claim: value}).encode()
    text = PyJWS().encode(body, HS256.sign_key, "HS256", {"kid": HS256.key_id, "typ": "at+jwt"})
    with pytest.raises(InvalidAccessToken):
        check(text)


@pytest.mark.parametrize("kind", [ORDINARY, BACKGROUND])
def test_the_mark_of_a_background_refresh_reads_back_and_takes_no_room_elsewhere(kind: Kind) -> None:
    text = sign(HS256, replace(TOKEN, kind=kind))
    assert check(text) == replace(TOKEN, kind=kind)
    assert claims_of(text).get("bg") == (1 if kind else None)


@pytest.mark.parametrize("mark", [0, 2, -1, 1.0, True, False, "1", None, [1]])
def test_a_mark_of_a_background_refresh_that_is_none_makes_no_token(mark: Any) -> None:
    body = json.dumps(claims_of(sign(HS256, TOKEN)) | {"bg": mark}).encode()
    text = PyJWS().encode(body, HS256.sign_key, "HS256", {"kid": HS256.key_id, "typ": "at+jwt"})
    with pytest.raises(InvalidAccessToken):
        check(text)


user_ids = st.text(st.characters(codec="utf-8"), max_size=60) | st.integers() | st.uuids()


@given(user_ids)
@settings(deadline=None)
def test_the_user_id_comes_back_of_its_type(user_id: str | int | uuid.UUID) -> None:
    again = check(sign(HS256, replace(TOKEN, user_id=user_id))).user_id
    assert (type(again), again) == (type(user_id), user_id)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda members: st.lists(members, max_size=3) | st.dictionaries(st.text(max_size=5), members, max_size=3),
    max_leaves=8,
)


@given(json_values)
@settings(deadline=None)
def test_the_payload_reads_back_exactly(value: Any) -> None:
    text = json_value.dumps(value, "jwt_payload")
    if len(text) < 2000:
        assert check(sign(HS256, replace(TOKEN, payload_json=text))).payload_json == text


@pytest.mark.parametrize("value", [1, 1.0, -0.0, 1e300, 10**2000, "\ud800", "\udc00x", "é\0", [], {}, {"": None}, True])
def test_a_payload_keeps_its_type(value: Any) -> None:
    text = json_value.dumps(value, "jwt_payload")
    again = check(sign(HS256, replace(TOKEN, payload_json=text))).payload
    assert (type(again), repr(again)) == (type(value), repr(value))


def test_a_deep_payload_reads_back() -> None:
    text = "[" * json_value.MAX_DEPTH + "]" * json_value.MAX_DEPTH
    assert check(sign(HS256, replace(TOKEN, payload_json=text))).payload_json == text


def test_the_payload_is_a_fresh_object_at_each_access() -> None:
    token = check(sign(HS256, TOKEN))
    token.payload["role"] = "poisoned"
    assert token.payload == {"role": "admin"}


@given(st.integers(0, 253_402_300_799_000))
@settings(deadline=None)
def test_times_read_back_to_the_millisecond(at: int) -> None:
    token = replace(TOKEN, issued_at=at, expires_at=at, session_expires_at=at, auth_time=at)
    assert check(sign(HS256, token)) == token


def test_the_claims_are_those_that_other_services_read() -> None:
    token = replace(TOKEN, issued_at=5_000, expires_at=6_001, auth_time=4_000, session_expires_at=7_000)
    assert claims_of(sign(HS256, replace(token, lineage=None))) == {
        "iss": "asgi_sessions",
        "aud": AUDIENCE,
        "sub": "42",
        "uit": "int",
        "sid": HANDLE,
        "iat": 5,
        "exp": 6.001,
        "auth_time": 4,
        "sexp": 7,
        "gen": 3,
        "csrf": "csrf",
        "payload": {"role": "admin"},
    }


def test_exp_is_never_beyond_the_end_of_the_session() -> None:
    token = check(sign(HS256, replace(TOKEN, session_expires_at=NOW + 1)))
    assert token.expires_at == NOW + 1


def test_the_lineage_has_the_hashes_of_the_refresh_token() -> None:
    refresh = RefreshToken.first(HANDLE, NOW).child(NOW + 1).child(NOW + 2)
    access = AccessLineage(2, refresh.token_hash, NOW + 2, refresh.parent_hash, NOW + 1, refresh.grandparent_hash)
    assert access.lineage == refresh.lineage


def test_the_lineage_of_a_first_token_has_no_ancestors() -> None:
    refresh = RefreshToken.first(HANDLE, NOW)
    assert AccessLineage(0, refresh.token_hash, NOW).lineage == refresh.lineage


def test_the_repr_shows_no_token_hash_or_payload() -> None:
    shown = repr(replace(TOKEN, anti_csrf_token="canary", payload_json='"canary"'))
    assert not any(word in shown for word in ("canary", "mmm", "ppp", "ggg"))


@pytest.mark.parametrize(
    "changes",
    [
        {"issued_at": -1},
        {"expires_at": -1},
        {"session_expires_at": 10**18},
        {"auth_time": 10**18},
        {"payload_json": ""},
        {"payload_json": '1,"sub":"1"'},
        {"payload_json": "NaN"},
        {"user_id": "x" * 256},
        {"generation": 4},
    ],
)
def test_a_token_that_cannot_be_written_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  # each part says it in its own words
        sign(HS256, replace(TOKEN, **changes))


# Keys


def test_an_expired_token_is_still_authentic() -> None:
    assert check(sign(HS256, replace(TOKEN, expires_at=1))).expires_at == 1


def test_a_token_of_a_retired_key_expires_with_the_keys_last_token() -> None:
    successor = SigningKey(new_key_id(), 10, "HS256", generate("HS256"), NOW - LIFETIME)
    ring = Keyring([HS256, successor])
    assert verify(sign(HS256, TOKEN), ring, access_token_lifetime=LIFETIME).expires_at == NOW
    assert verify(sign(HS256, TOKEN), ring, access_token_lifetime=LIFETIME, overlap=False).expires_at == NOW - LIFETIME
    assert verify(sign(successor, TOKEN), ring, access_token_lifetime=LIFETIME) == TOKEN


def test_a_token_issued_just_before_its_key_retires_lasts_its_whole_life() -> None:
    successor = SigningKey(new_key_id(), 10, "HS256", generate("HS256"), NOW + 1)
    assert check(sign(HS256, TOKEN), HS256, successor) == TOKEN


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_well_formed_unknown_key_is_reported(algorithm: str) -> None:
    key = SigningKey("f" * 16, 9, algorithm, generate(algorithm), 0)
    with pytest.raises(InvalidAccessToken) as caught:
        check(sign(key, TOKEN))
    assert caught.value.unknown_key_id


def test_an_invalid_token_is_an_invitation_to_refresh() -> None:
    assert issubclass(InvalidAccessToken, TryRefreshToken)


def test_pyjwt_alone_reads_our_tokens() -> None:
    for key in KEYS.values():
        text = sign(key, TOKEN)
        assert json.loads(PyJWS().decode(text, key.verify_key, algorithms=[key.algorithm])) == claims_of(text)


# For whom


@pytest.mark.parametrize("other", ["shop", "shop_2", "SHOP_", "asgi_sessions_"])
def test_a_token_for_another_manager_is_refused(other: str) -> None:
    with pytest.raises(InvalidAccessToken) as caught:
        check(access_token.sign(HS256, TOKEN, audience=other))
    assert type(caught.value) is InvalidAccessToken


def test_a_token_of_an_older_version_is_told_apart() -> None:
    with pytest.raises(LegacyAccessToken) as caught:
        check(access_token.sign(HS256, TOKEN, audience="asgi_sessions"))
    assert caught.value.token == replace(TOKEN, kind=LEGACY)


def test_the_older_versions_audience_may_be_kept() -> None:
    text = access_token.sign(HS256, TOKEN, audience="asgi_sessions")
    found = access_token.verify(text, Keyring([HS256]), audience="asgi_sessions", access_token_lifetime=LIFETIME)
    assert found == TOKEN
