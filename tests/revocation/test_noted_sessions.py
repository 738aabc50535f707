"""What a worker knows of sessions: which are changed and which revoked, for long enough, and in bounds."""

import random
import secrets

import pytest

from asgi_sessions.revocation.handle_set import HANDLE_BYTES, TEXT_BYTES
from asgi_sessions.revocation.noted_sessions import CHANGE_BYTES, NotedSessions

HANDLE = "0123456789abcdef" * 2


@pytest.fixture
def noted() -> NotedSessions:
    return NotedSessions(64_000_000)


def test_a_change_is_no_end_and_costs_the_session_the_quick_answer(noted: NotedSessions) -> None:
    assert noted.payload_changed(HANDLE, 3) is True
    assert noted.handles.holds(HANDLE)
    assert not noted.is_revoked(HANDLE)
    assert noted.payload_version(HANDLE) == 3
    assert noted.payload_version("f" * 32) == 0


def test_of_versions_the_highest_counts(noted: NotedSessions) -> None:
    assert [noted.payload_changed(HANDLE, version) for version in (2, 1, 2, 5, 4)] == [True, False, False, True, False]
    assert noted.payload_version(HANDLE) == 5


def test_an_end_takes_the_place_of_a_change_and_stays(noted: NotedSessions) -> None:
    noted.payload_changed(HANDLE, 1)
    assert noted.revoked(HANDLE) is True
    assert noted.revoked(HANDLE) is False
    assert noted.is_revoked(HANDLE)
    assert noted.payload_changed(HANDLE, 2) is False
    assert noted.is_revoked(HANDLE)
    assert noted.payload_version(HANDLE) == 0


@pytest.mark.parametrize("what", ["a later change", "its end"])
def test_what_follows_a_change_is_remembered_as_long_as_anything_new(noted: NotedSessions, what: str) -> None:
    noted.payload_changed(HANDLE, 1)
    noted.age()
    if what == "its end":
        assert noted.revoked(HANDLE) is True
    else:
        assert noted.payload_changed(HANDLE, 2) is True
    noted.age()
    assert noted.is_revoked(HANDLE) is (what == "its end")
    assert noted.payload_version(HANDLE) == (0 if what == "its end" else 2)
    noted.age()
    assert not noted.handles.holds(HANDLE)
    assert not noted.is_revoked(HANDLE)
    assert noted.payload_version(HANDLE) == 0


def test_a_change_that_is_half_forgotten_is_no_end(noted: NotedSessions) -> None:
    noted.payload_changed(HANDLE, 1)
    for _ in range(3):
        assert not noted.is_revoked(HANDLE)
        noted.age()


def test_a_change_for_which_there_is_no_room_leaves_any_session_in_doubt() -> None:
    noted = NotedSessions(2 * (HANDLE_BYTES + TEXT_BYTES + CHANGE_BYTES))
    handles = [f"{number:04x}" + secrets.token_hex(14) for number in range(3)]
    assert [noted.payload_changed(handle, 1) for handle in handles] == [True] * 3
    assert noted.handles.overflowing
    assert [noted.payload_version(handle) for handle in handles] == [1, 1, 0]
    assert not any(map(noted.is_revoked, handles))
    noted.age()
    assert noted.handles.overflowing
    noted.age()
    assert not noted.handles.overflowing


def test_as_two_plain_dictionaries_would_have_it(noted: NotedSessions) -> None:
    chance = random.Random(14)
    handles = [secrets.token_hex(16) for _ in range(4)]
    ends: dict[str, int] = {}  # when it was noted
    changes: dict[str, tuple[int, int]] = {}  # likewise, with the version
    period = 0
    for _ in range(5_000):
        handle, version = chance.choice(handles), chance.randrange(1, 9)
        match chance.choice(["change"] * 9 + ["end", "age"]):
            case "change":
                news = handle not in ends and version > changes.get(handle, (0, 0))[1]
                assert noted.payload_changed(handle, version) is news
                if news:
                    changes[handle] = period, version
            case "end":
                assert noted.revoked(handle) is (handle not in ends)
                ends.setdefault(handle, period)
                changes.pop(handle, None)
            case "age":
                noted.age()
                period += 1
                ends = {handle: at for handle, at in ends.items() if period - at < 2}
                changes = {handle: change for handle, change in changes.items() if period - change[0] < 2}
        for each in handles:
            assert noted.is_revoked(each) is (each in ends)
            assert noted.payload_version(each) == changes.get(each, (0, 0))[1]
            assert noted.handles.holds(each) is (each in ends or each in changes)
