"""A start reads what is needed in pages; `python -m tests.revocation start` does the same with a million."""

import pytest

from asgi_sessions.store.tombstones import PAGE_SIZE
from tests.revocation.starting import fill, start

COUNT = 20_000


@pytest.mark.parametrize("database_url", ["mariadb", "postgresql"], indirect=True)
async def test_a_start_among_many_tombstones_reads_them_in_pages(database_url: str) -> None:
    await fill(database_url, COUNT)
    took = await start(database_url)
    print(took)
    assert took.known == COUNT
    pages = COUNT // PAGE_SIZE + 1
    assert pages <= took.statements <= 2 * pages, "the empty one at the end, and the first one again meanwhile"
    assert took.most_rows == PAGE_SIZE + 1
    assert took.megabytes < 64
