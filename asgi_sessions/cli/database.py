"""The commands about the database: purge, migrate."""

import argparse
import sys

from asgi_sessions.cli.arguments import read_count
from asgi_sessions.cli.command import AddCommand
from asgi_sessions.cli.exit_codes import DONE
from asgi_sessions.cli.place import tables_of
from asgi_sessions.cli.printing import number_of_sessions, say
from asgi_sessions.manager import SessionManager


def add_commands(add: AddCommand) -> None:
    purging = add("purge", _purge, "Delete what has ended from the database.", takes_any_clock=False)
    purging.add_argument("--limit", type=read_count, metavar="N", help="at most so many sessions")

    add("migrate", _migrate, "Create the tables or bring them up to date.")


async def _purge(manager: SessionManager, arguments: argparse.Namespace) -> int:
    async with manager:
        count = await manager.purge_expired_sessions(limit=arguments.limit)
    say(f"Deleted {number_of_sessions(count)} that had ended.")
    if not count:
        say(f"There was none in {tables_of(manager.settings)}.", sys.stderr)
    return DONE


async def _migrate(manager: SessionManager, arguments: argparse.Namespace) -> int:
    await manager.upgrade_database()
    say(f"Up to date: {tables_of(manager.settings)}.")
    return DONE
