"""Logout is felt everywhere within a second, at no statement per request: two servers, four workers."""

import time
from collections.abc import Callable, Iterator

import pytest

from tests.cluster.feed_workers import Jar, ServerLog, Workers, counters
from tests.conftest import empty_database
from tests.servers import Server

ENOUGH_SECONDS = 5.0
"""A poll comes twice a second; on a noisy machine it may be late. What was measured is printed."""
IDLE_SECONDS = 4.0
REQUESTS = 400


class Shop:
    """Four workers on one database."""

    def __init__(self, server: Server, database: str, workers: Workers) -> None:
        self.server = server
        self.database = database
        self.workers = workers
        self.lines = workers.lines

    def accepted_everywhere(self, jar: Jar) -> bool:
        return [line.ask("/me", jar.cookies).status for line in self.lines] == [200] * len(self.lines)

    def seconds_until_refused(self, *jars: Jar) -> float:
        """Ask all workers until each has refused all jars."""
        began = time.monotonic()
        waiting = [(line, jar) for line in self.lines for jar in jars]
        while waiting:
            waiting = [(line, jar) for line, jar in waiting if line.ask("/me", jar.cookies).status != 401]
            seconds = time.monotonic() - began
            assert seconds < ENOUGH_SECONDS, f"{len(waiting)} workers still accept it after {seconds:.1f} s"
        return time.monotonic() - began


@pytest.fixture(scope="module", params=["mariadb", "postgresql"])
def shop(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    server: Server = request.getfixturevalue(request.param)
    folder = tmp_path_factory.mktemp(f"feed-{request.param}")
    for url in empty_database(server):
        database = url.rpartition("/")[2]
        log = ServerLog(server, database)
        # Every refresh makes a child, and what is left behind by two generations is stolen.
        with Workers(folder, url, min_refresh_age="0", late_parent_window="0") as workers:
            assert len({line.pid for line in workers.lines}) == 4
            yield Shop(server, database, workers)
        log.off()
        assert "Traceback" not in workers.log


# -- who ended it, and how many of a user's sessions


def by_handle(shop: Shop, jars: list[Jar], user: str) -> None:
    for jar in jars:
        assert shop.lines[0].post(f"/revoke/{jar.handle}").body is True


def of_a_user(shop: Shop, jars: list[Jar], user: str) -> None:
    assert shop.lines[0].post(f"/revoke-all/{user}").body == len(jars)


def by_logout(shop: Shop, jars: list[Jar], user: str) -> None:
    for jar in jars:
        assert shop.lines[0].post("/auth/signout", jar.cookies).status == 200


def by_a_script(shop: Shop, jars: list[Jar], user: str) -> None:
    program = f"""
import asyncio
from asgi_sessions import SessionManager

async def main():
    async with SessionManager() as sessions:
        print(await sessions.revoke_all_sessions_for_user({user!r}))

asyncio.run(main())
"""
    assert shop.workers.run(program) == f"{len(jars)}\n"


def by_theft(shop: Shop, jars: list[Jar], user: str) -> None:
    for jar in jars:
        thief = jar.copy()
        for _ in range(2):
            refreshed = shop.lines[1].post("/auth/session/refresh", jar.cookies)
            assert refreshed.status == 200
            jar.take(refreshed)
        stolen = shop.lines[0].post("/auth/session/refresh", thief.cookies)
        assert (stolen.status, stolen.body["code"]) == (401, "token_theft_detected")


ENDINGS = [by_handle, of_a_user, by_logout, by_a_script, by_theft]


@pytest.mark.parametrize("end", ENDINGS, ids=lambda end: end.__name__)
def test_every_worker_refuses_within_a_second(shop: Shop, end: Callable[[Shop, list[Jar], str], None]) -> None:
    user = end.__name__
    jars = [Jar.logged_in(shop.lines[number], user) for number in range(3)]
    other = Jar.logged_in(shop.lines[0], "somebody-else")
    assert all(shop.accepted_everywhere(jar) for jar in [*jars, other])
    end(shop, jars, user)
    seconds = shop.seconds_until_refused(*jars)
    print(f"{shop.server.name}, {user}: refused by 4 workers after {seconds:.2f} s")
    assert shop.accepted_everywhere(other)


def test_the_worker_that_ended_them_refuses_at_once(shop: Shop) -> None:
    for number in range(5):
        user = f"at-once-{number}"
        one, two = Jar.logged_in(shop.lines[0], user), Jar.logged_in(shop.lines[1], user)
        assert shop.lines[0].post(f"/revoke/{one.handle}").body is True
        assert shop.lines[0].ask("/me", one.cookies).status == 401
        assert shop.lines[0].post(f"/revoke-all/{user}").body == 1
        assert shop.lines[0].ask("/me", two.cookies).status == 401


def test_every_worker_has_a_changed_payload_within_a_second_and_nobody_is_logged_out(shop: Shop) -> None:
    jars = [Jar.logged_in(shop.lines[number], "changed") for number in range(2)]
    for role in ("reader", "editor"):
        assert shop.lines[0].post(f"/role/changed/{role}").body == len(jars)
        began = time.monotonic()
        waiting = [(line, jar) for line in shop.lines for jar in jars]
        assert shop.lines[0].ask("/role", jars[0].cookies).body == role, "the worker itself, at once"
        while waiting:
            answers = [(line, jar, line.ask("/role", jar.cookies)) for line, jar in waiting]
            assert {answer.status for _, _, answer in answers} == {200}
            waiting = [(line, jar) for line, jar, answer in answers if answer.body != role]
            assert time.monotonic() - began < ENOUGH_SECONDS, f"{len(waiting)} workers still have the payload of before"
        print(f"{shop.server.name}: had by 4 workers after {time.monotonic() - began:.2f} s")
    log = ServerLog(shop.server, shop.database)
    for jar in jars:
        jar.take(shop.lines[1].ask("/role", jar.cookies))
    log.clear()
    for line in shop.lines:
        assert [line.ask("/role", jar.cookies).body for jar in jars] == ["editor"] * 2
    assert [statement for statement in log.statements if "WHERE asgi_sessions_sessions.handle" in statement] == []


def test_a_logout_clears_the_cookies_wherever_they_are_shown_next(shop: Shop) -> None:
    jar = Jar.logged_in(shop.lines[0], "cleared")
    shop.lines[0].post(f"/revoke/{jar.handle}")
    shop.seconds_until_refused(jar)
    for line in shop.lines:
        refused = line.ask("/me", jar.cookies)
        assert (refused.status, refused.body["code"]) == (401, "unauthorised")
        assert sorted(cookie.split("=")[0] for cookie in refused.set_cookies) == sorted(jar.cookies)
        assert all("Max-Age=0" in cookie for cookie in refused.set_cookies)


# -- and what that costs, as the server counts it


def is_poll(statement: str) -> bool:
    return "UNION ALL" in statement and "revoked_at >=" in statement


def is_sign_of_life(statement: str) -> bool:
    """Of the connection on which a worker listens for notifications, every few seconds."""
    return statement == "SELECT 1"


def test_verified_requests_send_no_statement(shop: Shop) -> None:
    jars = [Jar.logged_in(line, "counted") for line in shop.lines]
    log = ServerLog(shop.server, shop.database)
    if shop.server.name == "postgresql":
        time.sleep(11)  # an idle connection tells what it has done before only after ten seconds

    def count(work: Callable[[], int]) -> tuple[int, int, float]:
        began, before = time.monotonic(), counters(shop.server, shop.database)
        requests = work()
        time.sleep(max(0.0, began + IDLE_SECONDS - time.monotonic()))
        return requests, counters(shop.server, shop.database) - before, time.monotonic() - began

    def idle() -> int:
        return 0

    def busy() -> int:
        done = 0
        began = time.monotonic()
        while done < REQUESTS or time.monotonic() - began < IDLE_SECONDS - 0.5:
            for line, jar in zip(shop.lines, jars, strict=True):
                assert line.ask("/me", jar.cookies).status == 200
                done += 1
        return done

    _, polls, idle_seconds = count(idle)
    log.clear()
    requests, statements, busy_seconds = count(busy)
    seen = log.statements
    print(
        f"{shop.server.name}: {requests} requests in {busy_seconds:.1f} s, {statements} statements;"
        f" idle {polls} in {idle_seconds:.1f} s"
    )
    assert [statement for statement in seen if not is_poll(statement) and not is_sign_of_life(statement)] == []
    at_most = ((busy_seconds + 2) / 0.5 + 2) * len(shop.lines)
    assert 0 < len(seen) <= at_most
    assert statements <= at_most + 10, "the counter itself asks, too"
    assert polls > 0

    # The counter counts: with the database asked at each request there is a statement for each.
    before = counters(shop.server, shop.database)
    log.clear()
    for _ in range(100):
        assert shop.lines[0].ask("/asked", jars[0].cookies).status == 200
    time.sleep(1.5)
    asked = [statement for statement in log.statements if "WHERE asgi_sessions_sessions.handle" in statement]
    assert len(asked) == 100
    if shop.server.name == "mariadb":
        assert counters(shop.server, shop.database) - before >= 100


def test_a_request_with_a_revoked_session_asks_once_for_the_reason(shop: Shop) -> None:
    jar = Jar.logged_in(shop.lines[0], "asks-once")
    shop.lines[0].post(f"/revoke/{jar.handle}")
    shop.seconds_until_refused(jar)
    log = ServerLog(shop.server, shop.database)
    assert shop.lines[2].ask("/me", jar.cookies).status == 401
    assert len([statement for statement in log.statements if "WHERE asgi_sessions_sessions.handle" in statement]) == 1


def test_how_stale_the_news_is_can_be_read(shop: Shop) -> None:
    for line in shop.lines:
        assert 0 <= line.ask("/staleness").body < ENOUGH_SECONDS
