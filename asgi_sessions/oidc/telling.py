"""One request to a receiver, and what its answer means.

Only the address that is configured is asked: no redirect is followed. No answer is waited for longer than
`TELL_SECONDS`, and of none more than `MOST_BYTES` are read.
"""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import Enum, auto
from types import TracebackType
from typing import Final, Self

import httpx

from asgi_sessions.oidc.logout_receiver import LogoutReceiver

__all__ = ["TELL_SECONDS", "Answer", "Meaning", "Teller"]

TELL_SECONDS: Final = 5.0
MOST_BYTES: Final = 16 * 1024
"""Read so that the connection can be used again; what is in it is of no interest."""
LONGEST_RETRY_AFTER_MS: Final = 3_600_000
"""A receiver that asks for more is asked again after this."""


class Meaning(Enum):
    """Of an answer, or of none."""

    DELIVERED = auto()
    REFUSED = auto()
    """400: it takes no such token, and would not take another one."""
    LATER = auto()


@dataclass(frozen=True, slots=True)
class Answer:
    """What has come of a request.

    Attributes:
        meaning: What follows from it.
        reason: Why, in a word: a status, or a kind of failure. Nothing that the receiver has written.
        retry_after_ms: For how long the receiver asks to be left alone; 0 where it does not.
        is_about_the_receiver: Whether any other request would have come to the same now: there was no answer, or it was
            429 or 503.
    """

    meaning: Meaning
    reason: str
    retry_after_ms: int = 0
    is_about_the_receiver: bool = True


class Teller:
    """Sends tokens. As an asynchronous context manager: its connections are kept meanwhile."""

    def __init__(self) -> None:
        self._client = httpx.AsyncClient(timeout=TELL_SECONDS, follow_redirects=False)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._client.aclose()

    async def tell(self, receiver: LogoutReceiver, token: str) -> Answer:
        """Send a token; never raises for what a receiver does."""
        answer: Answer | None = None  # known as soon as the headers are here, whatever becomes of the body
        try:
            async with (
                asyncio.timeout(TELL_SECONDS),
                self._client.stream(
                    "POST", receiver.url, data={"logout_token": token}, headers={"Accept-Encoding": "identity"}
                ) as response,
            ):
                answer = _answer(response)
                await _drain(response)
        except (TimeoutError, httpx.TimeoutException):
            return answer or Answer(Meaning.LATER, "timeout")
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            return answer or Answer(Meaning.LATER, type(error).__name__[:40])
        return answer


def _answer(response: httpx.Response) -> Answer:
    status = response.status_code
    if status in {200, 204}:
        return Answer(Meaning.DELIVERED, str(status))
    if status == 400:
        return Answer(Meaning.REFUSED, "400")
    retry_after = _retry_after_ms(response.headers.get("Retry-After"))
    return Answer(Meaning.LATER, str(status), retry_after, is_about_the_receiver=status in {429, 503})


async def _drain(response: httpx.Response) -> None:
    length = 0
    async for chunk in response.aiter_raw():
        length += len(chunk)
        if length > MOST_BYTES:
            return  # the rest is left on a connection that is closed


def _retry_after_ms(value: str | None) -> int:
    """RFC 9110, section 10.2.3: seconds, or a date."""
    if value is None:
        return 0
    text = value.strip()
    if text.isascii() and text.isdigit():
        seconds = int(text[:9])
    else:
        try:
            moment = parsedate_to_datetime(text)
        except (ValueError, TypeError, OverflowError):
            return 0
        if moment.tzinfo is None:
            return 0
        seconds = int((moment - datetime.now(UTC)).total_seconds())
    return min(max(0, seconds) * 1000, LONGEST_RETRY_AFTER_MS)
