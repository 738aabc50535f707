"""Subject identifiers: RFC 9493, with the formats that Shared Signals 1.0 adds.

A format that is described here has the members that it must have. Others, and members that nobody describes, are the
application's to understand: Shared Signals wants receivers to pass over what they do not know.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

from asgi_sessions.oidc.signed_jwt import InvalidToken, identifier, required_identifier

__all__ = ["ALIASES", "COMPLEX", "Subject", "older_subject", "subject_in"]

Subject: TypeAlias = Mapping[str, Any]
"""As it stands in the JSON, with its member `format`."""

ALIASES: Final = "aliases"
COMPLEX: Final = "complex"
MOST_MEMBERS: Final = 50
_NAMES: Final = {"id_token_claims": "iss_sub", "phone": "phone_number"}
_MEMBERS: Final[Mapping[str, Mapping[str, str]]] = {
    "account": {"uri": r"acct:[^\s@]+@[^\s@]+"},
    "did": {"url": r"did:[a-z0-9]+:\S+"},
    "email": {"email": r"[^\s@]+@[^\s@]+|\"[^\"]+\"@[^\s@]+"},
    "iss_sub": {"iss": r"(?s:.+)", "sub": r"(?s:.+)"},
    "jwt_id": {"iss": r"(?s:.+)", "jti": r"(?s:.+)"},
    "opaque": {"id": r"(?s:.+)"},
    "phone_number": {"phone_number": r"\+[0-9][0-9 ().-]{0,30}[0-9]"},
    "saml_assertion_id": {"issuer": r"(?s:.+)", "assertion_id": r"(?s:.+)"},
    "uri": {"uri": r"[A-Za-z][A-Za-z0-9+.-]*:\S+"},
}


def subject_in(value: Any) -> Subject:
    """A subject identifier, checked.

    Args:
        value: What somebody says is one.

    Raises:
        InvalidToken: It is none, or has not what its format demands.
    """
    return _checked(value, ALIASES, COMPLEX)


def older_subject(value: Any) -> Subject:
    """The same of a subject as drafts had it, in today's words, checked.

    It stands inside the event. Its format is called `subject_type` at Google, with hyphens in names; a subject of
    several members has no format.

    Raises:
        InvalidToken: It is none.
    """
    return subject_in(_in_todays_words(value))


def _in_todays_words(value: Any) -> Any:
    if not isinstance(value, dict) or "format" in value:
        return value
    rest = {name: member for name, member in value.items() if name != "subject_type"}
    kind = value.get("subject_type")
    if kind is None:
        return {"format": COMPLEX} | {name: _in_todays_words(member) for name, member in rest.items()}
    if not isinstance(kind, str):
        raise InvalidToken("Its subject has no format.")
    name = kind.replace("-", "_")
    if name == "phone" and "phone" in rest:
        rest["phone_number"] = rest.pop("phone")
    return {"format": _NAMES.get(name, name)} | rest


def _checked(value: Any, *nesting: str) -> Subject:
    if not isinstance(value, dict) or len(value) > MOST_MEMBERS:
        raise InvalidToken("Its subject is no object.")
    kind = identifier(value, "format")
    if kind is None:
        raise InvalidToken("Its subject has no format.")
    for name, pattern in _MEMBERS.get(kind, {}).items():
        if not re.fullmatch(pattern, required_identifier(value, name)):
            raise InvalidToken(f"Its subject's {name} is none.")
    if kind in _NESTING:
        if kind not in nesting:
            raise InvalidToken("Its subject is nested too deeply.")
        _NESTING[kind](value)
    return value


def _aliases(subject: Subject) -> None:
    found = subject.get("identifiers")
    if not isinstance(found, list) or not 0 < len(found) <= MOST_MEMBERS:
        raise InvalidToken("Its subject's identifiers are no list of some.")
    for each in found:
        _checked(each)


def _complex(subject: Subject) -> None:
    members = {name: member for name, member in subject.items() if name != "format"}
    if not members:
        raise InvalidToken("Its subject has no members.")
    for member in members.values():
        _checked(member, ALIASES)


_NESTING: Final[Mapping[str, Callable[[Subject], None]]] = {ALIASES: _aliases, COMPLEX: _complex}
"""What holds others: neither holds one of its own kind, and aliases are inside of what is complex."""
