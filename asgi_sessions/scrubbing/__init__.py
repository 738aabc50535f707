"""Keeps tokens out of error reports, traces and logs: for Sentry here, for OpenTelemetry in `scrubbing.opentelemetry`.

The request's headers are in the ASGI scope, and so in local variables of every frame of the server, the framework and
the application. Reporters that send such variables send whole cookies.
"""

import re
from collections.abc import Mapping
from typing import Any, Final, TypeVar

from asgi_sessions.protocol.cookies import ACCESS_COOKIE, ID_REFRESH_COOKIE, REFRESH_COOKIE, RETRY_COOKIE

__all__ = ["FILTERED", "scrub_event", "scrubbed"]

EventT = TypeVar("EventT")

FILTERED: Final = "[Filtered]"
"""What stands in place of a secret; Sentry's own word."""

# Whatever `cookie_prefix` says, it stands before these.
_COOKIES = (ACCESS_COOKIE, REFRESH_COOKIE, RETRY_COOKIE, ID_REFRESH_COOKIE)
_CARRIES_TOKENS = (
    *("authorization", "proxy-authorization"),
    *("st-access-token", "st-refresh-token", "st-retry-marker", "anti-csrf", "front-token", "id-refresh-token"),
    *("access-token", "refresh-token", "anti-csrf-token", "retry-marker"),  # of those who carry them by hand
)
_HEADERS = frozenset({"cookie", "set-cookie", *_CARRIES_TOKENS})
_OF_SPANS = re.compile(r"(?:http|rpc)\.(?:request|response)\.(?:header|metadata)\.")  # OpenTelemetry's names of them

_names = "|".join(sorted(_HEADERS, key=len, reverse=True)).replace("-", "[-_]")
_names_alone = "|".join(sorted(_CARRIES_TOKENS, key=len, reverse=True)).replace("-", "[-_]")
_IN_TEXT: Final = (
    # A header in the repr of a dictionary or list: 'cookie': 'a=b', (b"cookie", b"a=b").
    (re.compile(rf"""(?i)((?<![\w-])(?:{_names})['"]\s*[:,]\s*b?(?P<q>['"]))(?:\\.|(?!(?P=q)).)+"""), rf"\1{FILTERED}"),
    # A header as a line, to its end, or as an argument: st-access-token: x, access_token=x.
    (re.compile(rf"(?i)((?<![\w-])(?:{_names_alone})(?:: ?|=))[^\r\n'\",;&]+"), rf"\1{FILTERED}"),
    (re.compile(r"(?i)(\bbearer\s+)[\w.~+/-]{16,}=*"), rf"\1{FILTERED}"),
    (re.compile(rf"((?:{'|'.join(_COOKIES)})=)[^;,\s'\"\\]+"), rf"\1{FILTERED}"),
    # JWTs, whole or cut off; refresh tokens and retry markers, by how they begin (see `protocol.envelope`) and length.
    (re.compile(r"eyJ[\w-]{10,}(?:\.[\w-]*){0,2}", re.ASCII), FILTERED),
    (re.compile(r"(?<![\w-])(?:A[Q-Za-z0-9_-]|B[A-P])[\w-]{70,}", re.ASCII), FILTERED),
)


def scrub_event(event: EventT, hint: Any = None) -> EventT:
    """Take tokens out of what Sentry is about to send, wherever in it they are.

    For ``sentry_sdk.init(before_send=…)``, and likewise ``before_send_transaction``, ``before_send_log``,
    ``before_send_metric`` and ``before_send_span``.

    Args:
        event: What the SDK gives, with breadcrumbs, frames' variables, request, spans.
        hint: Not looked at.

    Returns:
        A copy without tokens. Nothing is dropped.
    """
    copy: EventT = scrubbed(event)
    return copy


def scrubbed(value: Any) -> Any:
    """A copy of a value without tokens, for reporters of your own.

    Filtered are whole values of the headers that carry tokens (``Cookie``, ``Set-Cookie``, ``Authorization``,
    ``ST-…-Token`` and others), by name in mappings and in pairs; our cookies by name, with any prefix; and in any text
    what looks like a token of ours.

    Args:
        value: Of texts, bytes, mappings, lists and tuples; anything else is returned as it is.
    """
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, bytes):
        return _text(value.decode("latin-1")).encode("latin-1")
    if isinstance(value, Mapping):
        return {name: _hidden(inside) if _is_secret(name) else scrubbed(inside) for name, inside in value.items()}
    if isinstance(value, list | tuple):
        is_pair = len(value) == 2 and _is_secret(value[0])
        inside = [value[0], _hidden(value[1])] if is_pair else map(scrubbed, value)
        return list(inside) if isinstance(value, list) else tuple(inside)
    return value


def _is_secret(name: Any) -> bool:
    """Whether what stands under this name is secret: a header's or a cookie's, also as its repr."""
    if isinstance(name, bytes):
        name = name.decode("latin-1")
    if not isinstance(name, str):
        return False
    if name[:1] in {"'", '"'} or name[:2] in {"b'", 'b"'}:
        name = name.removeprefix("b")[1:-1]
    if name.endswith(_COOKIES):
        return True
    return _OF_SPANS.sub("", name.lower()).replace("_", "-") in _HEADERS


def _hidden(value: Any) -> Any:
    if isinstance(value, Mapping):  # what Sentry says about a value has the value's name
        return scrubbed(value)
    if isinstance(value, list | tuple):  # several headers of one name
        return list(map(_hidden, value)) if isinstance(value, list) else tuple(map(_hidden, value))
    if value is None or value in ("", b""):
        return value
    return FILTERED.encode() if isinstance(value, bytes) else FILTERED


def _text(text: str) -> str:
    for pattern, replacement in _IN_TEXT:
        text = pattern.sub(replacement, text)
    return text
