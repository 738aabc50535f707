"""The claims of an access token: how `AccessToken` is written as JSON, and read.

Sources: RFC 7519 (JWT), sections 4.1 and 4.3; RFC 9068, section 2.2; RFC 8176 (`amr`);
RFC 8693, section 4.1 (`act`).
"""

import base64
import json
from dataclasses import replace
from typing import Any, Final, NoReturn

from asgi_sessions.protocol import authentication_methods, user_id
from asgi_sessions.protocol.access_content import BACKGROUND, LEGACY, AccessLineage, AccessToken, Kind
from asgi_sessions.protocol.refresh_token import MAX_GENERATION
from asgi_sessions.protocol.session_handle import is_handle
from asgi_sessions.protocol.user_id import UserId

__all__ = ["LEGACY_AUDIENCE", "read", "written"]

LEGACY_AUDIENCE: Final = "asgi_sessions"
"""Of every manager's tokens, before managers had audiences of their own."""

_ISSUER: Final = "asgi_sessions"
_LARGEST_VERSION: Final = 2**63 - 1  # as large as its column
_LATEST: Final = 253_402_300_799  # the end of the year 9999, the last one that a datetime can be in
_SELDOM: Final = frozenset({"lin", "bg", "pv", "idle", "pers", "amr", "act"})


def written(token: AccessToken, audience: str) -> str:
    """The claims as JSON. Its `exp` is never beyond the session's end.

    Args:
        token: What to say.
        audience: For which manager it is, the setting ``audience`` (RFC 7519, section 4.1.3).

    Raises:
        TypeError: The user id is of a type that tokens cannot hold.
        ValueError: The payload is no JSON, a time is out of range, or the lineage is of another generation.
    """
    subject, kind = user_id.split(token.user_id)
    claims: dict[str, Any] = {
        "iss": _ISSUER,
        "aud": audience,
        "sub": subject,
        "sid": token.handle,
        "iat": _seconds(token.issued_at),
        "exp": _seconds(min(token.expires_at, token.session_expires_at)),
        "auth_time": _seconds(token.auth_time),
        "sexp": _seconds(token.session_expires_at),
        "gen": token.generation,
    }
    if kind is not None:
        claims["uit"] = kind
    if token.anti_csrf_token is not None:
        claims["csrf"] = token.anti_csrf_token
    if token.background:
        claims["bg"] = 1
    if token.payload_version:
        claims["pv"] = token.payload_version
    if token.idle_timeout is not None:
        claims["idle"] = _seconds(token.idle_timeout)
    if not token.persistent:
        claims["pers"] = False
    if token.actor is not None:
        actor, kind = user_id.split(token.actor)
        claims["act"] = {"sub": actor} if kind is None else {"sub": actor, "uit": kind}
    if token.methods:
        claims["amr"] = [name for name, _ in token.methods]
        claims["amt"] = [_seconds(time) for _, time in token.methods]
    if token.lineage is not None:
        if token.lineage.generation != token.generation:
            raise ValueError("the lineage is of another generation than its token")
        claims["lin"] = [
            _hash_text(token.lineage.token_hash),
            token.lineage.issued_at,
            _hash_text(token.lineage.parent_hash),
            token.lineage.parent_issued_at,
            _hash_text(token.lineage.grandparent_hash),
            *([True] if token.lineage.promoted else []),
        ]
    # Read and written again rather than pasted in: a text that is no single JSON value could add claims.
    claims["payload"] = token.payload
    return _ENCODER.encode(claims)


def read(text: str, audience: str, verifies_until: int | None) -> AccessToken:
    """What the body of an authentic token says.

    Args:
        text: The claims as JSON.
        audience: For which manager it must be. One of an older version, which named none, is marked as `legacy`.
        verifies_until: When its key stops to verify, ms; None for no such end.

    Raises:
        ValueError, TypeError, LookupError, RecursionError: The claims are not what `written` writes.
    """
    claims = _DECODER.decode(text)
    if type(claims) is not dict or claims["iss"] != _ISSUER:
        raise ValueError("not a token of ours")
    legacy = claims["aud"] != audience
    if legacy and claims["aud"] != LEGACY_AUDIENCE:
        raise ValueError("a token for another manager")
    handle, generation, csrf = claims["sid"], claims["gen"], claims.get("csrf")
    if not is_handle(handle) or not _is_generation(generation) or not isinstance(csrf, str | None):
        raise ValueError("not a token of ours")
    expires_at = _milliseconds(claims["exp"])
    token = AccessToken(
        handle=handle,
        user_id=user_id.join(_text(claims["sub"]), claims.get("uit")),
        issued_at=_milliseconds(claims["iat"]),
        expires_at=expires_at if verifies_until is None else min(expires_at, verifies_until),
        session_expires_at=_milliseconds(claims["sexp"]),
        auth_time=_milliseconds(claims["auth_time"]),
        generation=generation,
        anti_csrf_token=csrf,
        payload_json=_ENCODER.encode(claims["payload"]),
    )
    if legacy or not _SELDOM.isdisjoint(claims):
        token = _with_what_few_say(token, claims, legacy)
    return token


def _with_what_few_say(token: AccessToken, claims: dict[str, Any], legacy: bool) -> AccessToken:
    said: dict[str, Any] = {}
    if "lin" in claims:
        said["lineage"] = _read_lineage(token.generation, claims["lin"])
    if legacy:
        said["kind"] = LEGACY
    elif "bg" in claims:
        said["kind"] = _background(claims["bg"])
    if "pv" in claims:
        said["payload_version"] = _version(claims["pv"])
    if "idle" in claims:
        said["idle_timeout"] = _milliseconds(claims["idle"])
    if "pers" in claims:
        said["persistent"] = _persistent(claims["pers"])
    if "amr" in claims:
        said["methods"] = _read_methods(claims["amr"], claims["amt"])
    if "act" in claims:
        said["actor"] = _read_actor(claims["act"])
    return replace(token, **said)


def _read_lineage(generation: int, lineage: Any) -> AccessLineage:
    token_hash, issued_at, parent_hash, parent_issued_at, grandparent_hash, *promoted = lineage
    if type(lineage) is not list or type(issued_at) is not int or type(parent_issued_at) not in {int, type(None)}:
        raise ValueError("not a lineage")
    if promoted and (len(promoted) > 1 or promoted[0] is not True):
        raise ValueError("not a lineage")
    return AccessLineage(
        generation,
        _hash_bytes(token_hash),
        issued_at,
        None if parent_hash is None else _hash_bytes(parent_hash),
        parent_issued_at,
        None if grandparent_hash is None else _hash_bytes(grandparent_hash),
        promoted=bool(promoted),
    )


def _read_methods(names: Any, times: Any) -> authentication_methods.Methods:
    if type(names) is not list or type(times) is not list:
        raise TypeError("not the methods of a session")
    if not names or authentication_methods.checked(map(_text, names)) != tuple(names):
        raise ValueError("not the methods of a session")
    return tuple(zip(names, map(_milliseconds, times), strict=True))


def _read_actor(actor: Any) -> UserId:
    if type(actor) is not dict or not {"sub"} <= actor.keys() <= {"sub", "uit"}:
        raise ValueError("not an actor")
    return user_id.join(_text(actor["sub"]), actor.get("uit"))


def _seconds(milliseconds: int) -> int | float:
    if not 0 <= milliseconds <= _LATEST * 1000:
        raise ValueError("a time of the token is out of range")
    return milliseconds // 1000 if milliseconds % 1000 == 0 else milliseconds / 1000


def _milliseconds(seconds: float) -> int:
    # Any type may come. The types themselves, since True is an int; NaN and the infinities fail the comparison.
    if type(seconds) not in {int, float} or not 0 <= seconds <= _LATEST:
        raise ValueError("not a time")
    return round(seconds * 1000)


def _is_generation(value: Any) -> bool:
    return type(value) is int and 0 <= value <= MAX_GENERATION


def _background(value: Any) -> Kind:
    if type(value) is not int or value != 1:
        raise ValueError("not a mark")
    return BACKGROUND


def _version(value: Any) -> int:
    if type(value) is not int or not 0 <= value <= _LARGEST_VERSION:
        raise ValueError("not a version of a payload")
    return value


def _persistent(value: Any) -> bool:
    if value is not False:
        raise ValueError("not what is written of a session that is not persistent")
    return False


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("not a text")
    return value


def _hash_text(token_hash: bytes | None) -> str | None:
    return None if token_hash is None else base64.urlsafe_b64encode(token_hash).decode("ascii").rstrip("=")


def _hash_bytes(text: Any) -> bytes:
    raw = base64.urlsafe_b64decode(_text(text) + "=")
    if len(raw) != 32:
        raise ValueError("not a hash")
    return raw


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a name occurs twice")
    return members


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


_ENCODER = json.JSONEncoder(separators=(",", ":"), allow_nan=False)
_DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_refuse)
