"""What an access token says, and the claims in which it says it.

Sources: RFC 7519 (JWT), sections 4.1 and 4.3; RFC 9068, section 2.2.
"""

import base64
import json
from dataclasses import dataclass, field
from typing import Any, Final, Literal, NoReturn, TypeAlias

from asgi_sessions.protocol import json_value, rotation, user_id
from asgi_sessions.protocol.refresh_token import MAX_GENERATION, stored_hash
from asgi_sessions.protocol.session_handle import is_handle
from asgi_sessions.protocol.timeouts import Lifetime

__all__ = ["BACKGROUND", "LEGACY", "LEGACY_AUDIENCE", "ORDINARY", "AccessLineage", "AccessToken", "read", "written"]

LEGACY_AUDIENCE: Final = "asgi_sessions"
"""Of every manager's tokens, before managers had audiences of their own."""

Kind: TypeAlias = Literal["", "background", "legacy"]
ORDINARY: Final[Kind] = ""
BACKGROUND: Final[Kind] = "background"
LEGACY: Final[Kind] = "legacy"

_ISSUER: Final = "asgi_sessions"
_LARGEST_VERSION: Final = 2**63 - 1  # as large as its column
_LATEST: Final = 253_402_300_799  # the end of the year 9999, the last one that a datetime can be in


@dataclass(frozen=True, slots=True)
class AccessLineage:
    """The place in the chain of the refresh token from the same pair (with ``promote_on="first_use"``).

    Attributes:
        generation: Counts from 0.
        token_hash: SHA-256 of the refresh token's secret; never the secret.
        issued_at: The refresh token's, ms.
        parent_hash: SHA-256 of the parent's secret; None for generation 0.
        parent_issued_at: ms; None for generation 0.
        grandparent_hash: SHA-256 of the grandparent's secret; None for generations 0 and 1.
        promoted: Whether the pair had been promoted when this token was signed
            (with ``client_protocol="supertokens"``).
    """

    generation: int
    token_hash: bytes = field(repr=False)
    issued_at: int
    parent_hash: bytes | None = field(default=None, repr=False)
    parent_issued_at: int | None = None
    grandparent_hash: bytes | None = field(default=None, repr=False)
    promoted: bool = False

    @property
    def lineage(self) -> rotation.Lineage:
        """The same with hashes as the database stores them."""
        return rotation.Lineage(
            generation=self.generation,
            token_hash=stored_hash(self.token_hash),
            issued_at=self.issued_at,
            parent_hash=stored_hash(self.parent_hash) if self.parent_hash else None,
            parent_issued_at=self.parent_issued_at,
            grandparent_hash=stored_hash(self.grandparent_hash) if self.grandparent_hash else None,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessToken:
    """What an access token says.

    Attributes:
        handle: The session's.
        user_id: The user, of the type given at login.
        issued_at: ms.
        expires_at: ms; the caller compares it with its clock.
        session_expires_at: When the session ends at the latest, ms.
        auth_time: When the user has logged in, ms.
        generation: That of the refresh token from the same pair.
        anti_csrf_token: For the `anti-csrf` header; None where it is not used.
        lineage: None with ``promote_on="refresh"``.
        payload_json: The application's payload as JSON text.
        kind: `ORDINARY`, which is empty, or what asks for a closer look at each use, see `legacy` and `background`.
        payload_version: How many times the payload had been replaced when this one was written.
        idle_timeout: The session's own idle timeout, ms; None for the setting.
        persistent: Whether the session's cookies outlive the browser.
    """

    handle: str
    user_id: user_id.UserId
    issued_at: int
    expires_at: int
    session_expires_at: int
    auth_time: int
    generation: int
    payload_json: str = field(repr=False)
    anti_csrf_token: str | None = field(default=None, repr=False)
    lineage: AccessLineage | None = None
    kind: Kind = ORDINARY
    payload_version: int = 0
    idle_timeout: int | None = None
    persistent: bool = True

    @property
    def lifetime(self) -> Lifetime:
        """What the session's idle timeout is counted by, without its row."""
        return Lifetime(self.session_expires_at, self.idle_timeout, self.persistent)

    @property
    def legacy(self) -> bool:
        """Whether an older version has issued it, which did not say for which manager."""
        return self.kind == LEGACY

    @property
    def background(self) -> bool:
        """Whether it came of a refresh that has not extended its session: who uses it and is to extend, does so."""
        return self.kind == BACKGROUND

    @property
    def kind_written(self) -> Kind:
        """The kind of a token that says the same and is signed now."""
        return ORDINARY if self.legacy else self.kind

    @property
    def payload(self) -> Any:
        """The application's payload, a fresh object at each access."""
        return json_value.loads(self.payload_json)


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
    return AccessToken(
        handle=handle,
        user_id=user_id.join(_text(claims["sub"]), claims.get("uit")),
        issued_at=_milliseconds(claims["iat"]),
        expires_at=expires_at if verifies_until is None else min(expires_at, verifies_until),
        session_expires_at=_milliseconds(claims["sexp"]),
        auth_time=_milliseconds(claims["auth_time"]),
        generation=generation,
        anti_csrf_token=csrf,
        lineage=_read_lineage(generation, claims["lin"]) if "lin" in claims else None,
        payload_json=_ENCODER.encode(claims["payload"]),
        kind=LEGACY if legacy else _background(claims["bg"]) if "bg" in claims else ORDINARY,
        payload_version=_version(claims["pv"]) if "pv" in claims else 0,
        idle_timeout=_milliseconds(claims["idle"]) if "idle" in claims else None,
        persistent=_persistent(claims["pers"]) if "pers" in claims else True,
    )


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
