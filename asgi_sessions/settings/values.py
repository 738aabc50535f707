"""How a value of each general kind is read: from the environment's text and from Python alike.

No error repeats the value, which may be a secret in the wrong place; each says what would be right.
"""

import json
import re
from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Any, get_args

from pydantic import BeforeValidator

from asgi_sessions.protocol.durations import format_duration, parse_duration

__all__ = [
    "duration",
    "one_of",
    "optional",
    "optional_duration",
    "optional_one_of",
    "read_list",
    "read_switch",
    "whole_number",
]


def one_of(words: Any) -> BeforeValidator:
    """Reads one of a Literal's words, in any capitalisation."""
    known = {word.lower(): word for word in get_args(words)}

    def read(value: object) -> object:
        word = known.get(value.strip().lower()) if isinstance(value, str) else None
        if word is None:
            raise ValueError("must be one of " + ", ".join(f'"{each}"' for each in known.values()))
        return word

    return BeforeValidator(read)


def optional(read: Callable[[Any], object]) -> BeforeValidator:
    """Reads None, an empty text and the word ``none`` as None."""

    def read_or_none(value: object) -> object:
        if value is None or (isinstance(value, str) and value.strip().lower() in {"", "none"}):
            return None
        return read(value)

    return BeforeValidator(read_or_none)


def optional_one_of(words: Any) -> BeforeValidator:
    """The same as ``one_of``, and ``none``."""
    return optional(one_of(words).func)  # type: ignore[arg-type] # ours takes one argument


def duration(*, at_least: timedelta = timedelta()) -> BeforeValidator:
    """Reads a duration of at least so much."""

    def read(value: object) -> timedelta:
        found = parse_duration(value)
        if found < at_least:
            raise ValueError(f"must be at least {format_duration(at_least)}")
        return found

    return BeforeValidator(read)


def optional_duration(*, at_least: timedelta) -> BeforeValidator:
    """The same as ``duration``, and ``none``."""
    return optional(duration(at_least=at_least).func)  # type: ignore[arg-type] # ours takes one argument


def whole_number(at_least: int, at_most: int | None = None) -> Callable[[object], int]:
    """Reads an integer of a range; no booleans, no fractions."""
    wanted = f"at least {at_least}" if at_most is None else f"from {at_least} to {at_most}"

    def read(value: object) -> int:
        if isinstance(value, str) and re.fullmatch(r"[0-9]{1,15}", value.strip()):
            value = int(value)
        number = value if isinstance(value, int) and not isinstance(value, bool) else None
        if number is None or number < at_least or (at_most is not None and number > at_most):
            raise ValueError(f"must be a whole number, {wanted}")
        return number

    return read


def read_list(value: object, read: Callable[[object], Any]) -> tuple[Any, ...]:
    """Reads a list: of Python, as JSON, or with commas. Each item once, in its place."""
    items: Iterable[object]
    if isinstance(value, str) and value.strip().startswith("["):
        try:
            items = json.loads(value)
        except (ValueError, RecursionError):
            # "from None" is no ornament: the JSON error carries the whole text.
            raise ValueError("begins like a JSON list and is none") from None
    elif isinstance(value, str):
        items = [item for item in value.split(",") if item.strip()]
    elif isinstance(value, (list, tuple, set, frozenset)):
        items = value
    else:
        raise ValueError("must be a list: with commas between, or as JSON")
    return tuple(dict.fromkeys(read(item) for item in items))


def read_switch(value: object) -> bool:
    """Reads a boolean."""
    if isinstance(value, bool):
        return value
    word = value.strip().lower() if isinstance(value, str) else ""
    if word in {"true", "1", "yes", "on"}:
        return True
    if word in {"false", "0", "no", "off"}:
        return False
    raise ValueError("must be true or false")
