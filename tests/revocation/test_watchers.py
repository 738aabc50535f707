"""Whoever waits for a session's end hears of it once."""

import pytest

from asgi_sessions.revocation.watchers import Watchers


def test_each_watcher_of_a_session_is_told_once() -> None:
    watchers, told = Watchers(), []
    watchers.add("a", lambda: told.append("first"))
    watchers.add("a", lambda: told.append("second"))
    watchers.add("b", lambda: told.append("another session's"))
    watchers.tell(["a", "c"])
    watchers.tell(["a"])
    assert told == ["first", "second"]
    assert len(watchers) == 1


def test_who_left_is_not_told() -> None:
    watchers, told = Watchers(), []
    stay, leave = lambda: told.append("stay"), lambda: told.append("leave")
    for ended in (stay, leave):
        watchers.add("a", ended)
    watchers.remove("a", leave)
    watchers.tell(["a"])
    assert told == ["stay"]


def nothing() -> None:
    pass


def test_leaving_twice_or_late_does_nothing() -> None:
    watchers = Watchers()
    watchers.remove("a", nothing)
    watchers.add("a", nothing)
    watchers.tell(["a"])
    watchers.remove("a", nothing)
    assert len(watchers) == 0


def test_nothing_is_kept_of_those_who_left() -> None:
    watchers = Watchers()
    for number in range(1000):
        watchers.add(str(number), nothing)
        watchers.remove(str(number), nothing)
    assert len(watchers) == 0
    assert watchers._by_handle == {}


def test_a_watcher_may_watch_again_while_it_is_told() -> None:
    watchers, told = Watchers(), []

    def again() -> None:
        told.append(1)
        watchers.add("a", again)

    watchers.add("a", again)
    watchers.tell(["a"])
    assert told == [1]
    assert len(watchers) == 1


def test_one_that_stumbles_leaves_nobody_else_untold(caplog: pytest.LogCaptureFixture) -> None:
    def stumble() -> None:
        raise RuntimeError("an own mistake")

    watchers, told = Watchers(), []
    watchers.add("a", stumble)
    watchers.add("a", lambda: told.append("a"))
    watchers.add("b", lambda: told.append("b"))
    watchers.tell(["a", "b"])
    assert told == ["a", "b"]
    assert "stumbled" in caplog.text
