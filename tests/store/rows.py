"""Rows and tokens' lineages as the store sees them: opaque hashes and millisecond times."""

import hashlib
from dataclasses import replace
from typing import Any

from asgi_sessions.protocol.rotation import Lineage
from asgi_sessions.store.repository import SessionRow

NOW = 1_800_000_000_000
HOUR = 3_600_000
ALICE = b"s:alice"
BOB = b"s:bob"


def stored(name: str) -> bytes:
    """Return a hash as it stands in a row."""
    return hashlib.sha256(name.encode()).digest()


def session_row(handle: str = "h1", **changes: Any) -> SessionRow:
    """Return a live session of generation 0, of Alice, that ends in ten hours or after one idle hour."""
    row = SessionRow(
        handle=handle,
        user_id=ALICE,
        gen=0,
        cur=stored(f"{handle}/0"),
        cur_iat=NOW,
        prev=None,
        promoted_at=None,
        created_at=NOW,
        last_active_at=NOW,
        auth_time=NOW,
        expires_at=NOW + 10 * HOUR,
        idle_expires_at=NOW + HOUR,
        revoked_at=None,
        revoked_reason=None,
        jwt_payload='{"role":"user"}',
        device_label="Firefox on Linux",
        ip_address="192.0.2.1",
        session_info="null",
    )
    return replace(row, **changes)


def child_of(row: SessionRow, *, issued_at: int = NOW + 1000, name: str = "") -> Lineage:
    """Return the lineage of a child of the row's current token."""
    return Lineage(
        generation=row.gen + 1,
        token_hash=stored(f"{row.handle}/{row.gen + 1}{name}"),
        issued_at=issued_at,
        parent_hash=row.cur,
        parent_issued_at=row.cur_iat,
        grandparent_hash=row.prev,
    )
