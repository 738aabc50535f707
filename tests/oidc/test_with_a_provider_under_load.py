"""A provider's logout reaches every worker and every socket, and outlives a database that does not answer."""

import asyncio
from contextlib import ExitStack
from pathlib import Path

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Origin

from tests.cluster.slow_database import SlowWire
from tests.oidc.company import Application, Employee, company
from tests.patience import PATIENCE


async def socket_of(employee: Employee, application: Application) -> tuple[ClientConnection, str]:
    """One more open socket, and the worker that has it."""
    address = application.address.replace("http", "ws", 1)
    headers = {"Cookie": employee.cookies_of(application)}
    socket = await connect(f"{address}/live", origin=Origin(application.address), additional_headers=headers)
    return socket, str(await socket.recv())


async def on_every_worker(employee: Employee, application: Application) -> list[ClientConnection]:
    """Sockets, at least one of each of two workers."""
    sockets: list[ClientConnection] = []
    workers: set[str] = set()
    while len(workers) < 2:
        socket, worker = await socket_of(employee, application)
        sockets.append(socket)
        workers.add(worker)
    return sockets


async def close_code(socket: ClientConnection) -> int | None:
    try:
        await socket.recv()
    except ConnectionClosed:
        return socket.close_code
    return None


async def test_one_logout_closes_the_sockets_of_both_applications_on_every_worker(
    oidc_provider: Path, tmp_path: Path
) -> None:
    with ExitStack() as stack:
        ours = stack.enter_context(company(oidc_provider, tmp_path, workers=2, ASGI_SESSIONS_COOKIE_SECURE="false"))
        ada, grace = (stack.enter_context(Employee(ours)) for _ in range(2))
        async with asyncio.timeout(PATIENCE):
            hers, others = [], []
            for application in (ours.shop, ours.forum):
                ada.log_in(application, "ada")
                grace.log_in(application, "grace")
                hers += await on_every_worker(ada, application)
                others.append((await socket_of(grace, application))[0])
            loop = asyncio.get_running_loop()
            page = await asyncio.to_thread(ada.client.get, f"{ours.provider.issuer}/session/end")
            begun = loop.time()
            await asyncio.to_thread(ada.confirm, page)
            told = loop.time()
            codes = await asyncio.gather(*(close_code(socket) for socket in hers))
            after = f"{loop.time() - begun:.2f} s after the click, {loop.time() - told:.2f} s after its answer"
            print(f"{len(hers)} sockets on 2 applications with 2 workers each closed {after}.")
            assert set(codes) == {4401}
            assert ours.told() == {"shop": "told", "forum": "told"}
            for socket in others:
                await socket.send("still here?")
                assert await socket.recv() == "still here?"
                await socket.close()


async def test_a_logout_that_the_database_does_not_take_is_carried_out_once_it_does(
    oidc_provider: Path, mariadb_url: str, tmp_path: Path
) -> None:
    with ExitStack() as stack:
        wire = stack.enter_context(SlowWire(mariadb_url))
        of_shop = {"ASGI_SESSIONS_DATABASE_URL": wire.url}
        ours = stack.enter_context(company(oidc_provider, tmp_path, shop=of_shop, ASGI_SESSIONS_COOKIE_SECURE="false"))
        ada = stack.enter_context(Employee(ours))
        async with asyncio.timeout(PATIENCE):
            ada.log_in(ours.shop, "ada")
            ada.log_in(ours.forum, "ada")
            socket, _ = await socket_of(ada, ours.shop)
            wire.hold()
            await asyncio.to_thread(ada.log_out_at_the_provider)
            told = ours.told()
            assert told["forum"] == "told"
            assert "503" in told["shop"], "an answer in time, though it has to wait"
            wire.release()
            assert await close_code(socket) == 4401
            assert not ada.is_logged_in(ours.shop)
