"""The commands about what is to be told elsewhere: notifications, requeue-notifications, drop-notifications."""

import argparse
import json
import sys
from collections.abc import Sequence
from typing import Any

from asgi_sessions.cli.arguments import read_handle, read_page_size, read_receiver
from asgi_sessions.cli.command import AddCommand
from asgi_sessions.cli.exit_codes import DONE, NOTHING_FOUND, WRONG_USE
from asgi_sessions.cli.place import tables_of
from asgi_sessions.cli.printing import say, say_table, shown
from asgi_sessions.manager import SessionManager
from asgi_sessions.protocol.durations import from_ms
from asgi_sessions.store.notifications import Backlog, Notification, NotificationState

_PAGE = 100
_HEADINGS = ("SESSION HANDLE", "RECEIVER", "STATE", "ENDED", "TRIED", "FAILURE", "NEXT TRY")


def add_commands(add: AddCommand) -> None:
    listing = add("notifications", _list, "Show which ends of sessions others have still to be told of, oldest first.")
    listing.add_argument("--dead", action="store_true", help="only those that have been given up")
    listing.add_argument("--json", action="store_true", help="as JSON, for programs")
    listing.add_argument(
        "--limit", type=read_page_size, default=_PAGE, metavar="N", help=f"at most so many (default: {_PAGE})"
    )
    requeuing = add("requeue-notifications", _requeue, "Try again to tell others what has been given up.")
    dropping = add("drop-notifications", _drop, "Delete what has been given up.")
    for each in (requeuing, dropping):
        each.add_argument("handles", nargs="*", type=read_handle, metavar="HANDLE", help="as shown by notifications")
        each.add_argument("--receiver", type=read_receiver, metavar="AUDIENCE", help="only for this receiver")
        each.add_argument("--all", action="store_true", dest="everything", help="of all sessions")


async def _list(manager: SessionManager, arguments: argparse.Namespace) -> int:
    states = [NotificationState.DEAD] if arguments.dead else [NotificationState.WAITING, NotificationState.DEAD]
    async with manager:
        store = manager.lifecycle.notifications
        backlog = await store.backlog()
        found = await store.list_of(*states, limit=arguments.limit + 1)
    rows, more = found[: arguments.limit], found[arguments.limit :]
    if arguments.json:
        content = {
            "receivers": [_backlog_as_json(each) for each in backlog],
            "notifications": [_as_json(row) for row in rows],
        }
        say(json.dumps(content, indent=2))
    elif rows:
        say_table([_HEADINGS, *map(_as_cells, rows)])
        for each in backlog:
            say(f"{shown(each.receiver)}: {each.waiting} waiting, {each.dead} given up.")
    if more:
        say(f"There are more than {arguments.limit}.", sys.stderr)
    if not rows:
        what = "been given up" if arguments.dead else "to be told to others"
        say(f"Nothing has {what} in {tables_of(manager.settings)}.", sys.stderr)
    return DONE if rows else NOTHING_FOUND


async def _requeue(manager: SessionManager, arguments: argparse.Namespace) -> int:
    if not _is_chosen(arguments):
        return WRONG_USE
    async with manager:
        lifecycle = manager.lifecycle
        now = lifecycle.clock.database_time()
        count = await lifecycle.notifications.requeue(now, handles=arguments.handles, receiver=arguments.receiver)
    return _said("Queued", count, manager)


async def _drop(manager: SessionManager, arguments: argparse.Namespace) -> int:
    if not _is_chosen(arguments):
        return WRONG_USE
    async with manager:
        store = manager.lifecycle.notifications
        count = await store.drop(handles=arguments.handles, receiver=arguments.receiver)
    return _said("Deleted", count, manager)


def _is_chosen(arguments: argparse.Namespace) -> bool:
    if bool(arguments.handles) != arguments.everything:
        return True
    say("Give either session handles, or --all.", sys.stderr)
    return False


def _said(done: str, count: int, manager: SessionManager) -> int:
    if not count:
        say(f"Nothing of this has been given up in {tables_of(manager.settings)}.", sys.stderr)
        return NOTHING_FOUND
    say(f"{done} 1 notification." if count == 1 else f"{done} {count} notifications.")
    return DONE


def _as_cells(row: Notification) -> Sequence[str]:
    next_try = _time(row.next_at) if row.state == NotificationState.WAITING else "-"
    return (
        row.handle,
        row.receiver,
        row.state,
        _time(row.ended_at),
        str(row.attempts),
        row.failure or "-",
        next_try,
    )


def _as_json(row: Notification) -> dict[str, Any]:
    is_waiting = row.state == NotificationState.WAITING
    return {
        "session_handle": row.handle,
        "receiver": row.receiver,
        "state": row.state,
        "ended_at": from_ms(row.ended_at).isoformat(),
        "queued_at": from_ms(row.queued_at).isoformat(),
        "attempts": row.attempts,
        "failure": row.failure,
        "next_try_at": from_ms(row.next_at).isoformat() if is_waiting else None,
    }


def _backlog_as_json(each: Backlog) -> dict[str, Any]:
    since = None if each.oldest_at is None else from_ms(each.oldest_at).isoformat()
    return {"receiver": each.receiver, "waiting": each.waiting, "dead": each.dead, "waiting_since": since}


def _time(milliseconds: int) -> str:
    return f"{from_ms(milliseconds):%Y-%m-%d %H:%M:%S}Z"
