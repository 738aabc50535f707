"""The benchmark of the store goes through, and its counts of statements hold. Its times are not judged here."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from asgi_sessions.store.engine import open_database
from asgi_sessions.store.migrations import upgrade
from benchmarks.store import __main__ as program
from benchmarks.store.counting import BUDGETS, Count, exceeded
from benchmarks.store.operations import OPERATIONS, Turn, statements_of
from benchmarks.store.population import Population
from benchmarks.store.raw import Scribe, Stores
from tests.servers import MariaDB


@pytest.mark.usefixtures("mariadb")
def test_a_quick_run_writes_its_figures_and_is_within_its_statements(tmp_path: Path) -> None:
    assert program.main(["--quick", "--results", str(tmp_path)]) == 0
    results = json.loads((tmp_path / "store.json").read_text())["results"]
    assert results["statements"]["MariaDB"] == {name: list(verbs) for name, verbs in BUDGETS.items()}
    for comparison in ("against raw asyncmy", "against size"):
        assert list(results[comparison]) == [operation.name for operation in OPERATIONS]
    assert results["under purge"]["deleted"] == 2_000
    assert all(windows.keys() == {"no purge", "purge"} for windows in results["under purge"]["rounds"])
    page = (tmp_path / "store.md").read_text()
    assert all(re.search(rf"^\| {re.escape(operation.name)} \|", page, re.MULTILINE) for operation in OPERATIONS)


async def test_the_floor_sends_what_the_package_sends(mariadb_url: str, mariadb: MariaDB) -> None:
    database = await open_database(mariadb_url)
    await upgrade(database)
    population = Population(mariadb, str(database.url.database), 200)
    population.fill()
    sent: list[tuple[str, tuple[Any, ...]]] = []

    def note(connection: Any, cursor: Any, statement: str, values: Sequence[Any], *_: Any) -> None:
        sent.append((statement, tuple(values)))

    event.listen(database.engine.sync_engine, "before_cursor_execute", note)
    stores, scribe = Stores(database), Scribe()
    for operation in OPERATIONS:
        turn = Turn(population, operation.name, [2])
        (item,) = operation.inputs(turn)
        for statement in operation.before(turn, [item]):
            population.sql(statement)
        sent.clear()
        assert await operation.call(stores, item) == operation.rows
        for statement in operation.after(turn, [item]):
            population.sql(statement)
        written = await statements_of(operation, item, scribe)
        assert [(text, tuple(values or ())) for text, values in written] == sent
        assert tuple(text.split()[0].upper() for text, _ in sent) == operation.statements
    await database.close()


@pytest.mark.parametrize("verbs", [(), ("UPDATE", "UPDATE"), ("SELECT", "UPDATE"), ("DELETE",)])
def test_another_number_of_statements_is_a_finding(verbs: tuple[str, ...]) -> None:
    assert exceeded([Count("revoke", ("UPDATE",))]) == []
    assert len(exceeded([Count("revoke", verbs)])) == 1
