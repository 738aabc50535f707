"""A hundred refreshes with one token at the same time: one promotion, no alarm, and all that was handed out is good.

The long form, `python -m tests.races`, tries every kind of token in each of these ways.
"""

from pathlib import Path

import pytest

from tests.races.cluster import Cluster, open_cluster
from tests.races.crowds import InOneProcess, race
from tests.races.site import open_site

KINDS = ("generation 0", "child", "child of a sibling", "young child", "twin", "late parent")


@pytest.mark.parametrize("kind", KINDS)
async def test_of_a_hundred_refreshes_that_have_all_read_the_same_row_one_promotes(kind: str, cluster: Cluster) -> None:
    await race(cluster, kind, InOneProcess(cluster))


async def test_the_same_holds_where_nobody_waits_for_the_others(cluster: Cluster) -> None:
    await race(cluster, "child", InOneProcess(cluster, meets=False))


async def test_the_same_holds_over_http_with_two_uvicorn_workers(
    cluster: Cluster, mariadb_database: str, tmp_path: Path
) -> None:
    async with open_site(mariadb_database, tmp_path) as site:
        for kind in ("child", "child of a sibling", "late parent"):
            await race(cluster, kind, site)
        assert site.complaints() == []


async def test_the_same_holds_on_postgresql(postgresql_database: str) -> None:
    async with open_cluster(postgresql_database) as cluster:
        await race(cluster, "child of a sibling", InOneProcess(cluster))
