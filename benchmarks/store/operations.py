"""What is measured: every operation of the store, as a call and as what it needs before and leaves behind."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from asgi_sessions.store.batches import PURGE_BATCH
from asgi_sessions.store.tombstones import TOP
from benchmarks.store.population import (
    FIRST_TOMBSTONE,
    HOUR,
    NOW,
    SESSIONS_PER_USER,
    TABLE,
    Population,
    child_of,
    dead_handles,
    dead_sessions,
    new_row,
    token_of,
)
from benchmarks.store.raw import Scribe, Statement, Stores

__all__ = ["OPERATIONS", "Operation", "Turn", "statements_of"]

NEWS = 10
"""How many tombstones a poll finds."""


@dataclass(frozen=True, slots=True)
class Turn:
    """A number of calls that are made one after the other.

    Attributes:
        population: The database.
        name: Of no other turn.
        users: One for each call, all different, all with ten live sessions.
    """

    population: Population
    name: str
    users: Sequence[int]


def _live_handles(turn: Turn) -> list[str]:
    return [turn.population.handle(user, 2 + user % (SESSIONS_PER_USER - 1)) for user in turn.users]


def _user_ids(turn: Turn) -> list[bytes]:
    return [turn.population.user_id(user) for user in turn.users]


def _batches(turn: Turn) -> list[str]:
    return [f"{turn.name}/{number}" for number in range(len(turn.users))]


def _in_sql(values: Sequence[str] | Sequence[bytes]) -> str:
    return ", ".join(f"'{value.decode() if isinstance(value, bytes) else value}'" for value in values)


def _nothing(turn: Turn, inputs: Sequence[Any]) -> list[str]:
    return []


@dataclass(frozen=True, slots=True)
class Operation:
    """One of the store's operations.

    Attributes:
        name: For tables.
        statements: The verbs of what it may send, in order.
        inputs: What the calls of a turn are about, one for each.
        call: One call; the number of rows it was about.
        rows: What that must be.
        before: Statements that make the ground ready for a turn.
        after: Statements that undo it.
        answer: What the database would give to the first statement of the call, where the call goes on from that.
        share: Of the usual number of calls in a turn, for what is slow.
    """

    name: str
    statements: tuple[str, ...]
    inputs: Callable[[Turn], list[Any]]
    call: Callable[[Stores, Any], Awaitable[int]]
    rows: int = 1
    before: Callable[[Turn, Sequence[Any]], list[str]] = _nothing
    after: Callable[[Turn, Sequence[Any]], list[str]] = _nothing
    answer: Callable[[Any], Sequence[Any]] = lambda item: ()
    share: float = 1.0


async def _create(stores: Stores, row: Any) -> int:
    await stores.sessions.insert(row)
    return 1


async def _find(stores: Stores, handle: str) -> int:
    return int(await stores.sessions.find(handle) is not None)


async def _promote(stores: Stores, item: tuple[str, Any]) -> int:
    handle, lineage = item
    return int(
        await stores.sessions.promote(
            handle, lineage, now=NOW, idle_expires_at=NOW + 336 * HOUR, sibling_window=180_000
        )
    )


async def _refresh(stores: Stores, item: tuple[str, Any]) -> int:
    return await _find(stores, item[0]) and await _promote(stores, item)


async def _revoke(stores: Stores, handle: str) -> int:
    return int(await stores.sessions.revoke(handle, "logout", NOW))


async def _revoke_all(stores: Stores, user_id: bytes) -> int:
    return await stores.sessions.revoke_all(user_id, "logout", NOW)


async def _list(stores: Stores, user_id: bytes) -> int:
    return len(await stores.sessions.list_of(user_id, NOW))


async def _purge(stores: Stores, batch: str) -> int:
    return await stores.sessions.purge(NOW, 0, limit=PURGE_BATCH, unindex=False)


async def _poll(stores: Stores, since: int) -> int:
    return len((await stores.tombstones.page(TOP, since)).handles) + 1


def _tokens(turn: Turn) -> list[Any]:
    return [(handle, child_of(handle)) for handle in _live_handles(turn)]


def _demote(turn: Turn, inputs: Sequence[Any]) -> list[str]:
    return [
        f"UPDATE {TABLE} SET gen = 0, cur = x'{token_of(handle, 0).hex()}', cur_iat = {NOW}, prev = NULL, "
        f"promoted_at = NULL WHERE handle = '{handle}'"
        for handle, _ in inputs
    ]


def _revive(column: str) -> Callable[[Turn, Sequence[Any]], list[str]]:
    def statements(turn: Turn, inputs: Sequence[Any]) -> list[str]:
        mine = f"{column} IN ({_in_sql(inputs)}) AND revoked_at < {FIRST_TOMBSTONE}"
        return [f"UPDATE {TABLE} SET revoked_at = NULL, revoked_reason = NULL WHERE {mine}"]

    return statements


def _forget(turn: Turn, inputs: Sequence[Any]) -> list[str]:
    return [f"DELETE FROM {TABLE} WHERE handle IN ({_in_sql([row.handle for row in inputs])})"]


def _newest_tombstones(turn: Turn) -> list[Any]:
    return [turn.population.last_tombstone - NEWS + 1] * len(turn.users)


OPERATIONS = (
    Operation(
        "create",
        ("INSERT",),
        lambda turn: [new_row(f"{turn.name}/{user}") for user in turn.users],
        _create,
        after=_forget,
    ),
    Operation("find", ("SELECT",), _live_handles, _find),
    Operation("compare-and-swap", ("UPDATE",), _tokens, _promote, after=_demote),
    Operation("refresh", ("SELECT", "UPDATE"), _tokens, _refresh, after=_demote, answer=lambda item: [_found(item[0])]),
    Operation("revoke", ("UPDATE",), _live_handles, _revoke, after=_revive("handle")),
    Operation(
        "revoke all of a user's",
        ("UPDATE",),
        _user_ids,
        _revoke_all,
        rows=SESSIONS_PER_USER,
        after=_revive("user_id"),
        share=0.5,
    ),
    Operation("list a user's", ("SELECT",), _user_ids, _list, rows=SESSIONS_PER_USER),
    Operation(
        f"purge {PURGE_BATCH}",
        ("SELECT", "DELETE"),
        _batches,
        _purge,
        rows=PURGE_BATCH,
        before=lambda turn, inputs: [dead_sessions(batch, PURGE_BATCH, number) for number, batch in enumerate(inputs)],
        answer=lambda batch: [(handle,) for handle in dead_handles(batch, PURGE_BATCH)],
        share=0.1,
    ),
    Operation(
        f"poll, {NEWS} tombstones",
        ("SELECT",),
        _newest_tombstones,
        _poll,
        rows=NEWS + 1,
        answer=lambda position: [(0, 0, None, None)],
    ),
)


def _found(handle: str) -> tuple[Any, ...]:
    row = new_row("found")
    return (handle, *(getattr(row, name) for name in type(row).__slots__ if name not in ("handle", "session_info")))


async def statements_of(operation: Operation, item: Any, scribe: Scribe) -> list[Statement]:
    """What a call sends, as asyncmy takes it."""
    scribe.answer = operation.answer(item)
    await operation.call(scribe.stores, item)
    return scribe.written()
