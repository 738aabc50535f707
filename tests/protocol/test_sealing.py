import pytest
from hypothesis import given
from hypothesis import strategies as st

from asgi_sessions.errors import GeneralError
from asgi_sessions.protocol.sealing import SealBroken, Sealer, derive

SECRET, OLDER = b"newest secret" * 3, b"older secret" * 3
TABLE = "shop_"
ROW = ("ab" * 8, "HS256", "access")
sealer = Sealer([SECRET, OLDER], TABLE)


@given(st.binary())
def test_sealed_material_opens_to_itself(material: bytes) -> None:
    sealed, seal_id = sealer.seal(material, *ROW)
    assert sealer.open(sealed, seal_id, *ROW) == material


def test_sealed_material_shows_nothing_of_the_key() -> None:
    sealed, seal_id = sealer.seal(b"the signing key", *ROW)
    assert b"signing" not in sealed
    assert SECRET.decode() not in seal_id


def test_the_same_key_is_sealed_differently_each_time() -> None:
    assert sealer.seal(b"key", *ROW) != sealer.seal(b"key", *ROW)


def test_the_newest_secret_seals() -> None:
    _, seal_id = sealer.seal(b"key", *ROW)
    assert seal_id == sealer.current_seal_id == Sealer([SECRET], TABLE).current_seal_id


def test_an_older_secret_still_opens() -> None:
    sealed, seal_id = Sealer([OLDER], TABLE).seal(b"key", *ROW)
    assert sealer.open(sealed, seal_id, *ROW) == b"key"
    assert seal_id != sealer.current_seal_id


def test_a_secret_that_is_missing_is_a_broken_seal() -> None:
    sealed, seal_id = Sealer([b"some other secret"], TABLE).seal(b"key", *ROW)
    with pytest.raises(SealBroken):
        sealer.open(sealed, seal_id, *ROW)


def test_material_that_was_never_sealed_is_a_broken_seal() -> None:
    with pytest.raises(SealBroken):
        sealer.open(b"k" * 32, None, *ROW)


@pytest.mark.parametrize(
    "row",
    [
        ("cd" * 8, "HS256", "access"),
        ("ab" * 8, "ES256", "access"),
        ("ab" * 8, "HS256", "refresh"),
        ("ab" * 8 + "H", "S256", "access"),
        ("ab" * 8, "HS256a", "ccess"),
    ],
)
def test_a_key_moved_to_another_row_is_a_broken_seal(row: tuple[str, str, str]) -> None:
    sealed, seal_id = sealer.seal(b"key", *ROW)
    with pytest.raises(SealBroken):
        sealer.open(sealed, seal_id, *row)


@given(st.data())
def test_changed_material_is_a_broken_seal(data: st.DataObject) -> None:
    sealed, seal_id = sealer.seal(b"the signing key", *ROW)
    index = data.draw(st.integers(0, len(sealed) - 1))
    changed = bytearray(sealed)
    changed[index] ^= data.draw(st.integers(1, 255))
    with pytest.raises(SealBroken):
        sealer.open(bytes(changed), seal_id, *ROW)


@pytest.mark.parametrize("length", [0, 1, 12, 27, 30])
def test_shortened_material_is_a_broken_seal(length: int) -> None:
    sealed, seal_id = sealer.seal(b"the signing key", *ROW)
    with pytest.raises(SealBroken):
        sealer.open(sealed[:length], seal_id, *ROW)


def test_a_broken_seal_is_an_error_of_the_server() -> None:
    assert issubclass(SealBroken, GeneralError)


@pytest.mark.parametrize("secrets", [[], [b""], [SECRET, b""]])
def test_sealing_without_a_secret_is_refused(secrets: list[bytes]) -> None:
    with pytest.raises(ValueError, match="secret"):
        Sealer(secrets, TABLE)


def test_each_purpose_has_a_key_of_its_own() -> None:
    purposes = ["access-token", "refresh-token", "retry-marker", "seal"]
    keys = {derive(SECRET, purpose) for purpose in purposes}
    assert len(keys) == len(purposes)
    assert {len(key) for key in keys} == {32}


def test_a_derived_key_is_the_same_in_every_worker_and_release() -> None:
    expected = "70a6ff85d9138814656d1db739565531"
    assert derive(b"root", "refresh-token", 16).hex() == expected
