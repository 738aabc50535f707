"""No row of the reference library's behaviours is without its tests: in both profiles, over both faces."""

import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.conftest import DATABASES
from tests.docs.pages import ROOT, as_one_module
from tests.reference import test_http, test_python_api
from tests.reference.profiles import PROFILES, REFERENCE

ROWS = {
    1: "start",
    2: "bad settings",
    3: "own signing key",
    4: "signing key over time",
    5: "access token read back",
    6: "bad access token",
    7: "access token after the key changed",
    8: "refresh token read back",
    9: "create",
    10: "verify",
    11: "wrong csrf token",
    12: "csrf off",
    13: "refresh",
    14: "first verify after refresh",
    15: "refresh lifetime over",
    16: "three refreshes",
    17: "old token after the new one was used",
    18: "first token after two refreshes",
    19: "session info",
    20: "user ids",
    21: "revoke by handle",
    22: "access token after revoke",
    23: "revoke all",
    24: "purge",
    25: "HTTP login",
    26: "HTTP request",
    27: "HTTP refresh",
    28: "HTTP refresh with old cookies",
    29: "HTTP with csrf off",
    30: "HTTP logout",
    31: "keys and rows dropped",
    32: "HTTP revoke all",
    33: "no cookies",
    34: "access cookie missing",
    35: "OPTIONS helper",
    36: "revoke a session that is gone",
}

BETTER_BY_DEFAULT = {2, 4, 7, 11, 14, 17, 18, 20, 22, 24, 28, 34, 36}
"""The rows whose last column says what is different by default."""

NOT_OVER_PYTHON = {
    25: "Set-Cookie lines and headers; row 9 is the same without them",
    26: "the transport of tokens; rows 10 and 11 are the same without it",
    27: "the transport of tokens; row 13 is the same without it",
    28: "cookies that leave; row 17 is the same without them",
    29: "headers; row 12 is the same without them",
    30: "cookies that leave; rows 21 and 22 are the same without them",
    31: "cookies that leave; row 8 is the same without them",
    32: "cookies that stay; row 23 is the same without them",
    33: "without a request there is no request without cookies",
    34: "cookies that are missing",
    35: "CORS is of HTTP",
}

NOT_OVER_HTTP = {
    1: "the start; every other row over HTTP follows on one",
    2: "there is no server yet",
    3: "a client cannot tell where the key came from",
    4: "the key itself; row 7 is what a client sees of it",
    5: "the inside of a token; rows 9 and 10 are what a client sees of it",
    6: "the reading of one token; row 7 is how a client is told",
    8: "the inside of a token; rows 13 and 31 are what a client sees of it",
    12: "row 29 is this row over HTTP",
}

FACES = {"python": (test_python_api, NOT_OVER_PYTHON), "http": (test_http, NOT_OVER_HTTP)}
BOTH = frozenset(profile.name for profile in PROFILES)


def profiles_of_tests(module: ModuleType, row: int) -> Iterator[frozenset[str]]:
    """For each test of a row the profiles in which it runs."""
    for name, test in inspect.getmembers(module, inspect.isfunction):
        if re.match(rf"test_row_{row:02}_", name):
            marks = [mark for mark in getattr(test, "pytestmark", []) if mark.args[0] == "profile"]
            yield frozenset(profile.name for mark in marks for profile in mark.args[1]) or BOTH


def test_every_number_is_a_row() -> None:
    assert list(ROWS) == list(range(1, 37))
    numbers = {
        int(name[len("test_row_") :][:2])
        for module, _ in FACES.values()
        for name, _ in inspect.getmembers(module, inspect.isfunction)
        if name.startswith("test_row_")
    }
    assert numbers == set(ROWS)


@pytest.mark.parametrize("face", FACES)
def test_every_row_has_tests_in_both_profiles_where_the_face_can_show_it(face: str) -> None:
    module, not_over = FACES[face]
    for row, behaviour in ROWS.items():
        profiles = frozenset[str]().union(*profiles_of_tests(module, row))
        assert profiles == (frozenset() if row in not_over else BOTH), f"row {row} ({behaviour}) over {face}"


def test_what_is_better_by_default_has_a_test_of_its_own() -> None:
    for row in BETTER_BY_DEFAULT:
        found = [profiles for module, _ in FACES.values() for profiles in profiles_of_tests(module, row)]
        assert frozenset({"default"}) in found, f"row {row} ({ROWS[row]})"


def test_no_row_is_excused_from_both_faces() -> None:
    assert not NOT_OVER_PYTHON.keys() & NOT_OVER_HTTP.keys()
    assert {"sqlite", "mariadb"} <= set(DATABASES)


def test_the_migration_page_shows_the_profile_of_these_tests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    page = ROOT / "docs" / "migrating-from-supertokens.md"
    namespace: dict[str, Any] = {"__name__": "main"}
    exec(compile(as_one_module(page), str(page), "exec"), namespace)
    shown, tested = namespace["settings"], REFERENCE.settings("sqlite+aiosqlite://")
    for name in REFERENCE.values.keys() - {"revocation_check"}:  # blacklisting on, or off: rows 22, 23 and 30
        assert getattr(shown, name) == getattr(tested, name), name
