import base64
import hashlib
import itertools
import time
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asgi_sessions.protocol.refresh_token import MAX_GENERATION, RefreshToken, RefreshTokenCodec, stored_hash
from asgi_sessions.protocol.retry_marker import RetryMarkerCodec
from asgi_sessions.protocol.rotation import Lineage

HANDLE = "0123456789abcdef" * 2
NOW = 1_700_000_000_123
OLD, NEW = "00" * 8, "ff" * 8
KEYS = {OLD: bytes(range(32)), NEW: bytes(range(32, 64))}
codec = RefreshTokenCodec(KEYS, NEW)
hashes = st.binary(min_size=32, max_size=32)
times = st.integers(-(2**63), 2**63 - 1)
tokens = st.builds(
    RefreshToken,
    st.binary(min_size=16, max_size=16).map(bytes.hex),
    st.integers(0, MAX_GENERATION),
    hashes,
    times,
    parent_hash=st.none() | hashes,
    parent_issued_at=st.none() | times,
    grandparent_hash=st.none() | hashes,
)


def sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


@given(tokens)
def test_every_token_reads_back_as_it_was(token: RefreshToken) -> None:
    text = codec.encode(token)
    assert codec.decode(text) == token
    assert len(text) == 238
    assert text.isascii()
    assert not set(text) & set("+/=. ")


def test_a_token_of_an_older_key_still_reads() -> None:
    token = RefreshToken.first(HANDLE, NOW)
    assert codec.decode(RefreshTokenCodec(KEYS, OLD).encode(token)) == token


def test_a_token_of_a_dropped_key_is_none_and_its_key_unknown() -> None:
    text = RefreshTokenCodec(KEYS, OLD).encode(RefreshToken.first(HANDLE, NOW))
    later = RefreshTokenCodec({NEW: KEYS[NEW]}, NEW)
    assert later.decode(text) is None
    assert later.unknown_key(text)


@pytest.mark.parametrize("text", ["", "A" * 238, "A" * 239, None, b"A" * 238, "é" * 238])
def test_the_key_of_garbage_is_not_unknown_but_no_key(text: object) -> None:
    assert not codec.unknown_key(text)


def test_a_token_under_another_key_with_the_same_id_is_none() -> None:
    text = RefreshTokenCodec({NEW: bytes(32)}, NEW).encode(RefreshToken.first(HANDLE, NOW))
    assert codec.decode(text) is None


def test_a_child_descends_from_its_parent_and_grandparent() -> None:
    first = RefreshToken.first(HANDLE, NOW)
    second = first.child(NOW + 1)
    third = second.child(NOW + 2)
    assert (first.parent_hash, first.parent_issued_at, first.grandparent_hash) == (None, None, None)
    assert (second.parent_hash, second.parent_issued_at, second.grandparent_hash) == (
        sha256(first.secret),
        NOW,
        None,
    )
    assert third == RefreshToken(HANDLE, 2, third.secret, NOW + 2, sha256(second.secret), NOW + 1, sha256(first.secret))


def test_a_twin_differs_in_its_secret_alone() -> None:
    token = RefreshToken.first(HANDLE, NOW).child(NOW + 1)
    twin = token.twin()
    assert twin.secret != token.secret
    assert replace(twin, secret=token.secret) == token


def test_every_token_has_a_secret_of_its_own() -> None:
    first = RefreshToken.first(HANDLE, NOW)
    issued = [RefreshToken.first(HANDLE, NOW), first, first.child(NOW), first.child(NOW), first.twin()]
    assert len({token.secret for token in issued}) == len(issued)
    assert {len(token.secret) for token in issued} == {32}


def test_the_lineage_has_hashes_of_hashes() -> None:
    token = RefreshToken(HANDLE, 2, b"m" * 32, NOW, b"p" * 32, NOW - 1, b"g" * 32)
    assert token.lineage == Lineage(2, sha256(sha256(b"m" * 32)), NOW, sha256(b"p" * 32), NOW - 1, sha256(b"g" * 32))
    assert token.lineage.token_hash == stored_hash(token.token_hash)


def test_the_lineage_of_a_first_token_has_no_ancestors() -> None:
    lineage = RefreshToken.first(HANDLE, NOW).lineage
    assert (lineage.parent_hash, lineage.parent_issued_at, lineage.grandparent_hash) == (None, None, None)


def test_the_repr_shows_no_secret_and_no_hash() -> None:
    token = RefreshToken(HANDLE, 2, b"m" * 32, NOW, b"p" * 32, NOW, b"g" * 32)
    assert not any(word in repr(token) for word in ("mmm", "ppp", "ggg", "6d6d", "secret", "hash"))


@pytest.mark.parametrize(
    "changes",
    [
        {"handle": ""},
        {"handle": HANDLE.upper()},
        {"handle": HANDLE[:-2]},
        {"handle": "é" * 32},
        {"generation": -1},
        {"generation": 2**63},
        {"issued_at": 2**63},
        {"parent_issued_at": -(2**63) - 1},
        {"secret": b"short"},
        {"parent_hash": b"short"},
        {"grandparent_hash": b"l" * 33},
    ],
)
def test_a_token_that_cannot_be_written_exactly_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"handle|generation|time|secret"):
        codec.encode(replace(RefreshToken.first(HANDLE, NOW), **changes))


@pytest.mark.parametrize(
    ("keys", "current"),
    [({}, NEW), ({OLD: bytes(32)}, NEW), ({NEW: bytes(31)}, NEW), ({"FF" * 8: bytes(32)}, "FF" * 8)],
)
def test_wrong_keys_are_refused(keys: dict[str, bytes], current: str) -> None:
    with pytest.raises(ValueError, match="key"):
        RefreshTokenCodec(keys, current)


def test_no_single_bit_of_a_token_can_be_changed() -> None:
    text = codec.encode(RefreshToken.first(HANDLE, NOW).child(NOW + 1))
    raw = base64.urlsafe_b64decode(text + "==")
    for index, bit in itertools.product(range(len(raw)), range(8)):
        changed = bytearray(raw)
        changed[index] ^= 1 << bit
        assert codec.decode(base64.urlsafe_b64encode(changed).decode().rstrip("=")) is None


def test_a_token_has_one_spelling() -> None:
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    text = codec.encode(RefreshToken.first(HANDLE, NOW))
    last = alphabet.index(text[-1])
    variants = [text[:-1] + alphabet[last ^ spare] for spare in range(1, 16)]
    variants += [
        text + "=",
        text + "==",
        text + "\n",
        " " + text,
        text[:-1] + "=",
        text[:100] + "\n" + text[100:],
    ]
    variants += [
        text[:100] + "!" + text[101:],
        text.replace("-", "+").replace("_", "/") + "A",
        text[:-1],
        text * 2,
    ]
    assert [codec.decode(variant) for variant in variants] == [None] * len(variants)


@given(st.text() | st.binary() | st.none() | st.integers() | st.floats() | st.lists(st.text()))
def test_garbage_is_none(garbage: object) -> None:
    assert codec.decode(garbage) is None


@given(st.text(min_size=238, max_size=238) | st.text("AZaz09-_", min_size=238, max_size=238))
def test_garbage_of_the_right_length_is_none(garbage: str) -> None:
    assert codec.decode(garbage) is None


@pytest.mark.parametrize("garbage", ["A" * 1_000_000, b"A" * 1_000_000, "\ud800" * 238, "\0" * 238, "é" * 238])
def test_large_and_odd_garbage_is_none_at_once(garbage: object) -> None:
    started = time.perf_counter()
    for _ in range(1000):
        assert codec.decode(garbage) is None
    assert time.perf_counter() - started < 2


def test_bytes_of_a_real_token_are_none() -> None:
    assert codec.decode(codec.encode(RefreshToken.first(HANDLE, NOW)).encode()) is None


def test_a_retry_marker_under_the_same_key_is_no_refresh_token() -> None:
    assert codec.decode(RetryMarkerCodec(KEYS, NEW).encode(HANDLE, 0, NOW)) is None


OLDER = (
    "AQAAAAAAAAAAASNFZ4mrze8BI0VniavN7wcAAAAAAAAAAgAAAYvP5Wh7bW1tbW1tbW1tbW1tbW1tbW1tbW1tbW1tbW1tbW1tbW1wcHBwcHBwcHBwcHBw"
    "cHBwcHBwcHBwcHBwcHBwcHBwcAAAAYvP5Wh6Z2dnZ2dnZ2dnZ2dnZ2dnZ2dnZ2dnZ2dnZ2dnZ2dnZ2dPT5XTmUgY45kFuCxO3CkyfvBUPx_Ywp_Y_4cF"
    "x26PAA"
)
"""Written by version 0.1.0 under the key OLD."""


def test_a_token_of_an_older_version_is_read_with_its_own_key_and_in_time_only() -> None:
    written = RefreshToken(HANDLE, 2, b"m" * 32, NOW, b"p" * 32, NOW - 1, b"g" * 32)
    for until, found in ((NOW + 1, written), (NOW, None), (0, None)):
        assert RefreshTokenCodec({NEW: bytes(32)}, NEW, legacy_keys={**KEYS}, legacy_until=until).decode(OLDER) == found
    assert codec.decode(OLDER) is None
    assert not codec.unknown_key(OLDER)
    assert RefreshTokenCodec({NEW: bytes(32)}, NEW, legacy_keys={NEW: KEYS[NEW]}, legacy_until=NOW).unknown_key(OLDER)


@pytest.mark.parametrize("legacy_keys", [None, KEYS], ids=["new", "upgraded"])
def test_whatever_is_read_looks_encoded(legacy_keys: dict[str, bytes] | None) -> None:
    reader = RefreshTokenCodec(KEYS, NEW, legacy_keys=legacy_keys, legacy_until=NOW + 1)
    texts = [codec.encode(RefreshToken.first(HANDLE, NOW)), OLDER]
    assert [reader.decode(text) is not None for text in texts] == [True, legacy_keys is not None]
    assert [reader.looks_encoded(text) for text in texts] == [True, legacy_keys is not None]
    assert not reader.looks_encoded(RetryMarkerCodec(KEYS, NEW).encode(HANDLE, 0, NOW))


def test_a_token_is_never_written_as_an_older_version_did() -> None:
    mixed = RefreshTokenCodec(KEYS, NEW, legacy_keys=KEYS, legacy_until=2**62)
    token = RefreshToken.first(HANDLE, NOW)
    assert mixed.encode(token) == codec.encode(token) != OLDER
