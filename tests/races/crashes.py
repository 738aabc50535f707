"""A worker that is killed in the middle of a request: the jar goes on with another worker, as if nothing had been."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from tests.races.client import Connection
from tests.races.cluster import Cluster, Pair, Violation, must, pair_in
from tests.races.site import worker_settings
from tests.races.stories import Story, tell
from tests.security.browser import Answer
from tests.uvicorn_server import PROJECT, environment_with

NEVER = 1000
"""A stop that no request comes to."""


class Mortals:
    """Workers of another process group that die at a stop."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.pid = 0
        self._port = 0

    async def start(self, at: int) -> None:
        """Start a worker that dies at the stop with this number."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{at}\n".encode())
        word, *numbers = await self._line()
        must(word == "worker", f"the worker did not start: {word}")
        self.pid, self._port = map(int, numbers)

    async def send(self, method: str, path: str, cookies: list[tuple[str, str]]) -> Answer | None:
        """One request to the worker that was started last; None where it died instead of answering."""
        connection = await Connection.to(self._port)
        try:
            return await connection.send(method, path, cookies)
        finally:
            connection.close()

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)

    async def end(self) -> str | None:
        """Wait for the end of the worker; where it died by itself, None if it was killed from outside."""
        stop = None
        while (words := await self._line())[0] != "ended":
            stop = " ".join(words[1:])
        must(words[1] == str(-signal.SIGKILL), f"the worker ended by itself: {words}")
        return stop

    async def _line(self) -> list[str]:
        assert self._process.stdout is not None
        return (await self._process.stdout.readline()).decode().split() or ["nothing"]


@asynccontextmanager
async def open_mortals(url: str) -> AsyncIterator[Mortals]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.races.crashing_worker",
        cwd=PROJECT,
        env=environment_with(worker_settings(url)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    try:
        yield Mortals(process)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


@dataclass(frozen=True)
class Request:
    """A request during which the worker dies.

    Attributes:
        kind: Of the token in the jar; None for an empty jar.
        method: Of the request.
        path: Of the request; ``{user}`` is the story's.
        afterwards: What must hold then.
    """

    kind: str
    method: str
    path: str
    afterwards: Callable[[Cluster, Story], Awaitable[None]]
    with_jar: bool = True


async def _goes_on(cluster: Cluster, story: Story) -> None:
    """The jar is served at once by every worker, refreshes again and again, and nobody is alarmed."""
    pair = story.presented
    for turn in range(5):
        cluster.clock.at(turn * 310)
        answer = await cluster.workers[turn % len(cluster.workers)].send("GET", "/me", pair.cookies)
        must(answer.status == 200, f"the jar is answered {answer.status} {answer.code} in turn {turn}")
        pair = pair_in(answer) or pair
    row = await cluster.live_row(story.handle)
    must(row.revoked_at is None, "the session has ended")
    must(not cluster.alarms, "an alarm")


async def _logged_in_or_out(cluster: Cluster, story: Story) -> None:
    """One of both, for every token and every worker."""
    row = await cluster.live_row(story.handle)
    must((row.revoked_at is None) == (row.revoked_reason is None), "half a tombstone")
    if row.revoked_at is None:
        for worker in cluster.workers:
            answer = await worker.send("GET", "/me", story.presented.cookies)
            must(answer.status == 200, f"not logged out, and answered {answer.status}")
            story.presented = pair_in(answer) or story.presented
        answer = await cluster.workers[0].send("POST", "/logout", story.presented.cookies)
        must(answer.status == 200, f"the second logout is answered {answer.status}")
    await _all_refused(cluster, story.pairs)


async def _first_login(cluster: Cluster, story: Story) -> None:
    """Perhaps there is a session that nobody holds a token of; the user simply logs in."""
    answer = await cluster.workers[1].send("POST", f"/login/{story.user}", [])
    pair = pair_in(answer)
    if pair is None:
        raise Violation(f"the second login is answered {answer.status} without tokens")
    answer = await cluster.workers[0].send("GET", "/me", pair.cookies)
    must(answer.status == 200, f"the new session is answered {answer.status}")
    await _goes_on(cluster, story)  # the session of another jar


async def _log_in_again(cluster: Cluster, story: Story) -> None:
    """The old session stands or has ended; the next login ends it in any case, and succeeds."""
    row = await cluster.live_row(story.handle)
    must((row.revoked_at is None) == (row.revoked_reason is None), "half a tombstone")
    for worker in cluster.workers:
        await worker.hear()
        answer = await worker.send("GET", "/me", story.presented.cookies)
        must(answer.status == (200 if row.revoked_at is None else 401), f"the old session is answered {answer.status}")
    answer = await cluster.workers[0].send("POST", f"/login/{story.user}", story.presented.cookies)
    pair = pair_in(answer)
    if pair is None:
        raise Violation(f"the second login is answered {answer.status} without tokens")
    await _all_refused(cluster, story.pairs)
    answer = await cluster.workers[1].send("GET", "/me", pair.cookies)
    must(answer.status == 200, f"the new session is answered {answer.status}")


async def _all_refused(cluster: Cluster, pairs: list[Pair]) -> None:
    for worker in cluster.workers:
        for pair in pairs:
            for answer in await worker.refused(pair):
                must(answer.status == 401, f"after the logout: {answer.status}")
    must(not cluster.alarms, "an alarm")


REQUESTS: dict[str, Request] = {
    "login": Request("generation 0", "POST", "/login/{user}", _first_login, with_jar=False),
    "login that replaces": Request("generation 0", "POST", "/login/{user}", _log_in_again),
    "refresh of the head": Request("generation 0", "POST", "/auth/session/refresh", _goes_on),
    "refresh of a child": Request("child", "POST", "/auth/session/refresh", _goes_on),
    "refresh of a sibling's child": Request("child of a sibling", "POST", "/auth/session/refresh", _goes_on),
    "inline refresh": Request("expired child", "GET", "/me", _goes_on),
    "logout": Request("child", "POST", "/logout", _logged_in_or_out),
    "logout with an inline refresh": Request("expired child", "POST", "/logout", _logged_in_or_out),
}


async def crash_everywhere(cluster: Cluster, mortals: Mortals, request: Request) -> list[str]:
    """Kill a worker at each stop of a request, one worker for each.

    Returns:
        The stops at which one died.
    """
    stops: list[str] = []
    while True:
        story = await tell(request.kind, cluster.workers[0].manager, cluster.clock)
        cookies = story.presented.cookies if request.with_jar else []
        await mortals.start(len(stops) + 1)
        answer = await mortals.send(request.method, request.path.format(user=story.user), cookies)
        if answer is not None:
            must(answer.status == 200, f"the undisturbed request is answered {answer.status} {answer.code}")
            mortals.kill()
        stop = await mortals.end()
        if answer is not None and stop is None:
            return stops
        stops.append(stop or "nowhere")
        try:
            must(answer is None, "the answer had left before")
            await request.afterwards(cluster, story)
        except Violation as violation:
            raise Violation(f"{request.method} {request.path}, died {stop}: {violation}") from violation
