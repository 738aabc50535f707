"""Tokens as the version before this one wrote them."""

from dataclasses import dataclass

from asgi_sessions import IssuedSession, SessionManager
from asgi_sessions.protocol import access_token, refresh_token, retry_marker
from asgi_sessions.protocol.envelope import Envelope
from asgi_sessions.protocol.sealing import derive


@dataclass
class Older:
    """What a worker of an older version would have issued."""

    access: str
    refresh: str
    marker: str
    handle: str


async def as_an_older_version(manager: SessionManager, issued: IssuedSession) -> Older:
    """The same tokens in the form that they had before they named a manager."""
    keys = manager.lifecycle.keys
    access = await manager.lifecycle.verifier.authentic(issued.access_token.value)
    refresh = keys.refresh_tokens.decode(issued.refresh_token.value)
    assert access is not None
    assert refresh is not None
    root = (await keys._refresh.load(strict=True))[-1]
    wrapped = [
        Envelope(kind, body.size, {root.key_id: derive(root.secret, purpose)}, root.key_id)
        for kind, body, purpose in (
            (1, refresh_token._BODY, "refresh-token"),
            (2, retry_marker._BODY, "retry-marker"),
        )
    ]
    body = refresh_token._BODY.pack(
        bytes.fromhex(refresh.handle), 0, 0, refresh.issued_at, refresh.secret, bytes(32), 0, bytes(32)
    )
    marked = retry_marker._BODY.pack(bytes.fromhex(refresh.handle), 0, access.issued_at + 120_000)
    return Older(
        access_token.sign(await keys.signing_key(), access, audience="asgi_sessions"),
        wrapped[0].wrap(body),
        wrapped[1].wrap(marked),
        refresh.handle,
    )
