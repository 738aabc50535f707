"""The matrix in docs/deployment.md: what each server does, as tried, and with which versions.

python -m tests.deployment.matrix    # tries all servers, and writes the table anew; a minute
"""

import asyncio
import re
import tempfile
import tomllib
from collections.abc import Mapping
from pathlib import Path

from tests.deployment.app_servers import SERVERS, AppServer, running
from tests.deployment.trial import COLUMNS, tried
from tests.docs.written_parts import rewritten, split

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "deployment.md"
_PART = ("matrix", "tests.deployment.matrix")
_HEAD = ("server", "from", *COLUMNS)


def oldest(package: str) -> str:
    """The oldest version with which the tests may run: the bound in pyproject.toml."""
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    for requirement in (line for lines in wanted.values() for line in lines):
        found = re.fullmatch(rf"{package}(?:\[\w+\])?>=([\d.]+)", requirement)
        if found:
            return found[1]
    raise ValueError(f"pyproject.toml does not name {package}")


def row(server: AppServer, found: Mapping[str, str]) -> str:
    """A server's line of the table."""
    return _line(server.name, f"{server.package} {oldest(server.package)}", *(found[column] for column in COLUMNS))


def table(rows: Mapping[str, str]) -> str:
    """The whole table, of rows by the server's name."""
    lines = [_line(*_HEAD), "|---" * len(_HEAD) + "|", *(rows[server.name] for server in SERVERS)]
    return "\n".join(lines)


def shown(text: str) -> str:
    """The table that a page has.

    Raises:
        ValueError: The page has no place for it.
    """
    _, inside, _ = split(PAGE, text, *_PART)
    return inside


def _line(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


async def _row_of(server: AppServer) -> str:
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite+aiosqlite:///{folder}/sessions.db"
        with running(server, Path(folder), url) as processes:
            return row(server, await tried(processes))


def main() -> None:
    text = PAGE.read_text()
    shown(text)  # before the work of minutes: has the page a place for it?
    rows = {}
    for server in SERVERS:
        rows[server.name] = asyncio.run(_row_of(server))
        print(rows[server.name], flush=True)
    PAGE.write_text(rewritten(PAGE, text, *_PART, table(rows)))


if __name__ == "__main__":
    main()
