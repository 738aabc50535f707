"""Which of several servers a connection is opened to, and what becomes of those that are slow, silent or wrong."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from asgi_sessions.settings.several_hosts import Host
from asgi_sessions.store import hosts as hosts_module
from asgi_sessions.store.hosts import Hosts
from asgi_sessions.store.members import NotServing

A, B, C = Host("a", 1), Host("b", 2), Host("c", 3)


class Servers:
    """Each server answers as it is told: at once, when it is let, with an error, or as a member that cannot serve."""

    def __init__(self) -> None:
        self.answers: dict[str, Callable[[], Any]] = {}
        self.refusing: set[str] = set()
        self.asked: list[str] = []
        self.dropped: list[Any] = []
        self.cancelled: list[str] = []

    async def open(self, **given: Any) -> Any:
        host, port = given.pop("host"), given.pop("port")
        assert given == {"user": "app"}
        self.asked.append(host)
        try:
            answer = self.answers.get(host)
            if answer is not None:
                await answer()
        except asyncio.CancelledError:
            self.cancelled.append(host)
            raise
        return f"{host}:{port}"

    async def check(self, connection: Any) -> None:
        if connection[0] in self.refusing:
            raise NotServing(1290)

    def drop(self, connection: Any) -> None:
        self.dropped.append(connection)


@pytest.fixture(autouse=True)
def in_given_order(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if "each_worker" not in request.node.name:
        monkeypatch.setattr(hosts_module, "_shuffle", lambda _: None)


def hosts(servers: Servers) -> Hosts:
    return Hosts([A, B, C], servers)


async def silence() -> None:
    await asyncio.Event().wait()


async def refusal() -> None:
    raise ConnectionRefusedError(111, "refused")


async def driver_cannot_connect() -> None:
    try:
        await refusal()
    except OSError as error:
        raise RuntimeError(2003, "cannot connect") from error


async def denial() -> None:
    raise RuntimeError(1045, "access denied")


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A silent server is waited for no longer than one turn of the loop."""
    monkeypatch.setattr(hosts_module, "STAGGER_SECONDS", 0.0)


async def test_the_first_one_is_enough() -> None:
    servers = Servers()
    assert await hosts(servers).open(user="app", host=("ignored",), port=None) == "a:1"
    assert servers.asked == ["a"]


async def test_each_worker_begins_at_another_one() -> None:
    servers = Servers()
    for _ in range(60):
        await hosts(servers).open(user="app")
    assert set(servers.asked) == {"a", "b", "c"}  # one of them is missing once in 10^10 runs


async def test_one_that_refuses_is_passed_over_and_asked_last_from_then_on() -> None:
    servers = Servers()
    servers.answers["a"] = refusal
    opened = hosts(servers)
    assert await opened.open(user="app") == "b:2"
    del servers.answers["a"]
    assert await opened.open(user="app") == "b:2"
    servers.answers["b"] = refusal
    assert await opened.open(user="app") == "c:3"
    assert servers.asked == ["a", "b", "b", "b", "c"]


async def test_a_member_that_cannot_serve_is_closed_and_passed_over() -> None:
    servers = Servers()
    servers.refusing = {"a", "b"}
    assert await hosts(servers).open(user="app") == "c:3"
    assert servers.dropped == ["a:1", "b:2"]


async def test_a_silent_one_is_waited_for_no_longer_when_another_answers(at_once: None) -> None:
    servers = Servers()
    servers.answers |= {"a": silence, "b": silence}
    opened = hosts(servers)
    assert await opened.open(user="app") == "c:3"
    await asyncio.sleep(0)
    assert sorted(servers.cancelled) == ["a", "b"]
    assert await opened.open(user="app") == "c:3"
    assert servers.asked == ["a", "b", "c", "c"]


async def test_a_slow_one_counts_where_no_other_is_good(at_once: None) -> None:
    servers, let = Servers(), asyncio.Event()
    servers.answers |= {"a": let.wait, "b": refusal, "c": refusal}
    opening = asyncio.ensure_future(hosts(servers).open(user="app"))
    while len(servers.asked) < 3:
        await asyncio.sleep(0)
    let.set()
    assert await opening == "a:1"
    assert servers.cancelled == []


async def test_of_two_that_answer_together_one_is_closed(at_once: None) -> None:
    servers, let = Servers(), asyncio.Event()
    servers.answers |= {"a": let.wait, "b": let.wait, "c": silence}
    opening = asyncio.ensure_future(hosts(servers).open(user="app"))
    while len(servers.asked) < 3:
        await asyncio.sleep(0)
    let.set()
    used = await opening
    await asyncio.sleep(0)
    assert [*servers.dropped, used] in (["a:1", "b:2"], ["b:2", "a:1"])


async def test_one_that_answers_after_all_is_closed(at_once: None) -> None:
    """A driver that loses a cancellation."""
    servers, let = Servers(), asyncio.Event()

    async def stubborn() -> None:
        with suppress(asyncio.CancelledError):
            await silence()
        await let.wait()

    servers.answers["a"] = stubborn
    assert await hosts(servers).open(user="app") == "b:2"
    let.set()
    while not servers.dropped:
        await asyncio.sleep(0)
    assert servers.dropped == ["a:1"]
    assert hosts_module._ending == set()


@pytest.mark.parametrize("cannot", [refusal, driver_cannot_connect])
@pytest.mark.parametrize("place", ["a", "b", "c"])
async def test_what_a_server_has_said_counts_more_than_one_that_is_not_there(cannot: Any, place: str) -> None:
    servers = Servers()
    servers.answers = dict.fromkeys("abc", cannot) | {place: denial}
    with pytest.raises(RuntimeError, match="access denied"):
        await hosts(servers).open(user="app")


async def test_where_none_is_there_the_error_is_the_first_ones() -> None:
    servers = Servers()
    servers.answers = dict.fromkeys("abc", refusal)
    with pytest.raises(ConnectionRefusedError):
        await hosts(servers).open(user="app")
    assert servers.asked == ["a", "b", "c"]


async def test_a_cancellation_leaves_nothing_behind(at_once: None) -> None:
    servers = Servers()
    servers.answers = dict.fromkeys("abc", silence)
    opening = asyncio.ensure_future(hosts(servers).open(user="app"))
    while len(servers.asked) < 3:
        await asyncio.sleep(0)
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert sorted(servers.cancelled) == ["a", "b", "c"]
    assert hosts_module._ending == set()
