"""Hooks: told of everything that happens to sessions, beside the request, which they can neither delay nor break."""

import asyncio
import functools
import logging
import uuid
from typing import Any

import pytest
from starlette.testclient import TestClient

from asgi_sessions import SessionEvent, SessionManager, TokenTheftDetected
from asgi_sessions.manager import events, hook_lane
from asgi_sessions.manager.audit import Event
from tests.asgi.apps import BASE_URL, application
from tests.clocks import MovableClock
from tests.manager.conftest import NewManager, manager_builder
from tests.manager.test_function_call import cancelled_by_somebody_else
from tests.patience import PATIENCE
from tests.thefts import use_stolen


class Diary:
    """A hook that is an object: writes down what it is told."""

    def __init__(self) -> None:
        self.events: list[SessionEvent] = []
        self._told = asyncio.Event()

    async def __call__(self, event: SessionEvent) -> None:
        self.events.append(event)
        self._told.set()

    async def has(self, count: int) -> list[SessionEvent]:
        async with asyncio.timeout(PATIENCE):
            while len(self.events) < count:
                self._told.clear()
                await self._told.wait()
        return self.events


@pytest.fixture
def new_manager(clock: MovableClock) -> NewManager:
    return manager_builder("sqlite+aiosqlite://", clock)


@pytest.fixture
def diary(sessions: SessionManager) -> Diary:
    """Registered for all four events."""
    diary = Diary()
    for register in (
        sessions.on_session_created,
        sessions.on_session_refreshed,
        sessions.on_session_revoked,
        sessions.on_session_theft,
    ):
        assert register(diary) is diary
    return diary


@pytest.mark.parametrize("user", ["alice", 42, uuid.UUID(int=7)])
async def test_each_event_is_told_with_the_session_and_the_user_of_the_type_given(
    sessions: SessionManager, diary: Diary, user: Any
) -> None:
    async with sessions:
        issued = await sessions.create_new_session_without_request(user)
        handle = issued.session.session_handle
        (created,) = await diary.has(1)
        assert (created.name, created.session_handle, created.user_id) == ("session.created", handle, user)
        assert type(created.user_id) is type(user)
        assert dict(created.details) == {"device": "Unknown device"}

        await use_stolen(issued.refresh_token.value, sessions)
        told = await diary.has(4)
        assert [event.name for event in told[1:]] == ["session.refreshed", "session.refreshed", "session.theft"]
        assert {(event.session_handle, event.user_id) for event in told} == {(handle, user)}
        assert told[3].details["reason"]


async def test_each_way_to_revoke_is_told_once(sessions: SessionManager) -> None:
    diary = Diary()
    sessions.on_session_revoked(diary)
    async with sessions:
        made = [(await sessions.create_new_session_without_request("alice")).session for _ in range(7)]
        handles = [session.session_handle for session in made]
        await made[0].revoke_session()
        assert (await diary.has(1))[0].session_handle == handles[0]
        await sessions.revoke_session_using_session_handle(handles[1])
        assert (await diary.has(2))[1].session_handle == handles[1]
        await sessions.revoke_multiple_sessions(handles[2:4])
        several = (await diary.has(3))[2]
        assert (several.session_handle, several.details["count"]) == (None, 2)
        assert sorted(several.details["session_handles"]) == sorted(handles[2:4])
        await made[4].revoke_other_sessions()
        everywhere = (await diary.has(4))[3]
        assert (everywhere.session_handle, everywhere.user_id) == (None, "alice")
        assert dict(everywhere.details) == {"reason": "logout_all", "count": 2}
        # What ends nothing is no event.
        await made[0].revoke_session()
        await sessions.revoke_multiple_sessions(handles[:4])
        await sessions.revoke_all_sessions_for_user("nobody")
        await sessions.revoke_all_sessions_for_user("alice")
        assert [event.details["reason"] for event in await diary.has(5)] == [
            "logout", "logout", "logout", "logout_all", "logout_all",
        ]  # fmt: skip


async def test_a_hook_may_be_a_decorated_function_a_method_or_a_partial_one(sessions: SessionManager) -> None:
    told: list[str] = []

    @sessions.on_session_created
    async def function(event: SessionEvent) -> None:
        told.append("function")

    class Mailer:
        async def mail(self, event: SessionEvent) -> None:
            told.append("method")

    async def named(name: str, event: SessionEvent) -> None:
        told.append(name)

    sessions.on_session_created(Mailer().mail)
    sessions.on_session_created(functools.partial(named, "partial"))
    async with sessions:
        await sessions.create_new_session_without_request("alice")
    assert sorted(told) == ["function", "method", "partial"]
    await function(SessionEvent("session.created", None, None))  # what was decorated is still itself


@pytest.mark.parametrize("register", ["created", "refreshed", "revoked", "theft"])
def test_a_hook_that_is_not_async_is_refused_at_once(sessions: SessionManager, register: str) -> None:
    def hook(event: SessionEvent) -> None:
        pass

    with pytest.raises(TypeError, match=f"a hook of session.{register} must be async"):
        getattr(sessions, f"on_session_{register}")(hook)


async def test_a_failing_hook_breaks_neither_the_request_nor_the_others(
    sessions: SessionManager, caplog: pytest.LogCaptureFixture
) -> None:
    @sessions.on_session_created
    async def broken(event: SessionEvent) -> None:
        raise ValueError("no mail today")

    diary = Diary()
    sessions.on_session_created(diary)
    async with sessions:
        issued = await sessions.create_new_session_without_request("alice")
        await diary.has(1)
        assert (await sessions.get_session_without_request(issued.access_token.value)).user_id == "alice"
    (record,) = [record for record in caplog.records if record.name == "asgi_sessions.manager.hook_lane"]
    assert record.getMessage() == "A hook of session.created failed; the request went on."
    assert record.exc_info is not None
    assert isinstance(record.exc_info[1], ValueError)


async def test_a_slow_hook_delays_nobody(sessions: SessionManager) -> None:
    going_on = asyncio.Event()
    done: list[str] = []

    @sessions.on_session_created
    @sessions.on_session_revoked
    async def slow(event: SessionEvent) -> None:
        await going_on.wait()
        done.append(event.name)

    async with sessions:
        issued = await asyncio.wait_for(sessions.create_new_session_without_request("alice"), PATIENCE)
        await asyncio.wait_for(issued.session.revoke_session(), PATIENCE)
        assert done == []
        going_on.set()
    assert sorted(done) == ["session.created", "session.revoked"]  # which one goes on first is the loop's affair


async def test_the_stop_waits_for_hooks_and_they_may_use_the_manager_until_then(sessions: SessionManager) -> None:
    started = asyncio.Event()
    ended: list[int] = []
    mailed: list[str] = []

    @sessions.on_session_created
    async def changes_its_mind(event: SessionEvent) -> None:
        started.set()
        await asyncio.sleep(0.05)
        ended.append(await sessions.revoke_all_sessions_for_user(event.user_id))

    @sessions.on_session_revoked
    async def set_off_by_the_other(event: SessionEvent) -> None:
        await asyncio.sleep(0.05)  # while the manager stops
        mailed.append(event.name)

    async with sessions:
        await sessions.create_new_session_without_request("alice")
        await started.wait()
    assert ended == [1]
    assert mailed == ["session.revoked"]


async def test_a_hook_that_never_ends_is_cancelled_at_the_stop(
    sessions: SessionManager, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(events, "SETTLE_SECONDS", 0.05)
    cancelled: list[str] = []

    @sessions.on_session_created
    async def endless(event: SessionEvent) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(event.name)
            raise

    async with sessions:
        await sessions.create_new_session_without_request("alice")
        await asyncio.sleep(0)
    assert cancelled == ["session.created"]
    assert "1 hooks were still at work after 0.05 s and were cancelled." in caplog.text


async def test_a_hook_that_cannot_be_cancelled_holds_up_no_stop(
    sessions: SessionManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "SETTLE_SECONDS", 0.01)
    monkeypatch.setattr(events, "CANCEL_SECONDS", 0.01)
    going_on = asyncio.Event()

    @sessions.on_session_created
    async def stubborn(event: SessionEvent) -> None:
        while not going_on.is_set():
            try:
                await going_on.wait()
            except asyncio.CancelledError:
                continue

    async with asyncio.timeout(PATIENCE):
        async with sessions:
            await sessions.create_new_session_without_request("alice")
            await asyncio.sleep(0)
    going_on.set()
    await asyncio.sleep(0)


async def test_a_hook_may_be_the_one_that_stops_the_manager(
    sessions: SessionManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "SETTLE_SECONDS", 2 * PATIENCE)  # for so long it would wait for itself
    stopped = asyncio.Event()

    @sessions.on_session_created
    async def last(event: SessionEvent) -> None:
        await sessions.stop()
        stopped.set()

    await sessions.start()
    await sessions.create_new_session_without_request("alice")
    await asyncio.wait_for(stopped.wait(), PATIENCE)


async def test_without_hooks_no_task_is_made(sessions: SessionManager) -> None:
    async with sessions:
        before = asyncio.all_tasks()
        issued = await sessions.create_new_session_without_request("alice")
        await issued.session.revoke_session()
        assert asyncio.all_tasks() <= before


async def test_no_event_holds_a_secret(
    new_manager: NewManager, clock: MovableClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "asgi_sessions")
    sessions, diary = new_manager(csrf="both"), Diary()
    for register in (sessions.on_session_created, sessions.on_session_refreshed, sessions.on_session_revoked):
        register(diary)
    sessions.on_session_theft(diary)
    secrets: list[str] = []
    async with sessions:
        issued = await sessions.create_new_session_without_request(
            "alice", jwt_payload={"canary": "PAYLOAD-CANARY"}, session_info={"canary": "INFO-CANARY"}
        )
        refreshing = issued
        for _ in range(2):
            clock.advance(250)
            refreshing = await sessions.refresh_session_without_request(refreshing.refresh_token.value)
            assert refreshing.anti_csrf_token is not None
            secrets += [refreshing.access_token.value, refreshing.refresh_token.value, refreshing.anti_csrf_token.value]
        clock.advance(250)
        with pytest.raises(TokenTheftDetected):
            await sessions.refresh_session_without_request(issued.refresh_token.value)
        await (await sessions.create_new_session_without_request("bob")).session.revoke_session()
        told = repr(await diary.has(6))
    secrets += [issued.access_token.value, issued.refresh_token.value, "PAYLOAD-CANARY", "INFO-CANARY"]
    for secret in secrets:
        assert secret not in told
        assert secret not in caplog.text


async def test_an_event_cannot_be_changed_by_a_hook_for_the_next(sessions: SessionManager, diary: Diary) -> None:
    async with sessions:
        await sessions.create_new_session_without_request("alice")
        (event,) = await diary.has(1)
    with pytest.raises(AttributeError):
        event.user_id = "mallory"  # type: ignore[misc]
    with pytest.raises(TypeError):
        event.details["device"] = "another"  # type: ignore[index]


async def test_the_audit_log_says_the_same_with_and_without_hooks(
    new_manager: NewManager, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "asgi_sessions.audit")

    async def story(sessions: SessionManager) -> list[dict[str, Any]]:
        caplog.clear()
        async with sessions:
            issued = await sessions.create_new_session_without_request("alice")
            await use_stolen(issued.refresh_token.value, sessions)
            other = (await sessions.create_new_session_without_request("alice")).session
            await other.revoke_session()
        names = ("event", "user_id", "reason", "device", "count")
        return [
            {name: getattr(record, name, None) for name in names}
            for record in caplog.records
            if record.name == "asgi_sessions.audit"
        ]

    silent, told = new_manager(), new_manager()
    diary = Diary()
    told.on_session_created(diary)
    told.on_session_theft(diary)
    told.on_session_revoked(diary)
    said = await story(silent)
    assert [line["event"] for line in said] == [
        "session.created", "session.refreshed", "session.refreshed", "session.theft",
        "session.created", "session.revoked",
    ]  # fmt: skip
    assert await story(told) == said
    assert [event.name for event in diary.events] == [
        line["event"] for line in said if line["event"] != "session.refreshed"
    ]


def test_what_requests_do_is_told_too_and_a_failing_hook_breaks_no_answer(sessions: SessionManager) -> None:
    @sessions.on_session_created
    async def broken(event: SessionEvent) -> None:
        raise ValueError("no mail today")

    diary = Diary()
    sessions.on_session_created(diary)
    sessions.on_session_revoked(diary)
    with TestClient(application(sessions), base_url=BASE_URL) as client:
        assert client.post("/login?user=alice", headers={"origin": BASE_URL}).status_code == 200
        assert client.post("/login?user=bob", headers={"origin": BASE_URL}).status_code == 200
        assert client.post("/logout", headers={"origin": BASE_URL}).status_code == 200
    assert [(event.name, event.user_id, event.details.get("reason")) for event in diary.events] == [
        ("session.created", "alice", None),
        ("session.revoked", None, "replaced"),
        ("session.created", "bob", None),
        ("session.revoked", None, "logout"),
    ]


# -- hooks that hang


def _tell(sessions: SessionManager, count: int) -> None:
    for number in range(count):
        sessions._events.happened(Event.CREATED, session_handle=f"{number:032x}", user_id="alice")


async def _tell_in_time(sessions: SessionManager, count: int) -> None:
    """No faster than a good hook can work."""
    for _ in range(count // hook_lane.AT_ONCE):
        _tell(sessions, hook_lane.AT_ONCE)
        await asyncio.sleep(0)
        await asyncio.sleep(0)


def _lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "asgi_sessions.manager.hook_lane"]


async def test_a_hook_that_hangs_has_bounds_and_the_drops_are_logged_once(
    sessions: SessionManager, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "asgi_sessions.audit")
    going_on = asyncio.Event()
    handled: list[str | None] = []

    @sessions.on_session_created
    async def hangs(event: SessionEvent) -> None:
        await going_on.wait()
        handled.append(event.session_handle)

    diary = Diary()
    sessions.on_session_created(diary)
    async with sessions:
        before = len(asyncio.all_tasks())
        await _tell_in_time(sessions, 2000)
        assert len(asyncio.all_tasks()) <= before + 2 * hook_lane.AT_ONCE
        # The other hook and the audit log have all of them.
        assert len(await diary.has(2000)) == 2000
        assert sum(record.name == "asgi_sessions.audit" for record in caplog.records) == 2000
        assert _lines(caplog) == ["A hook of session.created does not keep up: further events are dropped for it."]
        caplog.clear()
        going_on.set()
        async with asyncio.timeout(PATIENCE):
            while not _lines(caplog):
                await asyncio.sleep(0)
        assert _lines(caplog) == ["A hook keeps up again; 980 events were dropped for it."]
        assert len(handled) == hook_lane.AT_ONCE + hook_lane.WAITING
        # The next time it is a new state.
        going_on.clear()
        await _tell_in_time(sessions, 2000)
        assert len(_lines(caplog)) == 2
        going_on.set()


async def test_a_hook_that_takes_too_long_is_cancelled_and_makes_room(
    sessions: SessionManager, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hook_lane, "HOOK_SECONDS", 0.01)
    monkeypatch.setattr(hook_lane, "AT_ONCE", 2)
    cancelled: list[str | None] = []

    @sessions.on_session_created
    async def hangs(event: SessionEvent) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(event.session_handle)
            raise

    async with sessions:
        _tell(sessions, 10)
        async with asyncio.timeout(PATIENCE):
            while len(cancelled) < 10:
                await asyncio.sleep(0.001)
    assert cancelled == [f"{number:032x}" for number in range(10)]
    assert _lines(caplog) == ["A hook of session.created was cancelled: it took more than 0.01 s."]


async def test_a_hook_that_times_out_by_itself_has_failed(
    sessions: SessionManager, caplog: pytest.LogCaptureFixture
) -> None:
    @sessions.on_session_created
    async def mails(event: SessionEvent) -> None:
        raise TimeoutError

    async with sessions:
        _tell(sessions, 1)
    assert _lines(caplog) == ["A hook of session.created failed; the request went on."]


async def test_a_hook_that_ends_in_a_cancellation_of_something_else_has_failed(
    sessions: SessionManager, caplog: pytest.LogCaptureFixture
) -> None:
    @sessions.on_session_created
    async def mails(event: SessionEvent) -> None:
        await cancelled_by_somebody_else()

    async with sessions:
        _tell(sessions, 1)
    assert _lines(caplog) == ["A hook of session.created failed; the request went on."]


async def test_a_stop_finishes_what_waits_and_says_what_it_had_to_drop(
    sessions: SessionManager, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    handled: list[str | None] = []

    @sessions.on_session_created
    async def slow(event: SessionEvent) -> None:
        await asyncio.sleep(0)
        handled.append(event.session_handle)

    async with sessions:
        _tell(sessions, 500)
    assert len(handled) == 500
    monkeypatch.setattr(events, "SETTLE_SECONDS", 0.02)

    @sessions.on_session_created
    async def hangs(event: SessionEvent) -> None:
        await asyncio.Event().wait()

    async with sessions:
        _tell(sessions, 50)
    assert "20 hooks were still at work after 0.02 s and were cancelled." in caplog.messages
    assert "30 events were dropped: their hooks were not done with others." in caplog.messages


async def test_what_a_stop_drops_is_told_also_where_no_hook_is_late_but_the_one_that_stops(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hook_lane, "AT_ONCE", 1)
    told, settled = events.Events(), asyncio.Event()

    async def stops(event: SessionEvent) -> None:
        await told.settle()
        settled.set()

    told.add(Event.CREATED, stops)
    for _ in range(3):
        told.happened(Event.CREATED)
    await asyncio.wait_for(settled.wait(), PATIENCE)
    assert caplog.messages == ["2 events were dropped: their hooks were not done with others."]
