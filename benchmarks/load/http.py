"""Just enough of HTTP/1.1 and cookies for a load generator: what a library costs here is missing on the server."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["Answer", "Line", "cookie_header", "take_cookies"]

SECONDS = 30.0
"""For one answer; a server that needs longer has failed."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back.

    Attributes:
        status: The code.
        set_cookies: The values of all Set-Cookie headers.
        body: Decoded JSON, None where there is none.
    """

    status: int
    set_cookies: Sequence[str]
    body: Any


class Line:
    """A connection to the server, opened when it is needed and kept alive."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, method: str, path: str, cookies: str) -> Answer:
        """Send a request as a page of the same origin does.

        Raises:
            OSError, EOFError, TimeoutError: No answer; the connection is closed.
        """
        request = (
            f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{self._port}\r\nUser-Agent: load\r\nAccept: */*\r\n"
            f"Sec-Fetch-Site: same-origin\r\nSec-Fetch-Mode: cors\r\nSec-Fetch-Dest: empty\r\n"
        )
        if cookies:
            request += f"Cookie: {cookies}\r\n"
        if method == "POST":
            request += "Content-Length: 0\r\n"
        try:
            async with asyncio.timeout(SECONDS):
                if self._streams is None:
                    self._streams = await asyncio.open_connection("127.0.0.1", self._port)
                reader, writer = self._streams
                writer.write(f"{request}\r\n".encode())
                return await _read(reader)
        except (OSError, EOFError, TimeoutError):
            self.close()
            raise

    def close(self) -> None:
        """Hang up."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


async def _read(reader: asyncio.StreamReader) -> Answer:
    head, *headers = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    length, set_cookies = 0, []
    for header in headers:
        name, _, value = header.partition(":")
        match name.lower():
            case "content-length":
                length = int(value)
            case "set-cookie":
                set_cookies.append(value.strip())
    body = await reader.readexactly(length) if length else b""
    return Answer(int(head.split(" ", 2)[1]), set_cookies, json.loads(body) if body else None)


def cookie_header(jar: dict[str, str]) -> str:
    """The jar as a header's value."""
    return "; ".join(f"{name}={value}" for name, value in jar.items())


def take_cookies(jar: dict[str, str], set_cookies: Sequence[str]) -> None:
    """Do what the answer asks for. All cookies here are for all paths, and leave with Max-Age=0."""
    for header in set_cookies:
        pair, _, attributes = header.partition(";")
        name, _, value = pair.partition("=")
        if "max-age=0" in attributes.lower():
            jar.pop(name, None)
        else:
            jar[name] = value
