import base64
import contextlib
import hmac
import json
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from asgi_sessions.protocol import access_token
from asgi_sessions.protocol.access_token import MAX_LENGTH, AccessLineage, AccessToken, InvalidAccessToken
from asgi_sessions.protocol.keyring import ALGORITHMS, Keyring, SigningKey, generate
from asgi_sessions.protocol.refresh_token import RefreshToken, RefreshTokenCodec
from asgi_sessions.protocol.retry_marker import RetryMarkerCodec
from asgi_sessions.protocol.sealing import derive

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
OTHER = SigningKey("f" * 16, 9, "HS256", generate("HS256"), 0)
TOKEN = AccessToken(
    handle=HANDLE,
    user_id=42,
    issued_at=NOW,
    expires_at=NOW + LIFETIME,
    session_expires_at=NOW + 10**9,
    auth_time=NOW,
    generation=3,
    anti_csrf_token="csrf",
    lineage=AccessLineage(3, b"m" * 32, NOW, b"p" * 32, NOW - 1, b"g" * 32),
    payload_json='{"role":"admin"}',
)


def check(text: object) -> AccessToken:
    return verify(text, Keyring(list(KEYS.values())), access_token_lifetime=LIFETIME)


def b64(raw: bytes | str) -> str:
    return base64.urlsafe_b64encode(raw.encode() if isinstance(raw, str) else raw).decode().rstrip("=")


def unb64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def claims_of(text: str) -> dict[str, Any]:
    claims: dict[str, Any] = json.loads(unb64(text.split(".")[1]))
    return claims


def hmac_token(header: str, body: str, secret: bytes) -> str:
    signed = f"{header}.{body}"
    return f"{signed}.{b64(hmac.digest(secret, signed.encode(), 'sha256'))}"


def signed_by_us(body: bytes | str) -> str:
    """Any body under our own key, header and signature."""
    assert isinstance(HS256.sign_key, bytes)
    return hmac_token(HS256.header_segment, b64(body), HS256.sign_key)


def with_header(header: dict[str, Any] | str, key: SigningKey = HS256, secret: bytes | None = None) -> str:
    """A good body under another header, signed as well as an attacker could wish."""
    text = header if isinstance(header, str) else json.dumps(header, separators=(",", ":"))
    body = sign(key, TOKEN).split(".")[1]
    return hmac_token(b64(text), body, secret or derive(key.secret, "access-token"))


good = sign(HS256, TOKEN)
header, body, signature = good.split(".")
good_claims = claims_of(good)
raw_header = {"alg": "HS256", "kid": HS256.key_id, "typ": "at+jwt"}
assert isinstance(EDDSA.sign_key, Ed25519PrivateKey)
public_pem = EDDSA.sign_key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
deep = "[" * 100_000


def with_claims(**changes: Any) -> str:
    return signed_by_us(json.dumps(good_claims | changes))


def without_claim(name: str) -> str:
    return signed_by_us(json.dumps({key: value for key, value in good_claims.items() if key != name}))


def der_signed() -> str:
    text = sign(ES256, TOKEN)
    signed, _, last = text.rpartition(".")
    raw = unb64(last)
    return f"{signed}.{b64(encode_dss_signature(int.from_bytes(raw[:32]), int.from_bytes(raw[32:])))}"


def forgeries() -> Iterator[tuple[str, object]]:
    odd: Any
    yield "alg none, no signature", f"{b64(json.dumps(raw_header | {'alg': 'none'}))}.{body}."
    yield "alg none, old signature", f"{b64(json.dumps(raw_header | {'alg': 'none'}))}.{body}.{signature}"
    yield "alg nOnE", with_header(raw_header | {"alg": "nOnE"})
    yield "alg missing", with_header({"kid": HS256.key_id, "typ": "at+jwt"})
    yield "alg null", with_header(raw_header | {"alg": None})
    yield "alg HS512", with_header(raw_header | {"alg": "HS512"})
    yield (
        "HS256 with the public key as secret",
        with_header(raw_header | {"kid": EDDSA.key_id}, EDDSA, public_pem),
    )
    yield "EdDSA with the HS256 key's id", with_header(raw_header | {"alg": "EdDSA"})
    yield "ES256 with the Ed25519 key's id", with_header(raw_header | {"alg": "ES256", "kid": EDDSA.key_id})
    yield "kid of another key", with_header(raw_header | {"kid": ES256.key_id})
    yield "kid missing", with_header({"alg": "HS256", "typ": "at+jwt"})
    for kid in ("../../../../dev/null", "x' OR '1'='1", '"', "'", "\0", "", "a" * 10_000, "F" * 16, "é" * 16):
        yield f"kid {kid[:20]!r}", with_header(raw_header | {"kid": kid})
    for odd in (None, 7, 1.5, True, [], {}, [HS256.key_id], {"$gt": ""}):
        yield f"kid {odd!r}", with_header(raw_header | {"kid": odd})
    yield "jku", with_header(raw_header | {"jku": "https://attacker.example/jwks.json"})
    yield "x5u", with_header(raw_header | {"x5u": "https://attacker.example/cert.pem"})
    yield "x5c", with_header(raw_header | {"x5c": ["MIIB"]})
    yield "jwk", with_header(raw_header | {"jwk": {"kty": "oct", "k": b64(b"k" * 32)}}, secret=b"k" * 32)
    yield "crit", with_header(raw_header | {"crit": ["exp"], "exp": 1})
    yield "b64 false", with_header(raw_header | {"b64": False, "crit": ["b64"]})
    yield "b64 false, detached", with_header(raw_header | {"b64": False, "crit": ["b64"]}).replace(body, "")
    yield "zip", with_header(raw_header | {"zip": "DEF"})
    yield "typ missing", with_header({"alg": "HS256", "kid": HS256.key_id})
    for typ in ("JWT", "refresh", "AT+JWT", "application/at+jwt", "", None, 1):
        yield f"typ {typ!r}", with_header(raw_header | {"typ": typ})
    yield "header with spaces", with_header(json.dumps(raw_header))
    yield "header in another order", with_header(dict(reversed(raw_header.items())))
    yield "header with a name twice", with_header('{"alg":"none",' + json.dumps(raw_header)[1:])
    yield "header is a list", with_header("[]")
    yield "header is a huge number", with_header("9" * 5000)
    yield "header is NaN", with_header("NaN")
    yield "header is nested", with_header(deep)
    yield "header is nested and fits", with_header("[" * 4000)
    yield "header is no UTF-8", ".".join((b64(b"\xff\xfe"), body, signature))
    yield "header is UTF-16", f"{b64(json.dumps(raw_header).encode('utf-16'))}.{body}.{signature}"

    for name in ("iss", "aud", "sub", "sid", "iat", "exp", "auth_time", "sexp", "gen", "payload"):
        yield f"without {name}", without_claim(name)
    for name in ("exp", "iat", "auth_time", "sexp"):
        for odd in (
            str(good_claims[name]),
            True,
            None,
            [],
            {},
            -1,
            10**30,
            10**400,
            math.nan,
            math.inf,
            -math.inf,
        ):
            yield f"{name} is {str(odd)[:20]}", with_claims(**{name: odd})
        yield (
            f"{name} is 1e400",
            signed_by_us(json.dumps(good_claims | {name: 0}).replace(f'"{name}": 0', f'"{name}": 1e400')),
        )
    for name in ("iss", "aud"):
        for odd in ("", "asgi_sessions2", "shop", "shop_2", ["asgi_sessions"], [AUDIENCE], None, 1, True, {}):
            yield f"{name} is {odd!r}", with_claims(**{name: odd})
    for odd in (None, 1, "x", [], {}, {"uit": "int"}, {"sub": 1}, {"sub": "x", "uit": "int"}, {"sub": "x", "act": {}}):
        yield f"act is {odd!r}", with_claims(act=odd)
    for odd in (None, 1, True, "pwd", {}, [], [1], ["PWD"], [["pwd"]], ["pwd", "pwd"], ["pwd", "otp"], ["x" * 31]):
        yield f"amr is {odd!r}", with_claims(amr=odd, amt=[NOW // 1000])
    for odd in (None, 1, True, "1", {}, [], [None], [True], ["1"], [-1], [10**30], [math.nan], [[]], [1, 2]):
        yield f"amt is {odd!r}", with_claims(amr=["pwd"], amt=odd)
    yield "amr without amt", with_claims(amr=["pwd"])
    yield "amr of very many", with_claims(amr=[f"m{n}" for n in range(11)], amt=[1] * 11)
    for odd in (None, 1, True, [], {}, "042", "4_2", " 42", "x", "9" * 5000):
        yield f"sub is {str(odd)[:20]!r}", with_claims(sub=odd)
    for odd in ("float", "", 1, [], {}, True):
        yield f"uit is {odd!r}", with_claims(uit=odd)
    yield "uit is uuid", with_claims(uit="uuid")
    for odd in ("", HANDLE.upper(), HANDLE + "\n", HANDLE[1:], None, 1, [HANDLE], {}):
        yield f"sid is {odd!r}", with_claims(sid=odd)
    for odd in (-1, 2**63, 1.0, "3", True, None):
        yield f"gen is {odd!r}", with_claims(gen=odd)
    for odd in (1, True, [], {}):
        yield f"csrf is {odd!r}", with_claims(csrf=odd)
    for odd in (None, 1, "abcde", [], [1, 2, 3, 4, 5], {}, {str(n): n for n in range(5)}):
        yield f"lin is {odd!r}", with_claims(lin=odd)
    lin = good_claims["lin"]
    for place in range(5):
        for odd in ("", "!" * 43, "A" * 42, "é" * 43, True, [], {}, 1.5):
            yield f"lin[{place}] is {odd!r}", with_claims(lin=[*lin[:place], odd, *lin[place + 1 :]])
    yield "payload is NaN", with_claims(payload=math.nan)
    yield "payload has Infinity", with_claims(payload={"a": [math.inf]})
    yield "payload has 1e400", signed_by_us(json.dumps(good_claims)[:-1].replace('"admin"', "1e400") + "}")
    yield "a claim twice", signed_by_us('{"sub":"1",' + json.dumps(good_claims)[1:])
    yield (
        "a name twice in the payload",
        signed_by_us(json.dumps(good_claims).replace('{"role": "admin"}', '{"role":"user","role":"admin"}')),
    )
    for text in ("", "null", "[]", "1", '"text"', "{", "9" * 5000, "[" * 5000, "\ufeff{}", "{}"):
        yield f"claims are {text[:10]!r}", signed_by_us(text)
    yield "claims are no UTF-8", signed_by_us(b"\xff\xfe{}")
    yield "claims are UTF-16", signed_by_us(json.dumps(good_claims).encode("utf-16"))
    yield "claims are deep", signed_by_us(deep)

    altered = b64(json.dumps(good_claims | {"sub": "1"}))
    yield "payload altered", f"{header}.{altered}.{signature}"
    yield "payload empty", f"{header}..{signature}"
    yield "signature stripped", f"{header}.{body}."
    yield "signature and dot stripped", f"{header}.{body}"
    yield "signature truncated", good[:-1]
    yield "signature halved", f"{header}.{body}.{signature[:22]}"
    yield "signature altered", f"{header}.{body}.{'A' if signature[0] != 'A' else 'B'}{signature[1:]}"
    yield "signature doubled", good + signature
    yield (
        "signature of another token",
        f"{header}.{body}.{sign(HS256, replace(TOKEN, user_id=1)).split('.')[2]}",
    )
    yield "signature of zeros", f"{header}.{body}.{b64(bytes(32))}"
    yield "signature with a spare bit", good[:-1] + chr(ord(good[-1]) + 1)
    yield "another secret", hmac_token(header, body, bytes(32))
    yield "the secret that the key is derived from", hmac_token(header, body, HS256.secret)
    yield "another key's token with our kid", header + sign(OTHER, TOKEN)[len(header) :]
    yield "another key's token", sign(OTHER, TOKEN)
    yield "Ed25519 token with the ES256 header", ES256.header_segment + sign(EDDSA, TOKEN)[len(header) :]
    yield "ES256 in DER", der_signed()
    yield "ES256 of zeros", f"{sign(ES256, TOKEN).rpartition('.')[0]}.{b64(bytes(64))}"
    yield "Ed25519 with a 32-byte signature", f"{sign(EDDSA, TOKEN).rpartition('.')[0]}.{signature}"
    yield "HS256 with a 64-byte signature", f"{header}.{body}.{b64(bytes(64))}"

    for space in (" ", "\n", "\t", "\r\n", "\0", "\u00a0", "\ufeff"):
        yield f"{space!r} before", space + good
        yield f"{space!r} behind", good + space
        yield f"{space!r} within", f"{header}.{body[:9]}{space}{body[9:]}.{signature}"
    yield "padded signature", good + "="
    yield "padded twice", good + "=="
    yield "padded payload", f"{header}.{body}=.{signature}"
    yield "padded header", f"{header}=.{body}.{signature}"
    yield "junk in the signature", f"{header}.{body}.{signature[:9]}!{signature[9:]}"
    yield "quoted", f'"{good}"'
    yield "Bearer", f"Bearer {good}"
    yield "four segments", f"{good}.{signature}"
    yield "five segments, as a JWE", f"{header}.{body}.{body}.{body}.{signature}"
    yield "JSON serialisation", json.dumps({"protected": header, "payload": body, "signature": signature})
    yield "longer than the limit", signed_by_us(json.dumps(good_claims | {"payload": "x" * MAX_LENGTH}))
    yield "1 MB", "a" * 1_000_000
    yield "1 MB of dots", "." * 1_000_000
    yield "nested brackets", deep
    yield "lone surrogates", "\ud800.\ud800.\ud800"
    yield "full-width", f"{header}.{body}.{signature[:-1]}\uff21"
    yield "other alphabet", good.replace("-", "+").replace("_", "/") + "/"
    for odd in (None, 0, True, b"", good.encode(), [good], {}, math.nan, object()):
        yield f"a {type(odd).__name__}", odd

    keys = {HS256.key_id: HS256.secret}
    yield "a refresh token", RefreshTokenCodec(keys, HS256.key_id).encode(RefreshToken.first(HANDLE, NOW))
    yield "a retry marker", RetryMarkerCodec(keys, HS256.key_id).encode(HANDLE, 0, NOW)


corpus = list(forgeries())


@pytest.mark.parametrize("text", [text for _, text in corpus], ids=[name for name, _ in corpus])
def test_a_forged_token_is_invalid_and_nothing_else(text: object) -> None:
    started = time.perf_counter()
    with pytest.raises(InvalidAccessToken) as caught:
        check(text)
    assert time.perf_counter() - started < 2
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    assert caught.value.unknown_key_id is (text == sign(OTHER, TOKEN))


def test_the_tools_of_the_forger_work() -> None:
    assert check(signed_by_us(json.dumps(good_claims))) == TOKEN
    assert check(with_header(json.dumps(raw_header, separators=(",", ":")))) == TOKEN
    assert check(with_claims()) == TOKEN


def test_an_access_token_is_no_refresh_token() -> None:
    keys = {HS256.key_id: derive(HS256.secret, "refresh-token")}
    assert RefreshTokenCodec(keys, HS256.key_id).decode(good) is None


def test_a_forged_header_of_an_unknown_key_is_not_reported() -> None:
    for odd in ({"jku": "x"}, {"typ": "JWT"}, {"alg": "none"}, {"alg": "RS256"}, {"kid": "F" * 16}):
        with pytest.raises(InvalidAccessToken) as caught:
            check(with_header(raw_header | {"kid": "e" * 16} | odd))
        assert not caught.value.unknown_key_id


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda members: st.lists(members, max_size=3) | st.dictionaries(st.text(max_size=5), members, max_size=3),
    max_leaves=8,
)

mutations: list[Callable[[str, int, str], str]] = [
    lambda text, at, new: text[:at] + new + text[at + 1 :],
    lambda text, at, new: text[:at] + new + text[at:],
    lambda text, at, _: text[:at] + text[at + 1 :],
    lambda text, at, _: text[:at],
    lambda text, at, _: text[at:] + text[:at],
]


@given(
    st.sampled_from(list(KEYS.values())),
    st.sampled_from(mutations),
    st.integers(0, 2000),
    st.sampled_from("AZaz09-_.=+/ \n\0é\ud800"),
)
@settings(deadline=None, max_examples=300)
def test_no_character_of_a_token_can_be_changed(
    key: SigningKey, mutate: Callable[[str, int, str], str], at: int, new: str
) -> None:
    text = sign(key, TOKEN)
    changed = mutate(text, at % len(text), new)
    if changed != text:
        with pytest.raises(InvalidAccessToken):
            check(changed)


@given(
    st.text()
    | st.binary()
    | st.lists(st.text("AZaz09-_=+/", max_size=90), max_size=5).map(".".join)
    | st.tuples(
        st.sampled_from([key.header_segment for key in KEYS.values()]), st.binary(), st.binary(max_size=64)
    ).map(lambda parts: f"{parts[0]}.{b64(parts[1])}.{b64(parts[2])}")
)
@settings(deadline=None)
def test_garbage_is_invalid(garbage: object) -> None:
    with pytest.raises(InvalidAccessToken):
        check(garbage)


@given(st.binary() | json_values.map(lambda value: json.dumps(value).encode()))
@settings(deadline=None)
def test_any_body_under_our_own_signature_is_at_worst_invalid(content: bytes) -> None:
    with pytest.raises(InvalidAccessToken):
        check(signed_by_us(content))


@given(st.dictionaries(st.sampled_from(sorted(good_claims)), json_values, min_size=1))
@settings(deadline=None)
def test_any_claims_under_our_own_signature_are_read_or_invalid(changes: dict[str, Any]) -> None:
    with contextlib.suppress(InvalidAccessToken):
        assert check(with_claims(**changes)).payload_json
