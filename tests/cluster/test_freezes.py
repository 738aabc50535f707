"""A worker that has stood still hears the news before it answers: its process was frozen, or one call blocked its loop.

The first request is sent while the worker stands still, so that it is there before anything else when it goes on.
"""

import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from asgi_sessions.store.connection_setup import STATEMENT_TIMEOUT_SECONDS
from tests.cluster.feed_workers import Jar, Line, Reply
from tests.cluster.slow_database import SlowWire
from tests.conftest import empty_database
from tests.forked_python import wait_until_stopped
from tests.servers import Server
from tests.uvicorn_server import SECRET, UvicornServer

FREEZE_SECONDS = 3.0
LOOPS = ("asyncio", "uvloop")
POLL_SECONDS = 0.5


@dataclass
class Shop:
    """Workers that will stand still, one of each kind of loop, and one that will not.

    Attributes:
        awake: To the one that goes on.
        lines: To the others, by way of the wire to their database.
        wire: That wire.
        servers: The others.
    """

    awake: Line
    lines: list[Line]
    wire: SlowWire
    servers: list[UvicornServer]

    def jars(self, user: str) -> tuple[Jar, Jar]:
        """Two sessions that all workers know, one of which is to end."""
        both = Jar.logged_in(self.awake, user), Jar.logged_in(self.awake, "stays")
        for line in self.lines:
            assert [line.ask("/me", jar.cookies).status for jar in both] == [200, 200]
        return both

    @contextmanager
    def ask_all(self, path: str, jar: Jar) -> Iterator[list[Future[Reply]]]:
        """Send a request to each worker that stands still, beside what it is doing."""
        with ExitStack() as stack:
            pool = stack.enter_context(ThreadPoolExecutor(len(self.servers)))
            lines = [stack.enter_context(_closing(Line(server.port, greet=False))) for server in self.servers]
            yield [pool.submit(line.ask, path, jar.cookies) for line in lines]

    def freeze(self) -> None:
        for server in self.servers:
            os.kill(server.pid, signal.SIGSTOP)
            wait_until_stopped(server.pid)

    def thaw(self) -> None:
        for server in self.servers:
            os.kill(server.pid, signal.SIGCONT)


@contextmanager
def _closing(line: Line) -> Iterator[Line]:
    try:
        yield line
    finally:
        line.close()


@pytest.fixture(scope="module")
def shop(mariadb: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    folder: Path = tmp_path_factory.mktemp("freezes")
    for url in empty_database(mariadb):
        with ExitStack() as stack:
            wire = stack.enter_context(SlowWire(url))

            def start(database_url: str, loop: str) -> UvicornServer:
                settings = {"database_url": database_url, "secret_key": SECRET, "purge_interval": "0"}
                server = UvicornServer(
                    "tests.cluster.feed_app:app",
                    folder,
                    {f"ASGI_SESSIONS_{name.upper()}": value for name, value in settings.items()},
                    options=["--no-access-log", "--timeout-keep-alive", "600", "--loop", loop],
                )
                stack.callback(server.close)
                return server

            awake = start(url, "asyncio")
            awake.wait_until_started()  # alone: it makes the tables
            servers = [start(wire.url, loop) for loop in LOOPS]
            for server in servers:
                server.wait_until_started()
            lines = [stack.enter_context(_closing(Line(server.port))) for server in (awake, *servers)]
            yield Shop(lines[0], lines[1:], wire, servers)


def test_a_frozen_worker_refuses_whom_another_one_has_logged_out(shop: Shop) -> None:
    out, stays = shop.jars("frozen")
    shop.freeze()
    try:
        assert shop.awake.post(f"/revoke/{out.handle}").body is True
        time.sleep(FREEZE_SECONDS)
        with shop.ask_all("/me", out) as refused, shop.ask_all("/me", stays) as served:
            time.sleep(0.2)  # until the requests are there
            shop.thaw()
            assert [reply.result().status for reply in refused] == [401, 401]
            assert [reply.result().status for reply in served] == [200, 200]
    finally:
        shop.thaw()


def test_a_blocked_worker_refuses_whom_another_one_has_logged_out(shop: Shop) -> None:
    out, stays = shop.jars("blocked")
    with shop.ask_all(f"/block/{FREEZE_SECONDS}", stays) as blocked:
        time.sleep(0.5)  # until they are
        assert shop.awake.post(f"/revoke/{out.handle}").body is True
        with shop.ask_all("/me", out) as refused, shop.ask_all("/me", stays) as served:
            assert [reply.result().status for reply in refused] == [401, 401]
            assert [reply.result().status for reply in served] == [200, 200]
        assert [reply.result().status for reply in blocked] == [200, 200]


def test_a_worker_that_was_frozen_while_it_polled_asks_again_and_serves(shop: Shop) -> None:
    out, stays = shop.jars("polling")
    shop.wire.hold()
    try:
        assert shop.wire.asked.wait(60)
        time.sleep(2 * POLL_SECONDS)  # now both have asked
        shop.freeze()
        shop.wire.release()
        assert shop.awake.post(f"/revoke/{out.handle}").body is True
        time.sleep(STATEMENT_TIMEOUT_SECONDS)  # the statement's time is up when they go on, and its answer is there
        with shop.ask_all("/me", out) as refused, shop.ask_all("/me", stays) as served:
            time.sleep(0.2)
            shop.thaw()
            assert [reply.result().status for reply in refused] == [401, 401]
            assert [reply.result().status for reply in served] == [200, 200]
    finally:
        shop.wire.release()
        shop.thaw()
    assert ["cannot read the database" in server.log for server in shop.servers] == [False, False]
