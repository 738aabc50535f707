"""Mistakes as sentences: the setting's name first, what would be right, never the value."""

import difflib
import os
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from pydantic import ValidationError

PREFIX = "ASGI_SESSIONS_"


def problems_of(error: ValidationError, known: Mapping[str, Any]) -> dict[str, list[str]]:
    """Sorts pydantic's findings by setting.

    Args:
        error: Its inputs are not read.
        known: The settings that exist, by name.

    Returns:
        For each name that is bad or unknown the sentences about it.
    """
    found: dict[str, list[str]] = {}
    for detail in error.errors(include_url=False, include_input=False):
        name = str(detail["loc"][0]) if detail["loc"] else ""
        if detail["type"] == "extra_forbidden":
            sentence = f"{_shown(name)}: no such setting{_did_you_mean(name, known)}"
        elif detail["type"] == "value_error":
            sentence = f"{name}: {detail['ctx']['error']}"
        else:
            # Not expected, for every field reads its values itself; and pydantic's text might hold the value.
            sentence = f"{name}: is not valid"
        found.setdefault(name, []).append(sentence)
    return found


def unknown_variables(known: Mapping[str, Any]) -> Iterator[str]:
    """A sentence for each variable of the environment that has our prefix and is no setting."""
    for variable in sorted(os.environ):
        name = variable.lower().removeprefix(PREFIX.lower())
        if variable.upper().startswith(PREFIX) and name not in known:
            yield f"{_shown(variable)}: no such variable{_did_you_mean(name, known, PREFIX)}"


def _did_you_mean(name: str, known: Collection[str], prefix: str = "") -> str:
    # A line of a .env file arrives under its whole name.
    plain = name.lower().removeprefix(PREFIX.lower())
    close = difflib.get_close_matches(plain, known, n=1)
    if not close:
        return ""
    return f"; did you mean {prefix}{close[0].upper() if prefix else close[0]}?"


def _shown(name: str) -> str:
    return name if len(name) <= 100 and name.isprintable() else "(a name that cannot be shown)"
