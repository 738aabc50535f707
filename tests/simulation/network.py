"""A bad line between browsers and server: a proxy that loses, repeats and delays what passes through it."""

import asyncio
import json
import random
import re
import time
from collections import Counter, defaultdict
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from asgi_sessions.protocol.cookies import REFRESH_COOKIE, RETRY_COOKIE
from tests.patience import PATIENCE
from tests.simulation.fate import FAIR, Fate
from tests.simulation.tally import Tally

JAR, LEFT_AT, DELAY = "x-jar", "x-left-at", "x-delay"
"""Headers for the network alone: whose request it is, when its jar was read, how late it is to arrive."""
FAIRLY: Literal["fairly"] = "fairly"
Delay: TypeAlias = float | Literal["fairly"] | None
"""On the way there, as a part of the longest. None leaves it to chance; FAIRLY: nothing else shall happen either."""

NEVER = {"unauthorised", "token_theft_detected"}
"""Codes of answers that no browser of one person may ever get."""


_HOP = re.compile(rb"\r\nconnection: [^\r]*", re.IGNORECASE)
_LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Request:
    """One request as it came in.

    Attributes:
        data: All of it, asking the server to close the connection afterwards.
        jar: Whose.
        left_at: When its jar was read.
        delay: What its browser wants to happen to it.
    """

    data: bytes
    jar: int
    left_at: float
    delay: Delay


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer as the server gave it.

    Attributes:
        data: All of it.
        number: Counts answers in the order in which the server gave them.
        renews: Whether it sets a refresh cookie.
    """

    data: bytes
    number: int
    renews: bool


class Network:
    """The proxy, an asynchronous context manager.

    What happens to a jar's n-th request depends on the seed alone, not on what the others do.

    Attributes:
        port: Where browsers find it, on 127.0.0.1.
        requests: How many have come from each jar.
    """

    def __init__(self, server_port: int, *, seed: int, longest_delay: float, tally: Tally) -> None:
        self._server_port = server_port
        self._seed = seed
        self._longest_delay = longest_delay
        self._tally = tally
        self._answers = 0
        self.requests: Counter[int] = Counter()
        self._delivered: dict[int, int] = defaultdict(int)
        self._under_way: set[asyncio.Task[Any]] = set()

    async def __aenter__(self) -> "Network":
        self._listening = await asyncio.start_server(self._accept, "127.0.0.1", 0, backlog=512)
        self.port: int = self._listening.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._listening.close()
        while self._under_way:
            await asyncio.wait(self._under_way)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            answer = await self._carry(await _read(reader))
            if answer is not None:
                writer.write(answer.data)
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the browser has gone
        finally:
            writer.close()

    async def _carry(self, request: Request) -> Answer | None:
        """Bring it there and its answer back. None: the browser hears nothing."""
        counts = self._tally.counts
        counts["requests"] += 1
        fate = self._fate_of(request)
        await self._delay(fate.before)
        if fate.request_lost:
            counts["lost requests"] += 1
            return None
        copies = [self._start(self._ask(request))]
        if fate.repeated:
            counts["repeated requests"] += 1
            copies.append(self._start(self._ask(request, after=fate.between)))
        answer = await copies[-1 if fate.second_answers else 0]
        await self._delay(fate.after)
        if fate.answer_lost:
            counts["lost answers"] += 1
            return None
        if answer.renews:
            if answer.number < self._delivered[request.jar]:
                counts["overtaken answers"] += 1
            self._delivered[request.jar] = max(answer.number, self._delivered[request.jar])
        return answer

    def _fate_of(self, request: Request) -> Fate:
        self.requests[request.jar] += 1
        if request.delay == FAIRLY:
            return FAIR
        chance = random.Random(f"{self._seed}/{request.jar}/{self.requests[request.jar]}")
        fate = Fate.drawn(chance)
        return fate if request.delay is None else fate.delayed_by(request.delay)

    async def _ask(self, request: Request, after: float = 0.0) -> Answer:
        await self._delay(after)
        data = b""
        try:
            async with asyncio.timeout(PATIENCE):
                reader, writer = await asyncio.open_connection("127.0.0.1", self._server_port)
                writer.write(request.data)
                data = await reader.read()
                writer.close()
        except (OSError, TimeoutError):
            pass  # told below as no answer at all
        self._tally.took(request.jar, time.monotonic() - request.left_at)
        return self._note(request, data)

    def _note(self, request: Request, data: bytes) -> Answer:
        counts, failures = self._tally.counts, self._tally.failures[request.jar]
        head, _, body = data.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        status = int(lines[0].split(" ")[1]) if data else 0
        code = _code(body) if 400 <= status < 500 else ""
        if status == 0 or status >= 500:
            counts["5xx"] += 1
            failures.append(f"answered {status}")
        if code in NEVER:
            counts[code] += 1
            failures.append(f"answered {status} {code}")
        counts["409"] += status == 409
        cookies = [line for line in lines if line.lower().startswith("set-cookie:")]
        renews = _sets(cookies, REFRESH_COOKIE)
        counts["late parents"] += _sets(cookies, RETRY_COOKIE)
        self._tally.workers |= {line for line in lines if line.lower().startswith("x-worker:")}
        self._answers += 1
        return Answer(data, self._answers, renews)

    def _start(self, work: Coroutine[Any, Any, Answer]) -> asyncio.Task[Answer]:
        task = asyncio.create_task(work)
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        return task

    async def _delay(self, part: float) -> None:
        if part:
            await asyncio.sleep(part * self._longest_delay)


async def _read(reader: asyncio.StreamReader) -> Request:
    head = await reader.readuntil(b"\r\n\r\n")
    length = _LENGTH.search(head)
    body = await reader.readexactly(int(length[1])) if length else b""
    headers = dict(line.split(": ", 1) for line in head.decode("latin-1").split("\r\n")[1:] if line)
    delay = headers[DELAY]
    return Request(
        data=_HOP.sub(b"\r\nConnection: close", head) + body,
        jar=int(headers[JAR]),
        left_at=float(headers[LEFT_AT]),
        delay=FAIRLY if delay == FAIRLY else None if delay == str(None) else float(delay),
    )


def _code(body: bytes) -> str:
    """The word for an error of ours."""
    try:
        return str(json.loads(body)["code"])
    except (ValueError, LookupError):
        return ""


def _sets(cookies: list[str], name: str) -> bool:
    """Whether one of these headers sets the cookie, and does not clear it."""
    return any(re.search(rf"{name}=[^;]", cookie) for cookie in cookies)
