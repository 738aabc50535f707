"""Mistakes as sentences: the setting's name first, what would be right, never the value."""

import difflib
import os
import re
from collections.abc import Collection, Iterator, Mapping
from functools import lru_cache
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


def unknown_variables(known: Mapping[str, Any], given: Collection[str]) -> Iterator[str]:
    """A sentence for each variable of the environment that has our prefix and is no setting, or nearly our prefix.

    Args:
        known: The settings that exist, by name.
        given: Those that have a value: a variable with nearly our prefix is not ours where it would change nothing.
    """
    for variable in sorted(os.environ):
        name = variable.lower().removeprefix(PREFIX.lower())
        if variable.upper().startswith(PREFIX):
            if name not in known:
                yield f"{_shown(variable)}: no such variable{_did_you_mean(name, known, PREFIX)}"
        elif (meant := meant_by(variable, known)) is not None and meant not in given:
            yield f"{_shown(variable)}: no such variable; did you mean {PREFIX}{meant.upper()}?"


def nearly_ours(lines: Mapping[str, Any], known: Collection[str]) -> dict[str, Any]:
    """Those lines of a .env file that have nearly our prefix, and mean a setting."""
    return {
        name: value
        for name, value in lines.items()
        if not name.upper().startswith(PREFIX) and meant_by(name, known) is not None
    }


def meant_by(variable: str, known: Collection[str]) -> str | None:
    """The setting that somebody means who writes our prefix nearly right, and the setting's name at least nearly so.

    Args:
        variable: The name of a variable that has not our prefix.
        known: The settings that exist.
    """
    return _meant_by(variable, tuple(known)) if variable[:1] in "aA" else None


@lru_cache
def _meant_by(variable: str, known: tuple[str, ...]) -> str | None:
    letters = _letters(variable)
    for setting in known:
        rest = letters.removesuffix(_letters(setting))
        if rest != letters and _is_nearly_ours(rest):
            return setting
    words = re.split(r"[^a-z0-9]+", variable.lower())
    for end in range(1, min(4, len(words))):
        if _is_nearly_ours("".join(words[:end])):
            close = difflib.get_close_matches("_".join(words[end:]), known, n=1, cutoff=_NEARLY)
            if close:
                return close[0]
    return None


def _is_nearly_ours(prefix: str) -> bool:
    return any(difflib.SequenceMatcher(None, prefix, ours).ratio() >= _NEARLY for ours in _PREFIXES)


def _letters(text: str) -> str:
    return re.sub(r"[^a-z0-9]", "", text.lower())


_PREFIXES = ("asgisessions", "asgiusersessions")
"""Ours, and what one may write who has the distribution's name in mind."""
_NEARLY = 0.85


def _did_you_mean(name: str, known: Collection[str], prefix: str = "") -> str:
    # A line of a .env file arrives under its whole name.
    plain = name.lower().removeprefix(PREFIX.lower())
    close = meant_by(name, known) or next(iter(difflib.get_close_matches(plain, known, n=1)), None)
    if close is None:
        return ""
    return f"; did you mean {prefix}{close.upper() if prefix else close}?"


def _shown(name: str) -> str:
    return name if len(name) <= 100 and name.isprintable() else "(a name that cannot be shown)"
