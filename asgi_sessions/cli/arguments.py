"""What the arguments of the commands mean, and which are refused."""

import argparse
import re
from datetime import datetime

from asgi_sessions.cli.printing import shown
from asgi_sessions.manager import records
from asgi_sessions.protocol import user_id
from asgi_sessions.protocol.session_handle import is_handle
from asgi_sessions.protocol.session_index import entry
from asgi_sessions.protocol.user_id import UserId
from asgi_sessions.store.notifications import is_receiver


def add_user(command: argparse.ArgumentParser) -> None:
    """Give a command a user id, which `read_user` is to read once all arguments are known."""
    command.add_argument("user", metavar="USER", help="the user id")
    command.add_argument(
        "--id-type",
        choices=("str", "int", "uuid"),
        default="str",
        help='what the application gives as user id; 1 and "1" are different users (default: str)',
    )


def add_index(command: argparse.ArgumentParser) -> None:
    """Give a command a name and a value by which sessions are found, for `require_index`."""
    command.add_argument("index_name", metavar="NAME", help="as the login has given it: org")
    command.add_argument("index_value", metavar="VALUE", help="as the login has given it: acme")


def require_index(name: str, value: str) -> None:
    """Raise unless sessions can be found by this.

    Raises:
        ValueError: None can.
    """
    entry(name, value, "NAME VALUE")


def read_user(text: str, id_type: str) -> UserId:
    """Read a user id.

    Raises:
        ValueError: It is none of that type, or cannot be a user.
    """
    try:
        return user_id.read(text, id_type)
    except ValueError as error:
        raise ValueError(f"USER: {shown(text)} {error}") from None


def read_handle(text: str) -> str:
    if not is_handle(text):
        # The manager would take it for "keep none".
        raise argparse.ArgumentTypeError(f"{shown(text)} is no session handle, 32 of the characters 0-9 and a-f")
    return text


def read_receiver(text: str) -> str:
    if not is_receiver(text):
        raise argparse.ArgumentTypeError(f"{shown(text)} is no audience of a receiver")
    return text


def read_moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.utcoffset() is None:
        example = "such as 2026-01-31T12:00:00Z"
        raise argparse.ArgumentTypeError(f"{shown(text)} is no time with its zone, {example}")
    return moment


def read_page_size(text: str) -> int:
    return _whole_number(text, digits=3)


def read_count(text: str) -> int:
    return _whole_number(text, digits=9)


def _whole_number(text: str, *, digits: int) -> int:
    if not re.fullmatch(rf"[0-9]{{1,{digits}}}", text) or not int(text):
        raise argparse.ArgumentTypeError(f"{shown(text)} is no whole number from 1 to {'9' * digits}")
    return int(text)


def read_cursor(text: str) -> str:
    try:
        records.read_cursor(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{shown(text)} is no cursor of a list") from None
    return text
