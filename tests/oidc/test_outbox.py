"""What ends here is told elsewhere: each end, to each receiver, until it answers; turn by turn, by a movable clock."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
from sqlalchemy import update

from asgi_sessions import IssuedSession, SessionManager, SessionSettings, StoreUnavailable
from asgi_sessions.manager.companions import Opened
from asgi_sessions.oidc import LogoutNotifier, LogoutReceiver, collecting, delivering, outbox_worker
from asgi_sessions.oidc.outbox_worker import LOOK_SECONDS, OutboxWorker
from asgi_sessions.store import notifications as store
from asgi_sessions.store.notifications import Backlog, NotificationState
from asgi_sessions.store.prepared import PreparedStatements
from asgi_sessions.store.schema import build_tables
from tests.clocks import MovableClock, Seconds
from tests.oidc.hearing import Hearing, Reply
from tests.patience import PATIENCE

SECRET = "a-secret-of-these-tests-alone-" * 2
ISSUER = "https://shop.example"
DAY = 86_400


@pytest.fixture
def hearing() -> Iterator[Hearing]:
    with Hearing() as hearing:
        yield hearing


class Worker:
    """One of several with a database: a manager, and its part in telling others."""

    def __init__(self, sessions: SessionManager, outbox: OutboxWorker, clock: MovableClock, seconds: Seconds) -> None:
        self.sessions = sessions
        self.outbox = outbox
        self.clock = clock
        self.seconds = seconds

    async def turns(self) -> None:
        """As many as there is something to do at once."""
        while await self.outbox.turn() == 0:
            pass

    async def after(self, seconds: float) -> None:
        """Turns, so much later."""
        self.clock.advance(seconds)
        self.seconds.now += seconds
        await self.turns()

    async def log_in(self, user: Any = "ada") -> str:
        issued: IssuedSession[Any, Any] = await self.sessions.create_new_session_without_request(user)
        return issued.session.session_handle

    async def end(self, *handles: str) -> None:
        assert await self.sessions.revoke_multiple_sessions(handles) == len(handles)

    async def backlog(self) -> list[Backlog]:
        return await self.sessions.lifecycle.notifications.backlog()

    async def states(self) -> list[str]:
        rows = await self.sessions.lifecycle.notifications.list_of(*NotificationState, limit=1000)
        return sorted(row.state for row in rows)


Start = Callable[..., Any]


@pytest.fixture
async def start(url: str, clock: MovableClock) -> AsyncIterator[Start]:
    async with AsyncExitStack() as stack:

        async def start(*receivers: LogoutReceiver, **settings: Any) -> Worker:
            given = {"database_url": url, "secret_key": SECRET, "purge_interval": 0, "signing_algorithm": "ES256"}
            sessions = SessionManager(SessionSettings(**(given | settings)), clock=clock)
            seconds, outboxes = Seconds(), list[OutboxWorker]()

            @asynccontextmanager
            async def beside(opened: Opened) -> AsyncIterator[None]:
                async with OutboxWorker(opened, receivers, ISSUER, monotonic=seconds, works=False) as outbox:
                    outboxes.append(outbox)
                    yield

            sessions.companions.add("outbox", beside)
            await stack.enter_async_context(sessions)
            return Worker(sessions, outboxes[0], clock, seconds)

        yield start


@pytest.fixture
async def worker(start: Start, hearing: Hearing) -> Worker:
    worker: Worker = await start(hearing.as_configured())
    await worker.turns()
    return worker


def answers(hearing: Hearing, replies: Sequence[Reply]) -> None:
    """These, one after the other, then the last one for ever."""
    left = list(replies)
    hearing.answer = lambda token: left.pop(0) if len(left) > 1 else left[0]


# -- what is told


async def test_a_logout_is_told_once(worker: Worker, hearing: Hearing) -> None:
    laptop, phone = await worker.log_in(), await worker.log_in()
    await worker.turns()
    assert hearing.heard == []
    await worker.end(laptop)
    await worker.turns()
    assert hearing.told == [(laptop, "ada")]
    for _ in range(3):
        await worker.after(20)
    assert hearing.told == [(laptop, "ada")]
    await worker.end(phone)
    await worker.turns()
    assert hearing.told == [(laptop, "ada"), (phone, "ada")]


async def test_each_receiver_is_told_and_a_broken_one_holds_up_no_other(start: Start, hearing: Hearing) -> None:
    with Hearing("other") as other:
        worker = await start(hearing.as_configured(), other.as_configured())
        await worker.turns()
        hearing.answer = lambda token: Reply(500)
        handles = [await worker.log_in(user) for user in range(5)]
        await worker.end(*handles)
        await worker.turns()
        assert sorted(sid or "" for sid, _ in other.told) == sorted(handles)
        assert {claims["aud"] for claims in other.claims} == {"other"}
        assert await worker.backlog() == [Backlog("reports", 5, 0, worker.clock())]


async def test_all_ways_to_end_sessions_are_told_and_an_expiry_is_not(
    worker: Worker, hearing: Hearing, clock: MovableClock
) -> None:
    sessions = worker.sessions
    handles = {user: await worker.log_in(user) for user in ("logout", "all", "many", "theft", "everybody")}
    indexed = await sessions.create_new_session_without_request("indexed", index={"org": "acme"})
    await worker.log_in("expired")
    await sessions.revoke_session_using_session_handle(handles["logout"])
    await sessions.revoke_all_sessions_for_user("all")
    await sessions.revoke_multiple_sessions([handles["many"]])
    await sessions.revoke_sessions_by_index("org", "acme")
    row = await sessions.lifecycle._sessions.find(handles["theft"])
    assert row is not None
    await sessions.lifecycle.revoker.theft(row, "stale")
    abandoned = await worker.log_in("abandoned")
    sessions.lifecycle.abandon(abandoned)
    await sessions.lifecycle.close()  # which waits for it
    await worker.turns()
    assert {sub for _, sub in hearing.told} == {"logout", "all", "many", "theft", "indexed"}
    assert (indexed.session.session_handle, "indexed") in hearing.told
    clock.advance(days=400)
    await worker.turns()
    assert len(hearing.heard) == 5
    clock.advance(days=-400)
    await sessions.revoke_sessions()
    await worker.turns()
    assert {sub for _, sub in hearing.told[5:]} == {"everybody", "expired"}


async def test_a_worker_without_notifier_may_end_them(worker: Worker, hearing: Hearing, url: str) -> None:
    handle = await worker.log_in()
    settings = SessionSettings(database_url=url, secret_key=SECRET, purge_interval=0, signing_algorithm="ES256")
    async with SessionManager(settings, clock=worker.clock) as other:  # as the command line is one
        await other.revoke_session_using_session_handle(handle)
    await worker.turns()
    assert hearing.told == [(handle, "ada")]


async def test_a_user_whose_sessions_have_all_ended_is_told_at_once(worker: Worker, hearing: Hearing) -> None:
    for _ in range(60):
        await worker.log_in(42)
    await worker.log_in("42")
    assert await worker.sessions.revoke_all_sessions_for_user(42) == 60
    await worker.turns()
    assert len(hearing.heard) == 60, "the namesake would be taken for that user"
    hearing.heard.clear()
    assert await worker.sessions.revoke_all_sessions_for_user("42") == 1
    for _ in range(60):
        await worker.log_in(42)
    await worker.sessions.revoke_all_sessions_for_user(42)
    await worker.turns()
    assert [(sid, sub) for sid, sub in hearing.told if sid is None] == [(None, "42")]
    assert len(hearing.heard) == 2
    assert (await worker.states()).count("waiting") == 0


async def test_one_who_has_signed_in_again_is_told_session_by_session(worker: Worker, hearing: Hearing) -> None:
    hearing.answer = lambda token: Reply(503)
    old = [await worker.log_in() for _ in range(3)]
    await worker.sessions.revoke_all_sessions_for_user("ada")
    await worker.turns()
    assert [sid for sid, _ in hearing.told] == [None]
    new = await worker.log_in()
    hearing.answer = lambda token: Reply()
    await worker.after(3600)
    assert sorted(sid or "" for sid, _ in hearing.told[1:]) == sorted(old)
    assert await worker.sessions.get_all_session_handles_for_user("ada") == [new]


async def test_an_erased_user_is_named_no_more(worker: Worker, hearing: Hearing) -> None:
    hearing.answer = lambda token: Reply(503)
    first = await worker.log_in()
    await worker.end(first)
    await worker.turns()
    later = await worker.log_in()
    (exported,) = [each async for each in worker.sessions.export_user("ada") if "notification" in each]
    assert exported["notification"]["session_handle"] == first
    assert exported["notification"]["user_id"] == "ada"
    await worker.sessions.erase_user("ada")
    hearing.answer = lambda token: Reply()
    await worker.after(3600)
    assert sorted(hearing.told[1:], key=str) == sorted([(first, None), (later, None)], key=str)


# -- when it is told


async def test_a_receiver_that_is_down_is_tried_after_growing_pauses(worker: Worker, hearing: Hearing) -> None:
    answers(hearing, [Reply(500), Reply(503), Reply(500), Reply(200)])
    handle = await worker.log_in()
    await worker.end(handle)
    await worker.turns()
    for pause in (1, 2, 4):
        tried = len(hearing.heard)
        await worker.after(0.79 * pause)
        assert len(hearing.heard) == tried
        await worker.after(0.42 * pause)
        assert len(hearing.heard) == tried + 1
    assert hearing.told == [(handle, "ada")] * 4
    assert len({claims["jti"] for claims in hearing.claims}) == 4
    assert [claims["exp"] - claims["iat"] for claims in hearing.claims] == [120] * 4
    assert hearing.claims[-1]["iat"] > hearing.claims[0]["iat"], "each is made when it is sent"
    await worker.after(3600)
    assert len(hearing.heard) == 4


async def test_a_receiver_says_for_how_long_it_is_to_be_left_alone(worker: Worker, hearing: Hearing) -> None:
    answers(hearing, [Reply(429, {"Retry-After": "600"}), Reply(200)])
    first, second = await worker.log_in("a"), await worker.log_in("b")
    await worker.end(first)
    await worker.turns()
    await worker.end(second)
    await worker.after(599)
    assert len(hearing.heard) == 1
    await worker.after(2)
    assert len(hearing.heard) == 3


async def test_of_a_receiver_that_is_down_only_one_is_asked_at_a_time(worker: Worker, hearing: Hearing) -> None:
    hearing.answer = lambda token: Reply(503)
    await worker.end(*[await worker.log_in(user) for user in range(40)])
    await worker.turns()
    assert 1 <= len(hearing.heard) <= delivering.AT_ONCE
    first = len(hearing.heard)
    await worker.after(1.21)  # those that failed together were one failure
    assert len(hearing.heard) == first + 1
    first += 1
    for _ in range(20):
        await worker.after(60)
    assert len(hearing.heard) <= first + 20 + 6  # of the pauses that are still short
    hearing.answer = lambda token: Reply(200)
    await worker.after(3600)
    await worker.after(3600)
    assert await worker.backlog() == []


async def test_what_alone_is_not_taken_holds_up_nothing_else(worker: Worker, hearing: Hearing) -> None:
    poison = await worker.log_in("poison")
    hearing.answer = lambda token: Reply(500 if hearing.told[-1][1] == "poison" else 200)
    await worker.end(poison)
    await worker.turns()
    for number in range(5):
        await worker.after(2)
        await worker.end(await worker.log_in(number))
        await worker.turns()
        assert (
            hearing.told[-1][1] == str(number)
            or (None, str(number)) in hearing.told
            or any(sub == str(number) for _, sub in hearing.told)
        )


async def test_after_a_day_it_is_given_up_and_told_in_the_log(
    worker: Worker, hearing: Hearing, caplog: pytest.LogCaptureFixture
) -> None:
    hearing.answer = lambda token: Reply(500)
    handle = await worker.log_in()
    await worker.end(handle)
    for _ in range(40):
        await worker.after(2400)
        if await worker.states() == ["dead"]:
            break
    tried = len(hearing.heard)
    assert 24 <= tried <= 45
    with caplog.at_level(logging.WARNING, "asgi_sessions.audit"):
        await worker.after(3600)
    assert len(hearing.heard) == tried
    assert await worker.backlog() == [Backlog("reports", 0, 1, None)]


async def test_a_refusal_is_final_and_an_audit_event(
    worker: Worker, hearing: Hearing, caplog: pytest.LogCaptureFixture
) -> None:
    answers(hearing, [Reply(400), Reply(200)])
    handle = await worker.log_in()
    await worker.end(handle)
    with caplog.at_level(logging.WARNING, "asgi_sessions.audit"):
        await worker.turns()
    (record,) = [record for record in caplog.records if record.name == "asgi_sessions.audit"]
    told = record.__dict__
    assert (told["event"], told["session_handle"], told["user_id"]) == ("session.end_not_told", handle, "ada")
    assert (told["receiver"], told["reason"]) == ("reports", "400")
    await worker.after(DAY)
    assert len(hearing.heard) == 1
    notifications = worker.sessions.lifecycle.notifications
    assert await notifications.requeue(worker.clock(), handles=[handle]) == 1
    await worker.after(LOOK_SECONDS)
    assert hearing.told == [(handle, "ada")] * 2
    assert await worker.backlog() == []


async def test_all_that_waits_for_a_receiver_that_never_came_back_is_given_up(
    worker: Worker, hearing: Hearing, caplog: pytest.LogCaptureFixture
) -> None:
    hearing.answer = lambda token: Reply(503)
    await worker.end(*[await worker.log_in(user) for user in range(40)])
    await worker.turns()
    await worker.after(2 * DAY)
    assert (await worker.backlog())[0].waiting == 0
    assert (await worker.backlog())[0].dead == 40


async def test_what_waits_for_a_receiver_that_is_configured_no_more_is_given_up(start: Start, hearing: Hearing) -> None:
    with Hearing("former") as former:
        former.answer = lambda token: Reply(503)
        older = await start(hearing.as_configured(), former.as_configured())
        await older.turns()
        await older.end(await older.log_in())
        await older.turns()
        await older.outbox.__aexit__(None, None, None)
        newer = await start(hearing.as_configured())
        await newer.turns()
        assert [each.waiting for each in await newer.backlog()] == [1]
        await newer.after(DAY + 1)
        assert await newer.backlog() == [Backlog("former", 0, 1, None)]


async def test_after_a_change_from_hs256_it_waits_for_the_first_key_that_others_know(
    start: Start, url: str, clock: MovableClock, hearing: Hearing
) -> None:
    async with SessionManager(
        SessionSettings(database_url=url, secret_key=SECRET, purge_interval=0), clock=clock
    ) as before:
        handle = (await before.create_new_session_without_request("ada")).session.session_handle
    worker = await start(hearing.as_configured())
    await worker.turns()
    await worker.end(handle)
    await worker.turns()
    assert (hearing.heard, await worker.states()) == ([], ["waiting"])
    await worker.after(61)
    assert hearing.told == [(handle, "ada")]


# -- which worker tells, and what it has to survive


async def test_one_worker_tells_until_it_gives_the_lease_back(start: Start, hearing: Hearing) -> None:
    one, other = await start(hearing.as_configured()), await start(hearing.as_configured())
    await one.turns()
    handle = await one.log_in()
    await other.end(handle)
    await other.turns()
    assert hearing.heard == []
    await one.turns()
    assert hearing.told == [(handle, "ada")]
    handle = await one.log_in("grace")
    await one.end(handle)
    await one.outbox.__aexit__(None, None, None)  # it is stopped
    await other.after(LOOK_SECONDS)
    assert hearing.told[1:] == [(handle, "grace")]


async def test_an_answer_that_is_lost_lets_it_be_told_again(
    worker: Worker, hearing: Hearing, monkeypatch: pytest.MonkeyPatch
) -> None:
    notifications = worker.sessions.lifecycle.notifications
    genuine = notifications.delivered

    async def down(*arguments: Any) -> None:
        raise StoreUnavailable

    monkeypatch.setattr(notifications, "delivered", down)
    handle = await worker.log_in()
    await worker.end(handle)
    with pytest.raises(StoreUnavailable):
        await worker.turns()
    monkeypatch.setattr(notifications, "delivered", genuine)
    await worker.after(LOOK_SECONDS)
    assert hearing.told == [(handle, "ada")] * 2
    assert await worker.backlog() == []


@pytest.mark.parametrize("failing", ["uncollected", "add", "due", "newest", "postpone", "next_due"])
async def test_nothing_is_lost_while_the_database_is_down(
    failing: str, worker: Worker, hearing: Hearing, monkeypatch: pytest.MonkeyPatch
) -> None:
    notifications = worker.sessions.lifecycle.notifications

    async def down(*arguments: Any, **more: Any) -> None:
        raise StoreUnavailable

    answers(hearing, [Reply(500), Reply(200)])
    handle = await worker.log_in()
    await worker.end(handle)
    worker.seconds.now += 100
    with monkeypatch.context() as patch:
        patch.setattr(notifications, failing, down)
        with pytest.raises(StoreUnavailable):
            await worker.turns()
    for _ in range(3):
        await worker.after(100)
    assert set(hearing.told) == {(handle, "ada")}
    assert await worker.backlog() == []


async def test_the_work_goes_on_by_itself_after_the_database_was_down(
    url: str, clock: MovableClock, hearing: Hearing, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(outbox_worker, "LOOK_SECONDS", 0.01)
    genuine = store.NotificationStore.uncollected
    failures: list[Exception] = [StoreUnavailable("It is down."), LookupError("a mistake of ours")]
    told = asyncio.Event()

    async def uncollected(self: store.NotificationStore, *arguments: Any, **more: Any) -> Any:
        if failures:
            raise failures.pop(0)
        return await genuine(self, *arguments, **more)

    loop = asyncio.get_running_loop()

    def answer(token: str) -> Reply:
        loop.call_soon_threadsafe(told.set)
        return Reply()

    hearing.answer = answer
    monkeypatch.setattr(store.NotificationStore, "uncollected", uncollected)
    settings = SessionSettings(database_url=url, secret_key=SECRET, purge_interval=0, signing_algorithm="EdDSA")
    sessions = SessionManager(settings, clock=clock)
    LogoutNotifier(sessions, [hearing.as_configured()], issuer=ISSUER)
    async with sessions:
        issued = await sessions.create_new_session_without_request("ada")
        await issued.session.revoke_session()
        await asyncio.wait_for(told.wait(), PATIENCE)
    assert hearing.told == [(issued.session.session_handle, "ada")]
    assert "Others are told of logouts later. It is down." in caplog.text
    assert "a mistake of ours" in caplog.text


async def test_an_end_costs_the_statements_that_it_costs_without_a_notifier(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[str] = []
    genuine = PreparedStatements.execute

    def execute(self: PreparedStatements, connection: Any, statement: Any, *arguments: Any) -> Any:
        if statement.is_dml and statement.table.name.endswith(("sessions", "notifications")):
            written.append(statement.table.name)
        return genuine(self, connection, statement, *arguments)

    monkeypatch.setattr(PreparedStatements, "execute", execute)
    handle = await worker.log_in()
    assert written == ["asgi_sessions_sessions"]
    await worker.end(handle)
    assert written == ["asgi_sessions_sessions"] * 2
    for _ in range(10):
        await worker.log_in("grace")
    written.clear()
    assert await worker.sessions.revoke_all_sessions_for_user("grace") == 10
    assert written == ["asgi_sessions_sessions"]


async def test_thousands_of_ends_are_taken_down_part_by_part(
    worker: Worker, hearing: Hearing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "PIECE", 5)
    monkeypatch.setattr(store, "COLLECT_BATCH", 7)
    monkeypatch.setattr(collecting, "COLLECT_BATCH", 7)
    monkeypatch.setattr(collecting, "MOST_PAGES", 2)
    handles = [await worker.log_in(user) for user in range(100)]
    assert await worker.sessions.revoke_sessions() == 100
    await worker.turns()
    assert sorted(sid or "" for sid, _ in hearing.told) == sorted(handles)


# -- what is kept


async def test_what_was_told_is_forgotten_once_its_tombstone_is_settled(worker: Worker, hearing: Hearing) -> None:
    await worker.end(await worker.log_in())
    await worker.turns()
    for _ in range(3):
        await worker.after(collecting.FULL_SECONDS)
    assert await worker.states() == ["delivered"]
    for _ in range(6):
        await worker.after(collecting.FULL_SECONDS)
    assert await worker.states() == []
    for _ in range(10):
        await worker.after(collecting.FULL_SECONDS)
    assert len(hearing.heard) == 1


async def test_a_statement_that_was_committed_late_is_told_of(worker: Worker, hearing: Hearing) -> None:
    early, late = await worker.log_in("early"), await worker.log_in("late")
    await worker.end(early)
    row = await worker.sessions.lifecycle._sessions.find(early)
    assert row is not None
    assert row.revoked_at is not None
    for _ in range(3):
        await worker.after(collecting.FULL_SECONDS)
    await worker.end(late)
    await _set_revoked_at(worker, late, row.revoked_at - 20_000)  # its statement had begun long before
    await worker.after(collecting.FULL_SECONDS)
    assert hearing.told == [(early, "early"), (late, "late")]


async def test_a_purge_leaves_what_is_still_to_be_told(start: Start, hearing: Hearing, clock: MovableClock) -> None:
    clock.now = time.time_ns() // 1_000_000  # as the database's, by which sessions end
    worker = await start(hearing.as_configured())
    await worker.turns()
    told, untold = await worker.log_in("told"), await worker.log_in("untold")
    await worker.end(told)
    for _ in range(12):
        await worker.after(collecting.FULL_SECONDS)  # the line is above it
    await worker.end(untold)
    kept = worker.sessions.lifecycle._sessions.find
    for hours, expected in ((1, [False, True]), (24, [False, False])):
        clock.advance(hours * 3600)
        await worker.sessions.purge_expired_sessions()
        assert [await kept(handle) is not None for handle in (told, untold)] == expected


async def _set_revoked_at(worker: Worker, handle: str, revoked_at: int) -> None:
    sessions = build_tables().sessions
    statement = update(sessions).where(sessions.c.handle == handle).values(revoked_at=revoked_at)
    await worker.sessions.lifecycle.notifications._run(statement)
