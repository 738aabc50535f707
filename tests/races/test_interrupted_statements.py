"""Statements that are cut off in the middle, or wait for each other on the server: nothing is done twice or lost."""

import asyncio

import pytest
from sqlalchemy import text

from tests.races.cluster import Cluster, open_cluster
from tests.races.crashes import NEVER, REQUESTS, open_mortals
from tests.races.interrupting import CuttingProxy, locked_row, until_under_way
from tests.races.logouts import nothing_resurrects
from tests.races.stories import tell
from tests.races.watching import promotions


@pytest.mark.parametrize("what", ["CONNECTION", "QUERY"])
@pytest.mark.parametrize("kind", ["child", "child of a sibling"])
async def test_a_promotion_that_is_killed_on_the_server_is_done_once(
    what: str, kind: str, cluster: Cluster, mariadb_database: str
) -> None:
    worker, other, _ = cluster.workers
    story = await tell(kind, worker.manager, cluster.clock)
    before = await cluster.live_row(story.handle)
    with promotions() as counts:
        async with locked_row(mariadb_database, story.handle):
            refreshing = asyncio.create_task(worker.refresh(story.presented.refresh))
            (number,) = await until_under_way(cluster.observer, "promote")
            await cluster.observer.run(text(f"KILL {what} {number}"))
        answer = await refreshing
    assert answer.status == 200
    assert sum(counts) == 1
    assert (await cluster.live_row(story.handle)).gen == before.gen + 1
    assert (await other.refresh(answer.set_values["__Host-sRefreshToken"])).status == 200
    assert cluster.alarms == []


async def test_a_promotion_whose_answer_is_lost_is_found_done(cluster: Cluster, mariadb_database: str) -> None:
    proxy = CuttingProxy(mariadb_database)
    async with proxy.listening() as url, open_cluster(url, count=1) as behind:
        story = await tell("child", cluster.workers[0].manager, cluster.clock)
        before = await cluster.live_row(story.handle)
        proxy.cut("promote")
        answer = await behind.workers[0].refresh(story.presented.refresh)
        assert proxy.cuts == 1
        assert answer.status == 200
        assert (await cluster.live_row(story.handle)).gen == before.gen + 1
        assert (await cluster.workers[1].refresh(answer.set_values["__Host-sRefreshToken"])).status == 200
    assert cluster.alarms == []


async def test_a_logout_whose_answer_is_lost_is_done(cluster: Cluster, mariadb_database: str) -> None:
    proxy = CuttingProxy(mariadb_database)
    async with proxy.listening() as url, open_cluster(url, count=1) as behind:
        story = await tell("child", cluster.workers[0].manager, cluster.clock)
        proxy.cut("revoke")
        answer = await behind.workers[0].send("POST", "/logout", story.presented.cookies)
        assert proxy.cuts == 1
    assert answer.status == 200
    assert len(answer.cleared) == 2
    await nothing_resurrects(cluster, story.pairs)


@pytest.mark.parametrize("first", ["promote", "revoke"])
async def test_logout_wins_where_both_statements_wait_for_the_row(
    first: str, cluster: Cluster, mariadb_database: str
) -> None:
    one, other, _ = cluster.workers
    story = await tell("child", one.manager, cluster.clock)
    before = await cluster.live_row(story.handle)
    requests = {
        "promote": lambda: one.refresh(story.presented.refresh),
        "revoke": lambda: other.send("POST", "/logout", story.presented.cookies),
    }
    tasks = {}
    async with locked_row(mariadb_database, story.handle):
        for kind in sorted(requests, key=lambda kind: kind != first):
            tasks[kind] = asyncio.create_task(requests[kind]())
            await until_under_way(cluster.observer, kind)
    refreshed, ended = await tasks["promote"], await tasks["revoke"]
    assert ended.status == 200
    row = await cluster.live_row(story.handle)
    assert row.revoked_at is not None
    # Whichever InnoDB lets go first.
    assert refreshed.status == (200 if row.gen == before.gen + 1 else 401)
    await nothing_resurrects(cluster, story.pairs)


async def test_a_worker_that_dies_while_its_statement_is_under_way_leaves_no_trace(
    cluster: Cluster, mariadb_database: str
) -> None:
    async with open_mortals(mariadb_database) as mortals:
        for name, kind in (("refresh of a child", "promote"), ("inline refresh", "promote"), ("logout", "revoke")):
            request = REQUESTS[name]
            story = await tell(request.kind, cluster.workers[0].manager, cluster.clock)
            await mortals.start(NEVER)
            async with locked_row(mariadb_database, story.handle):
                sending = asyncio.create_task(mortals.send(request.method, request.path, story.presented.cookies))
                await until_under_way(cluster.observer, kind)
                mortals.kill()
                await mortals.end()
                assert await sending is None
            # The server learns of its client's death when it wants to answer; what it was told it does.
            await until_under_way(cluster.observer, kind, count=0)
            await request.afterwards(cluster, story)
