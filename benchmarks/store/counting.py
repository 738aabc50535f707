"""How many statements each operation of a session's life sends, counted by the database's server."""

import re
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from asgi_sessions import SessionManager, SessionSettings
from tests.cluster.feed_workers import ServerLog
from tests.security.statements import counted
from tests.servers import Server

__all__ = ["BUDGETS", "MANY", "Count", "exceeded", "lifecycle"]

SECRET = "only-for-this-benchmark-32-bytes-and-more"
MANY = 1000

BUDGETS: dict[str, tuple[str, ...]] = {
    "create": ("INSERT",),
    "verify, feed": (),
    "refresh": ("SELECT", "UPDATE"),
    "revoke": ("UPDATE",),
    "revoke all of 1 session": ("UPDATE",),
    f"revoke all of {MANY} sessions": ("UPDATE",),
    "list": ("SELECT",),
}
"""What each operation may send: these verbs, each at most once. From the issue and its design."""

NOT_OF_THE_OPERATION = re.compile(r"UNION ALL|pg_notify|@@SESSION|^(?:LISTEN|UNLISTEN|SET|SHOW) ", re.IGNORECASE)
"""The feed's poll, at its own pace whatever is done; PostgreSQL's wake-up call to the other workers; and what a new
connection is told once: the pool opens one when the poll and an operation come together."""


@dataclass(frozen=True, slots=True)
class Count:
    """What one operation has sent.

    Attributes:
        operation: See `BUDGETS`.
        verbs: Of the statements, in order.
    """

    operation: str
    verbs: tuple[str, ...]


Take = Callable[[], Sequence[str]]


@contextmanager
def observed(server: Server | None, database: str) -> Iterator[Take]:
    """Give what returns the statements since it was last called: by the server's log, for SQLite by SQLAlchemy's."""
    if server is None:
        with counted() as seen:

            def take() -> list[str]:
                taken = list(seen)
                seen.clear()
                return taken

            yield take
        return
    log = ServerLog(server, database)

    def take_from_log() -> list[str]:
        taken = log.statements
        log.clear()
        return taken

    try:
        yield take_from_log
    finally:
        log.off()


async def lifecycle(url: str, server: Server | None, database: str) -> list[Count]:
    """Live through sessions and count.

    Args:
        url: Of an empty database.
        server: None for SQLite.
        database: Its name there.
    """
    found: list[Count] = []
    settings = SessionSettings(database_url=url, secret_key=SECRET, purge_interval=0, max_sessions_per_user=None)
    # PostgreSQL writes a log for connections that come later.
    with observed(server, database) as take:
        async with SessionManager(settings) as sessions:

            async def count(name: str, operation: Awaitable[Any]) -> Any:
                take()
                result = await operation
                sent = [sql for sql in take() if not NOT_OF_THE_OPERATION.search(sql)]
                verbs = [sql.split(maxsplit=1)[0].upper() for sql in sent]
                found.append(Count(name, tuple(verbs)))
                return result

            first = await count("create", sessions.create_new_session_without_request("one"))
            await count("verify, feed", sessions.get_session_without_request(first.access_token.value, csrf=False))
            # A login's tokens are the session's first; the ones that follow are promoted when they come back.
            second = await sessions.refresh_session_without_request(first.refresh_token.value)
            await count("refresh", sessions.refresh_session_without_request(second.refresh_token.value))
            await count("list", sessions.list_sessions_for_user("one"))
            handle = first.session.session_handle
            await count("revoke", sessions.revoke_session_using_session_handle(handle))
            await sessions.create_new_session_without_request("one")
            await count("revoke all of 1 session", sessions.revoke_all_sessions_for_user("one"))
            for _ in range(MANY):
                await sessions.create_new_session_without_request("many")
            ended = await count(f"revoke all of {MANY} sessions", sessions.revoke_all_sessions_for_user("many"))
            if ended != MANY:
                raise RuntimeError(f"{ended} sessions were revoked instead of {MANY}")
    return found


def exceeded(counts: Sequence[Count]) -> list[str]:
    """What is over its budget, or under it: a count of nothing would mean that nobody counted."""
    problems = []
    for count in counts:
        budget = BUDGETS[count.operation]
        if count.verbs != budget:
            problems.append(f"{count.operation}: {' '.join(count.verbs) or 'none'}, not {' '.join(budget) or 'none'}")
    return problems
