import json
from itertools import permutations

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP384R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from jwt import PyJWK, PyJWS

from asgi_sessions.protocol.key_id import is_key_id, new_key_id
from asgi_sessions.protocol.keyring import (
    ALGORITHMS,
    TOKEN_TYPE,
    Keyring,
    SigningKey,
    generate,
)
from asgi_sessions.protocol.sealing import derive

DAY = 86_400_000
LIFETIME = 300_000
SECRET = bytes(range(32))


def hs256(serial: int, signs_from: int) -> SigningKey:
    return SigningKey(f"{serial:016x}", serial, "HS256", SECRET, signs_from)


first, second, third = hs256(1, 0), hs256(2, DAY), hs256(3, 2 * DAY)


def pem(private: Ed25519PrivateKey, password: bytes | None = None) -> bytes:
    encryption = BestAvailableEncryption(password) if password else NoEncryption()
    return private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)


def test_key_ids_are_new_each_time() -> None:
    assert len({new_key_id() for _ in range(100)}) == 100
    assert is_key_id(new_key_id())


@pytest.mark.parametrize("text", ["", "AB" * 8, "ab" * 9, "ab" * 8 + "\n", "gh" * 8, None, 7, b"ab" * 8, ["ab" * 8]])
def test_nothing_else_is_a_key_id(text: object) -> None:
    assert not is_key_id(text)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_generated_keys_differ_and_load(algorithm: str) -> None:
    one, other = generate(algorithm), generate(algorithm)
    assert one != other
    assert SigningKey(new_key_id(), 0, algorithm, one, 0).verify_key


@pytest.mark.parametrize("algorithm", ["none", "HS512", "RS256", "", "hs256"])
def test_other_algorithms_are_refused(algorithm: str) -> None:
    with pytest.raises(ValueError, match="algorithm"):
        generate(algorithm)
    with pytest.raises(ValueError, match="algorithm"):
        SigningKey(new_key_id(), 0, algorithm, SECRET, 0)


@pytest.mark.parametrize("key_id", ["", "x", "../../etc/passwd", "AB" * 8])
def test_an_odd_key_id_is_refused(key_id: str) -> None:
    with pytest.raises(ValueError, match="key id"):
        SigningKey(key_id, 0, "HS256", SECRET, 0)


@pytest.mark.parametrize("derived", [True, False])
def test_a_short_secret_is_refused(derived: bool) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        SigningKey(new_key_id(), 0, "HS256", b"s" * 31, 0, derived)


@pytest.mark.parametrize(
    "secret",
    [generate("ES256"), b"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAA"],
)
def test_a_key_pair_as_an_hs256_secret_is_refused(secret: bytes) -> None:
    with pytest.raises(ValueError, match="HS256"):
        SigningKey(new_key_id(), 0, "HS256", secret, 0, derived=False)


@pytest.mark.parametrize(
    ("algorithm", "secret"),
    [
        ("EdDSA", b"garbage"),
        ("EdDSA", b""),
        ("EdDSA", generate("ES256")),
        ("ES256", generate("EdDSA")),
        ("EdDSA", pem(Ed25519PrivateKey.generate(), b"password")),
        (
            "EdDSA",
            Ed448PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        ),
        (
            "ES256",
            generate_private_key(SECP384R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        ),
    ],
)
def test_a_private_key_of_another_kind_is_refused(algorithm: str, secret: bytes) -> None:
    with pytest.raises(ValueError, match=algorithm):
        SigningKey(new_key_id(), 0, algorithm, secret, 0)


def test_an_hs256_key_is_derived_and_an_applications_own_is_taken_as_it_is() -> None:
    assert SigningKey(new_key_id(), 0, "HS256", SECRET, 0).sign_key == derive(SECRET, "access-token") != SECRET
    assert SigningKey(new_key_id(), 0, "HS256", SECRET, 0, derived=False).sign_key == SECRET


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_the_repr_shows_no_secret(algorithm: str) -> None:
    secret = generate(algorithm)
    key = SigningKey(new_key_id(), 0, algorithm, secret, 0)
    assert repr(key.verify_key)  # cached values stay out of it as well
    assert "secret" not in repr(key)
    assert repr(secret)[2:-1] not in repr(key)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_the_header_segment_is_what_pyjwt_writes(algorithm: str) -> None:
    key = SigningKey(new_key_id(), 0, algorithm, generate(algorithm), 0)
    headers = {"typ": TOKEN_TYPE, "kid": key.key_id}
    text = PyJWS().encode(b"{}", key.sign_key, algorithm, headers)
    assert text.startswith(key.header_segment + ".")


def test_the_newest_key_that_signs_already_signs() -> None:
    for keys in permutations([first, second, third]):
        ring = Keyring(keys)
        signing = [ring.signing_key(now) for now in (0, DAY - 1, DAY, 2 * DAY - 1, 2 * DAY, 9 * DAY)]
        assert signing == [first, first, second, second, third, third]


def test_the_oldest_key_signs_where_none_does_yet() -> None:
    assert Keyring([second, third]).signing_key(0) is second


def test_an_empty_keyring_has_no_key() -> None:
    ring = Keyring([])
    with pytest.raises(LookupError):
        ring.signing_key(0)
    with pytest.raises(LookupError):
        _ = ring.newest
    assert ring.rotation_due(0, DAY, algorithm="HS256")


def test_keys_are_found_by_id_and_by_header_only() -> None:
    ring = Keyring([first, second])
    assert ring.get(first.key_id) is ring.by_header(first.header_segment) is first
    assert ring.get(third.key_id) is ring.by_header(third.header_segment) is None
    assert ring.newest is second


def test_a_key_signs_until_its_successor_does() -> None:
    ring = Keyring([third, first, second])
    assert [ring.signs_until(key) for key in (first, second, third)] == [DAY, 2 * DAY, None]


def test_a_key_verifies_one_access_lifetime_longer_than_it_signs() -> None:
    ring = Keyring([first, second])
    assert ring.verifies_until(first, LIFETIME, overlap=True) == DAY + LIFETIME
    assert ring.verifies_until(second, LIFETIME, overlap=True) is None


def test_without_overlap_a_key_verifies_while_it_signs() -> None:
    assert Keyring([first, second]).verifies_until(first, LIFETIME, overlap=False) == DAY


@pytest.mark.parametrize(("now", "due"), [(DAY - 60_001, False), (DAY - 60_000, True), (DAY, True)])
def test_a_new_key_is_due_before_the_newest_one_ends(now: int, due: bool) -> None:
    assert Keyring([first]).rotation_due(now, DAY, publish_ahead=60_000, algorithm="HS256") is due


def test_no_new_key_is_due_while_a_published_one_waits() -> None:
    assert not Keyring([first, second]).rotation_due(DAY - 1, DAY, algorithm="HS256")


def test_a_new_key_is_due_when_the_algorithm_changes() -> None:
    assert Keyring([first]).rotation_due(0, DAY, algorithm="EdDSA")
    eddsa = SigningKey(new_key_id(), 2, "EdDSA", generate("EdDSA"), DAY)
    assert not Keyring([first, eddsa]).rotation_due(0, DAY, algorithm="EdDSA")


@pytest.mark.parametrize("algorithm", ["EdDSA", "ES256"])
def test_others_can_verify_with_the_public_jwk(algorithm: str) -> None:
    key = SigningKey(new_key_id(), 0, algorithm, generate(algorithm), 0)
    jwk = key.public_jwk()
    assert jwk is not None
    assert (jwk["kid"], jwk["use"], jwk["alg"]) == (key.key_id, "sig", algorithm)
    text = PyJWS().encode(b"{}", key.sign_key, algorithm)
    assert PyJWS().decode(text, PyJWK(jwk), algorithms=[algorithm]) == b"{}"


def test_the_jwk_set_has_no_secret_key_and_no_private_part_and_the_newest_first() -> None:
    eddsa = SigningKey(new_key_id(), 2, "EdDSA", generate("EdDSA"), DAY)
    es256 = SigningKey(new_key_id(), 3, "ES256", generate("ES256"), DAY)
    keys = Keyring([first, eddsa, es256]).public_jwks()["keys"]
    assert [key["kid"] for key in keys] == [es256.key_id, eddsa.key_id]
    assert [set(key) for key in keys] == [
        {"kty", "crv", "x", "y", "kid", "use", "alg"},
        {"kty", "crv", "x", "kid", "use", "alg"},
    ]
    assert json.dumps(keys)
