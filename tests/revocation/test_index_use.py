"""A poll costs what is new, not what is there: the servers read a range of the index, as they say themselves."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from asgi_sessions.protocol import user_id
from asgi_sessions.store import tombstones
from asgi_sessions.store.engine import Database
from asgi_sessions.store.repository import SessionRepository
from asgi_sessions.store.schema import build_tables
from asgi_sessions.store.tombstones import TOP, Position, TombstoneStore
from tests.revocation.tombstones import Cemetery

INDEX = "ix_asgi_sessions_sessions_ended"
CHANGES_INDEX = "ix_asgi_sessions_payload_changes_changed_at"
CHANGES = 20_000
TOMBSTONES = 20_000
LIVE = 20_000
FEW = 1_000
"""Of which the statistics know."""
SIZE = 500
"""Of a page. A planner that is asked for a quarter of all that there is may rightly prefer to sort it."""


@pytest.fixture(autouse=True)
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tombstones, "PAGE_SIZE", SIZE)


async def _fill(database: Database, *, analysed: bool = True) -> int:
    cemetery = Cemetery(database)
    now = await cemetery.now()
    await cemetery.fill(LIVE, ending_at=now, live=True)
    await cemetery.fill(TOMBSTONES, ending_at=now, apart_ms=3000, analysed=analysed)  # over ten minutes
    await cemetery.fill_with_changes(CHANGES, ending_at=now, apart_ms=3000, analysed=analysed)
    return now


def literal(database: Database, before: Position, since: int) -> str:
    """The statement of a page with its values in it."""
    store = TombstoneStore(database, build_tables())
    values = {
        "since": since,
        "revoked_at": before.revoked_at,
        "idle_expires_at": before.idle_expires_at,
        "p_handle": before.handle,
        "size": SIZE,
    }
    compiled = store._page.params(values).compile(
        dialect=database.engine.dialect, compile_kwargs={"literal_binds": True}
    )
    return str(compiled)


def tables_in(plan: Any) -> Iterator[dict[str, Any]]:
    """The parts of a MariaDB plan that read a table."""
    if isinstance(plan, dict):
        if "table_name" in plan:
            yield plan
        for part in plan.values():
            yield from tables_in(part)
    elif isinstance(plan, list):
        for part in plan:
            yield from tables_in(part)


async def test_mariadb_reads_a_range_of_the_index_in_its_order(on_mariadb: Database) -> None:
    now = await _fill(on_mariadb)
    cemetery = Cemetery(on_mariadb)
    everything, recent = now - 630_000, now - 20_000
    page = await TombstoneStore(on_mariadb, build_tables()).page(TOP, everything)
    assert page.next is not None
    for before, since in ((TOP, everything), (TOP, recent), (page.next, everything)):
        ((text,),) = await cemetery.explain(f"EXPLAIN FORMAT=JSON {literal(on_mariadb, before, since)}")
        tables = {table["table_name"]: table for table in tables_in(json.loads(text))}
        table, changes = tables["asgi_sessions_sessions"], tables["asgi_sessions_payload_changes"]
        assert (table["access_type"], table["key"]) == ("range", INDEX), text
        assert (changes["access_type"], changes["key"]) == ("range", CHANGES_INDEX), text
        assert "filesort" not in text, text
        assert table.get("using_index") is True, "the rows themselves are not read"
    # It reads no more of the index than it gives out.
    async with on_mariadb.engine.connect() as connection:
        await connection.exec_driver_sql("FLUSH STATUS")
        await connection.exec_driver_sql(literal(on_mariadb, page.next, everything))
        shown: Any = await connection.exec_driver_sql("SHOW SESSION STATUS LIKE 'Handler_read%%'")
        handled = {name: int(value) for name, value in shown.all()}
    assert handled["Handler_read_next"] + handled["Handler_read_prev"] <= 2 * SIZE + 20, handled
    assert handled["Handler_read_rnd_next"] <= 2 * SIZE + 20, handled  # of the union's own result


async def test_mariadb_ends_a_part_of_a_users_sessions_without_reading_the_others(on_mariadb: Database) -> None:
    cemetery, sessions = Cemetery(on_mariadb), SessionRepository(on_mariadb, build_tables())
    now = await cemetery.now()
    owner = user_id.encode("alice")
    await cemetery.fill(LIVE, ending_at=now, live=True)
    await cemetery.fill(LIVE, ending_at=now, live=True, owner=owner)
    borders = {"first": "4" + "0" * 31, "beyond": "5" + "0" * 31}
    values = {"p_user_id": owner, "reason": "logout_all", "now": now, "except_handle": "", **borders}
    async with on_mariadb.engine.connect() as connection:
        await connection.exec_driver_sql("FLUSH STATUS")
        ended = (await connection.execute(sessions._ending.revoke_part, values)).rowcount
        shown: Any = await connection.exec_driver_sql("SHOW SESSION STATUS LIKE 'Handler_read%%'")
    assert LIVE / 16 * 0.8 < ended < LIVE / 16 * 1.2
    read = sum(int(value) for _, value in shown.all())
    assert read < 3 * LIVE / 16, "a sixteenth of the other user's at most"


async def test_mariadb_ends_a_part_of_everybodys_sessions_without_reading_the_others(on_mariadb: Database) -> None:
    cemetery, sessions = Cemetery(on_mariadb), SessionRepository(on_mariadb, build_tables())
    now = await cemetery.now()
    await cemetery.fill(LIVE, ending_at=now, live=True)
    await cemetery.fill(TOMBSTONES, ending_at=now)
    async with on_mariadb.engine.connect() as connection:
        for values, statement in _part_of_all(sessions, now):
            await connection.exec_driver_sql("FLUSH STATUS")
            ended = (await connection.execute(statement, values)).rowcount
            shown: Any = await connection.exec_driver_sql("SHOW SESSION STATUS LIKE 'Handler_read%%'")
            assert LIVE / 16 * 0.8 < ended < LIVE / 16 * 1.2
            read = sum(int(value) for _, value in shown.all())
            assert read < 3 * (LIVE + TOMBSTONES) / 16, "a sixteenth of all"
    sessions.at_once = 100
    await sessions.parts_of_all()
    async with on_mariadb.engine.connect() as connection:
        await connection.exec_driver_sql("FLUSH STATUS")
        await connection.execute(sessions._ending.handle_in_order, {"place": 99})
        shown = await connection.exec_driver_sql("SHOW SESSION STATUS LIKE 'Handler_read%%'")
        assert sum(int(value) for _, value in shown.all()) <= 110


def _part_of_all(sessions: SessionRepository, now: int) -> Iterator[tuple[dict[str, Any], Any]]:
    """A sixteenth in the middle, and the last one."""
    values = {"reason": "logout_everybody", "now": now, "except_handle": "", "begun_before": 2**63 - 1}
    first, beyond, last = ("4" + "0" * 31, "5" + "0" * 31, "f" + "0" * 31)
    yield values | {"first": first, "beyond": beyond}, sessions._ending.revoke_any_part
    yield values | {"first": last}, sessions._ending.revoke_last_any_part


@pytest.mark.parametrize("analysed", [True, False], ids=["as usual", "before its statistics know of them"])
async def test_postgresql_ends_a_part_of_everybodys_sessions_along_the_primary_key(
    on_postgresql: Database, analysed: bool
) -> None:
    cemetery, sessions = Cemetery(on_postgresql), SessionRepository(on_postgresql, build_tables())
    now = await cemetery.now()
    await cemetery.let_statistics_know(FEW)
    await cemetery.fill(LIVE, ending_at=now, live=True, analysed=analysed)
    for values, statement in _part_of_all(sessions, now):
        compiled = statement.compile(dialect=on_postgresql.engine.dialect)
        given = [compiled.construct_params(values)[name] for name in compiled.positiontup or ()]
        literals = ", ".join(f"'{value}'" if isinstance(value, str) else str(value) for value in given)
        async with on_postgresql.engine.connect() as connection:
            await connection.exec_driver_sql(f"PREPARE part AS {compiled}")
            try:
                ((found,),) = (
                    await connection.exec_driver_sql(f"EXPLAIN (FORMAT JSON) EXECUTE part({literals})")
                ).all()
            finally:
                await connection.exec_driver_sql("DEALLOCATE part")
        plan = json.loads(found) if isinstance(found, str) else found
        nodes = list(nodes_in(plan[0]["Plan"]))
        assert "asgi_sessions_sessions_pkey" in {node.get("Index Name") for node in nodes}, plan
        scanned = [node["Node Type"] for node in nodes if node.get("Relation Name") == "asgi_sessions_sessions"]
        assert "Seq Scan" not in scanned, plan


def nodes_in(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for part in plan.get("Plans", ()):
        yield from nodes_in(part)


@pytest.mark.parametrize("analysed", [True, False], ids=["as usual", "before its statistics know of them"])
@pytest.mark.parametrize("mode", ["force_custom_plan", "force_generic_plan"])
async def test_postgresql_reads_a_range_of_the_index_in_its_order(
    on_postgresql: Database, mode: str, analysed: bool
) -> None:
    await Cemetery(on_postgresql).let_statistics_know(FEW)
    now = await _fill(on_postgresql, analysed=analysed)
    everything = now - 630_000
    page = await TombstoneStore(on_postgresql, build_tables()).page(TOP, everything)
    assert page.next is not None
    # The driver prepares statements, and the server may then plan without knowing the values.
    store = TombstoneStore(on_postgresql, build_tables())
    compiled = store._page.compile(dialect=on_postgresql.engine.dialect)
    for before, since in ((TOP, everything), (TOP, now - 20_000), (page.next, everything)):
        given: dict[str, Any] = dict(zip(("revoked_at", "idle_expires_at", "p_handle"), before, strict=True))
        given |= {"size": SIZE, "since": since}
        values = [compiled.construct_params(given)[name] for name in compiled.positiontup or ()]
        literals = ", ".join(f"'{value}'" if isinstance(value, str) else str(value) for value in values)
        async with on_postgresql.engine.connect() as connection:
            await connection.exec_driver_sql(f"SET plan_cache_mode = {mode}")
            await connection.exec_driver_sql(f"PREPARE page AS {compiled}")
            try:
                ((found,),) = (
                    await connection.exec_driver_sql(f"EXPLAIN (ANALYZE, FORMAT JSON) EXECUTE page({literals})")
                ).all()
            finally:
                await connection.exec_driver_sql("DEALLOCATE page")
                await connection.exec_driver_sql("RESET plan_cache_mode")
        plan = json.loads(found) if isinstance(found, str) else found
        scans = [node for node in nodes_in(plan[0]["Plan"]) if "Relation Name" in node]
        for table, index in (("sessions", INDEX), ("payload_changes", CHANGES_INDEX)):
            (scan,) = [scan for scan in scans if scan["Relation Name"] == f"asgi_sessions_{table}"]
            assert scan["Node Type"] in ("Index Scan", "Index Only Scan"), plan
            assert scan["Index Name"] == index
            # A page may end within one group of equal times. More is not read, nor sorted.
            assert scan["Actual Rows"] <= SIZE + 200, plan
