"""Requests to an application in this very process: no server, no socket."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from time import perf_counter, process_time
from typing import Any

from benchmarks.requests.jars import HEADERS, Jar

Message = MutableMapping[str, Any]
App = Callable[[Any, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: bytes
    set_cookies: list[str]


class Wire:
    """One request's ``receive`` and ``send``."""

    __slots__ = ("_asked", "messages")

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self._asked = False

    async def receive(self) -> Message:
        if self._asked:
            await asyncio.Event().wait()  # a client that waits for its answer says nothing more
        self._asked = True
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(self, message: Message) -> None:
        self.messages.append(message)

    @property
    def answer(self) -> Answer:
        start, *rest = self.messages
        cookies = [value.decode() for name, value in start["headers"] if name == b"set-cookie"]
        return Answer(start["status"], b"".join(message.get("body", b"") for message in rest), cookies)


def scope(method: str, path: str, query: str, jar: Jar) -> dict[str, Any]:
    """Return a fresh scope, as uvicorn makes them."""
    headers = [(b"host", b"127.0.0.1:8000"), *((name.encode(), value.encode()) for name, value in HEADERS)]
    if (cookies := jar.header) is not None:
        headers.append((b"cookie", cookies.encode()))
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "server": ("127.0.0.1", 8000),
        "client": ("127.0.0.1", 50000),
        "scheme": "http",
        "method": method,
        "root_path": "",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "headers": headers,
        "state": {},
    }


async def request(app: App, method: str, path: str, jar: Jar, query: str = "") -> Answer:
    """Send one request; the jar takes the cookies of the answer."""
    wire = Wire()
    await app(scope(method, path, query, jar), wire.receive, wire.send)
    answer = wire.answer
    jar.take(answer.set_cookies)
    return answer


async def timed(app: App, path: str, jars: Sequence[Jar]) -> tuple[float, float, list[Answer]]:
    """Send one request per jar, one after the other.

    Returns:
        Seconds by the clock and of this process's CPU for all of them, and the answers. Scopes are made before the
        clocks start, answers looked at after they have stopped.
    """
    scopes = [scope("GET", path, "", jar) for jar in jars]
    wires = [Wire() for _ in jars]
    cpu, wall = process_time(), perf_counter()
    for one, wire in zip(scopes, wires, strict=True):
        await app(one, wire.receive, wire.send)
    wall, cpu = perf_counter() - wall, process_time() - cpu
    return wall, cpu, [wire.answer for wire in wires]


async def running(app: App, stack: AsyncExitStack) -> None:
    """Run the application's lifespan until the stack is closed.

    Raises:
        RuntimeError: It did not start.
    """
    said: asyncio.Queue[Message] = asyncio.Queue()
    told: asyncio.Queue[Message] = asyncio.Queue()
    task = asyncio.ensure_future(app({"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}, told.get, said.put))
    await told.put({"type": "lifespan.startup"})
    answered = asyncio.ensure_future(said.get())
    await asyncio.wait({task, answered}, return_when=asyncio.FIRST_COMPLETED)
    if not answered.done() or answered.result()["type"] != "lifespan.startup.complete":
        raise RuntimeError("the application did not start")

    async def stop() -> None:
        await told.put({"type": "lifespan.shutdown"})
        await task

    stack.push_async_callback(stop)
