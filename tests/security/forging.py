"""Tokens as attackers write them: everything about a JWT that is not its signature is free to choose."""

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator, Mapping
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt import PyJWK, PyJWS

NONE_ALGORITHMS: tuple[Any, ...] = ("none", "None", "NONE", "nOnE", "", None, [], {}, 0, True, "none ", "HS256\x00")
KEY_IDS: tuple[Any, ...] = (
    "../../../../dev/null",
    "/proc/sys/kernel/randomize_va_space",
    "' UNION SELECT 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa' -- ",
    "0' OR '1'='1",
    "https://evil.example/key",
    "|/bin/id",
    "A" * 3000,
    "0123456789ABCDEF",
    "0123456789abcde\u0661",
    "\x00" * 16,
    "",
    None,
    0,
    -1,
    1e400,
    True,
    ["0123456789abcdef"],
    {"kid": "0123456789abcdef"},
)


def encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def decoded(segment: str) -> bytes:
    return base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4))


def head(token: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(decoded(token.split(".", maxsplit=1)[0]))
    return found


def claims(token: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(decoded(token.split(".")[1]))
    return found


def written(header: Mapping[str, Any], body: Mapping[str, Any], key: bytes | None) -> str:
    """A token with this header, whatever it says, signed by HMAC-SHA256; without a key the signature is empty."""
    signed = ".".join(encoded(json.dumps(part, separators=(",", ":")).encode()) for part in (header, body))
    signature = b"" if key is None else hmac.digest(key, signed.encode(), "sha256")
    return f"{signed}.{encoded(signature)}"


def of_unknown_key(genuine: str, number: int) -> str:
    """An access token in our own form, of a key that another worker might just have made."""
    return written(head(genuine) | {"kid": f"{number:016x}"}, claims(genuine), b"x" * 32)


def refresh_of_unknown_key(genuine: str, number: int) -> str:
    """A refresh token in our own form, of a key that another worker might just have made."""
    raw = decoded(genuine)
    return encoded(raw[:1] + number.to_bytes(8, "big") + raw[9:])


def forgeries(genuine: str, jwks: Mapping[str, Any] | None = None) -> Iterator[tuple[str, str]]:
    """Every forgery that one can make of a genuine token and the public keys, by name."""
    header, body = head(genuine), claims(genuine) | {"sub": "admin", "payload": {"role": "admin"}}
    first, second, signature = genuine.split(".")
    own = b"the attacker's own key, 32 bytes or more"

    for algorithm in NONE_ALGORITHMS:
        yield f"alg {algorithm!r}", written(header | {"alg": algorithm}, body, None)
        yield f"alg {algorithm!r} with a signature", written(header | {"alg": algorithm}, body, own)
        yield (
            f"alg {algorithm!r} with the genuine signature",
            (written(header | {"alg": algorithm}, body, None) + signature),
        )
    yield "no alg", written({name: value for name, value in header.items() if name != "alg"}, body, own)

    yield "own key", written(header | {"alg": "HS256"}, body, own)
    yield "empty key", written(header | {"alg": "HS256"}, body, b"")
    yield "key id as key", written(header | {"alg": "HS256"}, body, header["kid"].encode())
    yield "zero key", written(header | {"alg": "HS256"}, body, bytes(32))
    for name, value in {
        "jku": "https://evil.example/jwks.json",
        "x5u": "https://evil.example/cert.pem",
        "jwk": {"kty": "oct", "k": encoded(own), "kid": header["kid"]},
        "x5c": [encoded(own)],
        "x5t": encoded(own[:20]),
        "crit": ["exp"],
        "b64": False,
        "zip": "DEF",
        "cty": "JWT",
        "enc": "A256GCM",
        "nonce": "x",
    }.items():
        for algorithm in ("HS256", header["alg"]):
            yield f"{name} beside {algorithm}", written(header | {"alg": algorithm, name: value}, body, own)
        yield (
            f"{name} over the genuine signature",
            (encoded(json.dumps(header | {name: value}).encode()) + f".{second}.{signature}"),
        )
    for algorithm in ("HS384", "HS512", "RS256", "PS256", "ES384", "ES512", "ES256K", "EdDSA", "Ed25519", "hs256"):
        yield f"alg {algorithm}", written(header | {"alg": algorithm}, body, own)
    for key_id in KEY_IDS:
        yield f"kid {key_id!r}"[:60], written(header | {"kid": key_id}, body, own)
    doubled = json.dumps(header)[:-1] + ', "kid": "0000000000000000"}'
    yield "two kids", f"{encoded(doubled.encode())}.{second}.{signature}"
    for kind in ("JWT", "jwt", "AT+JWT", "application/at+jwt", None, "", "rt+jwt"):
        yield f"typ {kind!r}", written(header | {"typ": kind}, body, own)
        yield (
            f"typ {kind!r} over the genuine signature",
            (encoded(json.dumps(header | {"typ": kind}, separators=(",", ":")).encode()) + f".{second}.{signature}"),
        )

    # Confusion: the public key as the secret of HMAC, in every form in which it can be had.
    for key in (jwks or {}).get("keys", ()):
        public = PyJWK(key).key
        forms = [json.dumps(key).encode(), decoded(key["x"])]
        for encoding, form in (
            (Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
            (Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        ):
            raw: bytes = public.public_bytes(encoding, form)
            forms += [raw, raw.strip()]
        for number, secret in enumerate(forms):
            yield f"public key {number} as HS256", written(header | {"alg": "HS256"}, body, secret)
            yield f"public key {number} as {header['alg']}", written(header, body, secret)
        yield (
            "another key of the same kind",
            PyJWS().encode(
                json.dumps(body).encode(),
                generate_private_key(SECP256R1()),
                "ES256",
                {"kid": header["kid"], "typ": "at+jwt"},
            ),
        )
        yield "r = s = 0", f"{first}.{second}.{encoded(bytes(64))}"

    # The genuine token, a little different.
    changed = encoded(json.dumps(body, separators=(",", ":")).encode())
    yield "other claims", f"{first}.{changed}.{signature}"
    yield "no signature", f"{first}.{second}."
    yield "two segments", f"{first}.{second}"
    yield "four segments", f"{genuine}.{signature}"
    yield "five segments", f"{first}.{second}.{signature}.{second}.{signature}"
    yield "half a signature", genuine[:-20]
    yield "a longer signature", f"{genuine}AAAA"
    yield "a zero signature", f"{first}.{second}.{encoded(bytes(len(decoded(signature))))}"
    yield "a signature of the header", f"{first}.{second}.{encoded(hashlib.sha256(first.encode()).digest())}"
    yield "padding", f"{genuine}="
    yield "the other alphabet", f"{first}.{second}.{signature.replace('-', '+').replace('_', '/')}+"
    last = signature[-1]
    for other in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_":
        if other != last:
            yield f"last character {other}", genuine[:-1] + other
    spaced = encoded(json.dumps(header).encode())
    yield "spaces in the header", f"{spaced}.{second}.{signature}"
    yield (
        "another order in the header",
        (
            encoded(json.dumps(dict(reversed(header.items())), separators=(",", ":")).encode())
            + f".{second}.{signature}"
        ),
    )
    yield "swapped", f"{second}.{first}.{signature}"
    yield "JSON serialisation", json.dumps({"protected": first, "payload": second, "signature": signature})
    yield "upper case", genuine.upper()
    yield "twice", f"{genuine}.{genuine}"
    yield "very long", f"{first}.{second}{'A' * 20_000}.{signature}"
    yield "very deep", f"{first}.{encoded(b'[' * 3000)}.{signature}"
    yield "dots", "." * 2000
    yield "nothing", ""
