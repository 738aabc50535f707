"""Three real workers, of which one ends many sessions of a user; `python -m tests.revocation bulk` ends a hundred
thousand, and tells the times.
"""

import pytest

from asgi_sessions.store.ending import AT_ONCE
from tests.revocation.bulk import WORKERS, measure, prepare

MANY = 2 * AT_ONCE
SAMPLE = 5
OTHERS = 15


@pytest.mark.parametrize("database_url", ["mariadb", "postgresql"], indirect=True)
async def test_while_many_sessions_end_and_afterwards_each_logout_is_felt_by_every_worker(database_url: str) -> None:
    plan = await prepare(database_url, MANY, OTHERS, sample=SAMPLE, lead=0.5)
    took = measure(plan)
    assert (took.ended, took.served_afterwards, took.failures) == (MANY + SAMPLE, 0, 0)
    assert sum(len(calls) for calls in took.calls.values()) == OTHERS
    felt = [seconds for each in took.felt.values() for seconds in each]
    assert len(felt) == OTHERS * len(WORKERS)
    assert float("inf") not in felt, "lost"
