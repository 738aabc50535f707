"""How many statements reach the server, as MariaDB itself has logged them."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from asgi_sessions import IssuedSession, SessionManager
from tests.clocks import MovableClock
from tests.manager.conftest import manager_builder
from tests.servers import MariaDB


class ServerLog:
    """The statements that the server has received since the last look."""

    def __init__(self, server: MariaDB) -> None:
        self._server = server

    def clear(self) -> None:
        self._server.sql("SET GLOBAL log_output='TABLE'; SET GLOBAL general_log=ON; TRUNCATE mysql.general_log")

    def verbs(self) -> list[str]:
        """The first words of the statements about sessions and of all that surrounds them."""
        rows = self._server.sql(
            "SELECT argument FROM mysql.general_log WHERE command_type IN ('Query', 'Execute', 'Prepare')"
            " AND argument NOT LIKE '%general_log%' AND argument NOT LIKE 'select @@version_comment%'"
        )
        return [row[0].split()[0].upper() for row in rows]

    def off(self) -> None:
        self._server.sql("SET GLOBAL general_log=OFF")


@pytest.fixture
def log(mariadb: MariaDB) -> Iterator[ServerLog]:
    log = ServerLog(mariadb)
    yield log
    log.off()


@pytest.fixture
async def running(mariadb_url: str, clock: MovableClock) -> AsyncIterator[SessionManager]:
    async with manager_builder(mariadb_url, clock)(revocation_check="none") as sessions:
        yield sessions


@pytest.fixture
async def issued(running: SessionManager) -> IssuedSession[Any, Any]:
    return await running.create_new_session_without_request("alice")


async def test_login_is_one_insert(running: SessionManager, log: ServerLog) -> None:
    log.clear()
    await running.create_new_session_without_request("alice", jwt_payload={"a": 1}, session_info=[1])
    assert log.verbs() == ["INSERT"]


async def test_a_login_whose_limit_a_function_says_is_two_selects_more(running: SessionManager, log: ServerLog) -> None:
    @running.limit_sessions_per_user
    async def limit(user_id: Any, jwt_payload: Any) -> int:
        return 1

    await running.create_new_session_without_request("alice")
    log.clear()
    ended = (await running.create_new_session_without_request("alice")).session.evicted_sessions
    assert log.verbs() == ["SELECT", "UPDATE", "INSERT", "SELECT"]
    assert len(ended) == 1


async def test_a_verified_request_is_none(running: SessionManager, issued: Any, log: ServerLog) -> None:
    log.clear()
    for _ in range(3):
        await running.get_session_without_request(issued.access_token.value)
    assert log.verbs() == []


async def test_a_verified_request_that_asks_the_database_is_one_select(
    running: SessionManager, issued: Any, log: ServerLog
) -> None:
    log.clear()
    await running.get_session_without_request(issued.access_token.value, check_database=True)
    assert log.verbs() == ["SELECT"]


async def test_a_refresh_is_one_select_and_at_most_one_update(
    running: SessionManager, issued: Any, log: ServerLog, clock: MovableClock
) -> None:
    log.clear()
    await running.refresh_session_without_request(issued.refresh_token.value)
    assert log.verbs() == ["SELECT"]
    clock.advance(301)
    log.clear()
    child = await running.refresh_session_without_request(issued.refresh_token.value)
    assert log.verbs() == ["SELECT", "UPDATE"]
    clock.advance(301)
    log.clear()
    await running.refresh_session_without_request(child.refresh_token.value)
    assert log.verbs() == ["SELECT", "UPDATE"]


async def test_claims_cost_a_refresh_one_select_and_one_update_where_they_change(
    running: SessionManager, issued: Any, log: ServerLog, clock: MovableClock
) -> None:
    @running.claims
    async def claims(user_id: Any, jwt_payload: Any) -> Any:
        return {"role": "user"}

    log.clear()
    await running.create_new_session_without_request("bob")
    assert log.verbs() == ["INSERT"]
    clock.advance(301)
    log.clear()
    child = await running.refresh_session_without_request(issued.refresh_token.value)
    assert log.verbs() == ["SELECT", "SELECT", "UPDATE", "UPDATE"], "the touch, and the payload"
    clock.advance(301)
    log.clear()
    await running.refresh_session_without_request(child.refresh_token.value)
    assert log.verbs() == ["SELECT", "SELECT", "UPDATE"]


async def test_revoking_is_one_update(running: SessionManager, issued: Any, log: ServerLog) -> None:
    log.clear()
    assert await running.revoke_session_using_session_handle(issued.session.session_handle)
    assert log.verbs() == ["UPDATE"]


async def test_revoking_all_is_one_update_for_any_ordinary_number(running: SessionManager, log: ServerLog) -> None:
    for _ in range(30):
        await running.create_new_session_without_request("alice")
    log.clear()
    assert await running.revoke_all_sessions_for_user("alice") == 30
    assert log.verbs() == ["UPDATE"]


async def test_where_there_is_nothing_to_revoke_one_select_makes_sure(
    running: SessionManager, issued: Any, log: ServerLog
) -> None:
    handle = issued.session.session_handle
    log.clear()
    assert await running.revoke_all_sessions_for_user("alice", except_handle=handle) == 0
    assert log.verbs()[:2] == ["UPDATE", "SELECT"]


async def test_revoking_the_others_looks_at_the_own_one_first(
    running: SessionManager, issued: Any, log: ServerLog
) -> None:
    await running.create_new_session_without_request("alice")
    log.clear()
    assert await issued.session.revoke_other_sessions() == 1
    assert log.verbs() == ["SELECT", "UPDATE"]


async def test_revoking_very_many_is_one_update_more_for_each_so_many(
    running: SessionManager, log: ServerLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running.lifecycle._sessions, "at_once", 10)
    for _ in range(30):
        await running.create_new_session_without_request("alice")
    log.clear()
    assert await running.revoke_all_sessions_for_user("alice") == 30
    assert log.verbs() == ["UPDATE", "SELECT", "UPDATE", "UPDATE", "UPDATE"]


async def test_revoking_everybodys_is_one_select_and_one_update_for_each_so_many(
    running: SessionManager, log: ServerLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(30):
        await running.create_new_session_without_request(f"user {number}")
    log.clear()
    assert await running.revoke_sessions() == 30
    assert log.verbs() == ["SELECT", "UPDATE"]
    monkeypatch.setattr(running.lifecycle._sessions, "at_once", 10)
    log.clear()
    assert await running.revoke_sessions() == 0
    select, *updates = log.verbs()
    assert select == "SELECT"
    assert set(updates) == {"UPDATE"}
    assert 1 < len(updates) < 15, "about three, as far as the first ten handles tell"


async def test_session_info_is_one_statement_each(running: SessionManager, issued: Any, log: ServerLog) -> None:
    log.clear()
    await issued.session.update_session_info(1)
    await issued.session.get_session_info()
    await issued.session.update_jwt_payload(1)
    assert log.verbs() == ["UPDATE", "SELECT", "UPDATE"]


async def test_a_change_of_the_session_info_is_two_statements(
    running: SessionManager, issued: Any, log: ServerLog
) -> None:
    log.clear()
    await issued.session.change_session_info(lambda info: [info])
    assert log.verbs() == ["SELECT", "UPDATE"]


async def test_a_change_of_the_payload_is_two_statements(running: SessionManager, issued: Any, log: ServerLog) -> None:
    log.clear()
    await issued.session.change_jwt_payload(lambda payload: [payload])
    assert log.verbs() == ["SELECT", "UPDATE"]


async def test_a_change_by_somebody_else_is_four_statements_and_a_second_one_three(
    running: SessionManager, issued: Any, log: ServerLog
) -> None:
    for verbs in (["SELECT", "UPDATE", "INSERT", "UPDATE"], ["SELECT", "UPDATE", "UPDATE"]):
        log.clear()
        await running.change_jwt_payload(issued.session.session_handle, lambda payload: [payload])
        assert log.verbs() == verbs


async def test_a_change_of_all_of_a_users_sessions_looks_at_each_first(running: SessionManager, log: ServerLog) -> None:
    for _ in range(2):
        await running.create_new_session_without_request("bob")
    log.clear()
    assert await running.change_jwt_payload_for_user("bob", lambda _: 1) == 2
    assert log.verbs() == ["SELECT"] * 3 + ["SELECT", "UPDATE", "INSERT", "UPDATE"] * 2


async def test_a_payload_that_somebody_else_has_replaced_takes_two_statements_more(
    running: SessionManager, issued: Any, log: ServerLog
) -> None:
    other = await running.get_session_without_request(issued.access_token.value)
    await other.update_jwt_payload(1)
    log.clear()
    await issued.session.update_jwt_payload(2)
    assert log.verbs() == ["UPDATE", "SELECT", "UPDATE"]  # what may be large is measured before it is stored


async def test_a_forged_token_is_none(running: SessionManager, issued: Any, log: ServerLog) -> None:
    access = issued.access_token.value
    log.clear()
    for token in ("garbage", access[:-2] + "AA", "a.b.c"):
        with pytest.raises(Exception, match="refreshed"):
            await running.get_session_without_request(token)
    with pytest.raises(Exception, match="Not logged in"):
        await running.refresh_session_without_request(issued.refresh_token.value[:-4] + "AAAA")
    assert log.verbs() == []
