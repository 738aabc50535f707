"""Whoever waits for a session's end hears of it once."""

import pytest

from asgi_sessions.revocation.termination_listeners import TerminationListeners


def test_each_listener_of_a_session_is_told_once() -> None:
    listeners, told = TerminationListeners(), []
    listeners.add("a", lambda: told.append("first"))
    listeners.add("a", lambda: told.append("second"))
    listeners.add("b", lambda: told.append("another session's"))
    listeners.notify(["a", "c"])
    listeners.notify(["a"])
    assert told == ["first", "second"]
    assert len(listeners) == 1


def test_who_left_is_not_told() -> None:
    listeners, told = TerminationListeners(), []
    stay, leave = lambda: told.append("stay"), lambda: told.append("leave")
    for ended in (stay, leave):
        listeners.add("a", ended)
    listeners.remove("a", leave)
    listeners.notify(["a"])
    assert told == ["stay"]


def nothing() -> None:
    pass


def test_leaving_twice_or_late_does_nothing() -> None:
    listeners = TerminationListeners()
    listeners.remove("a", nothing)
    listeners.add("a", nothing)
    listeners.notify(["a"])
    listeners.remove("a", nothing)
    assert len(listeners) == 0


def test_nothing_is_kept_of_those_who_left() -> None:
    listeners = TerminationListeners()
    for number in range(1000):
        listeners.add(str(number), nothing)
        listeners.remove(str(number), nothing)
    assert len(listeners) == 0
    assert listeners._by_handle == {}


def test_a_listener_may_be_added_again_while_it_is_told() -> None:
    listeners, told = TerminationListeners(), []

    def again() -> None:
        told.append(1)
        listeners.add("a", again)

    listeners.add("a", again)
    listeners.notify(["a"])
    assert told == [1]
    assert len(listeners) == 1


def test_one_that_stumbles_leaves_nobody_else_untold(caplog: pytest.LogCaptureFixture) -> None:
    def stumble() -> None:
        raise RuntimeError("an own mistake")

    listeners, told = TerminationListeners(), []
    listeners.add("a", stumble)
    listeners.add("a", lambda: told.append("a"))
    listeners.add("b", lambda: told.append("b"))
    listeners.notify(["a", "b"])
    assert told == ["a", "b"]
    assert "stumbled" in caplog.text
