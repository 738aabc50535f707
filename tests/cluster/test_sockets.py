"""Open sockets and streams at real servers, ended by another process."""

import asyncio
from contextlib import suppress
from pathlib import Path

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.cluster.sockets import Worker, another_process, cookie_of, measure
from tests.patience import PATIENCE

SERVERS = {
    "httptools and websockets": ("--http", "httptools", "--ws", "websockets-sansio"),
    "h11 and wsproto": ("--http", "h11", "--ws", "wsproto"),
}


async def test_of_many_sockets_only_those_of_the_user_who_logged_out_everywhere_are_closed(
    mariadb_url: str, tmp_path: Path
) -> None:
    with Worker(mariadb_url, tmp_path) as worker:
        async with another_process(mariadb_url) as sessions:
            outcome = await measure(worker, sessions, 200)
    print(outcome)
    assert (outcome.closed, outcome.codes, outcome.open) == (20, {4401}, 180)
    assert "Traceback" not in worker.log


class Stream:
    """A response being read by hand: HTTP/1.1, chunked."""

    def __init__(self, port: int, cookie: str, path: str) -> None:
        self._port = port
        self._request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nCookie: {cookie}\r\n\r\n"
        self.text = ""

    async def begin(self) -> str:
        """The worker's id, as the first event says; nothing where the stream is silent."""
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        self._writer.write(self._request.encode())
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode()
        assert head.startswith("HTTP/1.1 200 "), head
        assert "transfer-encoding: chunked" in head.lower()
        if "silent" in self._request:
            return ""
        return (await self.next_chunk()).strip().removeprefix("data: ")

    async def until_its_end(self) -> None:
        """Read on to the chunk that says that this was all."""
        while await self.next_chunk():
            pass

    async def goes_on_serving(self) -> str:
        """The connection is still good for another request."""
        self._writer.write(f"GET /pid HTTP/1.1\r\nHost: 127.0.0.1:{self._port}\r\n\r\n".encode())
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode()
        await self.leave()
        return head.partition("\r\n")[0]

    async def leave(self) -> None:
        self._writer.close()
        await self._writer.wait_closed()

    async def next_chunk(self) -> str:
        length = int((await self._reader.readuntil(b"\r\n")).strip(), 16)
        return (await self._reader.readexactly(length + 2))[:length].decode()


async def until_closed(socket: ClientConnection) -> int | None:
    with suppress(ConnectionClosed):
        while True:
            await socket.recv()
    return socket.close_code


@pytest.mark.parametrize("server", SERVERS)
async def test_on_every_worker_sockets_and_streams_end_and_nothing_is_logged_as_an_error(
    mariadb_url: str, tmp_path: Path, server: str
) -> None:
    with Worker(mariadb_url, tmp_path, *SERVERS[server], workers=2) as worker:
        async with another_process(mariadb_url) as sessions, asyncio.timeout(PATIENCE):
            cookie, kept_cookie = await cookie_of(sessions, "alice"), await cookie_of(sessions, "bob")
            streams: list[Stream] = []
            workers: set[str] = set()
            while len(workers) < 2 or len(streams) < 8:
                streams.append(Stream(worker.port, cookie, "/stream"))
                workers.add(await streams[-1].begin())
            silent = [Stream(worker.port, cookie, "/silent-stream") for _ in range(4)]
            for stream in silent:
                await stream.begin()
            kept_stream = Stream(worker.port, kept_cookie, "/stream")
            await kept_stream.begin()

            sockets = [await open_socket(worker, cookie, "/socket") for _ in range(4)]
            talking: list[ClientConnection] = []
            serving: set[str | bytes] = set()
            while len(serving) < 2 or len(talking) < 4:
                talking.append(await open_socket(worker, cookie, "/talking-socket"))
                serving.add(await talking[-1].recv())
            kept_socket = await open_socket(worker, kept_cookie, "/socket")

            assert await sessions.revoke_all_sessions_for_user("alice") == 1
            codes = await asyncio.gather(*(until_closed(socket) for socket in [*sockets, *talking]))
            assert set(codes) == {4401}
            for stream in [*streams, *silent]:
                await stream.until_its_end()
                assert await stream.goes_on_serving() == "HTTP/1.1 200 OK"

            await kept_socket.send("still here?")
            assert await kept_socket.recv() == "still here?"
            assert await kept_stream.next_chunk() != ""
            await kept_stream.leave()
            await kept_socket.close()
    assert "Traceback" not in worker.log, worker.log
    assert "ERROR" not in worker.log, worker.log


async def open_socket(worker: Worker, cookie: str, path: str) -> ClientConnection:
    return await connect(
        f"ws://127.0.0.1:{worker.port}{path}",
        origin=f"http://127.0.0.1:{worker.port}",  # type: ignore[arg-type]  # a NewType of text
        additional_headers={"Cookie": cookie},
        ping_interval=None,
    )
