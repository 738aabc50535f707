import enum
import uuid
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asgi_sessions.protocol import user_id

some_uuid = uuid.UUID("6f1c2a34-0000-4000-8000-00000000002a")
short_texts = st.text(st.characters(codec="utf-8"), max_size=63)
user_ids = st.one_of(short_texts, st.integers(), st.integers(-(10**253), 10**254), st.uuids())


class Colour(enum.StrEnum):
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 7


class DriverUUID(uuid.UUID):
    pass


@given(user_ids)
def test_every_user_id_comes_back_from_the_database_as_itself(given_id: user_id.UserId) -> None:
    again = user_id.decode(user_id.encode(given_id))
    assert (type(again), again) == (type(given_id), given_id)


@given(user_ids)
def test_every_user_id_comes_back_from_a_token_as_itself(given_id: user_id.UserId) -> None:
    again = user_id.join(*user_id.split(given_id))
    assert (type(again), again) == (type(given_id), given_id)


@given(user_ids, user_ids)
def test_different_user_ids_are_stored_differently(one: user_id.UserId, other: user_id.UserId) -> None:
    assert (user_id.encode(one) == user_id.encode(other)) == ((type(one), one) == (type(other), other))


@pytest.mark.parametrize(
    ("given_id", "stored"),
    [
        ("42", b"s:42"),
        (42, b"i:42"),
        (-1, b"i:-1"),
        ("", b"s:"),
        ("i:42", b"s:i:42"),
        ("Zoë", b"s:Zo\xc3\xab"),
        (some_uuid, b"u:6f1c2a34-0000-4000-8000-00000000002a"),
        (str(some_uuid), b"s:6f1c2a34-0000-4000-8000-00000000002a"),
    ],
)
def test_the_stored_form_names_the_type(given_id: user_id.UserId, stored: bytes) -> None:
    assert user_id.encode(given_id) == stored


@pytest.mark.parametrize(
    ("given_id", "plain"), [(Colour.RED, "red"), (Level.HIGH, 7), (DriverUUID(int=5), uuid.UUID(int=5))]
)
def test_instances_of_subclasses_count_as_the_plain_type(given_id: user_id.UserId, plain: user_id.UserId) -> None:
    again = user_id.decode(user_id.encode(given_id))
    assert (type(again), again) == (type(plain), plain)
    assert type(user_id.split(given_id)[0]) is str


@pytest.mark.parametrize("given_id", [True, None, 1.0, b"42", [1], ("a",), {}, object()])
@pytest.mark.parametrize("function", [user_id.encode, user_id.split, user_id.storable])
def test_other_types_are_refused_by_name(function: Any, given_id: Any) -> None:
    with pytest.raises(TypeError, match=type(given_id).__name__):
        function(given_id)


@pytest.mark.parametrize(
    "given_id",
    ["x" * 256, "ë" * 128, "\ud800", 10**255, -(10**254), 10**5000, -(10**5000)],
    ids=["ascii", "utf-8", "surrogate", "256 digits", "sign", "huge", "huge negative"],
)
def test_what_cannot_be_stored_is_an_error_at_login_and_nobody_in_a_look_up(given_id: user_id.UserId) -> None:
    with pytest.raises(ValueError, match=r"^user_id ") as caught:
        user_id.encode(given_id)
    assert caught.value.__cause__ is None
    assert user_id.storable(given_id) is None


@pytest.mark.parametrize("given_id", ["x" * 255, 10**254, -(10**253)])
def test_the_longest_user_ids_fit(given_id: user_id.UserId) -> None:
    assert user_id.decode(user_id.encode(given_id)) == given_id
    assert user_id.storable(given_id) == user_id.encode(given_id)


@pytest.mark.parametrize(
    "stored",
    [
        *(b"", b"i", b"i:", b"x:1", b"i: 1", b"i:+1", b"i:01", b"i:-0", b"i:1_0", b"i:" + b"9" * 5000),
        *(b"u:" + str(some_uuid).upper().encode(), b"u:{" + str(some_uuid).encode() + b"}", b"u:"),
        *(b"s:\xff", b"s:\xed\xa0\x80", b"s:" + b"x" * 256),
    ],
)
def test_a_second_spelling_of_a_stored_user_id_is_refused(stored: bytes) -> None:
    with pytest.raises(ValueError, match=r"^not a user id$"):
        user_id.decode(stored)


@given(st.one_of(st.binary(), st.binary().map(lambda tail: b"i:" + tail), st.text().map(str.encode)))
def test_any_bytes_are_either_refused_or_the_only_spelling(stored: bytes) -> None:
    try:
        found = user_id.decode(stored)
    except ValueError:
        return
    assert user_id.encode(found) == stored


@pytest.mark.parametrize("kind", ["str", "", "INT"])
def test_an_unknown_type_name_in_a_token_is_refused(kind: str) -> None:
    with pytest.raises(ValueError, match="not a user id"):
        user_id.join("1", kind)


@given(user_ids)
def test_a_namesake_is_another_user_of_the_same_text(given_id: user_id.UserId) -> None:
    if user_id.storable(given_id) is None:
        return
    namesakes = user_id.namesakes(given_id)
    assert len({user_id.encode(each) for each in (given_id, *namesakes)}) == len(namesakes) + 1
    if not isinstance(given_id, str):
        assert str(given_id) in namesakes


@pytest.mark.parametrize(
    ("given_id", "namesakes"),
    [
        ("alice", []),
        ("42", [42]),
        ("042", [42]),
        ("-7", [-7]),
        ("٤٢", []),
        ("9" * 256, None),
        (42, ["42"]),
        (some_uuid, [str(some_uuid)]),
        (str(some_uuid), [some_uuid]),
        (str(some_uuid).upper(), [some_uuid, str(some_uuid)]),
        ("7" * 32, [int("7" * 32), uuid.UUID("7" * 32), str(uuid.UUID("7" * 32))]),
    ],
)
def test_whom_else_an_id_may_mean(given_id: user_id.UserId, namesakes: list[user_id.UserId] | None) -> None:
    if namesakes is None:
        with pytest.raises(ValueError, match="longer"):
            user_id.namesakes(given_id)
    else:
        assert user_id.namesakes(given_id) == namesakes


@pytest.mark.parametrize(("given_id", "plain"), [("42", "42"), (42, 42), (some_uuid, str(some_uuid))])
def test_as_json_a_number_stays_one(given_id: user_id.UserId, plain: str | int) -> None:
    shown = user_id.plain(given_id)
    assert (type(shown), shown) == (type(plain), plain)
