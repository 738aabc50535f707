"""Durations as people write them, and the milliseconds that the package counts in."""

import math
import re
from datetime import UTC, datetime, timedelta
from fractions import Fraction

__all__ = ["LONGEST", "datetime_to_ms", "format_duration", "format_time", "from_ms", "parse_duration", "to_ms"]

LONGEST = timedelta(days=36_500)
"""No duration is longer: "now plus a duration" must stay a date that ``datetime`` and cookies can express."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_EXPECTED = 'a duration, such as 300 (seconds), "5m", "1h30m", "0.5s", "14d" or ISO 8601 "PT5M"'
_LONGEST_TEXT = 100

# [0-9] and not \d, which also takes the digits of other scripts.
_NUMBER = r"[0-9]{1,20}(?:[.,][0-9]{1,20})?"
_UNITS = {"w": 604_800_000, "d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1000, "ms": 1}
_SECONDS = re.compile(_NUMBER)
_PLAIN = re.compile(" ?".join(f"(?:(?P<{unit}>{_NUMBER}) ?{unit})?" for unit in _UNITS))
# Years and months have no fixed length: they do not exist here.
_ISO_8601 = re.compile(
    rf"P(?:(?P<w>{_NUMBER})W|(?:(?P<d>{_NUMBER})D)?"
    rf"(?:T(?=[0-9])(?:(?P<h>{_NUMBER})H)?(?:(?P<m>{_NUMBER})M)?(?:(?P<s>{_NUMBER})S)?)?)"
)


def parse_duration(value: object) -> timedelta:
    """Read a duration, to the millisecond.

    Args:
        value: Seconds as a number or its text; text with the units w, d, h, m, s and ms, largest first; an
            ISO 8601 duration of weeks, days, hours, minutes and seconds; or a ``timedelta``.

    Returns:
        The duration, zero or longer, rounded to whole milliseconds.

    Raises:
        ValueError: If it is no duration, negative, not finite, or longer than ``LONGEST``. The text says what
            would be right and does not repeat the value.
    """
    milliseconds = _milliseconds(value)
    if milliseconds < 0:
        raise ValueError("must not be negative")
    # Compared before rounding into a timedelta, which raises OverflowError on the largest numbers.
    if milliseconds > LONGEST // _MILLISECOND:
        raise ValueError(f"must not be longer than {LONGEST.days} days")
    return timedelta(milliseconds=round(milliseconds))


def _milliseconds(value: object) -> Fraction:
    if isinstance(value, timedelta):
        return Fraction(value // timedelta(microseconds=1), 1000)
    if isinstance(value, str):
        return _milliseconds_of_text(value.strip())
    # True is an int, and nobody means one second by it.
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        # isfinite() converts to float, and OverflowError is what the largest ints get there.
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError("must be finite")
        return Fraction(value) * 1000
    raise ValueError(f"must be {_EXPECTED}")


def _milliseconds_of_text(text: str) -> Fraction:
    if text and len(text) <= _LONGEST_TEXT:
        if _SECONDS.fullmatch(text):
            return _number(text) * 1000
        if found := _PLAIN.fullmatch(text) or _ISO_8601.fullmatch(text):
            parts = {unit: number for unit, number in found.groupdict().items() if number is not None}
            if parts:
                return sum((_number(number) * _UNITS[unit] for unit, number in parts.items()), Fraction())
    raise ValueError(f"must be {_EXPECTED}")


def _number(text: str) -> Fraction:
    return Fraction(text.replace(",", "."))


def format_duration(duration: timedelta) -> str:
    """Write a duration as ``parse_duration`` reads it, shortest form: ``5m``, ``1h30m``, ``14d``, ``0s``."""
    rest = to_ms(duration)
    text = ""
    for unit, length in _UNITS.items():
        if unit != "w":  # 14d is easier to compare than 2w
            count, rest = divmod(rest, length)
            text += f"{count}{unit}" if count else ""
    return text or "0s"


def to_ms(duration: timedelta) -> int:
    """The duration in whole milliseconds, rounded down."""
    return duration // _MILLISECOND


def from_ms(milliseconds: int) -> datetime:
    """The aware UTC ``datetime`` of a time in milliseconds since the epoch, exactly."""
    # Not fromtimestamp(), which goes through a float.
    return _EPOCH + milliseconds * _MILLISECOND


def format_time(milliseconds: int) -> str:
    """Write a time in milliseconds since the epoch for people, in UTC: ``2026-01-31 12:00:00Z``."""
    try:
        return f"{from_ms(milliseconds):%Y-%m-%d %H:%M:%SZ}"
    except OverflowError:  # a wrong clock's
        return f"{milliseconds} ms"


def datetime_to_ms(moment: datetime) -> int:
    """A time in milliseconds since the epoch, rounded down.

    Args:
        moment: An aware ``datetime`` of any zone.

    Raises:
        ValueError: If it is naive: it would mean another moment on every machine.
    """
    if moment.tzinfo is None or moment.utcoffset() is None:
        raise ValueError("a naive datetime names no moment; give it a time zone, such as datetime.UTC")
    return (moment - _EPOCH) // _MILLISECOND
