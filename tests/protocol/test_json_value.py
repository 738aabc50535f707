import collections
import enum
import json
import math
import re
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asgi_sessions.protocol import json_value

SPLIT_PAIR = re.compile("[\ud800-\udbff][\udc00-\udfff]")
# st.characters() includes lone surrogates, which JSON can hold and UTF-8 cannot.
texts = st.text(st.characters()).filter(lambda text: not SPLIT_PAIR.search(text))
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(texts, inner, max_size=5),
    max_leaves=20,
)


class Level(enum.IntEnum):
    HIGH = 7


class Pair(NamedTuple):
    one: int
    two: int


def is_same(one: Any, other: Any) -> bool:
    """Equality that tells 1 from 1.0 and True, and 0.0 from -0.0, and looks at the order of keys."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return list(one) == list(other) and all(is_same(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(is_same, one, other))
    if isinstance(one, float):
        return one == other and math.copysign(1, one) == math.copysign(1, other)
    return bool(one == other)


def nested(depth: int) -> Any:
    value: Any = []
    for _ in range(depth - 1):
        value = [value]
    return value


@given(json_values)
def test_every_json_value_comes_back_exactly(value: Any) -> None:
    text = json_value.dumps(value, "info")
    assert text.isascii()
    assert is_same(json_value.loads(text), value)


@pytest.mark.parametrize(
    "value",
    [1, 1.0, True, -0.0, 10**4299, -(10**4299), "\ud800", "\udc00\ud800", "\U00010000", "\x00", {}, []],
)
def test_values_that_are_easily_confused_stay_apart(value: Any) -> None:
    assert is_same(json_value.loads(json_value.dumps(value, "info")), value)


def containers(value: Any) -> list[Any]:
    members = list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else None
    return [] if members is None else [value, *(inner for member in members for inner in containers(member))]


@given(json_values)
def test_no_two_readers_share_an_object(value: Any) -> None:
    text = json_value.dumps(value, "info")
    first, second = containers(json_value.loads(text)), containers(json_value.loads(text))
    assert not {id(one) for one in first} & {id(one) for one in second}


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ((1, 2), "jwt_payload is a tuple; JSON values are"),
        ({"a": [0, 1, (2,)]}, r'jwt_payload["a"][2] is a tuple;'),
        ({"a": {1: 2}}, r'jwt_payload["a"] has a key that is a int;'),
        ({None: 1}, "jwt_payload has a key that is a NoneType;"),
        ([float("nan")], "jwt_payload[0] is nan,"),
        ([float("-inf")], "jwt_payload[0] is -inf,"),
        ([Level.HIGH], "jwt_payload[0] is a Level;"),
        ([Pair(1, 2)], "jwt_payload[0] is a Pair;"),
        (collections.OrderedDict(), "jwt_payload is a OrderedDict;"),
        ({"when": b"now"}, 'jwt_payload["when"] is a bytes;'),
        ({'"]\n': {1}}, r'jwt_payload["\"]\n"] is a set;'),
        (["\ud800\udc00"], "jwt_payload[0] has a surrogate pair"),
        ({"\ud800\udc00": 1}, "a key of jwt_payload has a surrogate pair"),
    ],
)
def test_what_is_no_json_value_is_a_type_error_that_says_where(value: Any, message: str) -> None:
    with pytest.raises(TypeError, match="^" + re.escape(message)):
        json_value.dumps(value, "jwt_payload")


def test_the_error_suggests_how_to_convert_a_model() -> None:
    with pytest.raises(TypeError, match=re.escape('model_dump(mode="json")')):
        json_value.dumps(object(), "jwt_payload")


def test_a_long_key_does_not_make_a_long_error() -> None:
    with pytest.raises(TypeError) as caught:
        json_value.dumps({"k" * 10_000: ()}, "jwt_payload")
    assert len(str(caught.value)) < 400


def test_a_hundred_levels_are_kept_and_one_more_is_refused() -> None:
    assert is_same(json_value.loads(json_value.dumps(nested(100), "info")), nested(100))
    with pytest.raises(ValueError, match="info is nested deeper than 100"):
        json_value.dumps(nested(101), "info")


def test_a_value_that_holds_itself_is_refused() -> None:
    cycle: dict[str, Any] = {}
    cycle["again"] = [cycle, cycle]
    with pytest.raises(ValueError, match="or holds itself"):
        json_value.dumps(cycle, "info")


@pytest.mark.parametrize("exponent", [4300, 5000, 100_000])
@pytest.mark.parametrize("sign", [1, -1])
def test_an_integer_that_python_could_not_read_again_is_refused(exponent: int, sign: int) -> None:
    with pytest.raises(ValueError, match=r"info\[0\] is an integer of more than 4300 digits"):
        json_value.dumps([sign * 10**exponent], "info")


def test_a_text_that_no_column_can_hold_is_refused() -> None:
    longest = "x" * (json_value.MAX_LENGTH - 2)
    assert len(json_value.dumps(longest, "info")) == json_value.MAX_LENGTH
    with pytest.raises(ValueError, match="info is longer than"):
        json_value.dumps(longest + "x", "info")


def test_a_small_object_with_an_endless_text_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_value, "MAX_LENGTH", 10_000)
    value: list[Any] = [1]
    for _ in range(60):
        value = [value, value]
    with pytest.raises(ValueError, match="info is longer than"):
        json_value.dumps(value, "info")


@given(json_values)
def test_the_limit_on_values_never_refuses_what_would_fit(value: Any) -> None:
    length = len(json_value.dumps(value, "info"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_value, "MAX_LENGTH", length)
        json_value.dumps(value, "info")


def test_the_text_is_what_other_json_readers_read() -> None:
    value = {"name": "Zoë", "roles": ["a", None, True, 1.5]}
    assert json.loads(json_value.dumps(value, "info")) == value
