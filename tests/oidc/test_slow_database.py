"""An answer comes within a second also where the database takes a question in, and never answers it."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from asgi_sessions import SessionManager
from asgi_sessions.errors import StoreUnavailable
from asgi_sessions.oidc import carrying_out, oidc_index
from tests.clocks import MovableClock
from tests.oidc.conftest import Receiver, Site
from tests.oidc.openid_provider import OpenIDProvider
from tests.oidc.transmitter import Transmitter

Answered = Callable[[Receiver, Transmitter], Awaitable[httpx.Response]]


class HeldMarks:
    """The marks of a database that takes questions in, and answers them when it is let."""

    def __init__(self, sessions: SessionManager, monkeypatch: pytest.MonkeyPatch) -> None:
        marks = sessions.lifecycle.index._marks
        self._genuine, self.answers = marks.has_any, asyncio.Event()
        monkeypatch.setattr(marks, "has_any", self._has_any)

    async def _has_any(self, *arguments: Any) -> bool:
        await self.answers.wait()
        return await self._genuine(*arguments)


async def test_a_logout_whose_first_question_is_not_answered_is_tried_on_after_the_answer(
    site: Site, provider: OpenIDProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(carrying_out, "ANSWER_SECONDS", 0.01)
    issued = await site.log_in()
    held = HeldMarks(site.sessions, monkeypatch)
    waiting = asyncio.create_task(issued.session.wait_until_ended())
    answer = await site.post(provider.logout_token())
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert len(await site.live()) == 1
    held.answers.set()
    await waiting
    assert await site.live() == []


async def push_an_event(receiver: Receiver, transmitter: Transmitter) -> httpx.Response:
    return await receiver.push(transmitter.event(sub_id=transmitter.session("laptop")))


async def order_a_revocation(receiver: Receiver, transmitter: Transmitter) -> httpx.Response:
    return await receiver.revoke(transmitter.order(), transmitter.iss_sub())


@pytest.mark.parametrize("send", [push_an_event, order_a_revocation])
async def test_so_is_what_a_transmitter_or_a_revoker_orders(
    send: Answered, receiver: Receiver, transmitter: Transmitter, clock: MovableClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(carrying_out, "ANSWER_SECONDS", 0.01)
    index = oidc_index(transmitter.id_token_claims(sid="laptop"))
    issued = await receiver.sessions.create_new_session_without_request("ada", index=index)
    clock.advance(seconds=2)
    held = HeldMarks(receiver.sessions, monkeypatch)
    waiting = asyncio.create_task(issued.session.wait_until_ended())
    answer = await send(receiver, transmitter)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert len(await receiver.live()) == 1
    held.answers.set()
    await waiting
    assert await receiver.live() == []


async def test_work_that_was_begun_does_not_take_its_own_traces_for_those_of_another(
    receiver: Receiver, transmitter: Transmitter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mark has been written, and the database has failed to say so."""
    monkeypatch.setattr(carrying_out, "FIRST_PAUSE", 0.0)
    monkeypatch.setattr(carrying_out, "ANSWER_SECONDS", 60.0)
    marks = receiver.sessions.lifecycle.index._marks
    genuine, failures = marks.write, [StoreUnavailable()]

    async def write(*arguments: Any) -> bool:
        written = await genuine(*arguments)
        if failures:
            raise failures.pop()
        return written

    monkeypatch.setattr(marks, "write", write)
    token = transmitter.order()
    assert (await receiver.revoke(token, transmitter.iss_sub())).status_code == 204
    assert not failures
    assert (await receiver.revoke(token, transmitter.iss_sub())).status_code == 204
    assert (await receiver.revoke(token, transmitter.iss_sub("grace"))).status_code == 401
