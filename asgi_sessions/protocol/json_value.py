"""JSON values that come back exactly as they were given, or are refused by name.

``json`` alone turns tuples into lists, keys into strings and NaN into something that is no JSON; what an
application stores at login and what it reads later would differ.
"""

import json
import math
import re
from typing import Any, Final

__all__ = ["MAX_DEPTH", "MAX_LENGTH", "dumps", "loads"]

MAX_DEPTH: Final = 100
"""Lists and objects within each other; a cycle is deeper than any number."""

MAX_LENGTH: Final = 2**24 - 1
"""Characters of text: a MEDIUMTEXT column holds no more, and MySQL cuts silently outside its strict mode."""

# Python reads no longer ones by default (sys.set_int_max_str_digits): they would be written, never read.
_MAX_DIGITS: Final = 4300
_MAX_BITS: Final = 14_285
_KEY_SHOWN: Final = 60

# As two characters it is another string than the one character that JSON makes of the same escapes.
_SPLIT_PAIR: Final = re.compile("[\ud800-\udbff][\udc00-\udfff]")


def dumps(value: Any, what: str) -> str:
    """A JSON value as ASCII text from which ``loads`` makes an equal value of the same types.

    Args:
        value: None, bool, int, float, str, list or dict with string keys, exactly these types.
        what: What the value is, as the error should call it, e.g. ``jwt_payload``.

    Raises:
        TypeError: Something in it is no JSON value; the text says where and of which type, never its content.
        ValueError: It is nested deeper than ``MAX_DEPTH`` (or within itself), longer than ``MAX_LENGTH``,
            or has an integer of more than 4300 digits.
    """
    _Inspection(what).visit(value)
    text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    if len(text) > MAX_LENGTH:
        raise ValueError(f"{what} is longer than {MAX_LENGTH} characters of JSON")
    return text


def loads(text: str) -> Any:
    """A new value at each call, which no other caller holds.

    Raises:
        ValueError: The text is not JSON.
    """
    return json.loads(text)


class _Inspection:
    """One walk through a value; the trail is where the walk stands, for the error's text."""

    __slots__ = ("seen", "trail", "what")

    def __init__(self, what: str) -> None:
        self.what = what
        self.trail: list[str | int] = []
        self.seen = 0

    def place(self) -> str:
        return self.what + "".join(f"[{_shown(step)}]" for step in self.trail)

    def visit(self, value: Any) -> None:
        kind = type(value)
        self.seen += 1
        # Each value takes two characters with its comma or bracket. Counted here, since one list held many
        # times over can be a small object and an endless text.
        if self.seen > MAX_LENGTH // 2 + 1:
            raise ValueError(f"{self.what} is longer than {MAX_LENGTH} characters of JSON")
        if value is None or kind is bool:
            return
        if kind is str:
            self.visit_text(value, "")
        elif kind is int:
            if not _is_printable(value):
                raise ValueError(f"{self.place()} is an integer of more than {_MAX_DIGITS} digits")
        elif kind is float:
            if not math.isfinite(value):
                raise TypeError(f"{self.place()} is {value}, which JSON does not have")
        elif kind is list or kind is dict:
            if len(self.trail) >= MAX_DEPTH:
                raise ValueError(f"{self.what} is nested deeper than {MAX_DEPTH}, or holds itself")
            self.visit_members(value)
        else:
            raise TypeError(
                f"{self.place()} is a {kind.__qualname__}; JSON values are None, bool, int, float, str, list "
                'and dict, exactly these. Convert it first, a pydantic model with model_dump(mode="json")'
            )

    def visit_members(self, value: list[Any] | dict[Any, Any]) -> None:
        if isinstance(value, dict):
            for key in value:
                if type(key) is not str:
                    raise TypeError(
                        f"{self.place()} has a key that is a {type(key).__qualname__}; keys must be strings"
                    )
                self.visit_text(key, "a key of ")
        for step, member in value.items() if isinstance(value, dict) else enumerate(value):
            self.trail.append(step)
            self.visit(member)
            self.trail.pop()

    def visit_text(self, text: str, prefix: str) -> None:
        if not text.isascii() and _SPLIT_PAIR.search(text):
            raise TypeError(
                f"{prefix}{self.place()} has a surrogate pair as two characters, which JSON cannot keep apart"
            )


def _shown(step: str | int) -> str:
    if isinstance(step, int):
        return str(step)
    return json.dumps(step if len(step) <= _KEY_SHOWN else step[:_KEY_SHOWN] + "...")


def _is_printable(number: int) -> bool:
    bits = number.bit_length()
    if bits <= 64:
        return True
    if bits > _MAX_BITS:
        return False
    try:
        return len(str(abs(number))) <= _MAX_DIGITS
    except ValueError:  # the process has a lower limit
        return False
