"""The commands about all that is kept about a user: export-user, erase-user."""

import argparse
import json
import sys

from asgi_sessions.cli.arguments import add_user
from asgi_sessions.cli.command import AddCommand
from asgi_sessions.cli.exit_codes import DONE, NOTHING_FOUND
from asgi_sessions.cli.namesakes import namesakes_of, tell_of
from asgi_sessions.cli.place import tables_of
from asgi_sessions.cli.printing import number_of_sessions, say, shown
from asgi_sessions.manager import SessionManager
from asgi_sessions.protocol.user_id import UserId


def add_commands(add: AddCommand) -> None:
    exporting = add("export-user", _export, "Print all that is kept about a user, as JSON.")
    add_user(exporting)
    exporting.add_argument(
        "--acting", action="store_true", help="also the sessions in which the user acts as somebody else"
    )
    add_user(add("erase-user", _erase, "End all sessions of a user, and erase what is kept about the user."))


async def _export(manager: SessionManager, arguments: argparse.Namespace) -> int:
    user: UserId = arguments.user
    last = ""
    async with manager:
        say("[")
        async for record in manager.export_user(user, acting=arguments.acting):
            if last:
                say(f"{last},")
            last = json.dumps(record)
        namesakes = await namesakes_of(manager, user)
    if last:
        say(last)
    say("]")
    if not last:
        say(f"Nothing is kept about user {shown(user)} in {tables_of(manager.settings)}.", sys.stderr)
    tell_of(namesakes, user)
    return DONE if last else NOTHING_FOUND


async def _erase(manager: SessionManager, arguments: argparse.Namespace) -> int:
    user: UserId = arguments.user
    async with manager:
        # Not by the manager's own method, which looks for namesakes too, for the log.
        count = await manager.lifecycle.personal_data.erase(user)
        namesakes = await namesakes_of(manager, user)
    if count:
        say(f"Erased {number_of_sessions(count)} of user {shown(user)}.")
    else:
        say(f"Nothing is kept about user {shown(user)} in {tables_of(manager.settings)}.", sys.stderr)
    tell_of(namesakes, user)
    return DONE if count else NOTHING_FOUND
