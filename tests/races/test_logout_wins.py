"""Logout against refresh, in every order of their statements: logout wins, and nothing resurrects.

These stop before each statement; `python -m tests.races` stops after each as well.
"""

import pytest

from tests.races.cluster import Cluster, open_cluster
from tests.races.logouts import ENDINGS, PROFILES, REFRESHES, race


@pytest.mark.parametrize("refresh", REFRESHES)
async def test_whatever_ends_a_session_wins_against_a_refresh_in_every_order(refresh: str, cluster: Cluster) -> None:
    for ending in ("revoke_session", "by handle", "another login", "theft"):
        assert await race(cluster, REFRESHES[refresh], ENDINGS[ending], stops_after=False) >= 2


async def test_so_does_every_other_way_to_log_out(cluster: Cluster) -> None:
    for ending in ("sign-out", "by handles", "all of the user", "erasure"):
        assert await race(cluster, REFRESHES["child of a sibling"], ENDINGS[ending], stops_after=False) >= 2


async def test_so_it_is_on_postgresql(postgresql_database: str) -> None:
    async with open_cluster(postgresql_database, count=2) as cluster:
        for ending in ("revoke_session", "by handle", "theft"):
            assert await race(cluster, REFRESHES["child"], ENDINGS[ending], stops_after=False) >= 2


@pytest.mark.parametrize("name", [name for name, profile in PROFILES.items() if profile.settings])
async def test_so_it_is_with_other_settings(name: str, mariadb_database: str) -> None:
    profile = PROFILES[name]
    refreshes, endings = list(profile.refreshes.values()), list(profile.endings.values())
    async with open_cluster(mariadb_database, count=2, **profile.settings) as cluster:
        for ending in endings:
            assert await race(cluster, refreshes[0], ending, stops_after=False) >= 2
