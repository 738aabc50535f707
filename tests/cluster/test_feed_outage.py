"""A database that hangs: requests go on for as long as old news is good enough, then get 503, and are back at once."""

import re
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.cluster.feed_workers import Jar, Line, Reply, Workers
from tests.conftest import empty_database
from tests.servers import Server

STALENESS_SECONDS = 3.0
POLL_SECONDS = 0.5
BACK_SECONDS = 8.0
"""Within one poll, and as long as a busy machine needs for it."""


class Shop:
    """Four workers whose news may be three seconds old."""

    def __init__(self, server: Server, workers: Workers) -> None:
        self.server = server
        self.workers = workers
        self.lines = workers.lines


@pytest.fixture(scope="module", params=["mariadb", "postgresql"])
def shop(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    server: Server = request.getfixturevalue(request.param)
    for url in empty_database(server):
        folder = tmp_path_factory.mktemp(f"outage-{request.param}")
        with Workers(folder, url, revocation_max_staleness=f"{STALENESS_SECONDS:g}s") as workers:
            yield Shop(server, workers)


@pytest.fixture
def paused(shop: Shop) -> Iterator[Callable[[], float]]:
    """Pauses the database and returns when that was; it goes on after the test in any case."""

    def pause() -> float:
        began = time.monotonic()
        shop.server.pause()
        return began

    yield pause
    shop.server.resume()


def ask_all(lines: list[Line], jar: Jar) -> list[Reply]:
    with ThreadPoolExecutor(len(lines)) as pool:
        return list(pool.map(lambda line: line.ask("/me", jar.cookies), lines))


def wait_until(lines: list[Line], jar: Jar, status: int, seconds: float) -> float:
    began = time.monotonic()
    while {reply.status for reply in ask_all(lines, jar)} != {status}:
        assert time.monotonic() - began < seconds, f"not all answer {status} after {seconds} s"
        time.sleep(0.02)
    return time.monotonic() - began


def test_a_short_silence_is_not_felt(shop: Shop, paused: Callable[[], float]) -> None:
    jar = Jar.logged_in(shop.lines[0], "short")
    wait_until(shop.lines, jar, 200, BACK_SECONDS)
    began = paused()
    asked = 0
    while time.monotonic() - began < STALENESS_SECONDS - POLL_SECONDS - 1:
        replies = ask_all(shop.lines, jar)
        now = time.monotonic()
        if now - began < STALENESS_SECONDS - POLL_SECONDS:  # else this machine was busy with something else
            assert [reply.status for reply in replies] == [200] * 4
            asked += 4
        time.sleep(0.05)
    shop.server.resume()
    assert asked > 0
    wait_until(shop.lines, jar, 200, BACK_SECONDS)


@pytest.mark.parametrize("silence", [5.0, 9.0], ids=["less than two statements time out", "several do"])
def test_a_long_silence_is_503_with_the_cookies_kept_and_over_within_a_poll(
    shop: Shop, paused: Callable[[], float], silence: float
) -> None:
    jar = Jar.logged_in(shop.lines[0], "long")
    wait_until(shop.lines, jar, 200, BACK_SECONDS)
    began = paused()
    refused_after = wait_until(shop.lines, jar, 503, STALENESS_SECONDS + BACK_SECONDS)
    assert refused_after > STALENESS_SECONDS - POLL_SECONDS - 1, "the news was not old yet"
    while time.monotonic() - began < silence:
        for reply in ask_all(shop.lines, jar):
            assert (reply.status, reply.body["code"]) == (503, "store_unavailable")
            assert int(reply.headers["retry-after"]) >= 1
            assert reply.set_cookies == []
            assert reply.headers["www-authenticate"] is None
        for line in shop.lines:
            assert line.ask("/pid").status == 200, "what needs no session goes on"
        assert all(line.ask("/staleness").body > STALENESS_SECONDS for line in shop.lines)
        time.sleep(0.1)
    shop.server.resume()
    back_after = wait_until(shop.lines, jar, 200, BACK_SECONDS)
    print(
        f"{shop.server.name}: silent for {silence:g} s; 503 after {refused_after:.1f} s, back after {back_after:.2f} s"
    )


def test_what_was_ended_just_before_a_silence_is_out_after_it(shop: Shop, paused: Callable[[], float]) -> None:
    jar, other = Jar.logged_in(shop.lines[0], "before"), Jar.logged_in(shop.lines[0], "other")
    wait_until(shop.lines, other, 200, BACK_SECONDS)
    shop.lines[0].post(f"/revoke/{jar.handle}")
    paused()
    wait_until(shop.lines, other, 503, STALENESS_SECONDS + BACK_SECONDS)
    shop.server.resume()
    wait_until(shop.lines, other, 200, BACK_SECONDS)
    assert [line.ask("/me", jar.cookies).status for line in shop.lines] == [401] * 4


def test_the_log_says_it_once_for_each_worker(shop: Shop, paused: Callable[[], float]) -> None:
    jar = Jar.logged_in(shop.lines[0], "log")
    wait_until(shop.lines, jar, 200, BACK_SECONDS)
    lines_of = {
        "The revocation feed (cannot read|gets no answer from) the database": 0,
        "requests with a session get 503": 0,
        "The revocation feed reads the database again": 0,
    }
    before = {text: len(re.findall(text, shop.workers.log)) for text in lines_of}
    paused()
    wait_until(shop.lines, jar, 503, STALENESS_SECONDS + BACK_SECONDS)
    time.sleep(6)  # until a statement has timed out
    shop.server.resume()
    wait_until(shop.lines, jar, 200, BACK_SECONDS)
    time.sleep(1)
    after = {text: len(re.findall(text, shop.workers.log)) - before[text] for text in lines_of}
    assert after == dict.fromkeys(lines_of, 4), shop.workers.log[-3000:]
    assert "Traceback" not in shop.workers.log
