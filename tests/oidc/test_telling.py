"""What a receiver's answer means, and that nobody but the configured address is ever asked."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from asgi_sessions.oidc import LogoutReceiver, telling
from asgi_sessions.oidc.telling import LONGEST_RETRY_AFTER_MS, MOST_BYTES, Answer, Meaning, Teller
from tests.oidc.hearing import Hearing, Reply
from tests.patience import PATIENCE
from tests.servers import free_port

DELIVERED, REFUSED, LATER = Meaning.DELIVERED, Meaning.REFUSED, Meaning.LATER


@pytest.fixture
def hearing() -> Iterator[Hearing]:
    with Hearing() as hearing:
        yield hearing


@pytest.fixture
async def teller() -> AsyncIterator[Teller]:
    async with Teller() as teller:
        yield teller


@pytest.mark.parametrize(
    ("status", "meaning"),
    [
        *((status, DELIVERED) for status in (200, 204)),
        (400, REFUSED),
        *((status, LATER) for status in (201, 202, 206, 302, 307, 401, 403, 404, 408, 413, 415, 429, 500, 502, 503)),
    ],
)
async def test_what_a_status_means(hearing: Hearing, teller: Teller, status: int, meaning: Meaning) -> None:
    hearing.answer = lambda token: Reply(status)
    answer = await teller.tell(hearing.as_configured(), "token")
    assert (answer.meaning, answer.reason) == (meaning, str(status))
    if meaning is LATER:
        assert answer.is_about_the_receiver == (status in {429, 503})
    assert hearing.heard == ["token"]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_no_redirect_is_followed(hearing: Hearing, teller: Teller, status: int) -> None:
    with Hearing() as other:
        for place in (f"{other.address}/elsewhere", "/elsewhere"):
            location = {"Location": place}
            hearing.answer = lambda token, location=location: Reply(status, location)  # type: ignore[misc]
            assert (await teller.tell(hearing.as_configured(), "token")).meaning is LATER
        assert other.asked == []
    assert set(hearing.asked) == {"/backchannel-logout"}


@pytest.mark.parametrize(
    ("value", "expected"),
    [("7", 7_000), (" 7 ", 7_000), ("0", 0), ("-7", 0), ("7.5", 0), ("soon", 0), ("", 0), ("9" * 5000, None)],
)
async def test_for_how_long_a_receiver_may_ask_to_be_left_alone(
    hearing: Hearing, teller: Teller, value: str, expected: int | None
) -> None:
    hearing.answer = lambda token: Reply(503, {"Retry-After": value.encode().decode("latin-1")})
    answer = await teller.tell(hearing.as_configured(), "token")
    assert answer == Answer(LATER, "503", LONGEST_RETRY_AFTER_MS if expected is None else expected)


@pytest.mark.parametrize(("hours", "least", "most"), [(-1, 0, 0), (0.5, 1_000, 1_800_000), (48, 3_600_000, 3_600_000)])
async def test_a_date_says_so_too(hearing: Hearing, teller: Teller, hours: float, least: int, most: int) -> None:
    moment = format_datetime(datetime.now(UTC) + timedelta(hours=hours), usegmt=True)
    hearing.answer = lambda token: Reply(429, {"Retry-After": moment})
    answer = await teller.tell(hearing.as_configured(), "token")
    assert least <= answer.retry_after_ms <= most


async def test_a_huge_body_is_not_read_and_the_answer_counts(hearing: Hearing, teller: Teller) -> None:
    hearing.answer = lambda token: Reply(body=b"x" * 5000 * MOST_BYTES)
    assert (await teller.tell(hearing.as_configured(), "token")).meaning is DELIVERED
    assert await asyncio.to_thread(hearing.unread.wait, PATIENCE)
    hearing.answer = lambda token: Reply(headers={"Content-Encoding": "gzip"}, body=b"no gzip")
    assert (await teller.tell(hearing.as_configured(), "token")).meaning is DELIVERED


async def test_a_body_that_never_ends_takes_nothing_from_the_answer(
    hearing: Hearing, teller: Teller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(telling, "TELL_SECONDS", 0.5)
    hearing.answer = lambda token: Reply(headers={"Content-Length": "1000"}, body=b"x")
    assert (await teller.tell(hearing.as_configured(), "token")).meaning is DELIVERED


async def test_no_answer_is_waited_for_for_ever(
    hearing: Hearing, teller: Teller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(telling, "TELL_SECONDS", 0.2)
    hearing.answer = lambda token: Reply(silent=True)
    assert await teller.tell(hearing.as_configured(), "token") == Answer(LATER, "timeout")


async def test_nobody_is_there(teller: Teller) -> None:
    receiver = LogoutReceiver(url=f"http://127.0.0.1:{free_port()}/logout", audience="gone")
    assert await teller.tell(receiver, "token") == Answer(LATER, "ConnectError")


async def test_a_connection_that_breaks_off(hearing: Hearing, teller: Teller) -> None:
    hearing.hangs.set()
    hearing.answer = lambda token: Reply(silent=True)
    assert await teller.tell(hearing.as_configured(), "token") == Answer(LATER, "RemoteProtocolError")
