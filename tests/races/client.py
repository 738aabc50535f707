"""HTTP over one connection by hand: cookies of any name over plain http, and a broken connection is an answer too."""

import asyncio
from dataclasses import dataclass

from tests.security.browser import Answer


@dataclass
class Connection:
    """One connection that is kept open."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    @classmethod
    async def to(cls, port: int) -> "Connection":
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    async def send(self, method: str, path: str, cookies: list[tuple[str, str]]) -> Answer | None:
        """One request; None where the connection broke before the answer was there."""
        lines = [f"{method} {path} HTTP/1.1", "Host: shop.example", "Content-Length: 0"]
        if cookies:
            lines.append("Cookie: " + "; ".join(f"{name}={value}" for name, value in cookies))
        try:
            self.writer.write("\r\n".join([*lines, "", ""]).encode())
            await self.writer.drain()
            head = await self.reader.readuntil(b"\r\n\r\n")
            first, *others = head[:-4].split(b"\r\n")
            headers = [(name.lower(), value.strip()) for name, _, value in (line.partition(b":") for line in others)]
            length = int(dict(headers).get(b"content-length", b"0"))
            return Answer(int(first.split()[1]), headers, await self.reader.readexactly(length))
        except (asyncio.IncompleteReadError, ConnectionError):
            return None

    def close(self) -> None:
        self.writer.close()
