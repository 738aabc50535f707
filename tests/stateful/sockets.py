"""Open sockets: which of them are still open, and with which code the others were closed."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from unittest.mock import patch

from starlette.types import ASGIApp

from asgi_sessions.asgi.termination import RECONNECT
from asgi_sessions.manager import pending_termination
from tests.asgi import connections
from tests.security.browser import Answer
from tests.stateful.events import Event
from tests.stateful.profiles import CLOCKS_APART, CONNECTION, CONNECTION_AT_LEAST
from tests.stateful.records import Access, Login, Row

ENDED_CODE = 4401
MOST_SOCKETS = 4


@dataclass(eq=False)
class Opened:
    """A socket that was opened, and what the model knows of its end.

    Attributes:
        worker: Which one it is at.
        access: What it was opened with, or what its handshake was given.
        arrived_at: By the worker's clock.
        told: Whether its worker has ended its session.
        doubtful: Whether its worker may have found out that the session is over.
        wire: The real one.
    """

    worker: int
    access: Access
    arrived_at: int
    told: bool = False
    doubtful: bool = False
    wire: connections.Socket | None = None


class Sockets:
    """All of a story, the oldest first.

    Attributes:
        polls: Whether workers ask the database who is out. Else they never hear of each other's logouts.
    """

    polls: bool

    def __init__(self, reached: Counter[str]) -> None:
        self._reached = reached
        self._opened: list[Opened] = []
        self._words = 0
        # The clock is moved, timers follow real time: they look each time that the event loop comes round.
        self._timers = patch.object(pending_termination, "LONGEST_TIMER_SECONDS", 0.0)
        self._timers.start()

    async def close(self) -> None:
        self._timers.stop()
        await self.drop()

    async def drop(self, worker: int | None = None) -> None:
        """The sockets of a worker, or all, lose their connection."""
        for opened in [opened for opened in self._opened if worker in {None, opened.worker}]:
            await self._leave(opened)

    async def open(self, app: ASGIApp, path: str, cookies: Sequence[tuple[str, str]], opened: Opened | None) -> Answer:
        """Shake hands.

        Args:
            app: The worker's.
            path: The socket's.
            cookies: What the client sends.
            opened: What the model expects; None: a refusal.

        Returns:
            The answer: that of an accepted socket has the status 200 and the first message for a body.
        """
        header = "; ".join(f"{name}={value}" for name, value in cookies)
        wire = connections.Socket(app, header, path)
        await wire.__aenter__()
        await wire.until(lambda: wire.task.done() or bool(wire.texts))
        start = wire.heard[0]
        if start["type"] == "websocket.accept" and opened is not None:
            opened.wire = wire
            self._opened.append(opened)
            if len(self._opened) > MOST_SOCKETS:
                await self._leave(self._opened[0])
            return Answer(200, list(start["headers"]), wire.texts[0].encode())
        await wire.__aexit__(None, None, None)
        return Answer(start.get("status", 101), list(start.get("headers", ())), wire.heard[-1].get("body", b""))

    def session_ended(self, worker: int, login: Login, alive: bool) -> None:
        """A worker has ended a session, or found that it was over."""
        for opened in self._opened:
            if opened.access.login is login:
                own = opened.worker == worker
                opened.told |= alive and own
                opened.doubtful |= own or self.polls

    async def look(self, rows: dict[Login, Row], now: tuple[int, int]) -> None:
        """Each socket is open or closed as the model says.

        Args:
            rows: The table.
            now: The time, by each worker's clock.
        """
        for opened in list(self._opened):
            wire, time = opened.wire, now[opened.worker]
            assert wire is not None
            age, row = time - opened.arrived_at, rows.get(opened.access.login)
            over = time >= opened.access.session_expires_at
            # By a liveness sweep, or in vain once the row has gone.
            found_out = opened.doubtful or row is None or (self.polls and not row.live(time - CLOCKS_APART))
            if opened.told or over or age >= CONNECTION:
                await wire.closed()
            elif not wire.closes and await self._answers(wire):
                if time >= opened.access.expires_at:
                    self._note(Event.SOCKET_NEEDS_NO_TOKEN)
                if not self.polls and row is not None and row.revoked_at is not None:
                    self._note(Event.SOCKET_NOT_TOLD)
                continue
            if wire.closes[0][0] == RECONNECT["code"]:
                assert age >= CONNECTION_AT_LEAST, "it had time left"
                self._note(Event.SOCKET_OVER)
            else:
                assert wire.closes[0][0] == ENDED_CODE
                assert opened.told or over or found_out, "its session goes on"
                self._note(Event.SOCKET_ENDED)
            await self._leave(opened)

    async def _answers(self, wire: connections.Socket) -> bool:
        """Whether a socket is open: what its client says is answered."""
        self._words += 1
        word = f"word {self._words}"
        wire.say(word)
        await wire.until(lambda: bool(wire.closes) or word in wire.texts)
        return not wire.closes

    def _note(self, event: Event) -> None:
        self._reached[event.name] += 1

    async def _leave(self, opened: Opened) -> None:
        self._opened.remove(opened)
        assert opened.wire is not None
        await opened.wire.__aexit__(None, None, None)
