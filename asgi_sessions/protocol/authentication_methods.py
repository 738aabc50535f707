"""How a user has been authenticated: the methods of a session by name, each with the time at which it was last used.

A name is one of RFC 8176, section 2 (`pwd`, `otp`, `hwk`, …), or the application's own. The level is the number of
different factors among them: something that the user knows, has, or is.
"""

import json
import re
from collections.abc import Iterable
from typing import Final, TypeAlias

__all__ = ["MAX_LENGTH", "MOST_METHODS", "NONE_STORED", "Methods", "added", "checked", "level", "read", "written"]

Methods: TypeAlias = tuple[tuple[str, int], ...]
"""Names and times in ms, in the order of their first use. No name twice."""

MOST_METHODS: Final = 10
MAX_LENGTH: Final = 500
"""Characters of the stored form: ten of the longest names fit."""
NONE_STORED: Final = "{}"

_NAME: Final = re.compile(r"[a-z0-9_.:-]{1,30}")
_LATEST: Final = 253_402_300_799_000  # ms; the end of the year 9999
_FACTORS: Final = {
    **dict.fromkeys(("pwd", "pin", "kba"), "known"),
    **dict.fromkeys(("otp", "sms", "tel", "hwk", "swk", "pop", "sc"), "held"),
    **dict.fromkeys(("face", "fpt", "iris", "retina", "vbm"), "inherent"),
}
"""What proves which factor. The others (`geo`, `rba`, `user`, `mca`, `wia`) do not say, nor do an application's own."""
_SEVERAL: Final = "mfa"
"""Says that there were several factors, and not which."""


def checked(names: Iterable[str]) -> tuple[str, ...]:
    """The names, each once and in their order.

    Raises:
        ValueError: One is no name, or there are too many.
    """
    found = tuple(dict.fromkeys(names))
    for name in found:
        if not _NAME.fullmatch(name):
            raise ValueError("must be 1 to 30 lower-case letters, digits and any of _.:- (RFC 8176: pwd, otp, hwk, …)")
    if len(found) > MOST_METHODS:
        raise ValueError(f"are more than {MOST_METHODS}")
    return found


def added(methods: Methods, names: Iterable[str], now: int) -> Methods:
    """The methods with others that have been used now, ms. No time moves back.

    Raises:
        ValueError: As in `checked`.
    """
    times = dict(methods)
    for name in names:
        times[name] = max(now, times.get(name, 0))
    checked(times)
    return tuple(times.items())


def level(methods: Methods, *, since: int = 0) -> int:
    """How many different factors have been used since then, ms; 0 where no name tells of any."""
    used = {name for name, time in methods if time >= since}
    factors = {_FACTORS[name] for name in used if name in _FACTORS}
    return max(len(factors), 2 if _SEVERAL in used else 0)


def written(methods: Methods) -> str:
    """The form in which the database holds them: JSON, ASCII, at most `MAX_LENGTH` characters."""
    return json.dumps(dict(methods), separators=(",", ":"))


def read(text: str) -> Methods:
    """The methods that `written` wrote.

    Raises:
        ValueError: It never wrote this.
    """
    if text == NONE_STORED:
        return ()
    held = json.loads(text)
    if type(held) is not dict:
        raise ValueError("not the methods of a session")
    methods = tuple(held.items())
    if len(checked(held)) != len(methods) or not all(type(t) is int and 0 <= t <= _LATEST for _, t in methods):
        raise ValueError("not the methods of a session")
    return methods
