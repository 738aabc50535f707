"""docs/architecture.md says of the code what is true of it."""

import ast
import re
from pathlib import Path

import pytest

from tests.architecture import picture
from tests.architecture.guide import PACKAGE, RULES, WAY, Place
from tests.architecture.page import PAGE, page
from tests.docs.pages import ROOT

LONGEST = 300
"""Lines of a file that needs no reason."""
DRAW = "python -m tests.architecture draws and writes it anew"


@pytest.mark.parametrize("place", [*WAY, *RULES], ids=lambda place: place.name)
def test_a_place_is_where_the_page_says(place: Place) -> None:
    assert (PACKAGE / place.file).exists()


@pytest.mark.parametrize("name", ["protocol.rotation:judge", "protocol.judging:decide", "manager.refreshing:decide"])
def test_a_name_that_has_moved_is_noticed(name: str) -> None:
    with pytest.raises(LookupError, match=r"decide|judg"):
        print(Place(name, "").file)


def test_the_picture_is_what_the_code_draws() -> None:
    assert picture.FILE.read_text() == picture.picture(), DRAW


def test_the_tables_are_what_the_code_says() -> None:
    text = PAGE.read_text()
    assert page(text) == text, DRAW
    with pytest.raises(ValueError, match="no place for the way"):
        page("# Empty")


def test_every_file_is_drawn_once_and_every_step_is_in_the_picture() -> None:
    drawn = [file for layer in picture.layers() for part in layer for file in picture.files_of(part)]
    modules = [path for path in PACKAGE.rglob("*.py") if path.name not in {"__init__.py", "__main__.py"}]
    shown = {str(path.relative_to(PACKAGE)) for path in modules if "versions" not in path.parts}
    assert len(drawn) == len(set(drawn))
    assert shown - set(drawn) == {"last_resort.py"}  # beside the layers: it speaks where nothing else can
    assert sorted(step for file in drawn for step in picture.steps_of(file)) == list(range(1, len(WAY) + 1))


def test_a_long_file_says_at_its_head_why() -> None:
    long = [path for path in PACKAGE.rglob("*.py") if len(path.read_text().splitlines()) > LONGEST]
    assert [
        path for path in long if "longer than others" not in (ast.get_docstring(ast.parse(path.read_text())) or "")
    ] == []


def test_every_test_that_the_page_names_exists() -> None:
    named = set(re.findall(r"`(tests/[\w/.]+)`", PAGE.read_text()))
    assert named
    assert [path for path in sorted(named) if not Path(ROOT / path).exists()] == []
