"""A message that comes while a poll is under way is about what that poll may have missed."""

import asyncio
from typing import Any

import pytest

from asgi_sessions.revocation.feed import RevocationFeed
from asgi_sessions.store.tombstones import Page, TombstoneStore
from tests.channels.conftest import Wire, new_worker, until
from tests.channels.test_wake_up import Client


async def test_a_message_during_a_poll_brings_another_poll(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    page = TombstoneStore.page
    read, go_on = asyncio.Event(), asyncio.Event()
    go_on.set()
    poll_soon, wakes = RevocationFeed.poll_soon, 0

    def counted(self: RevocationFeed) -> None:
        nonlocal wakes
        wakes += 1
        poll_soon(self)

    async def slow_page(self: TombstoneStore, *arguments: Any, **options: Any) -> Page:
        found = await page(self, *arguments, **options)
        read.set()
        await go_on.wait()
        return found

    monkeypatch.setattr(RevocationFeed, "poll_soon", counted)
    async with new_worker(wire.settings) as there, new_worker(wire.settings, revocation_check="none") as here:
        await until(lambda: wakes >= 1)  # it listens; a busy machine's pulse may wake it as well
        client = await Client.of(there, issued := await here.create_new_session_without_request("alice"))
        monkeypatch.setattr(TombstoneStore, "page", slow_page)
        go_on.clear()
        wire.flood(1)
        await read.wait()
        before = wakes
        await here.revoke_session_using_session_handle(issued.session.session_handle)
        await until(lambda: wakes > before)
        go_on.set()
        await client.is_refused_soon()
