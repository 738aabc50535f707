"""What applications pass on from their users to the manager: odd values find nothing, change nothing, break nothing."""

import datetime
import re
import uuid
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.requests import Request
from starlette.responses import Response

from asgi_sessions import (
    ReauthenticationRequired,
    SessionManager,
    SessionMiddleware,
    TryRefreshToken,
    Unauthorised,
    require_session,
)
from tests.security.conftest import OpenShop
from tests.security.shop import Shop

FEW = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
TEXTS = [
    "",
    " ",
    "x" * 10_000,
    "\x00",
    "0" * 31 + "\x00",
    "'",
    '"',
    "\\",
    "' OR '1'='1",
    "'; DROP TABLE asgi_sessions_sessions; --",
    "%",
    "_" * 32,
    "😀",
    "\ud800",
    "\udfff" * 32,
    "A" * 32,
    "\uff10" * 32,
    "0" * 31 + "\n",
    "\r\n",
    "{}",
    "%s",
    ":handle",
    "NULL",
]
NOT_USERS: list[Any] = [None, True, 1.5, b"alice", [], {}, (), object(), Decimal(1), ["alice"], {"id": 1}]


@pytest.mark.parametrize("any_url", ["sqlite", "mariadb", "postgresql"], indirect=True)
async def test_7_4_5_handles_that_are_none_find_nothing(any_shop: Shop) -> None:
    browser = await any_shop.login()
    manager: Any = any_shop.manager
    for handle in TEXTS:
        assert await manager.revoke_session_using_session_handle(handle) is False
        with pytest.raises(Unauthorised):
            await manager.get_session_info(handle)
        with pytest.raises(Unauthorised):
            await manager.update_session_info(handle, {"a": 1})
    assert await manager.revoke_multiple_sessions(TEXTS) == 0
    assert await manager.revoke_multiple_sessions([]) == 0
    assert await manager.revoke_multiple_sessions(handle for handle in TEXTS) == 0
    assert (await browser.get("/me")).status == 200


async def test_7_4_5_users_who_cannot_exist_have_no_sessions(any_shop: Shop) -> None:
    browser = await any_shop.login()
    manager = any_shop.manager
    users: list[Any] = [*TEXTS, "é" * 200, 10**300, -(10**300), 2**63, uuid.UUID(int=0)]
    for user in users:
        assert await manager.revoke_all_sessions_for_user(user) == 0
        assert await manager.get_all_session_handles_for_user(user) == []
        assert await manager.list_sessions_for_user(user) == []
    assert (await browser.get("/me")).status == 200


@pytest.mark.parametrize("user", NOT_USERS, ids=range(len(NOT_USERS)))
async def test_7_4_5_what_is_no_user_id_is_a_type_error_that_names_it(shop: Shop, user: Any) -> None:
    manager: Any = shop.manager
    for call in (
        manager.create_new_session_without_request(user),
        manager.revoke_all_sessions_for_user(user),
        manager.get_all_session_handles_for_user(user),
        manager.list_sessions_for_user(user),
    ):
        with pytest.raises(TypeError, match=r"user_id must be str, int or uuid\.UUID"):
            await call


@pytest.mark.parametrize("user", ["x" * 256, "é" * 128, "\ud800", "a\udfff", 10**255, -(10**254)])
async def test_7_2_2_a_user_id_that_cannot_be_kept_begins_no_session(shop: Shop, user: Any) -> None:
    with pytest.raises(ValueError, match="user_id") as caught:
        await shop.manager.create_new_session_without_request(user)
    assert len(str(caught.value)) < 200
    assert await shop.rows("SELECT handle FROM asgi_sessions_sessions") == []


KEPT: list[Any] = [text for text in TEXTS if len(text) < 256 and not re.search("[\ud800-\udfff]", text)]
KEPT += ["é" * 127, 0, -1, 10**254, 2**63, uuid.UUID(int=2**128 - 1)]


@pytest.mark.parametrize("kept", KEPT, ids=range(len(KEPT)))
async def test_7_2_2_a_user_id_that_can_be_kept_comes_back(any_shop: Shop, kept: Any) -> None:
    manager: SessionManager = any_shop.manager
    issued = await manager.create_new_session_without_request(kept)
    session = await manager.get_session_without_request(issued.access_token.value)
    refreshed = await manager.refresh_session_without_request(issued.refresh_token.value)
    for found in (issued.session.user_id, session.user_id, refreshed.session.user_id):
        assert (type(found), found) == (type(kept), kept)
    assert [record.user_id for record in await manager.list_sessions_for_user(kept)] == [kept]
    assert await manager.revoke_all_sessions_for_user(kept) == 1


@pytest.mark.parametrize("token", TEXTS, ids=range(len(TEXTS)))
async def test_9_1_tokens_that_are_none_are_refused(shop: Shop, token: Any) -> None:
    manager: Any = shop.manager
    with pytest.raises(TryRefreshToken):
        await manager.get_session_without_request(token)
    with pytest.raises(Unauthorised):
        await manager.refresh_session_without_request(token)


@pytest.mark.parametrize("token", [None, *TEXTS], ids=range(len(TEXTS) + 1))
async def test_3_5_anti_csrf_tokens_that_are_none_are_refused(opening: OpenShop, token: Any) -> None:
    async with opening(csrf="token") as shop:
        manager: Any = shop.manager
        issued = await manager.create_new_session_without_request("alice")
        with pytest.raises(TryRefreshToken):
            await manager.get_session_without_request(issued.access_token.value, token)


@FEW
@given(access=st.text(max_size=400))
async def test_9_1_any_text_as_a_token(shop: Shop, access: Any) -> None:
    manager: Any = shop.manager
    with pytest.raises(TryRefreshToken):
        await manager.get_session_without_request(access)
    with pytest.raises(Unauthorised):
        await manager.refresh_session_without_request(access)


NOT_JSON: list[Any] = [
    (),
    {1: 2},
    {None: 1},
    set(),
    b"x",
    float("nan"),
    float("inf"),
    Decimal("1.5"),
    datetime.datetime(2026, 1, 1),  # noqa: DTZ001  # naive on purpose
    datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC),
    datetime.timedelta(seconds=1),
    uuid.UUID(int=0),
    object(),
    [[()]],
    {"a": {"b": {1}}},
    "\ud83d" + "\ude00",
]


@pytest.mark.parametrize("value", NOT_JSON, ids=range(len(NOT_JSON)))
async def test_7_2_2_what_is_no_json_is_a_type_error_and_stores_nothing(shop: Shop, value: Any) -> None:
    manager = shop.manager
    with pytest.raises(TypeError, match="jwt_payload"):
        await manager.create_new_session_without_request("alice", jwt_payload=value)
    with pytest.raises(TypeError, match="session_info"):
        await manager.create_new_session_without_request("alice", session_info=value)
    assert await shop.rows("SELECT handle FROM asgi_sessions_sessions") == []
    issued = await manager.create_new_session_without_request("alice", session_info={"kept": 1})
    for update in (issued.session.update_session_info(value), issued.session.update_jwt_payload(value)):
        with pytest.raises(TypeError):
            await update
    assert await issued.session.get_session_info() == {"kept": 1}


async def test_7_2_2_values_without_end_are_refused(shop: Shop) -> None:
    cycle: list[Any] = []
    cycle.append(cycle)
    deep: Any = 0
    for _ in range(5000):
        deep = [deep]
    bomb: Any = "x" * 100
    for _ in range(17):
        bomb = [bomb, bomb]
    for value in (cycle, deep, bomb, "x" * (2 * 1024 * 1024), 10**5000):
        with pytest.raises(ValueError, match=r"deeper|longer|large|digits"):
            await shop.manager.create_new_session_without_request("alice", session_info=value)


async def test_7_2_2_info_of_any_characters_comes_back_exactly(any_shop: Shop) -> None:
    info = {"texts": [*TEXTS, "x" * 100_000], "numbers": [0, -0.0, 1e308, 5e-324, 2**64, 10**400], "": None}
    issued = await any_shop.manager.create_new_session_without_request("alice", session_info=info)
    found = await any_shop.manager.get_session_info(issued.session.session_handle)
    assert repr(found) == repr(info)


@pytest.mark.parametrize("age", [-1, -0.5, datetime.timedelta(seconds=-1)])
def test_7_5_1_a_negative_age_is_a_mistake_where_it_is_written(age: Any) -> None:
    with pytest.raises(ValueError, match="max_auth_age"):
        require_session(max_auth_age=age)


@pytest.mark.parametrize("age", ["5m", datetime.datetime(2026, 1, 1), object()])  # noqa: DTZ001  # naive on purpose
def test_7_5_1_what_is_no_duration_is_a_mistake_where_it_is_written(age: Any) -> None:
    with pytest.raises(TypeError):
        require_session(max_auth_age=age)


async def test_7_5_1_an_age_of_nothing_lets_only_this_moment_through(shop: Shop) -> None:
    now_only = require_session(max_auth_age=0)
    statuses = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        try:
            await now_only(Request(scope))
            statuses.append("passed")
        except ReauthenticationRequired:
            statuses.append("refused")
        await Response()(scope, receive, send)

    browser = await shop.login()
    browser.app = SessionMiddleware(app, shop.manager)
    for _ in range(2):
        await browser.get("/")
        shop.clock.forward(milliseconds=1)
    assert statuses == ["passed", "refused"]


async def test_7_3_2_every_time_that_is_told_has_a_zone(shop: Shop) -> None:
    issued = await shop.manager.create_new_session_without_request("alice")
    (record,) = await shop.manager.list_sessions_for_user("alice")
    for told in (
        issued.session.auth_time,
        issued.session.expires_at,
        issued.access_token.expires_at,
        issued.refresh_token.expires_at,
        record.created_at,
        record.last_active_at,
        record.expires_at,
    ):
        assert told.utcoffset() == datetime.timedelta()


@pytest.mark.parametrize("limit", [0, -1, 10**30])
async def test_16_a_purge_of_any_limit_harms_nobody(any_shop: Shop, limit: int) -> None:
    browser = await any_shop.login()
    assert await any_shop.manager.purge_expired_sessions(limit=limit) == 0
    assert (await browser.get("/me")).status == 200
