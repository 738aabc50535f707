"""`python -m tests.races.crashing_worker`: forks uvicorn workers that kill themselves at the stop that they are told.

A start of Python with all imports takes a second or more; a fork of a process that has them takes milliseconds. Each
line of the input is the number of a stop, counted over all requests of a worker: before and after each statement, and
before the answer leaves. The forked worker says where it listens, and with its last breath where it died.
"""

import asyncio
import os
import signal
import socket
import sys

import uvicorn
from starlette.types import ASGIApp, Message, Receive, Scope, Send

import tests.patience  # noqa: F401 - a crash is what ends a statement here
from asgi_sessions import SessionManager
from asgi_sessions.asgi import answer
from asgi_sessions.store.engine import Outcome
from tests.races.app import build_app
from tests.races.watching import watched, watcher

# On a busy machine an answer is a slow one, for which the database is read once more: no stop of these requests.
answer.FRESH_ANSWER_MS = answer.MAX_ANSWER_AGE_MS


class Death:
    """Comes at a stop."""

    def __init__(self, at: int) -> None:
        self._left = at

    def pass_by(self, stop: str) -> None:
        self._left -= 1
        if self._left == 0:
            say(f"died {stop}")
            os.kill(os.getpid(), signal.SIGKILL)

    async def before(self, kind: str) -> None:
        self.pass_by(f"before {kind}")

    async def after(self, kind: str, outcome: Outcome) -> None:
        self.pass_by(f"after {kind}")


def say(line: str) -> None:
    os.write(sys.stdout.fileno(), f"{line}\n".encode())


def mortal(app: ASGIApp, death: Death) -> ASGIApp:
    """The application, watched while it serves a request."""

    async def watched_app(scope: Scope, receive: Receive, send: Send) -> None:
        async def send_or_die(message: Message) -> None:
            if message["type"] == "http.response.start":
                death.pass_by("before the answer")
            await send(message)

        if scope["type"] == "http":
            watcher.set(death)
            await app(scope, receive, send_or_die)
        else:
            await app(scope, receive, send)

    return watched_app


def serve(at: int) -> None:
    """Be a worker until death."""
    listening = socket.create_server(("127.0.0.1", 0))

    async def run() -> None:
        with watched():
            config = uvicorn.Config(mortal(build_app(SessionManager()), Death(at)), log_level="warning", loop="asyncio")
            server = uvicorn.Server(config)
            serving = asyncio.create_task(server.serve([listening]))
            # Nothing is written to a worker: what can be read is the end of whoever wanted it.
            asyncio.get_running_loop().add_reader(sys.stdin, os._exit, 1)
            while not server.started and not serving.done():
                await asyncio.sleep(0.005)
            say(f"worker {os.getpid()} {listening.getsockname()[1]}")
            await serving

    asyncio.run(run())


def main() -> None:
    for line in sys.stdin:
        if (worker := os.fork()) == 0:
            try:
                serve(int(line))
            finally:
                os._exit(1)
        _, status = os.waitpid(worker, 0)
        say(f"ended {os.waitstatus_to_exitcode(status)}")


if __name__ == "__main__":
    main()
