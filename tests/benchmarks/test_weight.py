"""The benchmark of imports goes through, and finds nothing heavy loaded. Its times are not judged here."""

import json
from pathlib import Path

from benchmarks.weight import __main__ as program
from benchmarks.weight.imports import loaded_heavily, self_times


def test_a_quick_run_finds_nothing_loaded_needlessly(tmp_path: Path) -> None:
    assert program.main(["--quick", "--results", str(tmp_path)]) == 0
    results = json.loads((tmp_path / "weight.json").read_text())["results"]
    assert results["loaded needlessly"] == []
    assert results["added"].keys() == results["contributors"].keys() == program.OVER.keys()
    assert all(added["modules"]["median"] > 0 for added in results["added"].values())
    assert "asgi_sessions.asgi.middleware" in results["contributors"]["asgi_sessions"]


def test_what_is_loaded_needlessly_is_found() -> None:
    assert loaded_heavily(["asgi_sessions.fastapi"]) == ["fastapi"]
    assert loaded_heavily(["alembic", "aiosqlite"]) == ["aiosqlite", "alembic"]


def test_the_time_of_each_module_is_found() -> None:
    assert self_times(["json.tool"])["json.tool"] > 0
