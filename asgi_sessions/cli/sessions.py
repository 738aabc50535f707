"""The commands about sessions: list, list-by, revoke, revoke-user, revoke-by, revoke-all."""

import argparse
import json
import sys
from collections.abc import Sequence
from typing import Any

from asgi_sessions.cli.arguments import add_index, add_user, read_cursor, read_handle, read_moment, read_page_size
from asgi_sessions.cli.command import AddCommand
from asgi_sessions.cli.exit_codes import DONE, NOTHING_FOUND, WRONG_USE
from asgi_sessions.cli.namesakes import namesakes_of, tell_of
from asgi_sessions.cli.place import tables_of
from asgi_sessions.cli.printing import number_of_sessions, say, say_table, shown
from asgi_sessions.manager import SessionManager, SessionRecord
from asgi_sessions.protocol import user_id
from asgi_sessions.protocol.session_handle import is_handle
from asgi_sessions.protocol.user_id import UserId

_PAGE = 100
_TOLD_EACH = 10_000
"""Sessions of everybody's that have ended."""
_HEADINGS = ("SESSION HANDLE", "DEVICE", "IP ADDRESS", "CREATED", "LAST ACTIVE", "EXPIRES")


def add_commands(add: AddCommand) -> None:
    listing = add("list", _list, "Show the live sessions of a user, newest first.")
    add_user(listing)
    listing_by = add("list-by", _list_by, "Show the live sessions that an index finds, newest first.")
    add_index(listing_by)
    for each in (listing, listing_by):
        each.add_argument("--json", action="store_true", help="as JSON, for programs")
        each.add_argument(
            "--limit", type=read_page_size, default=_PAGE, metavar="N", help=f"at most so many (default: {_PAGE})"
        )
        each.add_argument("--after", type=read_cursor, metavar="CURSOR", help="the next page, as the last one says")

    revoking = add("revoke", _revoke, "End sessions on every device and worker.")
    revoking.add_argument("handles", nargs="+", metavar="HANDLE", help="as shown by list")

    revoking_user = add("revoke-user", _revoke_user, "End all sessions of a user.")
    add_user(revoking_user)
    revoking_user.add_argument(
        "--except", dest="except_handle", type=read_handle, metavar="HANDLE", help="a session to keep"
    )

    revoking_user.add_argument(
        "--acting", action="store_true", help="also the sessions in which the user acts as somebody else"
    )

    revoking_by = add("revoke-by", _revoke_by, "End all sessions that an index finds: a whole organisation.")
    add_index(revoking_by)

    revoking_all = add("revoke-all", _revoke_all, "End everybody's sessions.")
    for each in (revoking_by, revoking_all):
        each.add_argument(
            "--before", type=read_moment, metavar="TIME", help="only those that began before, e.g. 2026-01-31T12:00:00Z"
        )
        each.add_argument(
            "--except", dest="except_handle", type=read_handle, metavar="HANDLE", help="a session to keep"
        )
    revoking_all.add_argument("--yes", action="store_true", help="it is meant")


async def _list(manager: SessionManager, arguments: argparse.Namespace) -> int:
    user: UserId = arguments.user
    async with manager:
        records = await manager.list_sessions_for_user(user, limit=arguments.limit + 1, after=arguments.after)
        namesakes = await namesakes_of(manager, user)
    code = _say_page(records, arguments, nothing=f"User {shown(user)} has no live session", manager=manager)
    tell_of(namesakes, user)
    return code


async def _list_by(manager: SessionManager, arguments: argparse.Namespace) -> int:
    name, value = arguments.index_name, arguments.index_value
    async with manager:
        records = await manager.list_sessions_by_index(name, value, limit=arguments.limit + 1, after=arguments.after)
    return _say_page(records, arguments, nothing=f"No live session has {name} {shown(value)}", manager=manager)


def _say_page(
    records: Sequence[SessionRecord[Any]], arguments: argparse.Namespace, *, nothing: str, manager: SessionManager
) -> int:
    """Show a page of sessions, of which one more was asked for than is shown; the exit code."""
    more, records = records[arguments.limit :], records[: arguments.limit]
    if arguments.json:
        say(json.dumps([_as_json(record) for record in records], indent=2))
    elif records:
        say_table(_as_table(records))
    if more:
        say(f"There are more: --limit {arguments.limit} --after {records[-1].cursor}", sys.stderr)
    if not records:
        say(f"{nothing} in {tables_of(manager.settings)}.", sys.stderr)
    return DONE if records else NOTHING_FOUND


async def _revoke(manager: SessionManager, arguments: argparse.Namespace) -> int:
    handles: list[str] = list(dict.fromkeys(arguments.handles))
    for text in handles:
        if not is_handle(text):
            say(f"{shown(text)} is no session handle, which has 32 of the characters 0-9 and a-f.", sys.stderr)
    async with manager:
        count = await manager.revoke_multiple_sessions(handles)
    if count < len(handles):
        missing = number_of_sessions(len(handles) - count)
        say(f"{missing} not found, or no longer live, in {tables_of(manager.settings)}.", sys.stderr)
    if not count:
        return NOTHING_FOUND
    say(f"Revoked {number_of_sessions(count)}.")
    return DONE


async def _revoke_user(manager: SessionManager, arguments: argparse.Namespace) -> int:
    user: UserId = arguments.user
    async with manager:
        # Not by the manager's own method, which looks for namesakes too, for the log.
        count = await manager.lifecycle.revoker.revoke_all(
            user, except_handle=arguments.except_handle, acting=arguments.acting
        )
        namesakes = await namesakes_of(manager, user)
    if count:
        acted = ", or in which that user acts" if arguments.acting else ""
        say(f"Revoked {number_of_sessions(count)} of user {shown(user)}{acted}.")
    else:
        other = "no other" if arguments.except_handle else "no"
        acts = f"has, and acts in, {other}" if arguments.acting else f"has {other}"
        say(f"User {shown(user)} {acts} live session in {tables_of(manager.settings)}.", sys.stderr)
    tell_of(namesakes, user)
    return DONE if count else NOTHING_FOUND


async def _revoke_by(manager: SessionManager, arguments: argparse.Namespace) -> int:
    name, value = arguments.index_name, arguments.index_value
    async with manager:
        count = await manager.revoke_sessions_by_index(
            name, value, before=arguments.before, except_handle=arguments.except_handle
        )
    if not count:
        others = "other " if arguments.except_handle else ""
        say(f"No {others}live session has {name} {shown(value)} in {tables_of(manager.settings)}.", sys.stderr)
        return NOTHING_FOUND
    say(f"Revoked {number_of_sessions(count)} of {name} {shown(value)}.")
    return DONE


async def _revoke_all(manager: SessionManager, arguments: argparse.Namespace) -> int:
    if not arguments.yes:
        say("This ends the sessions of all users on every device: add --yes if it is meant.", sys.stderr)
        return WRONG_USE
    told = 0

    def tell(count: int) -> None:
        nonlocal told
        if count >= told + _TOLD_EACH:
            told = count
            say(f"{number_of_sessions(count)} so far.", sys.stderr)

    async with manager:
        count = await manager.revoke_sessions(
            before=arguments.before, except_handle=arguments.except_handle, progress=tell
        )
    if not count:
        everybody = arguments.before is None and arguments.except_handle is None
        found = "Nobody is logged in: no live session" if everybody else "There is no such live session"
        say(f"{found} in {tables_of(manager.settings)}.", sys.stderr)
        return NOTHING_FOUND
    say(f"Revoked {number_of_sessions(count)}.")
    return DONE


def _as_table(records: Sequence[SessionRecord[Any]]) -> Sequence[Sequence[str]]:
    rows = [_HEADINGS, *(_as_cells(record) for record in records)]
    if all(record.actor is None for record in records):
        return rows
    actors = ["ACTOR", *("-" if record.actor is None else shown(record.actor) for record in records)]
    return [(*row, actor) for row, actor in zip(rows, actors, strict=True)]


def _as_cells(record: SessionRecord[Any]) -> Sequence[str]:
    times = (record.created_at, record.last_active_at, record.expires_at)
    return (
        record.session_handle,
        record.device_label,
        record.ip_address or "-",
        *(f"{time:%Y-%m-%d %H:%M:%S}Z" for time in times),
    )


def _as_json(record: SessionRecord[Any]) -> dict[str, Any]:
    return {
        "session_handle": record.session_handle,
        "user_id": user_id.plain(record.user_id),
        "device_label": record.device_label,
        "ip_address": record.ip_address,
        "created_at": record.created_at.isoformat(),
        "last_active_at": record.last_active_at.isoformat(),
        "expires_at": record.expires_at.isoformat(),
        "actor": None if record.actor is None else user_id.plain(record.actor),
    }
