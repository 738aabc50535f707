"""A revocation by one worker wakes the others: they refuse long before a poll could have told them."""

import asyncio
import os
import subprocess
import sys
from typing import Any

import pytest

from asgi_sessions import IssuedSession, Session, SessionManager, Unauthorised
from tests.channels.conftest import NAME, SECRET, Wire
from tests.patience import PATIENCE
from tests.revocation.polling import feed_of
from tests.servers import Redis

Workers = tuple[SessionManager, SessionManager]
AnySession = Session[Any, Any]
Issued = IssuedSession[Any, Any]


class Client:
    """Who holds a session that a worker serves; made before it is revoked."""

    def __init__(self, worker: SessionManager, issued: Issued, session: AnySession) -> None:
        self._worker = worker
        self._token = issued.access_token.value
        self._session = session

    @classmethod
    async def of(cls, worker: SessionManager, issued: Issued) -> "Client":
        return cls(worker, issued, await worker.get_session_without_request(issued.access_token.value))

    async def is_served(self) -> None:
        await self._worker.get_session_without_request(self._token)

    async def is_refused_soon(self) -> None:
        async with asyncio.timeout(PATIENCE):
            await self._session.wait_until_ended()
        with pytest.raises(Unauthorised):
            await self._worker.get_session_without_request(self._token)


async def test_a_session_ended_by_its_handle(workers: Workers) -> None:
    here, there = workers
    issued = await here.create_new_session_without_request("alice")
    client = await Client.of(there, issued)
    assert await here.revoke_session_using_session_handle(issued.session.session_handle)
    await client.is_refused_soon()


async def test_all_sessions_of_a_user_and_nobody_elses(workers: Workers) -> None:
    here, there = workers
    users = ("alice", "alice", "alice", "bob")
    *alices, bob = [await Client.of(there, await here.create_new_session_without_request(user)) for user in users]
    assert await here.revoke_all_sessions_for_user("alice") == 3
    for alice in alices:
        await alice.is_refused_soon()
    await bob.is_served()


async def test_several_sessions_at_once(workers: Workers) -> None:
    here, there = workers
    issued = [await here.create_new_session_without_request(user) for user in ("alice", "bob")]
    clients = [await Client.of(there, each) for each in issued]
    assert await here.revoke_multiple_sessions([each.session.session_handle for each in issued]) == 2
    for client in clients:
        await client.is_refused_soon()


async def test_one_after_the_other_without_a_pause(workers: Workers) -> None:
    here, there = workers
    for _ in range(20):
        issued = await here.create_new_session_without_request("alice")
        client = await Client.of(there, issued)
        await here.revoke_session_using_session_handle(issued.session.session_handle)
        await client.is_refused_soon()
        here, there = there, here


async def test_many_at_the_same_time(workers: Workers) -> None:
    here, there = workers
    issued = [await here.create_new_session_without_request(user) for user in range(30)]
    clients = [await Client.of(there, each) for each in issued]
    for each in issued:
        await here.revoke_session_using_session_handle(each.session.session_handle)
    for client in clients:
        await client.is_refused_soon()


SCRIPT = """
import asyncio, os
from asgi_sessions import SessionManager

async def lock_out(user_id):
    async with SessionManager() as sessions:
        print(await sessions.revoke_all_sessions_for_user(user_id))

asyncio.run(lock_out("alice"))
"""


async def test_a_script_in_another_process_that_ends_at_once(wire: Wire, workers: Workers) -> None:
    issued = [await workers[0].create_new_session_without_request("alice") for _ in range(2)]
    clients = [await Client.of(worker, each) for worker in workers for each in issued]
    values = {**wire.settings, "secret_key": SECRET, "revocation_check": "none"}
    variables = {f"ASGI_SESSIONS_{name.upper()}": value for name, value in values.items()}
    command = [sys.executable, "-W", "error", "-X", "dev", "-c", SCRIPT]
    script = await asyncio.to_thread(
        subprocess.run, command, env=os.environ | variables, capture_output=True, text=True, timeout=120, check=False
    )
    assert script.stdout == "2\n", script.stderr
    assert "Warning" not in script.stderr
    for client in clients:
        await client.is_refused_soon()


async def test_a_handle_in_a_message_ends_nothing(redis_workers: Workers, live_redis: Redis) -> None:
    here, there = redis_workers
    issued = [await here.create_new_session_without_request(user) for user in ("alice", "bob")]
    alice, bob = [await Client.of(there, each) for each in issued]
    assert live_redis.cli("PUBLISH", NAME, issued[0].session.session_handle) == "2"
    await here.revoke_session_using_session_handle(issued[1].session.session_handle)
    await bob.is_refused_soon()  # and the message before has been heard with it
    await alice.is_served()


async def test_a_changed_payload(workers: Workers, monkeypatch: pytest.MonkeyPatch) -> None:
    here, there = workers
    issued = await here.create_new_session_without_request("alice", jwt_payload={"role": "admin"})
    noted, told = feed_of(there)._noted, asyncio.Event()
    note = noted.payload_changed

    def noting(handle: str, version: int) -> bool:
        told.set()
        return note(handle, version)

    monkeypatch.setattr(noted, "payload_changed", noting)
    await here.change_jwt_payload(issued.session.session_handle, lambda payload: {"role": "user"})
    async with asyncio.timeout(PATIENCE):
        await told.wait()
    session = await there.get_session_without_request(issued.access_token.value)
    assert session.jwt_payload == {"role": "user"}
