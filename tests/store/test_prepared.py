"""Prepared statements: compiled once, plain rows, and everything else as with any other statement."""

import gc
from copy import copy
from typing import Any, cast
from weakref import ref

import pytest
from sqlalchemy import (
    BigInteger,
    Dialect,
    Row,
    String,
    TypeDecorator,
    bindparam,
    create_engine,
    event,
    literal,
    select,
    text,
)
from sqlalchemy.engine.interfaces import ExecutionContext

from asgi_sessions.errors import StoreUnavailable
from asgi_sessions.store import plain_rows
from asgi_sessions.store import prepared as prepared_module
from asgi_sessions.store.engine import Database, open_database
from asgi_sessions.store.failures import DatabaseFailure
from asgi_sessions.store.prepared import prepared
from asgi_sessions.store.repository import SessionRepository
from asgi_sessions.store.schema import build_tables
from asgi_sessions.store.tombstones import TombstoneStore
from tests.store.rows import ALICE, NOW, session_row

NUMBERS = prepared(select(bindparam("number", type_=BigInteger), literal(7, BigInteger)))


async def test_a_prepared_read_gives_plain_tuples(database: Database) -> None:
    # If not, SQLAlchemy no longer calls `plain_rows.HOOK`; all works, but slower.
    rows = (await database.run(NUMBERS, {"number": 5})).rows
    assert rows == [(5, 7)]
    assert type(rows[0]) is tuple


async def test_any_other_statement_gives_rows_with_names(database: Database) -> None:
    (row,) = (await database.run(text("SELECT 1 AS one"))).rows
    assert isinstance(row, Row)
    assert row.one == 1


async def test_all_works_with_a_version_of_sqlalchemy_that_has_no_such_hook(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plain_rows, "HOOK", "_a_method_that_no_version_has")
    database = await open_database(database.url)
    assert isinstance((await database.run(NUMBERS, {"number": 5})).rows[0], Row)
    sessions = SessionRepository(database, build_tables())
    await sessions.insert(session_row())
    assert await sessions.revoke("h1", "logout", NOW)
    row = await sessions.find("h1")
    assert row is not None
    assert row.user_id == ALICE
    await database.close()


def test_where_the_hook_is_called_with_arguments_the_result_is_sqlalchemys_own() -> None:
    class Context:
        compiled, execution_options = None, {"asgi_sessions_plain_rows": True}

        def _setup_result_proxy(self, result: str) -> str:
            return result

    engine = create_engine("sqlite://")
    engine.dialect.execution_ctx_cls = cast(type[ExecutionContext], Context)
    plain_rows.give_plain_rows(engine)
    context: Any = engine.dialect.execution_ctx_cls
    assert context()._setup_result_proxy("its own") == "its own"


class Shouted(TypeDecorator[str]):
    """Changes what goes to the driver, and what comes back."""

    impl = String
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        return None if value is None else value.upper()

    def process_result_value(self, value: str | None, dialect: Dialect) -> str | None:
        return None if value is None else f"{value}!"


async def test_types_see_values_on_both_ways(database: Database) -> None:
    word = bindparam("word", type_=Shouted(10))
    statement = prepared(select(literal(1, BigInteger), word))
    assert (await database.run(statement, {"word": "ah"})).rows == [(1, "AH!")]
    assert (await database.run(statement, {"word": None})).rows == [(1, None)]


async def test_binary_columns_come_as_bytes(database: Database) -> None:
    sessions = SessionRepository(database, build_tables())
    await sessions.insert(session_row())
    row = await sessions.find("h1")
    assert row is not None
    assert (type(row.user_id), type(row.cur)) == (bytes, bytes)


async def test_a_change_tells_how_many_rows_it_matched(database: Database) -> None:
    sessions = SessionRepository(database, build_tables())
    for handle in ("h1", "h2"):
        await sessions.insert(session_row(handle))
    assert await sessions.revoke_all(ALICE, "logout", NOW) == 2
    assert await sessions.revoke_all(ALICE, "logout", NOW) == 0


async def test_every_frequent_statement_is_prepared(on_sqlite: Database) -> None:
    sessions, tables = SessionRepository(on_sqlite, build_tables()), build_tables()
    names = {
        sessions._read: "find list_of handles_of get_info list_older newest_of",
        sessions._change: "insert touch set_info swap_info swap_payload swap_own_payload swap_methods",
        sessions._rotation: "promote serve",
        sessions._ending: "revoke revoke_all revoke_others revoke_own revoke_part revoke_last_part count_of "
        "revoke_any_part revoke_last_any_part handle_in_order",
    }
    frequent = [getattr(statements, name) for statements, text in names.items() for name in text.split()]
    frequent.append(TombstoneStore(on_sqlite, tables)._page)
    for statement in frequent:
        assert statement.get_execution_options() == NUMBERS.get_execution_options()


async def test_the_next_engine_with_the_same_settings_compiles_nothing_again(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    await database.run(NUMBERS, {"number": 5})

    def refused(*arguments: object) -> None:
        raise AssertionError("compiled again")

    monkeypatch.setattr(prepared_module._Compiled, "__init__", refused)
    second = await open_database(database.url)
    assert (await second.run(NUMBERS, {"number": 6})).rows == [(6, 7)]
    await second.close()


@pytest.mark.parametrize(
    ("name", "value"), [("server_version_info", (3, 7, 11)), ("paramstyle", "format"), ("a_flag_of_its_own", True)]
)
async def test_one_whose_dialect_is_set_up_otherwise_compiles_for_itself(
    name: str, value: object, on_sqlite: Database
) -> None:
    await on_sqlite.run(NUMBERS, {"number": 5})
    known = len(prepared_module._compiled_in_process[NUMBERS])
    dialect = copy(on_sqlite.engine.dialect)
    assert prepared_module._compiled_once(NUMBERS, copy(dialect)) is prepared_module._compiled_once(NUMBERS, dialect)
    setattr(dialect, name, value)
    compiled = prepared_module._compiled_once(NUMBERS, dialect)
    assert len(prepared_module._compiled_in_process[NUMBERS]) == known + 1
    assert ("?" in compiled.text) == (name != "paramstyle")


async def test_a_statement_that_is_gone_leaves_nothing_behind(on_sqlite: Database) -> None:
    statement = prepared(select(bindparam("number", type_=BigInteger)))
    prepared_module._compiled_once(statement, on_sqlite.engine.dialect)
    known = len(prepared_module._compiled_in_process)
    gone = ref(statement)
    del statement
    gc.collect()
    assert gone() is None
    assert len(prepared_module._compiled_in_process) < known


async def test_a_missing_value_is_an_error(on_sqlite: Database) -> None:
    with pytest.raises(StoreUnavailable) as caught:
        await on_sqlite.run(NUMBERS, {"numbre": 5})
    assert isinstance(caught.value.__cause__, DatabaseFailure)
    assert str(caught.value.__cause__) == "builtins.KeyError"


async def test_a_parameter_that_is_a_list_is_refused(on_sqlite: Database) -> None:
    handle = build_tables().sessions.c.handle
    statement = prepared(select(handle).where(handle.in_(bindparam("handles", expanding=True))))
    with pytest.raises(StoreUnavailable) as caught:
        await on_sqlite.run(statement, {"handles": ["h1"]})
    assert str(caught.value.__cause__) == "builtins.TypeError"


async def test_tracing_sees_prepared_statements(database: Database) -> None:
    # What OpenTelemetry's instrumentation does: it keeps its span in the statement's context.
    engine = database.engine.sync_engine
    seen: list[tuple[str, str]] = []

    def before(connection: Any, cursor: Any, statement: str, parameters: Any, context: Any, many: bool) -> None:
        context._span = statement.partition(" ")[0]

    def after(connection: Any, cursor: Any, statement: str, parameters: Any, context: Any, many: bool) -> None:
        seen.append(("done", context._span))

    def failed(context: Any) -> None:
        seen.append(("failed", context.execution_context._span))

    event.listen(engine, "before_cursor_execute", before)
    event.listen(engine, "after_cursor_execute", after)
    event.listen(engine, "handle_error", failed)
    sessions = SessionRepository(database, build_tables())
    await sessions.insert(session_row())
    await sessions.find("h1")
    with pytest.raises(StoreUnavailable):
        await sessions.insert(session_row())
    assert seen == [("done", "INSERT"), ("done", "SELECT"), ("failed", "INSERT")]


async def test_a_listener_may_rewrite_a_prepared_statement(database: Database) -> None:
    # As OpenTelemetry's does when it adds its trace as a comment (sqlcommenter).
    engine = database.engine.sync_engine
    texts: list[str] = []

    def comment(connection: Any, cursor: Any, statement: str, parameters: Any, *_: Any) -> tuple[str, Any]:
        return f"{statement} /* traced */", parameters

    event.listen(engine, "before_cursor_execute", comment, retval=True)
    event.listen(engine, "after_cursor_execute", lambda *arguments: texts.append(arguments[2]))
    assert (await database.run(NUMBERS, {"number": 5})).rows == [(5, 7)]
    assert texts[0].endswith("/* traced */")
