"""A browser: one cookie jar, several tabs that know nothing of each other."""

import asyncio
import random
import time

from tests.simulation.lifetimes import Lifetimes
from tests.simulation.network import DELAY, FAIRLY, JAR, LEFT_AT, Delay
from tests.simulation.tally import Tally
from tests.simulation.wire import LostError, Reply, Sending, new_jar

REFRESH_PATH = "/auth/session/refresh"
TRIES = 40
"""How often a tab repeats one call before it gives up; nearly half of them lost would not take so many."""


class Browser:
    """One person's.

    Args:
        number: Of the jar, which the user is named after.
        port: The network's.
        seed: Of what is left to chance.
        asks: Whether it is the client who refreshes.
        lifetimes: Of the run.
        tally: Where to tell what happens.

    Attributes:
        number: Of the jar, which the user is named after.
        alive: False once an answer has shown that the person is logged out.
    """

    def __init__(self, number: int, port: int, *, seed: int, asks: bool, lifetimes: Lifetimes, tally: Tally) -> None:
        self.alive = True
        self.number = number
        self._asks = asks
        self._port = port
        self._user = f"user-{number}"
        self._lifetimes = lifetimes
        self._tally = tally
        self._chance = random.Random(f"{seed}/{number}")
        self._jar = new_jar()

    async def log_in(self) -> None:
        answer = await self._send("POST", f"/log-in/{self._user}", FAIRLY)
        self._expect_the_user(answer)
        self._tally.longest[self.number] = 0.0  # how long a login takes is no matter of rotation

    async def wake(self) -> None:
        """Use it for a moment, and now and then once more a little later."""
        await self._use()
        if self._chance.random() < 0.2:
            await self._pass(0.02, 0.5)
            await self._use()

    async def look(self) -> None:
        """One call in one tab, with which nothing happens."""
        await self._call_until_answered(FAIRLY, FAIRLY)

    async def _use(self) -> None:
        """All tabs at once, or nearly so, each with a call or two."""
        if self._chance.random() < 0.5:
            await self._overtake()
        else:
            spread = self._chance.choice((0.0, self._lifetimes.longest_delay))
            tabs = [self._tab(self._chance.random() * spread) for _ in range(self._chance.randint(2, 4))]
            await asyncio.gather(*tabs)

    async def _overtake(self) -> None:
        """Four tabs begin together, and then pass each other.

        The first one is quick. Two hear later that their token has expired, when the jar holds newer cookies. The
        last one's refresh leaves early and arrives after all that.
        """
        among = self._chance.uniform
        await asyncio.gather(
            self._tab(0.0, 0.0, 0.0),
            self._tab(0.0, among(0.2, 0.4), 0.0),
            self._tab(0.0, among(0.5, 0.6), 0.0),
            self._tab(0.0, 0.0 if self._asks else among(0.8, 1.0), among(0.8, 1.0)),
        )

    async def come(self) -> None:
        """Not all at the same moment."""
        await self._pass(0.0, 0.5)

    async def sleep(self) -> None:
        """Until the access token has expired, or is about to."""
        await self._pass(*self._chance.choice(((0.8, 1.0), (1.0, 1.3), (1.0, 1.3))))

    async def sleep_well(self) -> None:
        """Until every access token has expired, and nothing is under way any more."""
        await self._pass(1.1, 1.1)

    async def _pass(self, least: float, most: float) -> None:
        """Some time; in lifetimes of an access token."""
        await asyncio.sleep(self._chance.uniform(least, most) * self._lifetimes.access / 1000)

    async def _tab(self, late: float, *delays: Delay) -> None:
        await asyncio.sleep(late)
        for calls in range(self._chance.randint(1, 2)):
            if self.alive:
                await self._call_until_answered(*(delays if not calls else ()))

    async def _call_until_answered(self, call_delay: Delay = None, refresh_delay: Delay = None) -> None:
        for _ in range(TRIES):
            try:
                answer = await self._call(call_delay, refresh_delay)
            except LostError:  # lost on the way: again a little later, as a person would
                await asyncio.sleep(self._chance.random() * self._lifetimes.longest_delay)
                continue
            if answer.told_to_refresh:
                self._tally.counts["told to refresh again"] += 1
                continue
            return self._expect_the_user(answer)
        return self._failed("no answer that helps")

    async def _call(self, call_delay: Delay, refresh_delay: Delay) -> Reply:
        """As the documentation's ``call()``; without inline refresh it is the client who refreshes."""
        left_at = time.monotonic()
        answer = await self._send("GET", "/me", call_delay)
        if answer.told_to_refresh:
            self._tally.took(self.number, time.monotonic() - left_at)  # acting on the 401 is part of its round trip
            self._tally.counts["refreshes asked for"] += 1
            refreshed = await self._send("POST", REFRESH_PATH, refresh_delay)
            if refreshed.status not in {200, 409}:
                return refreshed
            self._tally.counts["409 acted on"] += refreshed.status == 409
            answer = await self._send("GET", "/me", FAIRLY if call_delay == FAIRLY else None)
        return answer

    async def _send(self, method: str, path: str, delay: Delay) -> Reply:
        left_at = time.monotonic()
        headers = {JAR: str(self.number), LEFT_AT: str(left_at), DELAY: str(delay)}
        try:
            return await Sending(self._jar, self._port, method, path, headers).reply()
        finally:
            self._tally.took(self.number, time.monotonic() - left_at)

    def _expect_the_user(self, answer: Reply) -> None:
        if answer.status != 200 or answer.body != {"user": self._user}:
            self._failed(f"got {answer.status} {answer.body}")

    def _failed(self, what: str) -> None:
        self.alive = False
        self._tally.failures[self.number].append(what)
