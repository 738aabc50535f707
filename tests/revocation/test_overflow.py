"""More revocations than a worker may remember: nobody who is out is served, and the worker says why it asks so much."""

import logging

import pytest

from tests.revocation.conftest import NewWorker
from tests.revocation.tombstones import Cemetery, some_handle

LEAST = 64_000
LEAST_BYTES = 36
"""No handle takes less."""


async def test_no_session_is_good_whose_tombstone_the_feed_may_have_missed(
    new_worker: NewWorker, cemetery: Cemetery, caplog: pytest.LogCaptureFixture
) -> None:
    worker = new_worker(revocation_memory=LEAST)
    await worker.feed.poll()
    alive = some_handle()
    assert worker.feed.is_good(alive)
    handles = [some_handle() for _ in range(LEAST // LEAST_BYTES + 1)]
    await cemetery.bury(*handles)
    worker.watch(*handles)
    with caplog.at_level(logging.WARNING, "asgi_sessions"):
        await worker.feed.poll()
        await worker.feed.poll()
    assert [record.getMessage() for record in caplog.records] == [
        "More sessions were revoked than revocation_memory holds: requests ask the database."
    ]
    assert worker.feed.is_overflowing
    assert not worker.feed.is_good(alive)
    assert sorted(set(worker.told)) == sorted(handles), "an open connection ends all the same"
