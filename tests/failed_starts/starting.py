"""One failed start, as each of those sees it who may: the caller, the server, the shell."""

import asyncio
import re
import traceback
from dataclasses import dataclass
from typing import Any

import pytest

from asgi_sessions import GeneralError, SessionManager, SessionMiddleware, SessionSettings
from asgi_sessions.cli import main

SECRET_KEY = "0123456789abcdef0123456789abcdef-failing"
NOTHING_THERE = ("There is no database ", "There are no tables ")


@dataclass(frozen=True)
class Failure:
    """What a failed start has left.

    Attributes:
        error: What was raised.
        everything: All texts that anybody was shown, the traceback with its chained errors among them.
    """

    error: GeneralError
    everything: str


async def fail_to_start(url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Failure:
    """Start a manager, an application and two commands, and hold what they say against each other."""
    sessions = SessionManager(SessionSettings(database_url=url, secret_key=SECRET_KEY))
    with pytest.raises(GeneralError) as caught:
        await sessions.start()
    error = caught.value
    told = await told_to_the_server(sessions)
    assert _without_class(told) == _without_class(f"asgi_sessions: {error}")
    monkeypatch.setenv("ASGI_SESSIONS_DATABASE_URL", url)
    monkeypatch.setenv("ASGI_SESSIONS_SECRET_KEY", SECRET_KEY)
    said = ""
    for command in (["migrate"], ["list", "42"]):
        capsys.readouterr()
        code = await asyncio.to_thread(main, command)
        printed = capsys.readouterr()
        said += printed.err
        if command != ["migrate"] and printed.err.startswith(NOTHING_THERE):  # it does not try to make them
            assert (code, printed.out) == (3, "")
            continue
        assert (code, printed.out) == (3 if error.status_code == 503 else 2, "")
        assert _without_class(printed.err) == _without_class(f"{error}\n")
    return Failure(error, "".join(traceback.format_exception(error)) + repr(error.__cause__) + told + said)


def _without_class(text: str) -> str:
    """The text without the error's class: a server that hangs up is lost in several ways."""
    return re.sub(r"; [\w. ]+\)", ")", text)


async def told_to_the_server(sessions: SessionManager) -> str:
    """The message of the lifespan that failed."""
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "lifespan.startup"}

    async def send(message: Any) -> None:
        sent.append(message)

    async def application(scope: Any, receive: Any, send: Any) -> None:
        await receive()

    with pytest.raises(GeneralError):
        await SessionMiddleware(application, sessions)({"type": "lifespan"}, receive, send)
    (failed,) = sent
    assert failed["type"] == "lifespan.startup.failed"
    message: str = failed["message"]
    return message
