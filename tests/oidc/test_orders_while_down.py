"""What is ordered while the database is down is answered by 503, and carried out as soon as it can be."""

import asyncio
import json
from typing import Any

import pytest

from asgi_sessions import SessionManager, StoreUnavailable
from asgi_sessions.oidc import carrying_out
from tests.clocks import MovableClock
from tests.oidc.conftest import Receiver
from tests.oidc.transmitter import SSF, Transmitter


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch, _unhurried: None) -> None:
    monkeypatch.setattr(carrying_out, "ANSWER_SECONDS", 0.01)
    monkeypatch.setattr(carrying_out, "FIRST_PAUSE", 0.0)
    monkeypatch.setattr(carrying_out, "LONGEST_PAUSE", 0.0)


@pytest.mark.parametrize("failing", ["the database", "the application's function"])
async def test_what_cannot_be_done_now_is_503_and_tried_until_it_is(
    failing: str, sessions: SessionManager, transmitter: Transmitter, monkeypatch: pytest.MonkeyPatch
) -> None:
    down = True
    store = sessions.lifecycle.index._index
    genuine = store.places_of

    async def whose(subject: Any) -> tuple[str, str]:
        if down and failing != "the database":
            raise LookupError("no connection")
        return "org", "acme"

    async def places_of(*arguments: Any, **more: Any) -> Any:
        if down and failing == "the database":
            raise StoreUnavailable
        return await genuine(*arguments, **more)

    monkeypatch.setattr(store, "places_of", places_of)
    receiver = Receiver(sessions, transmitter, subject=whose)
    async with receiver.client:
        issued = await sessions.create_new_session_without_request("ada", index={"org": "acme"})
        waiting = asyncio.create_task(issued.session.wait_until_ended())
        answer = await receiver.push(transmitter.event())
        assert (answer.status_code, answer.headers["retry-after"], "err" in answer.json()) == (503, "5", False)
        assert len(await receiver.live()) == 1
        down = False
        await asyncio.wait_for(waiting, 60)
        assert await receiver.live() == []


async def test_a_verification_is_told_though_the_database_was_down_or_the_application_fails(
    sessions: SessionManager,
    transmitter: Transmitter,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    marks, told, down = sessions.lifecycle.index._marks, asyncio.Event(), True
    genuine = marks.write

    async def write(*arguments: Any) -> bool:
        if down:
            raise StoreUnavailable
        return await genuine(*arguments)

    async def on_stream_verified(issuer: str, state: str | None) -> None:
        told.set()
        raise LookupError

    monkeypatch.setattr(marks, "write", write)
    receiver = Receiver(sessions, transmitter, on_stream_verified=on_stream_verified)
    async with receiver.client:
        token = transmitter.event(f"{SSF}verification", {"state": "x"})
        assert (await receiver.push(token)).status_code == 503
        assert not told.is_set()
        down = False
        await asyncio.wait_for(told.wait(), 60)
        await asyncio.sleep(0)
        monkeypatch.setattr(carrying_out, "ANSWER_SECONDS", 60.0)
        told.clear()
        assert (await receiver.push(token)).status_code == 202
        assert not told.is_set()
        assert "on_stream_verified failed" in caplog.text


async def test_who_logs_in_after_the_request_stays_however_long_the_database_is_down(
    receiver: Receiver, transmitter: Transmitter, clock: MovableClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, down = receiver.sessions.lifecycle.index._index, True
    genuine = store.places_of

    async def places_of(*arguments: Any, **more: Any) -> Any:
        if down:
            raise StoreUnavailable
        return await genuine(*arguments, **more)

    monkeypatch.setattr(store, "places_of", places_of)
    before = await receiver.sessions.create_new_session_without_request(
        "ada", index={"oidc_sub": json.dumps([transmitter.issuer, "ada"], separators=(",", ":"))}
    )
    clock.advance(seconds=1)
    waiting = asyncio.create_task(before.session.wait_until_ended())
    answer = await receiver.revoke(transmitter.order(), transmitter.iss_sub())
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    clock.advance(seconds=90)  # more than workers' clocks may differ
    after = await receiver.log_in()
    down = False
    await asyncio.wait_for(waiting, 60)
    assert await receiver.live() == [after]
