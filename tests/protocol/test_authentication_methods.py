"""Names, times and levels of methods of authentication."""

import json
from typing import Any

import pytest

from asgi_sessions.protocol.authentication_methods import (
    MAX_LENGTH,
    MOST_METHODS,
    Methods,
    added,
    checked,
    level,
    read,
    written,
)

NOW = 1_700_000_000_123
LATEST = 253_402_300_799_000


@pytest.mark.parametrize("name", ["pwd", "otp", "a", "x" * 30, "my.own:method-2_b", "0"])
def test_a_name_is_a_short_ascii_text(name: str) -> None:
    assert checked([name]) == (name,)


@pytest.mark.parametrize("name", ["", "OTP", "x" * 31, "o tp", "ötp", "otp\n", '"', "\0", "٣"])
def test_anything_else_is_none(name: str) -> None:
    with pytest.raises(ValueError, match="lower-case"):
        checked(["pwd", name])


def test_a_name_counts_once() -> None:
    assert checked(["otp", "pwd", "otp"]) == ("otp", "pwd")


def test_there_are_ten_at_most() -> None:
    ten = [f"m{number}" for number in range(MOST_METHODS)]
    methods = added((), ten, NOW)
    assert added(methods, ten, NOW + 1) == tuple((name, NOW + 1) for name in ten)
    with pytest.raises(ValueError, match="more than 10"):
        added(methods, ["one-more"], NOW)


def test_a_use_moves_the_time_and_never_back() -> None:
    methods = added((("pwd", NOW), ("otp", NOW)), ["pwd"], NOW + 5)
    assert methods == (("pwd", NOW + 5), ("otp", NOW))
    assert added(methods, ["pwd"], NOW) == methods


@pytest.mark.parametrize("methods", [(), (("pwd", 0),), (("pwd", NOW), ("otp", NOW + 1)), (("z", LATEST), ("a", 1))])
def test_the_stored_form_reads_back(methods: Methods) -> None:
    assert read(written(methods)) == methods


def test_the_longest_stored_form_fits_its_column() -> None:
    assert len(written(tuple((f"{number}" * 30, LATEST) for number in range(MOST_METHODS)))) <= MAX_LENGTH


@pytest.mark.parametrize(
    "held",
    [[], "pwd", 1, None, {"PWD": NOW}, {"pwd": 1.0}, {"pwd": True}, {"pwd": -1}, {"pwd": LATEST + 1}, {"pwd": None}],
)
def test_what_was_never_written_is_refused(held: Any) -> None:
    with pytest.raises(ValueError, match=r"methods|lower-case"):
        read(json.dumps(held))


@pytest.mark.parametrize(
    ("names", "wanted"),
    [
        ([], 0),
        (["my-own"], 0),
        (["pwd"], 1),
        (["pwd", "pin", "kba"], 1),
        (["otp", "sms", "tel", "hwk", "swk", "pop", "sc"], 1),
        (["face", "fpt", "iris", "retina", "vbm"], 1),
        (["geo", "rba", "user", "mca", "wia"], 0),
        (["mfa"], 2),
        (["pwd", "otp"], 2),
        (["hwk", "fpt"], 2),
        (["pwd", "otp", "face"], 3),
        (["pwd", "otp", "face", "mfa"], 3),
    ],
)
def test_the_level_is_the_number_of_different_factors(names: list[str], wanted: int) -> None:
    assert level(added((), names, NOW)) == wanted


def test_for_a_recent_level_only_recent_uses_count() -> None:
    methods = (("pwd", NOW - 10), ("otp", NOW))
    assert [level(methods, since=since) for since in (NOW - 10, NOW - 9, NOW + 1)] == [2, 1, 0]
