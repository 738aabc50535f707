"""What is printed.

Nothing that a client could choose, behind a careless proxy even its address, speaks to the terminal.
"""

import sys
from collections.abc import Sequence
from typing import TextIO

from asgi_sessions.protocol.user_id import UserId

_SHOWN = 80


def say(line: str, stream: TextIO | None = None) -> None:
    stream = stream or sys.stdout
    encoding = stream.encoding or "utf-8"
    stream.write(line.encode(encoding, "backslashreplace").decode(encoding) + "\n")


def say_table(rows: Sequence[Sequence[str]]) -> None:
    cells = [[printable(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for row in cells:
        say("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def number_of_sessions(count: int) -> str:
    return "1 session" if count == 1 else f"{count} sessions"


def shown(value: UserId) -> str:
    return repr(clipped(value, _SHOWN)) if isinstance(value, str) else clipped(str(value), _SHOWN)


def clipped(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[:length]}..."


def printable(text: str) -> str:
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)
