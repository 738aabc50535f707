"""Very many open WebSockets in one worker: what they weigh, and how soon one user's are closed.

    python -m tests.cluster.sockets [--sockets 10000] [--database-url URL]

Each socket has a session of its own; one in a hundred is alice's. Another process, this one, ends all of alice's
sessions. The memory is the worker's resident memory, with the middleware's watch and without it.
"""

import argparse
import asyncio
import base64
import contextlib
import os
import resource
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from asgi_sessions import SessionManager, SessionSettings
from tests.patience import PATIENCE
from tests.uvicorn_server import SECRET, UvicornServer

OPENING_AT_ONCE = 100


@dataclass(frozen=True)
class Outcome:
    """What was measured.

    Attributes:
        closed: How many sockets were closed.
        codes: With which codes.
        open: How many others stayed open, and still answer.
        seconds: From the call that ended the sessions to the last close.
        bytes_per_socket: The worker's growth.
    """

    closed: int
    codes: set[int]
    open: int
    seconds: float
    bytes_per_socket: float


class RawSocket(asyncio.Protocol):
    """A WebSocket client that costs little: it understands what a server sends here (RFC 6455, section 5.2)."""

    def __init__(self, port: int, cookie: str) -> None:
        loop = asyncio.get_running_loop()
        self.opened: asyncio.Future[None] = loop.create_future()
        self.closed: asyncio.Future[int] = loop.create_future()
        self.closed_at = 0.0
        self.texts = 0
        self._unread = b""
        self._request = (
            f"GET /socket HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nOrigin: http://127.0.0.1:{port}\r\n"
            "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}\r\nCookie: {cookie}\r\n\r\n"
        )

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.write(self._request.encode())

    def say(self, text: bytes) -> None:
        self.transport.write(bytes([0x81, 0x80 | len(text)]) + bytes(4) + text)  # the mask is 0

    def data_received(self, data: bytes) -> None:
        self._unread += data
        if not self.opened.done():
            head, end, self._unread = self._unread.partition(b"\r\n\r\n")
            if not end:
                self._unread = head
                return
            if head.startswith(b"HTTP/1.1 101 "):
                self.opened.set_result(None)
            else:
                self.opened.set_exception(RuntimeError(head.decode()))
        while len(self._unread) >= 2 and len(self._unread) >= 2 + self._unread[1]:
            kind, length = self._unread[0] & 0x0F, self._unread[1]
            content, self._unread = self._unread[2 : 2 + length], self._unread[2 + length :]
            if kind == 8:
                self.closed_at = time.perf_counter()
                self.closed.set_result(int.from_bytes(content[:2], "big"))
                self.transport.write(bytes([0x88, 0x80 | len(content)]) + bytes(4) + content)
            elif kind == 1:
                self.texts += 1

    def connection_lost(self, error: Exception | None) -> None:
        for waited in (self.opened, self.closed):
            if not waited.done():
                waited.cancel()


class Worker(UvicornServer):
    """A uvicorn that lets many sockets in and does not wait long for them in the end."""

    def __init__(self, database_url: str, folder: Path, *options: str, workers: int = 1, watched: bool = True) -> None:
        settings = {
            "ASGI_SESSIONS_DATABASE_URL": database_url,
            "ASGI_SESSIONS_SECRET_KEY": SECRET,
            "ASGI_SESSIONS_COOKIE_SECURE": "false",
            **({} if watched else {"SOCKETS_WITHOUT_WATCH": "1"}),
        }
        ours = ("--ws-ping-interval", "3600", "--backlog", "4096", "--timeout-graceful-shutdown", "2")
        super().__init__("tests.cluster.sockets_app:app", folder, settings, workers=workers, options=(*ours, *options))

    @property
    def memory(self) -> int:
        """Resident, bytes; of one worker alone."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * resource.getpagesize()


@contextlib.asynccontextmanager
async def another_process(database_url: str) -> AsyncIterator[SessionManager]:
    """A manager outside the workers, as a script has."""
    settings = SessionSettings(database_url=database_url, secret_key=SECRET, cookie_secure=False)
    async with SessionManager(settings) as sessions:
        yield sessions


async def cookie_of(sessions: SessionManager, user: str) -> str:
    """The Cookie header of a new session."""
    issued = await sessions.create_new_session_without_request(user)
    return f"sAccessToken={issued.access_token.value}; sRefreshToken={issued.refresh_token.value}"


async def open_and_weigh(
    worker: Worker, sessions: SessionManager, users: Sequence[str]
) -> tuple[list[RawSocket], float]:
    """Log these users in and open a socket for each; the sockets, and by how many bytes each made the worker grow."""
    cookies: list[str] = []
    for start in range(0, len(users), OPENING_AT_ONCE):
        cookies += await asyncio.gather(*(cookie_of(sessions, user) for user in users[start : start + OPENING_AT_ONCE]))
    await _open(worker.port, [await cookie_of(sessions, "warm") for _ in range(20)])  # what is loaded at first use
    before = worker.memory
    sockets = await _open(worker.port, cookies)
    return sockets, (worker.memory - before) / len(users)


async def measure(worker: Worker, sessions: SessionManager, count: int) -> Outcome:
    """Open so many sockets, end all of alice's sessions, and see which sockets close."""
    alices = max(20, count // 100)
    users = ["alice"] * alices + [f"user-{number}" for number in range(count - alices)]
    sockets, weight = await open_and_weigh(worker, sessions, users)

    began = time.perf_counter()
    assert await sessions.revoke_all_sessions_for_user("alice") == alices
    async with asyncio.timeout(PATIENCE):
        codes = set(await asyncio.gather(*(socket.closed for socket in sockets[:alices])))
    seconds = max(socket.closed_at for socket in sockets[:alices]) - began

    for socket in sockets[alices:]:
        socket.say(b"still here?")
    deadline = time.monotonic() + PATIENCE
    while not all(socket.texts or socket.closed.done() for socket in sockets[alices:]) and time.monotonic() < deadline:
        await asyncio.sleep(0.05)
    still_open = sum(bool(socket.texts) and not socket.closed.done() for socket in sockets[alices:])
    for socket in sockets:
        socket.transport.abort()
    return Outcome(sum(socket.closed_at > 0 for socket in sockets), codes, still_open, seconds, weight)


async def _open(port: int, cookies: Sequence[str]) -> list[RawSocket]:
    gate = asyncio.Semaphore(OPENING_AT_ONCE)

    async def one(cookie: str) -> RawSocket:
        async with gate, asyncio.timeout(PATIENCE):
            loop = asyncio.get_running_loop()
            _, socket = await loop.create_connection(lambda: RawSocket(port, cookie), "127.0.0.1", port)
            await socket.opened
            return socket

    return list(await asyncio.gather(*(one(cookie) for cookie in cookies)))


def raise_file_limit(sockets: int) -> None:
    """Each socket is an open file on either side.

    Raises:
        RuntimeError: The machine does not allow so many.
    """
    needed = sockets + 500
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise RuntimeError(f"{sockets} sockets need {needed} open files; this machine allows {hard} (ulimit -Hn).")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


async def _main(count: int, database_url: str | None) -> None:
    raise_file_limit(count)
    weights: list[float] = []
    for watched in (True, False):
        with tempfile.TemporaryDirectory() as folder:
            url = database_url or f"sqlite+aiosqlite:///{folder}/sessions.db"
            with Worker(url, Path(folder), "--log-level", "info", "--no-access-log", watched=watched) as worker:
                async with another_process(url) as sessions:
                    if watched:
                        outcome = await measure(worker, sessions, count)
                        print(f"{count} sockets, {outcome.closed} of them alice's.")
                        print(
                            f"All of hers were closed {outcome.seconds:.2f} s after her logout, with {outcome.codes}."
                        )
                        print(f"{outcome.open} others stayed open and answer.")
                        weights.append(outcome.bytes_per_socket)
                    else:
                        users = [f"user-{number}" for number in range(count)]
                        sockets, weight = await open_and_weigh(worker, sessions, users)
                        weights.append(weight)
                        for socket in sockets:
                            socket.transport.abort()
            if "Traceback" in worker.log:
                raise RuntimeError(worker.log[-5000:])
    watch = weights[0] - weights[1]
    print(f"Memory per socket: {weights[0]:.0f} bytes, without the watch {weights[1]:.0f}: {watch:.0f} for it.")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sockets", type=int, default=10_000)
    parser.add_argument("--database-url", help="an empty database; SQLite by default")
    given = parser.parse_args()
    asyncio.run(_main(given.sockets, given.database_url))
