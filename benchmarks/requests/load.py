"""Load on a server: wrk, or a generator in Python where wrk is missing or each request needs cookies of its own."""

import asyncio
import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import repeat
from pathlib import Path
from time import perf_counter
from typing import cast

import uvloop

from benchmarks.requests.jars import HEADERS, Jar, WrongAnswer

CONNECTIONS = 16
SILENCE_SECONDS = 30.0
"""A server that takes so long for an answer has failed."""
SCRIPT = Path(__file__).with_name("summary.lua")

Judge = Callable[[Jar, int, bytes, list[str]], None]
"""Looks at an answer, status, body and cookies, and raises `WrongAnswer`."""


_LENGTH = b"\r\ncontent-length: "
_SET_COOKIE = b"\r\nset-cookie: "


@dataclass(frozen=True, slots=True)
class Load:
    """What was done: how many requests were answered, in how many seconds."""

    requests: int
    seconds: float


def has_wrk() -> bool:
    return shutil.which("wrk") is not None


def wrk(port: int, path: str, jar: Jar, seconds: float, answer_bytes: int) -> Load:
    """Ask for the same again and again with wrk, which looks at statuses only.

    Args:
        port: Of the server.
        path: What to ask for.
        jar: The cookies.
        seconds: How long.
        answer_bytes: How long one right answer is on the wire: another mean tells of other answers.

    Raises:
        WrongAnswer: Some answers were errors or of another length, or connections broke.
    """
    headers = [*HEADERS, *([("cookie", jar.header)] if jar.header else [])]
    options = [option for name, value in headers for option in ("-H", f"{name}: {value}")]
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{max(1, round(seconds))}s", "-s", str(SCRIPT), *options]
    done = subprocess.run([*command, f"http://127.0.0.1:{port}{path}"], check=True, capture_output=True, text=True)
    summary = json.loads(done.stdout.splitlines()[-1])
    if summary["errors"] or not summary["requests"]:
        raise WrongAnswer(f"wrk: {summary}")
    # Answers that were under way at the end are counted by their bytes alone.
    if abs(summary["bytes"] - summary["requests"] * answer_bytes) > (CONNECTIONS + 1) * answer_bytes:
        raise WrongAnswer(f"wrk: {summary}, {answer_bytes} bytes per right answer")
    return Load(summary["requests"], summary["microseconds"] / 1e6)


def python(port: int, path: str, jars: list[Jar], seconds: float, judge: Judge) -> Load:
    """Ask with each jar once, or with a single jar again and again, for so many seconds at most, but at least once.

    The jars take the cookies of their answers.

    Raises:
        WrongAnswer: As `judge` finds.
    """
    return uvloop.run(_python(port, path, jars, seconds, judge))


async def _python(port: int, path: str, jars: list[Jar], seconds: float, judge: Judge) -> Load:
    loop = asyncio.get_running_loop()
    left: Iterator[Jar] = repeat(jars[0]) if len(jars) == 1 else iter(jars)
    finished: list[asyncio.Future[int]] = []
    begun = perf_counter()
    asked = 0

    def next_jar() -> Jar | None:
        nonlocal asked
        if asked and perf_counter() - begun >= seconds:
            return None
        asked += 1
        return next(left, None)

    for _ in range(CONNECTIONS):
        done: asyncio.Future[int] = loop.create_future()
        finished.append(done)
        await loop.create_connection(partial(_Client, path, next_jar, judge, done), "127.0.0.1", port)
    async with asyncio.timeout(seconds + SILENCE_SECONDS):
        counts = await asyncio.gather(*finished)
    return Load(sum(counts), perf_counter() - begun)


class _Client(asyncio.Protocol):
    """One keep-alive connection, one request at a time."""

    def __init__(
        self, path: str, next_jar: Callable[[], Jar | None], judge: Judge, done: "asyncio.Future[int]"
    ) -> None:
        fixed = "".join(f"{name}: {value}\r\n" for name, value in (("host", "127.0.0.1"), *HEADERS))
        self._head = f"GET {path} HTTP/1.1\r\n{fixed}".encode()
        self._next_jar = next_jar
        self._judge = judge
        self._done = done
        self._count = 0
        self._received = b""
        self._jar = Jar()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is no subclass
        self._ask()

    def data_received(self, data: bytes) -> None:
        # Lean, or the generator would be slower than the bare application.
        self._received = received = self._received + data if self._received else data
        end = received.find(b"\r\n\r\n")
        if end < 0:
            return
        length = received.find(_LENGTH, 0, end)
        body = received[end + 4 :]
        if length >= 0 and len(body) < int(received[length + len(_LENGTH) : received.index(b"\r", length + 2)]):
            return
        set_cookies: list[str] = []
        if received.find(_SET_COOKIE, 0, end) >= 0:
            lines = received[:end].split(b"\r\n")
            set_cookies = [line[len(_SET_COOKIE) - 2 :].decode() for line in lines if line.startswith(_SET_COOKIE[2:])]
        try:
            self._judge(self._jar, int(received[9:12]), body, set_cookies)
        except WrongAnswer as error:
            self._end(error)
            return
        self._jar.take(set_cookies)
        self._count += 1
        self._received = b""
        self._ask()

    def connection_lost(self, error: Exception | None) -> None:
        self._end(error or WrongAnswer("the server has closed the connection"))

    def _ask(self) -> None:
        jar = self._next_jar()
        if jar is None:
            self._end(None)
            return
        self._jar = jar
        cookies = jar.header
        self._transport.write(self._head + (f"cookie: {cookies}\r\n\r\n".encode() if cookies else b"\r\n"))

    def _end(self, error: Exception | None) -> None:
        if not self._done.done():
            if error is None:
                self._done.set_result(self._count)
            else:
                self._done.set_exception(error)
        self._transport.close()
