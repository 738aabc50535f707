"""Statements that are compiled once, and give their rows as the driver has them.

SQLAlchemy's cache finds a statement's text by a key that it makes anew for each execution, and puts each row into an
object with a name for each column. A prepared statement goes to the driver as text, by ``exec_driver_sql``: events
of cursors, logging, and all that happens when it fails stay SQLAlchemy's.
"""

from collections.abc import Callable, Hashable, Mapping
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from sqlalchemy import Connection, CursorResult, Dialect, Engine, Executable, Select
from sqlalchemy.sql import CompoundSelect
from sqlalchemy.sql.compiler import SQLCompiler

from asgi_sessions.store.plain_rows import Outcome, give_plain_rows

__all__ = ["Outcome", "PreparedStatements", "prepared"]

_PREPARED = "asgi_sessions_prepared"

_Statement = TypeVar("_Statement", bound=Executable)
_Process = Callable[[Any], Any]


def prepared(statement: _Statement) -> _Statement:
    """Mark a statement that lives as long as its store, is sent often, and has no parameter that is a list."""
    return statement.execution_options(**{_PREPARED: True})


class PreparedStatements:
    """The prepared statements of one engine.

    Args:
        engine: Gives plain rows from now on to connections that are ``with_plain_rows``.
    """

    def __init__(self, engine: Engine) -> None:
        self._dialect = engine.dialect
        self._compiled: dict[Executable, _Compiled] = {}
        give_plain_rows(engine)

    def execute(
        self, connection: Connection, statement: Executable, parameters: Mapping[str, Any] | None = None
    ) -> Outcome:
        """Execute any statement, prepared or not; the connection is one ``with_plain_rows``."""
        compiled = self._compiled.get(statement)
        if compiled is None:
            if not statement.get_execution_options().get(_PREPARED):
                return _outcome(connection.execute(statement, parameters))
            compiled = self._compiled[statement] = _compiled_once(statement, self._dialect)
        result: Any = connection.exec_driver_sql(compiled.text, compiled.values(parameters or {}))
        outcome = result if isinstance(result, Outcome) else _outcome(result)
        return compiled.processed(outcome)


def _compiled_once(statement: Executable, dialect: Dialect) -> "_Compiled":
    """Compile a statement once in a process, for all engines whose dialects have the same settings."""
    for_dialects = _compiled_in_process.setdefault(statement, {})
    key = _settings_of(dialect)
    compiled = for_dialects.get(key)
    if compiled is None:
        compiled = for_dialects[key] = _Compiled(statement, dialect)
    return compiled


def _settings_of(dialect: Dialect) -> Hashable:
    """All that an engine's dialect has of its own and that is plain: flags, names, the server's version."""
    plain = {name: value for name, value in vars(dialect).items() if isinstance(value, _PLAIN)}
    return type(dialect), tuple(sorted(plain.items()))


def _outcome(result: CursorResult[Any]) -> Outcome:
    return Outcome(result.all(), -1) if result.returns_rows else Outcome((), result.rowcount)


class _Compiled:
    """A statement's text, and what its types do to values on their way to the driver and back."""

    def __init__(self, statement: Executable, dialect: Dialect) -> None:
        compiled = statement.compile(dialect=dialect)  # type: ignore[attr-defined]
        if not isinstance(compiled, SQLCompiler) or compiled.positiontup is None or compiled.post_compile_params:
            raise TypeError("a prepared statement has parameters by position, none of them a list")
        self.text = compiled.string
        binds = {name: bind for bind, name in compiled.bind_names.items()}
        self._binds = [
            (bind.key, bind.required, bind.value, bind.type.dialect_impl(dialect).bind_processor(dialect))
            for bind in (binds[name] for name in compiled.positiontup)
        ]
        columns = statement.selected_columns if isinstance(statement, Select | CompoundSelect) else ()
        self._results: list[tuple[int, _Process]] = []
        for place, column in enumerate(columns):
            process = column.type.dialect_impl(dialect).result_processor(dialect, None)
            if process is not None:
                self._results.append((place, process))

    def values(self, parameters: Mapping[str, Any]) -> tuple[Any, ...]:
        values = []
        for key, required, value, process in self._binds:
            if required:
                value = parameters[key]  # noqa: PLW2901
            values.append(value if process is None else process(value))
        return tuple(values)

    def processed(self, outcome: Outcome) -> Outcome:
        if not self._results or not outcome.rows:
            return outcome
        rows = []
        for row in outcome.rows:
            values = list(row)
            for place, process in self._results:
                values[place] = process(values[place])
            rows.append(tuple(values))
        return Outcome(rows, outcome.rowcount)


_PLAIN = (bool, int, str, tuple, type(None))
_compiled_in_process: WeakKeyDictionary[Executable, dict[Hashable, _Compiled]] = WeakKeyDictionary()
