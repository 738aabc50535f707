import ast
import re
from pathlib import Path

import pytest

from tests.security.requirements import REQUIREMENTS

FOLDER = Path(__file__).parent
TESTS = sorted(
    node.name
    for path in FOLDER.glob("test_*.py")
    if path != Path(__file__)
    for node in ast.parse(path.read_text()).body
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
)


@pytest.mark.parametrize("requirement", REQUIREMENTS)
def test_every_requirement_has_a_test(requirement: str) -> None:
    # "16" is not "16_5": an id ends where a word begins.
    assert any(re.match(rf"test_{requirement}_[a-z]", name) for name in TESTS)


@pytest.mark.parametrize("name", TESTS)
def test_every_test_names_its_requirement(name: str) -> None:
    ids = "|".join([*REQUIREMENTS, "3_5"])
    assert re.match(rf"test_({ids})_[a-z]", name)


def test_no_two_tests_have_one_name() -> None:
    assert len(TESTS) == len(set(TESTS))
