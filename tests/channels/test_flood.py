"""Whoever can write to the channel can cause polls, and few of them."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from asgi_sessions.revocation.channel import SHORTEST_GAP_SECONDS, Channel, WakeUps
from asgi_sessions.store.tombstones import Page, TombstoneStore
from tests.channels.conftest import Wire, new_worker, until
from tests.patience import PATIENCE

MESSAGES = 5_000


async def test_a_flood_of_messages_becomes_few_polls(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    polls: list[float] = []
    heard = 0
    page, hear = TombstoneStore.page, WakeUps._heard

    async def counted_page(self: TombstoneStore, *arguments: Any, **options: Any) -> Page:
        polls.append(asyncio.get_running_loop().time())
        return await page(self, *arguments, **options)

    def counted(self: WakeUps) -> None:
        nonlocal heard
        heard += 1
        hear(self)

    monkeypatch.setattr(TombstoneStore, "page", counted_page)
    monkeypatch.setattr(WakeUps, "_heard", counted)
    async with new_worker(wire.settings):
        await until(lambda: heard == 1 and len(polls) == 2)  # at start, and when it began to listen
        polls.clear()
        await asyncio.to_thread(wire.flood, MESSAGES)
        await until(lambda: heard == 1 + MESSAGES)
        await until(lambda: bool(polls))
        assert len(polls) <= (polls[-1] - polls[0]) / SHORTEST_GAP_SECONDS + 2


class Loudspeaker(Channel):
    """Says what it is told to say."""

    kind = "test"

    def __init__(self) -> None:
        self.heard: Callable[[], None] = lambda: None
        self.said = 0
        self.may_go_on = asyncio.Event()

    async def listen(self, heard: Callable[[], None]) -> None:
        self.heard = heard
        await asyncio.Event().wait()

    async def publish(self) -> None:
        self.said += 1
        await self.may_go_on.wait()

    async def close(self) -> None:
        pass


async def test_the_first_message_wakes_at_once_and_the_last_is_not_lost() -> None:
    loudspeaker, woken = Loudspeaker(), asyncio.Queue[float]()
    loop = asyncio.get_running_loop()
    wake_ups = WakeUps(loudspeaker, lambda: woken.put_nowait(loop.time()))
    wake_ups.start()
    await asyncio.sleep(0)
    loudspeaker.heard()
    async with asyncio.timeout(PATIENCE):
        first = await woken.get()
    for _ in range(100):
        loudspeaker.heard()
        await asyncio.sleep(0)
    async with asyncio.timeout(PATIENCE):
        second = await woken.get()
    assert second - first >= SHORTEST_GAP_SECONDS - 0.001
    await asyncio.sleep(2 * SHORTEST_GAP_SECONDS)
    assert woken.empty()
    await wake_ups.close()


async def test_revocations_during_a_message_share_the_next() -> None:
    loudspeaker = Loudspeaker()
    wake_ups = WakeUps(loudspeaker, None)
    wake_ups.start()
    wake_ups.publish()
    await asyncio.sleep(0)
    for _ in range(100):
        wake_ups.publish()
    loudspeaker.may_go_on.set()
    await wake_ups.close()
    assert loudspeaker.said == 2


async def test_without_a_listener_nobody_listens() -> None:
    loudspeaker = Loudspeaker()
    wake_ups = WakeUps(loudspeaker, None)
    before = loudspeaker.heard
    wake_ups.start()
    await asyncio.sleep(0)
    assert loudspeaker.heard is before
    await wake_ups.close()
