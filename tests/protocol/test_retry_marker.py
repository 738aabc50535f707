import pytest
from hypothesis import given
from hypothesis import strategies as st

from asgi_sessions.protocol.refresh_token import RefreshToken, RefreshTokenCodec
from asgi_sessions.protocol.retry_marker import RetryMarkerCodec

HANDLE, OTHER = "ab" * 16, "cd" * 16
NOW = 1_700_000_000_000
OLD, NEW = "00" * 8, "ff" * 8
KEYS = {OLD: bytes(range(32)), NEW: bytes(range(32, 64))}
codec = RetryMarkerCodec(KEYS, NEW)
marker = codec.encode(HANDLE, 5, NOW + 120_000)


def test_a_marker_matches_its_own_token() -> None:
    assert codec.matches(marker, HANDLE, 5, NOW)


def test_a_marker_of_an_older_key_still_matches() -> None:
    assert codec.matches(RetryMarkerCodec(KEYS, OLD).encode(HANDLE, 5, NOW), HANDLE, 5, NOW)


@pytest.mark.parametrize(
    ("handle", "generation"),
    [(OTHER, 5), (HANDLE, 4), (HANDLE, 6), (HANDLE.upper(), 5), ("", 5), ("\ud800", 5)],
)
def test_a_marker_matches_no_other_token(handle: str, generation: int) -> None:
    assert not codec.matches(marker, handle, generation, NOW)


@pytest.mark.parametrize(("now", "matches"), [(NOW + 120_000, True), (NOW + 120_001, False)])
def test_a_marker_matches_to_the_last_millisecond_of_its_life(now: int, matches: bool) -> None:
    assert codec.matches(marker, HANDLE, 5, now) is matches


def test_a_marker_of_another_secret_matches_nothing() -> None:
    forged = RetryMarkerCodec({NEW: bytes(32)}, NEW).encode(HANDLE, 5, NOW)
    assert not codec.matches(forged, HANDLE, 5, NOW)


def test_a_refresh_token_under_the_same_key_is_no_marker() -> None:
    refresh_token = RefreshTokenCodec(KEYS, NEW).encode(RefreshToken.first(HANDLE, NOW))
    assert not codec.matches(refresh_token, HANDLE, 0, NOW)


@given(st.text() | st.text("Aa0-_", min_size=98, max_size=98) | st.binary() | st.none() | st.integers())
def test_garbage_matches_nothing(garbage: object) -> None:
    assert not codec.matches(garbage, HANDLE, 5, NOW)


@given(st.integers(0, len(marker) - 1), st.sampled_from("AZaz09-_=.é "))
def test_a_changed_marker_matches_nothing(index: int, character: str) -> None:
    changed = marker[:index] + character + marker[index + 1 :]
    assert codec.matches(changed, HANDLE, 5, NOW) is (changed == marker)


@pytest.mark.parametrize(("handle", "generation", "expires_at"), [("x", 0, 0), (HANDLE, 2**63, 0), (HANDLE, 0, 2**63)])
def test_a_marker_that_cannot_be_written_is_refused(handle: str, generation: int, expires_at: int) -> None:
    with pytest.raises(ValueError, match=r"handle|generation"):
        codec.encode(handle, generation, expires_at)


OLDER = "AgAAAAAAAAAAq6urq6urq6urq6urq6urqwAAAAAAAAAFAAABi8_laAAQiQmJ-H7bKs9vMfgIPKMfKOZg-Kjn8yvi0sFPwKpgQg"
"""Written by version 0.1.0 under the key OLD."""


@pytest.mark.parametrize(("until", "matches"), [(NOW + 1, True), (NOW, False), (0, False)])
def test_a_marker_of_an_older_version_matches_in_time_only(until: int, matches: bool) -> None:
    reader = RetryMarkerCodec({NEW: bytes(32)}, NEW, legacy_keys=KEYS, legacy_until=until)
    assert reader.matches(OLDER, HANDLE, 5, NOW) is matches
    assert not reader.matches(OLDER, HANDLE, 6, NOW)
    assert not codec.matches(OLDER, HANDLE, 5, NOW)
