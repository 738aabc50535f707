"""Full collections of garbage look at what the tests make, and not at the thousands of tests themselves.

Imported modules and collected tests are half a million objects, which stay until the end of the run.
"""

import gc

from hypothesis import given, settings
from hypothesis.strategies import none


def pytest_configure() -> None:
    gc.disable()  # what a collection of tests makes, it keeps


def pytest_collection_finish() -> None:
    _first_example()
    gc.collect()
    gc.freeze()
    gc.enable()


@settings(max_examples=1, database=None)
@given(none())
def _first_example(_: None) -> None:
    """At its import or its first example Hypothesis looks for references, and finds none in what is frozen."""
