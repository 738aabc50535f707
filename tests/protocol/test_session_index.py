"""By what a session can be found: names, values, and how many; what a change adds and takes away."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asgi_sessions.protocol.session_index import MOST_ENTRIES, changed, entries, entry

NAMES = st.from_regex(r"[a-z][a-z0-9_]{0,39}", fullmatch=True)
VALUES = st.text(st.characters(exclude_categories=["Cs"]))


def test_a_name_may_have_one_value_or_several_and_each_counts_once() -> None:
    found = entries({"org": ["acme", "globex", "acme"], "oidc_sid": "08a5019c"})
    assert found == (entry("org", "acme"), entry("org", "globex"), entry("oidc_sid", "08a5019c"))
    assert entries(None) == entries({}) == entries({"org": ()}) == ()


@given(NAMES, VALUES)
def test_a_value_of_any_length_and_script_is_32_bytes(name: str, value: str) -> None:
    assert len(entry(name, value)[1]) == 32


@given(st.tuples(NAMES, VALUES), st.tuples(NAMES, VALUES))
def test_entries_are_the_same_only_where_name_and_value_are(one: tuple[str, str], other: tuple[str, str]) -> None:
    assert (entry(*one) == entry(*other)) == (one == other)
    assert (entry(*one)[1] == entry(*other)[1]) == (one == other)


@pytest.mark.parametrize("name", ["", "Org", "1st", "_org", "org-unit", "org unit", "ö", "a" * 41, "org\n"])
def test_what_no_name_can_be_is_refused(name: Any) -> None:
    with pytest.raises(ValueError, match="index: a name is 1 to 40 lower-case letters"):
        entries({name: "acme"})
    with pytest.raises(ValueError, match="changes: a name"):
        changed((), {name: None})


@pytest.mark.parametrize("name", [7, None, b"org", ("org",)])
def test_a_name_is_text(name: Any) -> None:
    with pytest.raises(TypeError, match="index: a name must be str"):
        entries({name: "acme"})


@pytest.mark.parametrize("value", [7, None, b"acme", ["acme", 7], [None], {"a": 1}, [["acme"]]])
def test_what_no_value_can_be_is_refused(value: Any) -> None:
    with pytest.raises(TypeError, match="must be str"):
        entries({"org": value})


def test_half_a_surrogate_pair_is_no_text() -> None:
    with pytest.raises(ValueError, match="half a surrogate pair"):
        entries({"org": "\ud83d"})


@pytest.mark.parametrize("index", ["org", ["org"], 7, [("org", "acme")]])
def test_only_a_mapping_will_do(index: Any) -> None:
    with pytest.raises(TypeError, match="index must be a mapping"):
        entries(index)
    with pytest.raises(TypeError, match="changes must be a mapping"):
        changed((), index)


def test_there_are_sixteen_at_most() -> None:
    names = [f"name{number}" for number in range(MOST_ENTRIES + 1)]
    assert len(entries(dict.fromkeys(names[1:], "x"))) == MOST_ENTRIES
    with pytest.raises(ValueError, match="has 17 values, at most 16"):
        entries(dict.fromkeys(names, "x"))
    with pytest.raises(ValueError, match="would have 17 values"):
        changed(entries(dict.fromkeys(names[1:], "x")), {"another": "x"})


def test_a_change_leaves_other_names_and_what_is_there_already() -> None:
    before = entries({"org": ["acme", "globex"], "team": "red", "plan": "free"})
    added, removed = changed(before, {"org": ["globex", "initech"], "plan": None})
    assert added == [entry("org", "initech")]
    assert removed == [entry("org", "acme"), entry("plan", "free")]
    assert changed(before, {}) == changed(before, {"team": "red"}) == ([], [])
