"""The command line: what administrators do with sessions (ASVS 7.4.5), on the database that the settings name.

Exit codes: 0 done; 1 nothing found, or settings that are not for production; 2 wrong arguments or settings; 3 the
session store is unavailable.
"""

import argparse
import asyncio
import json
import logging
import os
import re
import sys
import uuid
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, NoReturn, TextIO, TypeAlias

from asgi_sessions.errors import ConfigurationError, StoreUnavailable
from asgi_sessions.manager import SessionManager, SessionRecord
from asgi_sessions.manager.session import read_cursor
from asgi_sessions.protocol import user_id
from asgi_sessions.protocol.session_handle import is_handle
from asgi_sessions.protocol.user_id import UserId
from asgi_sessions.settings import SessionSettings, development_only, policy_summary, weakened_defaults
from asgi_sessions.store.engine import parse_database_url
from asgi_sessions.store.failures import in_full

__all__ = ["main"]

DONE: Final = 0
NOTHING_FOUND: Final = 1
NOT_FOR_PRODUCTION: Final = 1
WRONG_USE: Final = 2
STORE_UNAVAILABLE: Final = 3

_SHOWN = 80
_PAGE = 100
_INTEGER = re.compile(r"-?[0-9]+\Z")

_Command: TypeAlias = Callable[[SessionManager, argparse.Namespace], Awaitable[int]]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: The arguments without the program's name, those of the process where None.

    Returns:
        The exit code: 0 done; 1 nothing found, or settings that are not for production; 2 wrong arguments or settings;
        3 the store is unavailable.
    """
    try:
        arguments = _parsed(argv)
    except SystemExit as end:  # argparse has said why, or shown its help
        return end.code if isinstance(end.code, int) else DONE
    with _silent_log():
        try:
            code = asyncio.run(_run(arguments))
            sys.stdout.flush()
        except ConfigurationError as error:
            for problem in error.problems:
                _say(problem, sys.stderr)
            return WRONG_USE
        except StoreUnavailable as error:
            _say(in_full(error), sys.stderr)
            return STORE_UNAVAILABLE
        except BrokenPipeError:
            # `… | head` has seen enough. Python would complain once more when it closes the stream.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return DONE
        except KeyboardInterrupt:
            return 130
    return code


async def _run(arguments: argparse.Namespace) -> int:
    command: _Command = arguments.run
    manager = SessionManager if command is _purge else _EmergencyManager
    return await command(manager(SessionSettings()), arguments)


class _EmergencyManager(SessionManager):
    """Starts also where this machine's clock is wrong: whoever has to end a session cannot mend a clock first.

    Revocation and lists go by the database's time then, which is right for all workers; see `Clocks`.
    """

    _takes_any_clock = True

    async def start(self) -> None:
        await super().start()
        clocks = self.lifecycle.clock
        if clocks.too_far_off:
            _say(f"warning: {clocks.describe()}. Going by the database's time.", sys.stderr)


# -- the commands


async def _list(manager: SessionManager, arguments: argparse.Namespace) -> int:
    user: UserId = arguments.user
    async with manager:
        records = await manager.list_sessions_for_user(user, limit=arguments.limit + 1, after=arguments.after)
        namesakes = await _namesakes(manager, user)
    more, records = records[arguments.limit :], records[: arguments.limit]
    if arguments.json:
        _say(json.dumps([_as_json(record) for record in records], indent=2))
    elif records:
        _table([_HEADINGS, *(_as_cells(record) for record in records)])
    if more:
        _say(f"There are more: --limit {arguments.limit} --after {records[-1].cursor}", sys.stderr)
    if not records:
        _say(f"User {_shown(user)} has no live session.", sys.stderr)
    _tell_of(namesakes, user)
    return DONE if records else NOTHING_FOUND


async def _revoke(manager: SessionManager, arguments: argparse.Namespace) -> int:
    handles: list[str] = list(dict.fromkeys(arguments.handles))
    for text in handles:
        if not is_handle(text):
            _say(f"{_shown(text)} is no session handle, which has 32 of the characters 0-9 and a-f.", sys.stderr)
    async with manager:
        count = await manager.revoke_multiple_sessions(handles)
    if count < len(handles):
        _say(f"{_sessions(len(handles) - count)} not found, or no longer live.", sys.stderr)
    if not count:
        return NOTHING_FOUND
    _say(f"Revoked {_sessions(count)}.")
    return DONE


async def _revoke_user(manager: SessionManager, arguments: argparse.Namespace) -> int:
    user: UserId = arguments.user
    async with manager:
        # Not by the manager's own method, which looks for namesakes too, for the log.
        count = await manager.lifecycle.revoker.revoke_all(user, except_handle=arguments.except_handle)
        namesakes = await _namesakes(manager, user)
    if count:
        _say(f"Revoked {_sessions(count)} of user {_shown(user)}.")
    else:
        other = "no other" if arguments.except_handle else "no"
        _say(f"User {_shown(user)} has {other} live session.", sys.stderr)
    _tell_of(namesakes, user)
    return DONE if count else NOTHING_FOUND


async def _namesakes(manager: SessionManager, user: UserId) -> Sequence[tuple[UserId, int]]:
    try:
        return await manager.lifecycle.namesakes_of(user)
    except StoreUnavailable:
        return ()  # what was asked for is done


def _tell_of(namesakes: Sequence[tuple[UserId, int]], user: UserId) -> None:
    """Say who else may be meant: whoever types an id does not see of which type the application's are."""
    for other, count in namesakes:
        kind = user_id.type_name(other)
        cure = f"use --id-type {kind}" if kind != user_id.type_name(user) else "write it so"
        _say(f"User {_shown(other)} ({kind}) has {count}: {cure}.", sys.stderr)


async def _purge(manager: SessionManager, arguments: argparse.Namespace) -> int:
    async with manager:
        count = await manager.purge_expired_sessions(limit=arguments.limit)
    _say(f"Deleted {_sessions(count)} that had ended.")
    return DONE


async def _migrate(manager: SessionManager, arguments: argparse.Namespace) -> int:
    await manager.upgrade_database()
    _say("The tables are up to date.")
    return DONE


async def _check(manager: SessionManager, arguments: argparse.Namespace) -> int:
    settings = manager.settings
    parse_database_url(settings.database_url_text)
    _table([[name, value] for name, value in policy_summary(settings).items()])
    unfit = development_only(settings)
    for weakness in weakened_defaults(settings):
        _say(f"{'not for production' if weakness in unfit else 'warning'}: {weakness}", sys.stderr)
    return NOT_FOR_PRODUCTION if unfit else DONE


# -- what the arguments mean


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        # The message holds arguments as they came: of any length, with anything that a terminal would obey.
        self.print_usage(sys.stderr)
        _say(f"{self.prog}: {_printable(_clipped(message, 500))}", sys.stderr)
        self.exit(WRONG_USE)


def _parsed(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = _parser()
    arguments = parser.parse_args(argv)
    if "user" in arguments:
        try:
            arguments.user = _user(arguments.user, arguments.id_type)
        except ValueError as error:
            parser.error(str(error))
    return arguments


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="asgi-sessions",
        description="Manage login sessions. Settings come from ASGI_SESSIONS_* in the environment.",
        epilog="Exit codes: 0 done; 1 nothing found, or settings that are not for production; 2 wrong arguments or "
        "settings; 3 session store unavailable.",
        allow_abbrev=False,
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(name: str, run: _Command, text: str) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=text, description=text, allow_abbrev=False)
        command.set_defaults(run=run)
        return command

    listing = add("list", _list, "Show the live sessions of a user, newest first.")
    _add_user(listing)
    listing.add_argument("--json", action="store_true", help="as JSON, for programs")
    listing.add_argument("--limit", type=_page, default=_PAGE, metavar="N", help=f"at most so many (default: {_PAGE})")
    listing.add_argument("--after", type=_cursor, metavar="CURSOR", help="the next page, as the last one says")

    revoking = add("revoke", _revoke, "End sessions on every device and worker.")
    revoking.add_argument("handles", nargs="+", metavar="HANDLE", help="as shown by list")

    revoking_user = add("revoke-user", _revoke_user, "End all sessions of a user.")
    _add_user(revoking_user)
    revoking_user.add_argument(
        "--except", dest="except_handle", type=_handle, metavar="HANDLE", help="a session to keep"
    )

    purging = add("purge", _purge, "Delete what has ended from the database.")
    purging.add_argument("--limit", type=_count, metavar="N", help="at most so many sessions")

    add("migrate", _migrate, "Create the tables or bring them up to date.")
    add(
        "check",
        _check,
        "Show the settings in effect, and what is weaker than the default. Ends with 1 where something is not for "
        "production. Opens no database.",
    )
    return parser


def _add_user(command: argparse.ArgumentParser) -> None:
    command.add_argument("user", metavar="USER", help="the user id")
    command.add_argument(
        "--id-type",
        choices=("str", "int", "uuid"),
        default="str",
        help='what the application gives as user id; 1 and "1" are different users (default: str)',
    )


def _user(text: str, id_type: str) -> UserId:
    owner: UserId = text
    if id_type == "int":
        # Python refuses to read longer ones; no user has them.
        if not _INTEGER.match(text) or len(text) > user_id.MAX_BYTES:
            raise ValueError(f"USER: {_shown(text)} is no integer of at most {user_id.MAX_BYTES} digits")
        owner = int(text)
    elif id_type == "uuid":
        try:
            owner = uuid.UUID(text)
        except ValueError:
            raise ValueError(f"USER: {_shown(text)} is no UUID") from None
    try:
        user_id.encode(owner)
    except ValueError as error:
        raise ValueError(f"USER: {_shown(text)} cannot be a user: {error}") from None
    return owner


def _handle(text: str) -> str:
    if not is_handle(text):
        # The manager would take it for "keep none".
        raise argparse.ArgumentTypeError(f"{_shown(text)} is no session handle, 32 of the characters 0-9 and a-f")
    return text


def _page(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,3}", text) or not int(text):
        raise argparse.ArgumentTypeError(f"{_shown(text)} is no whole number from 1 to 999")
    return int(text)


def _cursor(text: str) -> str:
    try:
        read_cursor(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{_shown(text)} is no cursor of a list") from None
    return text


def _count(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,9}", text) or not int(text):
        raise argparse.ArgumentTypeError(f"{_shown(text)} is no whole number from 1 to 999999999")
    return int(text)


# -- what is printed

_HEADINGS = ("SESSION HANDLE", "DEVICE", "IP ADDRESS", "CREATED", "LAST ACTIVE", "EXPIRES")


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
        "user_id": record.user_id if isinstance(record.user_id, str | int) else str(record.user_id),
        "device_label": record.device_label,
        "ip_address": record.ip_address,
        "created_at": record.created_at.isoformat(),
        "last_active_at": record.last_active_at.isoformat(),
        "expires_at": record.expires_at.isoformat(),
    }


def _table(rows: Sequence[Sequence[str]]) -> None:
    # What a client could choose (behind a careless proxy even its address) must not speak to the terminal.
    printable = [[_printable(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*printable, strict=True)]
    for row in printable:
        _say("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _sessions(count: int) -> str:
    return "1 session" if count == 1 else f"{count} sessions"


def _shown(value: UserId) -> str:
    return repr(_clipped(value, _SHOWN)) if isinstance(value, str) else _clipped(str(value), _SHOWN)


def _clipped(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[:length]}..."


def _printable(text: str) -> str:
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


def _say(line: str, stream: TextIO | None = None) -> None:
    stream = stream or sys.stdout
    encoding = stream.encoding or "utf-8"
    stream.write(line.encode(encoding, "backslashreplace").decode(encoding) + "\n")


@contextmanager
def _silent_log() -> Iterator[None]:
    """Keeps warnings of the log off a terminal where nobody has set up logging: what matters here is printed."""
    handler = logging.NullHandler()
    logging.getLogger().addHandler(handler)
    try:
        yield
    finally:
        logging.getLogger().removeHandler(handler)
