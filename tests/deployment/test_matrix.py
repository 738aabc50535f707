"""docs/deployment.md says of each server what is found here."""

from pathlib import Path

import pytest

from tests.deployment.app_servers import SERVERS, AppServer, running
from tests.deployment.matrix import PAGE, row, shown, table
from tests.deployment.trial import tried

WRITE = "python -m tests.deployment.matrix writes the table anew"


@pytest.mark.parametrize("server", SERVERS, ids=lambda server: server.name)
async def test_a_server_does_what_its_row_says(
    server: AppServer, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path / 'sessions.db'}"
    if server.engine != "sqlite":
        url = request.getfixturevalue(f"{server.engine}_url")
    with running(server, tmp_path, url) as processes:
        found = row(server, await tried(processes))
    assert found in shown(PAGE.read_text()).splitlines(), WRITE
    assert "Traceback" not in processes.log, processes.log


def test_the_table_has_these_rows_and_no_others() -> None:
    lines = shown(PAGE.read_text()).splitlines()
    rows = {line.split(" | ")[0].removeprefix("| "): line for line in lines[2:]}
    assert lines == table(rows).splitlines(), WRITE


def test_a_page_without_a_place_for_it_is_refused() -> None:
    with pytest.raises(ValueError, match="no place for the matrix"):
        shown("# Deployment")
