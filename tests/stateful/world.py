"""The real side: two workers on one database. All that they answer and store is compared with the model."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

from starlette.types import ASGIApp

from asgi_sessions import IssuedSession, SessionError, SessionManager
from tests.security.browser import Answer, Browser
from tests.stateful.jar import SetCookie
from tests.stateful.model import Model, Pair
from tests.stateful.pages import described
from tests.stateful.profiles import PROFILES, Profile
from tests.stateful.records import Access, Time
from tests.stateful.site import build_site
from tests.stateful.sockets import Opened, Sockets
from tests.stateful.table import Table
from tests.stateful.visit import ERRORS, Carried, Expected, SetTo, Visit
from tests.stateful.wire import Wire, plain

START = 1_800_000_000_000

T = TypeVar("T")
Page = Callable[[Visit], Any]
Meanwhile = Callable[[int], Awaitable[None]]


class World:
    """One database, and for each profile two workers that are started when they are needed.

    Attributes:
        time: The story's.
        model: What all is compared with.
        wire: Which text stands for which token.
        reached: How often stories have come to each line of the table, event and step.
        told: The profiles that all stories have been told with.
    """

    model: Model
    wire: Wire

    def __init__(self, database_url: str) -> None:
        self.time = Time(START)
        self.reached: Counter[str] = Counter()
        self.told: set[Profile] = set()
        self._database_url = database_url
        self._runner = asyncio.Runner()
        self._workers: dict[Profile, list[tuple[SessionManager, ASGIApp]]] = {}
        self._meanwhile: Meanwhile | None = None
        self._sockets = Sockets(self.reached)
        self._runner.run(SessionManager(PROFILES[0].settings(database_url)).upgrade_database())
        self._table = Table(database_url)

    def close(self) -> None:
        async def stop() -> None:
            await self._sockets.close()
            for workers in self._workers.values():
                for manager, _ in workers:
                    await manager.stop()
            await self._table.close()

        self._runner.run(stop())
        self._runner.close()

    def begin(self, profile: Profile, off: tuple[int, int]) -> None:
        """A new story: no sessions, and two workers that remember none of them."""
        self.time.now, self.time.off = START, off
        self.model = Model(profile, self.time, self.reached)
        self._sockets.polls = profile.checked
        self.model.session_ended = self._sockets.session_ended
        self.wire = Wire(profile)
        self._runner.run(self._begin(profile))

    async def _begin(self, profile: Profile) -> None:
        await self._sockets.drop()
        await self._table.empty()
        if profile not in self._workers:
            workers = self._workers[profile] = []
            for worker in (0, 1):
                manager = SessionManager(profile.settings(self._database_url), clock=self._clock(worker))
                await manager.start()
                workers.append((manager, build_site(manager, self._while_slow(worker))))

    def _clock(self, worker: int) -> Callable[[], int]:
        return lambda: self.time.at(worker)

    def _while_slow(self, worker: int) -> Callable[[], Awaitable[None]]:
        async def meanwhile() -> None:
            assert self._meanwhile is not None
            await self._meanwhile(worker)

        return meanwhile

    @property
    def profile(self) -> Profile:
        return self.model.profile

    def manager(self, worker: int) -> SessionManager:
        return self._workers[self.profile][worker][0]

    # -- what happens

    def ask(
        self,
        worker: int,
        method: str,
        path: str,
        cookies: Sequence[tuple[str, str]],
        page: Page,
        *,
        body: Any = None,
        meanwhile: Meanwhile | None = None,
    ) -> list[SetCookie]:
        """A request to a worker; the cookies of its answer."""
        began = self.time.now
        visit = Visit(self.model, worker, self._carried(cookies), path)
        expected = visit.answer(page)
        ended, self.time.now = self.time.now, began
        self._meanwhile = meanwhile

        async def run() -> list[SetCookie]:
            since = time.time_ns() // 1_000_000
            app = self._workers[self.profile][worker][1]
            answer = await Browser(app).send(method, path, cookies=cookies, body=json.dumps(body).encode())
            assert self.time.now == ended
            kept = self._compare(worker, answer, expected)
            await self._table.compare(self.model.rows, since)
            return kept

        return self._runner.run(run())

    def open_socket(self, worker: int, path: str, cookies: Sequence[tuple[str, str]]) -> list[SetCookie]:
        """A handshake with a worker; the cookies of its answer."""
        given = list[Access]()

        def page(visit: Visit) -> Any:
            given.append(visit.session())
            return described(given[0])

        expected = Visit(self.model, worker, self._carried(cookies), path).answer(page)
        opened = Opened(worker, given[0], self.time.at(worker)) if given else None

        async def run() -> list[SetCookie]:
            since = time.time_ns() // 1_000_000
            app = self._workers[self.profile][worker][1]
            kept = self._compare(worker, await self._sockets.open(app, path, cookies, opened), expected)
            await self._table.compare(self.model.rows, since)
            return kept

        return self._runner.run(run())

    def look_at_sockets(self) -> None:
        """Each is open or closed as it should be."""
        now = self.time.at(0), self.time.at(1)
        self._runner.run(self._sockets.look(self.model.rows, now))

    def call(self, operation: Callable[[], Awaitable[T]], model: Callable[[], Any]) -> T | None:
        """An operation without a request; None if it fails, as the model says it does."""
        try:
            expected, code = model(), None
        except tuple(ERRORS) as error:
            expected, code = None, ERRORS[type(error)][1]

        async def run() -> T | None:
            since = time.time_ns() // 1_000_000
            found, raised = None, None
            try:
                found = await operation()
            except SessionError as error:
                raised = error.code
            assert raised == code
            if isinstance(expected, Pair):
                self._compare_issued(found, expected)
            else:
                assert found == plain(expected)
            await self._table.compare(self.model.rows, since)
            return found

        return self._runner.run(run())

    def restart(self, worker: int) -> None:
        async def run() -> None:
            await self._sockets.drop(worker)
            await self.manager(worker).stop()
            await self.manager(worker).start()

        self._runner.run(run())
        self.model.forget(worker)

    def restore(self, row: Any) -> None:
        self.model.restore(row)
        self._runner.run(self._table.put_back(row))
        self.call(_nothing, lambda: None)

    # -- what is said

    def _carried(self, cookies: Sequence[tuple[str, str]]) -> Carried:
        profile = self.model.profile
        return Carried(
            access=[self.wire.access(text) for name, text in cookies if name == profile.access_cookie],
            refresh=[self.wire.token(text) for name, text in cookies if name == profile.refresh_cookie],
            marker=[self.wire.marker(text) for name, text in cookies if name == profile.marker_cookie],
        )

    def _compare(self, worker: int, answer: Answer, expected: Expected) -> list[SetCookie]:
        cookies = [SetCookie.parse(header) for header in answer.set_cookies]
        found = {cookie.name: cookie for cookie in cookies}
        profile, manager = self.model.profile, self.manager(worker)
        wanted: dict[str, SetTo | None] = {profile.name_of(name): to for name, to in expected.cookies.items()}
        assert (answer.status, answer.code if expected.code else None) == (expected.status, expected.code)
        assert found.keys() == wanted.keys()
        assert len(found) == len(cookies), "no cookie twice"
        # The refresh token first: the access token carries its hash.
        for name in sorted(wanted, key=lambda name: name != profile.refresh_cookie):
            to, cookie = wanted[name], found[name]
            assert cookie.path == profile.path_of(name)
            if to is None:
                assert (cookie.value, cookie.max_age) == ("", 0)
            else:
                age = None if to.until is None else max(0, -((expected.sent_at - to.until) // 1000))
                assert cookie.max_age == age
                self.wire.learn(cookie.value, to.record, manager)
        assert ("no-store" in answer.all("cache-control")) >= bool(cookies)
        if expected.code is None and expected.status == 200:
            assert answer.json() == plain(expected.body)
        return cookies

    def _compare_issued(self, found: Any, pair: Pair) -> None:
        assert isinstance(found, IssuedSession)
        manager = self.manager(0)
        self.wire.learn(found.refresh_token.value, pair.token, manager)
        self.wire.learn(found.access_token.value, pair.access, manager)
        assert round(found.refresh_token.expires_at.timestamp() * 1000) == pair.until
        assert round(found.access_token.expires_at.timestamp() * 1000) == pair.access.expires_at


async def _nothing() -> None:
    return None
