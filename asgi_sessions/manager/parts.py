"""Many sessions of one user, part by part: what one statement has ended is committed before the next one begins."""

from collections.abc import AsyncIterator, Sequence

from asgi_sessions.store.repository import LIVING_BATCH, REVOKE_BATCH, SessionRepository

__all__ = ["acted_in", "begun_before", "end_all_of"]


async def end_all_of(
    sessions: SessionRepository, owner: bytes, reason: str, now: int, *, except_handle: str | None
) -> AsyncIterator[int]:
    """End all of a user's sessions, perhaps but one, where there are many part by part; yields how many have ended.

    Until a statement is committed all feeds go past what it has changed, at each poll, and other writers may wait.
    """
    ended = await sessions.revoke_all(owner, reason, now, except_handle=except_handle)
    if ended:
        yield ended
        return
    count = await sessions.count_of(owner, now, except_handle=except_handle)
    parts = -(-count // sessions.at_once)
    for part in range(parts):
        yield await sessions.revoke_part(owner, reason, now, part, parts, except_handle=except_handle)


async def begun_before(
    sessions: SessionRepository, owner: bytes, now: int, before: int, *, except_handle: str | None
) -> AsyncIterator[Sequence[str]]:
    """Find a user's live sessions that began before a time, ms, perhaps but one; yields the handles of each part."""
    after = before, "!"  # below every handle
    while True:
        rows = await sessions.list_of(owner, now, limit=REVOKE_BATCH, after=after, fresh=True)
        if rows:
            yield [row.handle for row in rows if row.handle != except_handle]
        if len(rows) < REVOKE_BATCH:
            return
        after = rows[-1].created_at, rows[-1].handle


async def acted_in(
    sessions: SessionRepository, owner: bytes, now: int
) -> AsyncIterator[tuple[Sequence[str], Sequence[str]]]:
    """Find the sessions in which a user acts as somebody else; yields all handles of each part, and those of live ones.

    No index leads to them: it goes through all rows.
    """
    async for handles in sessions.acting(owner):
        live: set[str] = set()
        for start in range(0, len(handles), LIVING_BATCH):
            live |= await sessions.living(handles[start : start + LIVING_BATCH], now=now)
        yield handles, [handle for handle in handles if handle in live]
