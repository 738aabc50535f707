"""Arguments of the manager's methods have the type that they should have; anything else is an error that names them.

Otherwise a token in the wrong wrapping would pass for an expired one, and a handle for a session that has ended.
"""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any, TypeVar

from asgi_sessions.manager.issued_session import IssuedSession
from asgi_sessions.manager.records import IssuedToken, SessionRecord
from asgi_sessions.manager.session import Session
from asgi_sessions.protocol import authentication_methods
from asgi_sessions.protocol.durations import datetime_to_ms, parse_duration, to_ms
from asgi_sessions.settings.origins import read_origin

__all__ = [
    "duration_or_none",
    "flag",
    "handles",
    "instance",
    "methods",
    "moment_or_none",
    "origins",
    "text",
    "text_or_none",
    "timeout_or_none",
]

T = TypeVar("T")

_HINTS: dict[tuple[str, type], str] = {
    ("token", IssuedToken): "give its .value",
    ("token", IssuedSession): "give its .{name}.value",
    ("handle", Session): "give its .session_handle",
    ("handle", SessionRecord): "give its .session_handle",
    ("handle", IssuedSession): "give its .session.session_handle",
    ("after", SessionRecord): "give its .cursor",
}


def text(value: Any, name: str) -> str:
    """The value as a plain text.

    Raises:
        TypeError: It is none; the message names the argument and its type, never the value.
    """
    if isinstance(value, str):
        return value if type(value) is str else str.__str__(value)  # a subclass may convert itself otherwise
    hint = next((hint for (kind, wrong), hint in _HINTS.items() if kind in name and isinstance(value, wrong)), "")
    raise TypeError(f"{name} must be str, not {type(value).__name__}" + (f": {hint.format(name=name)}" if hint else ""))


def text_or_none(value: Any, name: str) -> str | None:
    """As `text`; None stays None."""
    return None if value is None else text(value, name)


def moment_or_none(value: Any, name: str) -> int | None:
    """An aware `datetime` in ms; None stays None.

    Raises:
        TypeError: It is no `datetime`.
        ValueError: It is naive.
    """
    if value is None:
        return None
    if not isinstance(value, datetime):
        raise TypeError(f"{name} must be datetime, not {type(value).__name__}")
    try:
        return datetime_to_ms(value)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None


def timeout_or_none(value: Any, name: str) -> int | None:
    """A `timedelta` or seconds, at least one, in ms; None stays None.

    Raises:
        TypeError: It is neither.
        ValueError: It is too short, or too long to count with.
    """
    duration = duration_or_none(value, name)
    if duration is None:
        return None
    try:
        milliseconds = to_ms(parse_duration(duration))
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None
    if milliseconds < 1000:
        raise ValueError(f"{name}: must be at least 1 s")
    return milliseconds


def handles(values: Any, name: str) -> list[str]:
    """Several texts, of any iterable but a text.

    Raises:
        TypeError: It is none, or holds something else.
    """
    mistake = TypeError(f"{name} must be an iterable of session handles, not {type(values).__name__}")
    if isinstance(values, str | bytes):
        raise mistake
    try:
        items = iter(values)
    except TypeError:
        raise mistake from None
    return [text(value, name) for value in items]


def origins(value: Any, name: str) -> tuple[str, ...]:
    """One origin, several, or for None none, as browsers write them; ``null`` is one.

    Raises:
        TypeError: It is no `str` and no collection of them.
        ValueError: One of them is not an exact origin.
    """
    if value is None:
        return ()
    several = value if isinstance(value, Collection) and not isinstance(value, str | bytes) else [value]
    found = []
    for each in several:
        origin = text(each, name)
        try:
            found.append(origin if origin == "null" else read_origin(origin))
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from None
    return tuple(found)


def methods(values: Any, name: str) -> tuple[str, ...]:
    """Names of methods of authentication, of any collection.

    Raises:
        TypeError: It is no collection of `str`, or is a single `str`.
        ValueError: One is no such name, or there are too many.
    """
    if not isinstance(values, Collection) or isinstance(values, str | bytes):
        raise TypeError(f"{name} must be a collection of str, not {type(values).__name__}")
    try:
        return authentication_methods.checked([text(value, name) for value in values])
    except ValueError as error:
        raise ValueError(f"{name} {error}") from None


def duration_or_none(value: Any, name: str) -> timedelta | None:
    """A `timedelta`, or seconds; None stays None.

    Raises:
        TypeError: It is neither.
        ValueError: It is negative, or no number of seconds that can be counted with.
    """
    if isinstance(value, bool) or not isinstance(value, timedelta | int | float | None):
        raise TypeError(f"{name} must be a timedelta, or seconds, not {type(value).__name__}")
    if value is None:
        return None
    try:
        duration = value if isinstance(value, timedelta) else timedelta(seconds=value)
    except (OverflowError, ValueError):  # too long, or not a number
        raise ValueError(f"{name} must be a number of seconds that can be counted with.") from None
    if duration < timedelta():
        raise ValueError(f"{name} must not be negative.")
    return duration


def flag(value: Any, name: str) -> bool:
    """The value, if it is a bool. Anything else that is true or false might turn off a check unnoticed.

    Raises:
        TypeError: It is none.
    """
    return instance(value, bool, name)


def instance(value: Any, kind: type[T], name: str) -> T:
    """The value, if it is exactly of this type: no bool passes for an int.

    Raises:
        TypeError: It is not.
    """
    if type(value) is not kind:
        raise TypeError(f"{name} must be {kind.__name__}, not {type(value).__name__}")
    return value
