"""The program: its arguments, the one command that they name, and the exit code."""

import argparse
import asyncio
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from asgi_sessions.cli import configuration, database, notifications, personal_data, sessions
from asgi_sessions.cli.arguments import read_user, require_index
from asgi_sessions.cli.command import Command
from asgi_sessions.cli.exit_codes import DONE, INTERRUPTED, STORE_UNAVAILABLE, WRONG_USE
from asgi_sessions.cli.logs import command_logs
from asgi_sessions.cli.place import NothingThere, require_tables
from asgi_sessions.cli.printing import clipped, printable, say
from asgi_sessions.errors import ConfigurationError, StoreUnavailable
from asgi_sessions.manager import SessionManager
from asgi_sessions.settings import SessionSettings
from asgi_sessions.store.failures import in_full

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: The arguments without the program's name, those of the process where None.

    Returns:
        The exit code: 0 done; 1 nothing found, or settings that are not for production; 2 wrong arguments or settings;
        3 the store is unavailable, or is not there.
    """
    try:
        arguments = _parsed(argv)
    except SystemExit as end:  # argparse has said why, or shown its help
        return end.code if isinstance(end.code, int) else DONE
    with command_logs():
        try:
            code = asyncio.run(_run(arguments))
            sys.stdout.flush()
        except ConfigurationError as error:
            for problem in error.problems:
                say(problem, sys.stderr)
            return WRONG_USE
        except NothingThere as nothing:
            for line in nothing.lines:
                say(line, sys.stderr)
            return STORE_UNAVAILABLE
        except StoreUnavailable as error:
            say(in_full(error), sys.stderr)
            return STORE_UNAVAILABLE
        except BrokenPipeError:
            # `… | head` has seen enough. Python would complain once more when it closes the stream.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return DONE
        except KeyboardInterrupt:
            return INTERRUPTED
    return code


async def _run(arguments: argparse.Namespace) -> int:
    manager = _EmergencyManager if arguments.takes_any_clock else _CommandManager
    command: Command = arguments.run
    return await command(manager(SessionSettings()), arguments)


class _CommandManager(SessionManager):
    """Starts only where there are tables already: a mistyped or forgotten setting is to be found, not to make some."""

    async def start(self) -> None:
        await require_tables(self.settings)
        await super().start()


class _EmergencyManager(_CommandManager):
    """Starts even if this machine's clock is wrong, because an administrator cannot mend a clock before a logout.

    Revocation and lists go by the database's time then, which is right for all workers; see `Clocks`.
    """

    _takes_any_clock = True

    async def start(self) -> None:
        await super().start()
        clocks = self.lifecycle.clock
        if clocks.too_far_off:
            say(f"warning: {clocks.describe()}. Going by the database's time.", sys.stderr)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        # The message holds arguments as they came: of any length, with anything that a terminal would obey.
        self.print_usage(sys.stderr)
        say(f"{self.prog}: {printable(clipped(message, 500))}", sys.stderr)
        self.exit(WRONG_USE)


def _parsed(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = _parser()
    arguments = parser.parse_args(argv)
    try:
        if "user" in arguments:
            arguments.user = read_user(arguments.user, arguments.id_type)
        if "index_name" in arguments:
            require_index(arguments.index_name, arguments.index_value)
    except ValueError as error:
        parser.error(str(error))
    return arguments


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="asgi-sessions",
        description="Manage login sessions. Settings come from ASGI_SESSIONS_* in the environment alone: what the "
        "application's code gives to SessionSettings, give as these variables. Only migrate makes tables.",
        epilog="Exit codes: 0 done; 1 nothing found, or settings that are not for production; 2 wrong arguments or "
        "settings; 3 session store unavailable, or not there.",
        allow_abbrev=False,
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(name: str, run: Command, text: str, *, takes_any_clock: bool = True) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=text, description=text, allow_abbrev=False)
        command.set_defaults(run=run, takes_any_clock=takes_any_clock)
        return command

    for group in (sessions, personal_data, notifications, database, configuration):
        group.add_commands(add)
    return parser
