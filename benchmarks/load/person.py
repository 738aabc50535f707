"""Somebody with a browser: logs in, looks at pages, logs out, and begins again."""

import asyncio
import random
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from benchmarks.load.http import Answer, Line, cookie_header, take_cookies
from benchmarks.load.journal import Journal

__all__ = ["Pace", "Person"]

PAGES = 150
"""From login to logout, on average."""
CROWDED = 5
"""Every so many pages make three requests at once."""
REQUESTS_PER_PAGE = 1 + 2 / CROWDED
COPY_SECONDS = 1.5
"""How long after a logout a copy of its cookies is tried: a second is promised."""


class Pace:
    """How fast everybody is.

    Attributes:
        pause: Mean seconds between a person's pages; 0 for none.
        journal: Where answers are noted; changed between phases.
        running: False ends everybody at the next page.
    """

    def __init__(self) -> None:
        self.pause = 0.0
        self.journal = Journal()
        self.running = True

    def slow_down(self, people: int, rate: float, latency: float) -> None:
        """Let so many people make about so many requests a second, each of which takes so many seconds."""
        self.pause = max(0.0, people * REQUESTS_PER_PAGE / rate - latency)


class Person:
    """One user with one browser: a cookie jar, and up to three connections.

    Args:
        name: The user id.
        port: The server's.
        pace: Everybody's.
    """

    def __init__(self, name: str, port: int, pace: Pace) -> None:
        self._name = name
        self._pace = pace
        self._lines = [Line(port) for _ in range(3)]
        self._jar: dict[str, str] = {}
        self._copies: deque[tuple[float, str]] = deque()
        self._random = random.Random(name)

    async def live(self) -> None:
        """Go on until the pace says that it is over."""
        try:
            while self._pace.running:
                await self._session()
        finally:
            for line in self._lines:
                line.close()

    async def _session(self) -> None:
        self._jar.clear()
        answer = await self._ask("login", "POST", f"/login/{self._name}")
        if answer is None:
            await asyncio.sleep(0.1)  # the server may be in trouble: no storm of logins on top
            return
        for _ in range(1 + int(self._random.expovariate(1 / PAGES))):
            if not self._pace.running:
                return
            if not await self._page():
                return  # already noted as unexpected
            if self._copies and self._copies[0][0] < time.monotonic():
                await self._try_copy()
            await self._rest()
        await self._leave()

    async def _page(self) -> bool:
        chance = self._random.random()
        if chance < 0.05:
            return await self._ask("public", "GET", "/public") is not None
        if chance < 0.08:
            return await self._ask("devices", "GET", "/devices") is not None
        if chance < 0.08 + 1 / CROWDED:
            answers = await asyncio.gather(*(self._ask("request", "GET", "/me", line) for line in self._lines))
            return None not in answers
        return await self._ask("request", "GET", "/me") is not None

    async def _leave(self) -> None:
        copy = cookie_header(self._jar)
        chance = self._random.random()
        if chance < 0.05:
            return  # lost the browser's data
        if chance < 0.15:
            done = await self._ask("logout everywhere", "POST", "/logout-everywhere")
        else:
            done = await self._ask("logout", "POST", "/logout")
            if done is not None and self._jar:
                self._pace.journal.unexpected["cookies were left after logout"] += 1
        if done is not None:
            self._copies.append((time.monotonic() + COPY_SECONDS, copy))

    async def _try_copy(self) -> None:
        _, copy = self._copies.popleft()
        await self._exchange("after logout", "GET", "/me", self._lines[-1], copy, _refused)

    async def _ask(self, kind: str, method: str, path: str, line: Line | None = None) -> Answer | None:
        """The answer to a request with the jar's cookies; None if it was not the right one."""
        cookies = cookie_header(self._jar)
        answer = await self._exchange(kind, method, path, line or self._lines[0], cookies, self._is_mine)
        if answer is not None:
            take_cookies(self._jar, answer.set_cookies)
        return answer

    async def _exchange(
        self, kind: str, method: str, path: str, line: Line, cookies: str, right: Callable[[Answer], bool]
    ) -> Answer | None:
        journal = self._pace.journal
        start = time.perf_counter()
        try:
            answer = await line.ask(method, path, cookies)
        except (OSError, EOFError, TimeoutError) as error:
            journal.unexpected[f"{kind}: {type(error).__name__}"] += 1
            return None
        seconds = time.perf_counter() - start
        if not right(answer):
            journal.unexpected[f"{kind}: {answer.status} {answer.body}"] += 1
            return None
        journal.note("refreshing request" if kind == "request" and answer.set_cookies else kind, seconds)
        return answer

    def _is_mine(self, answer: Answer) -> bool:
        body: Any = answer.body
        return answer.status == 200 and body["user"] in (self._name, "anybody")

    async def _rest(self) -> None:
        if self._pace.pause:
            await asyncio.sleep(self._random.expovariate(1 / self._pace.pause))


def _refused(answer: Answer) -> bool:
    return answer.status == 401
