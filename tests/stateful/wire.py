"""Tokens on the wire against the model's: every field of every one, and which text stands for which."""

import base64
import hashlib
import json
from typing import Any

from asgi_sessions import SessionManager
from asgi_sessions.protocol.session_handle import form_tag
from tests.stateful.profiles import Profile, persistent
from tests.stateful.records import Access, FormTag, Login, Marker, Record, Token


class Wire:
    """Knows the tokens by their texts, as far as a worker has written them."""

    def __init__(self, profile: Profile) -> None:
        self._profile = profile
        self._known: dict[str, Record] = {}

    def access(self, text: str) -> Access | None:
        found = self._known.get(text)
        return found if isinstance(found, Access) else None

    def token(self, text: str) -> Token | None:
        found = self._known.get(text)
        return found if isinstance(found, Token) else None

    def marker(self, text: str) -> Marker | None:
        found = self._known.get(text)
        return found if isinstance(found, Marker) else None

    def learn(self, text: str, record: Record, manager: SessionManager) -> None:
        """Compare a text with what the model has issued, and take it for that from now on."""
        if isinstance(record, Token):
            assert text not in self._known, "a secret is made anew for every token"
            self._learn_token(text, record, manager)
        elif isinstance(record, Access):
            self._compare_access(text, record)
        else:
            codec = manager.lifecycle.keys.retry_markers
            at, handle = record.expires_at, record.login.handle
            assert codec.matches(text, handle, record.generation, at), "the marker is for this token"
            assert not codec.matches(text, handle, record.generation, at + 1), "and ends with its cookie"
        self._known[text] = record

    def _learn_token(self, text: str, token: Token, manager: SessionManager) -> None:
        found = manager.lifecycle.keys.refresh_tokens.decode(text)
        assert found is not None
        login, parent = token.login, token.parent
        if not login.handle:
            login.handle = found.handle
        token.secret = found.secret
        assert found.handle == login.handle
        assert (found.generation, found.issued_at) == (token.generation, token.issued_at)
        assert found.parent_hash == (carried_hash(parent) if parent else None)
        assert found.parent_issued_at == (parent.issued_at if parent else None)
        assert found.grandparent_hash == (carried_hash(parent.parent) if parent and parent.parent else None)

    def _compare_access(self, text: str, access: Access) -> None:
        claims = _claims(text)
        pair, parent = access.pair, access.pair.parent
        expected: dict[str, Any] = {
            "iss": "asgi_sessions",
            "aud": "asgi_sessions_",
            "sub": access.user,
            "sid": access.login.handle,
            "iat": access.issued_at / 1000,
            "exp": access.expires_at / 1000,
            "auth_time": access.auth_time / 1000,
            "sexp": access.session_expires_at / 1000,
            "gen": pair.generation,
            "payload": access.payload,
        }
        if access.version:
            expected["pv"] = access.version
        if not persistent(access.user):
            expected["pers"] = False
        if self._profile.first_use:
            expected["lin"] = [
                _text(carried_hash(pair)),
                pair.issued_at,
                _text(carried_hash(parent)) if parent else None,
                parent.issued_at if parent else None,
                _text(carried_hash(parent.parent)) if parent and parent.parent else None,
            ]
        assert claims == expected


def carried_hash(token: Token) -> bytes:
    """What tokens carry of another one."""
    assert token.secret
    return hashlib.sha256(token.secret).digest()


def stored_hash(token: Token) -> bytes:
    """What the table keeps of one."""
    return hashlib.sha256(carried_hash(token)).digest()


def plain(value: Any) -> Any:
    """A body with handles in the place of logins."""
    if isinstance(value, Login):
        return value.handle
    if isinstance(value, FormTag):
        return form_tag(value.login.handle)
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list) else value


def _claims(text: str) -> Any:
    body = text.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")
