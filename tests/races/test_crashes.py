"""A worker dies by SIGKILL before and after each statement, and before its answer leaves."""

from tests.races.cluster import Cluster
from tests.races.crashes import REQUESTS, crash_everywhere, open_mortals

STATEMENTS = {
    "login": ["insert"],
    "login that replaces": ["read", "revoke", "insert"],
    "refresh of the head": ["read", "touch"],
    "refresh of a child": ["read", "promote"],
    "logout": ["revoke"],
}


async def test_after_a_crash_at_any_stop_the_jar_goes_on_with_another_worker(
    cluster: Cluster, mariadb_database: str
) -> None:
    async with open_mortals(mariadb_database) as mortals:
        for name, statements in STATEMENTS.items():
            stops = await crash_everywhere(cluster, mortals, REQUESTS[name])
            expected = [f"{when} {kind}" for kind in statements for when in ("before", "after")]
            assert stops == [*expected, "before the answer"], name
