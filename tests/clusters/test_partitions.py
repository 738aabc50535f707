"""A network that loses all packets between nodes of Galera: nobody there is told, and each finds out by itself."""

import time
from collections.abc import Callable
from contextlib import AsyncExitStack

import pytest

from tests.clusters.fire import BURNING, under_fire
from tests.clusters.network import DistantGalera
from tests.clusters.workers import (
    SERVED,
    UNAVAILABLE,
    asked,
    in_the_end,
    is_gone,
    is_served,
    is_unavailable,
    log_in,
    new_database,
    until,
    worker,
)

pytestmark = [pytest.mark.fire, pytest.mark.usefixtures("as_long_as_in_service")]

STALENESS = 2
"""Seconds."""
ROUNDS = 20


def one_is_cut_off(cluster: DistantGalera) -> None:
    cluster.cut_off(0)
    cluster.wait_until_lost(cluster.nodes[0])
    time.sleep(2 * BURNING)
    cluster.heal()


def each_is_alone(cluster: DistantGalera) -> None:
    for number in range(len(cluster.nodes)):
        cluster.cut_off(number)
    cluster.wait_until_lost(*cluster.nodes)
    time.sleep(BURNING)
    cluster.heal()


def two_do_not_reach_each_other(cluster: DistantGalera) -> None:
    """The third passes on what they send."""
    cluster.network.cut([0], [1])
    time.sleep(2 * BURNING)
    cluster.heal()


@pytest.mark.parametrize("fault", [one_is_cut_off, each_is_alone, two_do_not_reach_each_other])
async def test_where_each_worker_has_one_node(
    distant_nodes: DistantGalera, fault: Callable[[DistantGalera], None]
) -> None:
    name = new_database(distant_nodes.nodes[0])
    await under_fire([node.url(name) for node in distant_nodes.nodes], fault, distant_nodes)


async def test_the_minority_serves_nobody_on_old_news(distant_nodes: DistantGalera) -> None:
    """From the bound on it answers 503, and goes on so until the network is whole."""
    apart, elsewhere, _ = distant_nodes.nodes
    name = new_database(elsewhere)
    async with AsyncExitStack() as stack:
        there = await stack.enter_async_context(worker(elsewhere.url(name)))
        here = await stack.enter_async_context(worker(apart.url(name), revocation_max_staleness=STALENESS))
        handle, token, _ = await log_in(there, "alice")
        _, kept, _ = await log_in(there, "bob")
        await until(is_served, here, token)
        distant_nodes.cut_off(0)
        await in_the_end(there.revoke_session_using_session_handle, handle)
        await until(is_unavailable, here, token)
        for _ in range(ROUNDS):
            assert await asked(here, token) == UNAVAILABLE
            assert await asked(here, token, check_database=True) == UNAVAILABLE
            assert await asked(here, kept) == UNAVAILABLE
            assert await asked(there, kept) == SERVED
        distant_nodes.heal()
        await until(is_gone, here, token)
        await until(is_served, here, kept)
