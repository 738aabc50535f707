"""What other users' logouts take while very many sessions of one user end: three workers, each in its own process.

One ends the many, one logs others out every tenth of a second, one does nothing. How soon a logout is felt is measured
in each of them, from the return of the call that has made it.
"""

import asyncio
import multiprocessing
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection

from asgi_sessions import SessionManager, SessionSettings, StoreUnavailable, Unauthorised
from asgi_sessions.protocol import user_id
from asgi_sessions.store.engine import open_database
from asgi_sessions.store.migrations import upgrade
from tests.revocation.tombstones import Cemetery
from tests.security.shop import SECRET

WORKERS = ("ends many", "logs others out", "does nothing")
LOOK_SECONDS = 0.01
LOST_SECONDS = 60.0
"""What is not felt by then is called lost."""
FORMS = ("all", "multiple", "purge")


@dataclass(frozen=True)
class Plan:
    """What the workers do.

    Attributes:
        url: Of the database.
        form: Which call ends the many, one of `FORMS`.
        many: Handles of the many, where the call takes them.
        sample: Access tokens of some of them.
        others: Access tokens of those who are logged out one by one.
        every: Seconds between two of these.
        lead: Seconds of these before the call.
    """

    url: str
    form: str
    many: list[str]
    sample: list[str]
    others: list[str]
    every: float
    lead: float


@dataclass
class Diary:
    """What one worker has seen, in seconds by a clock that all processes share."""

    began: float = 0.0
    returned: float = 0.0
    ended: int = 0
    served_afterwards: int = 0
    called: dict[str, float] = field(default_factory=dict)
    answered: dict[str, float] = field(default_factory=dict)
    refused: dict[str, float] = field(default_factory=dict)
    longest_pause: float = 0.0
    failures: int = 0


@dataclass(frozen=True)
class Outcome:
    """What has come of it.

    Attributes:
        ended: How many sessions the call says that it has ended.
        seconds: What it took.
        served_afterwards: How many of the sample its worker served after its return.
        felt: For each phase and worker, after how many seconds each other logout was refused there.
        calls: For each phase, what the calls that logged others out took, seconds.
        pauses: For each worker, the longest pause of its event loop, seconds.
        failures: How many calls failed.
    """

    ended: int
    seconds: float
    served_afterwards: int
    felt: dict[tuple[str, str], list[float]]
    calls: dict[str, list[float]]
    pauses: dict[str, float]
    failures: int

    def lines(self) -> Iterator[str]:
        """For people."""
        yield f"{self.ended} sessions ended in {self.seconds:.2f} s; {self.failures} calls failed"
        yield f"of the sample {self.served_afterwards} were served after the call had returned"
        for phase, calls in self.calls.items():
            if calls:
                felt = [f"{worker}: {_ms(self.felt[phase, worker])}" for worker in WORKERS]
                yield f"{phase}, {len(calls)} other logouts took {_ms(calls)}; felt where a worker {'; '.join(felt)}"
        yield "longest pauses: " + ", ".join(f"{pause * 1000:.0f} ms" for pause in self.pauses.values())


def _ms(seconds: list[float]) -> str:
    return f"{statistics.median(seconds) * 1000:.0f} ms, at most {max(seconds) * 1000:.0f}"


async def prepare(
    url: str, count: int, others: int, *, form: str = "all", sample: int = 20, every: float = 0.1, lead: float = 4.0
) -> Plan:
    """Make the tables, very many sessions of alice's, and others."""
    database = await open_database(url, statement_timeout=3600)
    await upgrade(database)
    cemetery = Cemetery(database)
    async with SessionManager(_settings(url)) as manager:
        tokens = []
        for number in range(sample + others):
            owner = "alice" if number < sample else f"other{number}"
            tokens.append((await manager.create_new_session_without_request(owner)).access_token.value)
    now, alice = await cemetery.now(), user_id.encode("alice")
    await cemetery.fill(count, ending_at=now - 10**9 if form == "purge" else now, live=True, owner=alice)
    many = await cemetery.handles_of(alice) if form == "multiple" else []
    await database.close()
    return Plan(url, form, many, tokens[:sample], tokens[sample:], every, lead)


def measure(plan: Plan) -> Outcome:
    """Do it."""
    context = multiprocessing.get_context("spawn")
    wires = []
    for worker in WORKERS:
        ours, theirs = context.Pipe()
        process = context.Process(target=_work, args=(theirs, plan, worker), daemon=True)
        process.start()
        wires.append((process, ours))
    for _, wire in wires:
        wire.recv()  # it is ready
    for _, wire in wires:
        wire.send(time.monotonic() + 1)
    diaries = [wire.recv() for _, wire in wires]
    for process, _ in wires:
        process.join()
    return _outcome(plan, dict(zip(WORKERS, diaries, strict=True)))


def _outcome(plan: Plan, diaries: dict[str, Diary]) -> Outcome:
    bulk, logouts = diaries[WORKERS[0]], diaries[WORKERS[1]]
    phases = {
        "before": (0.0, bulk.began),
        "during": (bulk.began, bulk.returned),
        "afterwards": (bulk.returned, float("inf")),
    }
    answered = logouts.answered
    felt, calls = {}, {}
    for phase, (since, until) in phases.items():
        tokens = [token for token in plan.others if token in answered and since <= logouts.called[token] < until]
        calls[phase] = [answered[token] - logouts.called[token] for token in tokens]
        for worker, diary in diaries.items():
            felt[phase, worker] = [max(0.0, diary.refused[token] - answered[token]) for token in tokens]
    return Outcome(
        ended=bulk.ended,
        seconds=bulk.returned - bulk.began,
        served_afterwards=bulk.served_afterwards,
        felt=felt,
        calls=calls,
        pauses={worker: diary.longest_pause for worker, diary in diaries.items()},
        failures=sum(diary.failures for diary in diaries.values()),
    )


def _settings(url: str) -> SessionSettings:
    return SessionSettings(
        database_url=url, secret_key=SECRET, purge_interval=0, max_sessions_per_user=None, access_token_lifetime="1h"
    )


# -- one worker


def _work(wire: Connection, plan: Plan, worker: str) -> None:
    asyncio.run(_live(wire, plan, worker))


async def _live(wire: Connection, plan: Plan, worker: str) -> None:
    diary = Diary()
    async with SessionManager(_settings(plan.url)) as manager:
        handles = [(await manager.get_session_without_request(token)).session_handle for token in plan.others]
        wire.send("ready")
        start = await asyncio.get_running_loop().run_in_executor(None, wire.recv)
        ticking = asyncio.create_task(_tick(diary))
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(_feel(manager, plan, diary, start))
            if worker == WORKERS[0]:
                tasks.create_task(_end_many(manager, plan, diary, start + plan.lead))
            elif worker == WORKERS[1]:
                for number, (token, handle) in enumerate(zip(plan.others, handles, strict=True)):
                    tasks.create_task(_log_out(manager, diary, start + number * plan.every, token, handle))
        ticking.cancel()
        wire.send(diary)


async def _tick(diary: Diary) -> None:
    while True:
        last = time.monotonic()
        await asyncio.sleep(0.001)
        diary.longest_pause = max(diary.longest_pause, time.monotonic() - last - 0.001)


async def _is_refused(manager: SessionManager, token: str) -> bool:
    try:
        await manager.get_session_without_request(token)
    except Unauthorised:
        return True
    except StoreUnavailable:
        pass
    return False


async def _feel(manager: SessionManager, plan: Plan, diary: Diary, start: float) -> None:
    """Look at all whose turn has come, until all of them are refused."""
    until = start + len(plan.others) * plan.every + LOST_SECONDS
    while len(diary.refused) < len(plan.others) and time.monotonic() < until:
        due = int((time.monotonic() - start) / plan.every) + 1
        for token in plan.others[: max(0, due)]:
            if token not in diary.refused and await _is_refused(manager, token):
                diary.refused[token] = time.monotonic()
        await asyncio.sleep(LOOK_SECONDS)
    for token in plan.others:
        diary.refused.setdefault(token, float("inf"))


async def _end_many(manager: SessionManager, plan: Plan, diary: Diary, at: float) -> None:
    await asyncio.sleep(at - time.monotonic())
    diary.began = time.monotonic()
    with _failures(diary):
        if plan.form == "all":
            diary.ended = await manager.revoke_all_sessions_for_user("alice")
        elif plan.form == "multiple":
            diary.ended = await manager.revoke_multiple_sessions(plan.many)
        else:
            diary.ended = await manager.purge_expired_sessions()
    diary.returned = time.monotonic()
    for token in plan.sample:
        diary.served_afterwards += not await _is_refused(manager, token)


async def _log_out(manager: SessionManager, diary: Diary, at: float, token: str, handle: str) -> None:
    await asyncio.sleep(at - time.monotonic())
    diary.called[token] = time.monotonic()
    with _failures(diary):
        await manager.revoke_session_using_session_handle(handle)
        diary.answered[token] = time.monotonic()


@contextmanager
def _failures(diary: Diary) -> Iterator[None]:
    try:
        yield
    except StoreUnavailable:
        diary.failures += 1
