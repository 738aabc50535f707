"""Users who log in, go on, come back and log out on several workers, while somebody breaks what they stand on."""

import asyncio
import itertools
import random
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from asgi_sessions import SessionManager
from tests.clusters.history import CHECKED, LOGIN, LOGOUT, REFRESH, REQUEST, UNKNOWN, History, is_ok, violations
from tests.clusters.workers import until, worker
from tests.patience import PATIENCE

WORKERS, USERS = 4, 12
STALENESS = 6.0
"""``revocation_max_staleness``, seconds."""
MORE_LAG = 2.0
"""For how much longer than it a request may be answered from memory after a logout; a machine with other work to do
takes longer to begin a poll, and to end a request."""
ALL = (LOGIN, REFRESH, LOGOUT, REQUEST, CHECKED)
BEFORE, AFTER = 5, 10
"""So many calls of each kind succeed before the fault, and after it."""
BURNING = 3.0
"""So long something stays broken, seconds. Nothing fails where the machine makes it longer."""

_T = TypeVar("_T")


@dataclass
class _Held:
    number: int
    handle: str
    access: str
    refresh: str


class Fire:
    """Workers and users on a cluster.

    Args:
        urls: The workers' addresses; each worker takes the next one.
        seed: What the users do goes by it.
        impatient: The part of all calls that are cancelled after some milliseconds.
        pause: How long a user waits between two calls at most, seconds.
        settings: Of the workers.
    """

    def __init__(
        self, urls: Sequence[str], seed: int, *, impatient: float = 0.0, pause: float = 0.02, **settings: Any
    ) -> None:
        self._urls = urls
        self._impatient = impatient
        self._pause = pause
        self._settings = {"revocation_max_staleness": STALENESS, "revocation_poll_interval": 0.25, **settings}
        self._random = random.Random(seed)
        self._numbers = itertools.count(1)
        self._workers: list[SessionManager] = []
        self._over = False
        self.history = History()

    async def burn(self, fault: Callable[[], Awaitable[None]]) -> None:
        """Run it: users all the time, a fault, and users until the service is whole again.

        Args:
            fault: Breaks something and mends it, while users go on. It must leave the loop to them.

        Raises:
            TimeoutError: The service did not come back.
        """
        async with self.workers():
            await self.users(fault)

    @asynccontextmanager
    async def workers(self) -> AsyncIterator[None]:
        """Start the workers, and stop them."""
        async with AsyncExitStack() as stack:
            for number in range(WORKERS):
                started = worker(self._urls[number % len(self._urls)], **self._settings)
                self._workers.append(await stack.enter_async_context(started))
            yield

    async def users(self, fault: Callable[[], Awaitable[None]]) -> None:
        """As `burn`, on workers that run."""
        self._over = False
        users = [asyncio.ensure_future(self._user()) for _ in range(USERS)]
        try:
            await self._more_successes(BEFORE)
            await fault()
            await self._more_successes(AFTER)
            await asyncio.gather(*map(self._serves_again, self._workers))
        finally:
            self._over = True
            await asyncio.wait(users, timeout=PATIENCE)
        for user in users:
            user.result()

    def judge(self) -> None:
        """Raise unless a single sound server could have told all of it."""
        lag = self._settings["revocation_max_staleness"] + MORE_LAG
        found = list(violations(self.history.operations, lag=lag))
        assert not found, "\n".join([f"{len(found)} of {len(self.history.operations)}:", *found[:20]])

    # -- what users do

    async def _user(self) -> None:
        held: list[_Held] = []
        while not self._over:
            if not held or (len(held) < 3 and self._random.random() < 0.2):
                if (session := await self._log_in(self._one())) is not None:
                    held.append(session)
                continue
            session = self._random.choice(held)
            await self._random.choice((self._request, self._request, self._checked, self._refresh))(session)
            if self._random.random() < 0.1:
                await self._log_out(session)
                held.remove(session)
                for _ in range(3):  # whoever has copied her cookies
                    await self._random.choice((self._request, self._checked, self._refresh))(session)
            await asyncio.sleep(self._random.uniform(0, self._pause))

    async def _log_in(self, sessions: SessionManager) -> _Held | None:
        number = next(self._numbers)
        issued = await self._note(LOGIN, number, lambda: sessions.create_new_session_without_request(f"user-{number}"))
        if issued is None:
            return None
        return _Held(number, issued.session.session_handle, issued.access_token.value, issued.refresh_token.value)

    async def _request(self, session: _Held, *, kind: str = REQUEST) -> None:
        sessions, token = self._one(), session.access
        await self._note(
            kind,
            session.number,
            lambda: sessions.get_session_without_request(token, check_database=kind == CHECKED),
        )

    async def _checked(self, session: _Held) -> None:
        await self._request(session, kind=CHECKED)

    async def _refresh(self, session: _Held) -> None:
        sessions, token = self._one(), session.refresh
        issued = await self._note(REFRESH, session.number, lambda: sessions.refresh_session_without_request(token))
        if issued is not None:
            session.access, session.refresh = issued.access_token.value, issued.refresh_token.value

    async def _log_out(self, session: _Held) -> None:
        sessions = self._one()
        await self._note(LOGOUT, session.number, lambda: sessions.revoke_session_using_session_handle(session.handle))

    async def _note(self, kind: str, session: int, call: Callable[[], Awaitable[_T]]) -> _T | None:
        async def given_up() -> _T:
            async with asyncio.timeout(self._random.uniform(0, 0.03)):
                return await call()

        is_given_up = self._random.random() < self._impatient
        return await self.history.note(kind, session, given_up if is_given_up else call)

    def _one(self) -> SessionManager:
        return self._random.choice(self._workers)

    # -- whether the service is there

    async def _more_successes(self, count: int) -> None:
        async def are_there() -> bool:
            calls = self.history.operations[first:]
            return all(sum(call.kind == kind and is_ok(call) for call in calls) >= count for kind in ALL)

        first = len(self.history.operations)
        await until(are_there)

    async def _serves_again(self, sessions: SessionManager) -> None:
        """Every worker does, not only some."""

        async def serves() -> bool:
            if (held := await self._log_in(sessions)) is None:
                return False
            check = sessions.get_session_without_request
            return await self._note(REQUEST, held.number, lambda: check(held.access)) is not None

        await until(serves)


async def under_fire(
    urls: Sequence[str], break_and_mend: Callable[..., object], *arguments: object, **options: Any
) -> History:
    """Burn and judge, and print what was seen. The options are those of `Fire`."""
    fire = Fire(urls, uuid.uuid4().int, **options)

    async def fault() -> None:
        await asyncio.to_thread(break_and_mend, *arguments)

    await fire.burn(fault)
    table = fire.history.table()
    print(
        f"\n{getattr(break_and_mend, '__name__', '')}: no login for {fire.history.longest_gap([LOGIN]):.1f} s,",
        f"{table.get(f'{REQUEST}: {UNKNOWN}', 0)} requests from memory not answered; {table}",
    )
    fire.judge()
    return fire.history
