"""Packages that not every environment has, since the package itself needs none of them."""

import importlib
import os
from typing import Any

import pytest


def installed(name: str, *, extra: str) -> Any:
    """A module. Where it is missing the test is skipped, but fails in CI.

    Args:
        name: The module's.
        extra: The extra of ours that has it.
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        advice = f"{error}: pip install -e '.[{extra}]'"
        if "CI" in os.environ:
            pytest.fail(advice, pytrace=False)
        pytest.skip(advice)
