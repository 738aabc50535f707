"""Indexed attributes: names and values by which sessions are found, such as ``{"org": "acme"}``.

A value is kept as a digest: every look-up costs the same however long the value is, and no foreign identifier lies in
the database in clear text.
"""

import re
from collections.abc import Collection, Mapping
from hashlib import sha256
from typing import Any, Final, TypeAlias

__all__ = ["DIGEST_LENGTH", "ENDS_REMEMBERED", "MOST_ENTRIES", "NAME_LENGTH", "Entry", "changed", "entries", "entry"]

Entry: TypeAlias = tuple[str, bytes]
"""A name, and the digest of one of its values."""

MOST_ENTRIES: Final = 16
NAME_LENGTH: Final = 40
DIGEST_LENGTH: Final = 32
ENDS_REMEMBERED: Final = frozenset({"oidc_sid"})
"""Names whose values, once ended from elsewhere, begin no session for a while: that logout may overtake its login."""
_NAME: Final = re.compile(rf"[a-z][a-z0-9_]{{0,{NAME_LENGTH - 1}}}")


def entries(index: Any, argument: str = "index") -> tuple[Entry, ...]:
    """Everything by which a session is to be found, each once.

    Args:
        index: A mapping of names; each has a `str`, or a collection of them. None has no entries.
        argument: What the caller calls it, for errors.

    Raises:
        TypeError: It is no such mapping.
        ValueError: A name is none, a value is no text that can be encoded, or there are more than `MOST_ENTRIES`.
    """
    if index is None:
        return ()
    if not isinstance(index, Mapping):
        raise TypeError(f"{argument} must be a mapping of names to values, not {type(index).__name__}")
    found = dict.fromkeys(
        entry(name, value, argument) for name, values in index.items() for value in _several(values, argument)
    )
    if len(found) > MOST_ENTRIES:
        raise ValueError(f"{argument}: has {len(found)} values, at most {MOST_ENTRIES}")
    return tuple(found)


def entry(name: Any, value: Any, argument: str = "name") -> Entry:
    """One of them; errors as in `entries`."""
    if not isinstance(name, str):
        raise TypeError(f"{argument}: a name must be str, not {type(name).__name__}")
    if not _NAME.fullmatch(name):
        raise ValueError(
            f"{argument}: a name is 1 to {NAME_LENGTH} lower-case letters, digits and _, and begins with a letter"
        )
    if not isinstance(value, str):
        raise TypeError(f"{argument}: the value of {name} must be str, not {type(value).__name__}")
    try:
        return str.__str__(name), sha256(f"{name}\0{value}".encode()).digest()
    except UnicodeEncodeError:
        raise ValueError(f"{argument}: the value of {name} holds half a surrogate pair") from None


def changed(before: Collection[Entry], changes: Any) -> tuple[list[Entry], list[Entry]]:
    """What is to be added to a session's entries, and what is to go, where some names get other values.

    Args:
        before: What the session has.
        changes: A mapping of these names; None takes a name away.

    Raises:
        TypeError, ValueError: As `entries`.
    """
    if not isinstance(changes, Mapping):
        raise TypeError(f"changes must be a mapping of names to values, not {type(changes).__name__}")
    for name in changes:
        entry(name, "", "changes")
    new = entries({name: () if value is None else value for name, value in changes.items()}, "changes")
    kept = [each for each in before if each[0] not in changes]
    if len(kept) + len(new) > MOST_ENTRIES:
        raise ValueError(f"changes: the session would have {len(kept) + len(new)} values, at most {MOST_ENTRIES}")
    return [each for each in new if each not in before], [each for each in before if each not in (*kept, *new)]


def _several(values: Any, argument: str) -> Collection[Any]:
    if isinstance(values, str):
        return (values,)
    if not isinstance(values, Collection) or isinstance(values, bytes | Mapping):
        raise TypeError(f"{argument}: a value must be str, or a collection of str, not {type(values).__name__}")
    return values
