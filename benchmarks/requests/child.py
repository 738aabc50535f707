"""A worker of the in-process benchmark: one variant beside its bare application, driven through its pipes.

Reads commands as JSON lines and answers each with one. The bare application lives in the same process, so that both
share one Starlette, one heap and the same moment.
"""

import asyncio
import gc
import importlib
import json
import logging
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from functools import partial
from statistics import median
from time import monotonic
from typing import Any

import uvloop

from benchmarks.machine import versions
from benchmarks.requests import asgi_client
from benchmarks.requests.jars import Jar, WrongAnswer, check
from benchmarks.requests.variants import EXPIRED_SECONDS, Journey, Variant, chosen

PACKAGES = (
    *("starlette", "fastapi", "pyjwt", "sqlalchemy", "uvicorn", "uvloop", "asyncmy", "aiosqlite", "asgi-user-sessions"),
    *("itsdangerous", "starsessions", "redis", "authx", "supertokens-python", "fastapi-users", "cryptography"),
)


class Worker:
    """Both applications, and the credentials of the one with sessions."""

    def __init__(
        self,
        variant: Variant,
        app: asgi_client.App,
        bare: asgi_client.App,
        decode: Callable[[Sequence[Jar]], float] | None,
    ) -> None:
        self.variant = variant
        self.decode = decode
        self.journey = variant.journey
        self.app = app
        self.bare = bare
        self.jars: list[Jar] = []
        self.used_at = 0.0
        self.users = 1000

    async def log_in(self, count: int) -> list[dict[str, Any]]:
        """Begin sessions, of one user each, and return their jars."""
        return [jar.as_json() for jar in await self._log_in(count)]

    async def prepare_refresh(self, count: int) -> list[dict[str, Any]]:
        """Begin sessions and refresh each once: from now on a refresh rotates the row, as it does for good."""
        jars = await self._log_in(count)
        await asyncio.sleep(EXPIRED_SECONDS)
        for jar in jars:
            answer = await asgi_client.request(self.app, "GET", "/me", jar)
            self._check(jar, answer, bare=False)
        return [jar.as_json() for jar in jars]

    def take(self, jars: list[dict[str, Any]]) -> None:
        """Use these jars: of another worker, which alone has seen their tokens."""
        self.jars = [Jar(**jar) for jar in jars]
        self.used_at = monotonic()

    async def turn(self, count: int, blocks: int) -> dict[str, float]:
        """Run both applications in alternating blocks; microseconds per request, medians over the blocks."""
        await self._enough_jars(count, blocks)
        path = self.journey.path
        gc.collect()
        gc.freeze()  # or full collections, of all that was ever imported, would strike the blocks by chance
        seconds: dict[bool, list[tuple[float, float]]] = {True: [], False: []}
        decoded = []
        for block in range(-1, blocks):  # the first block only warms up
            jars = self._jars_of(block + 1, count)
            for bare in (True, False) if block % 2 else (False, True):
                wall, cpu, answers = await asgi_client.timed(self.bare if bare else self.app, path, jars)
                for jar, answer in zip(jars, answers, strict=True):
                    self._check(jar, answer, bare=bare)
                if block >= 0:
                    seconds[bare].append((wall / count * 1e6, cpu / count * 1e6))
                if self.journey is Journey.REFRESH and not bare:
                    for jar, answer in zip(jars, answers, strict=True):
                        jar.take(answer.set_cookies)
            if self.decode is not None and block >= 0:
                decoded.append(self.decode(jars) / count * 1e6)
        self.used_at = monotonic()
        pairs = list(zip(seconds[False], seconds[True], strict=True))
        return {
            "bare_wall": median(wall for wall, _ in seconds[True]),
            "bare_cpu": median(cpu for _, cpu in seconds[True]),
            "over_wall": median(mine[0] - bare[0] for mine, bare in pairs),
            "over_cpu": median(mine[1] - bare[1] for mine, bare in pairs),
            **({"decode_cpu": median(decoded)} if decoded else {}),
        }

    async def _enough_jars(self, count: int, blocks: int) -> None:
        if self.journey.one_use:
            if len(self.jars) < count * (blocks + 1):
                raise WrongAnswer("too few prepared sessions")
            if self.journey is Journey.REFRESH:
                await asyncio.sleep(max(0.0, self.used_at + EXPIRED_SECONDS - monotonic()))
        elif not self.jars:
            self.jars = await self._log_in(1, user="42") if self.journey.logs_in else [Jar()]

    def _jars_of(self, block: int, count: int) -> list[Jar]:
        if self.journey.one_use:
            return self.jars[block * count : (block + 1) * count]
        return self.jars * count

    async def _log_in(self, count: int, user: str | None = None) -> list[Jar]:
        jars = []
        for _ in range(count):
            self.users += 1
            jar = Jar(user or str(self.users))
            answer = await asgi_client.request(self.app, "POST", "/log-in", jar, f"user={jar.user}")
            if answer.status not in {200, 204} or not (jar.cookies or self.variant.app == self.variant.base):
                raise WrongAnswer(f"POST /log-in: {answer}")
            jars.append(jar)
        return jars

    def _check(self, jar: Jar, answer: asgi_client.Answer, *, bare: bool) -> None:
        check(
            self.journey.path,
            jar,
            answer.status,
            answer.body,
            sets_cookies=bool(answer.set_cookies),
            bare=bare,
            may_set_cookies=self.variant.may_set_cookies,
        )


async def serve(variant: Variant, answers: Any) -> None:
    module = importlib.import_module(f"benchmarks.requests.apps.{variant.app}")
    app = module.app
    bare = importlib.import_module(f"benchmarks.requests.apps.{variant.base}").app
    async with AsyncExitStack() as stack:
        await asgi_client.running(app, stack)
        decode = None
        if variant.journey is Journey.NEW:  # not every environment has PyJWT
            decoding = importlib.import_module("benchmarks.requests.decoding")
            decode = partial(decoding.seconds, module.sessions)
        worker = Worker(variant, app, bare, decode)
        print(json.dumps({"python": sys.version.split()[0], **versions(PACKAGES)}), file=answers, flush=True)
        while line := await asyncio.to_thread(sys.stdin.readline):
            command = json.loads(line)
            name, arguments = command["do"], command["with"]
            if name == "take":
                worker.take(**arguments)
                result: Any = None
            else:
                result = await getattr(worker, name)(**arguments)
            print(json.dumps(result), file=answers, flush=True)


def main() -> None:
    # Whatever an application prints must not come between the answers.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    logging.getLogger("asgi_sessions").setLevel(logging.ERROR)  # the long lifetime of the tokens is a warning
    variant = chosen(sys.argv[1:])[0]
    uvloop.run(serve(variant, answers))
