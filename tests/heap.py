"""Full collections of garbage look at what the tests make, and not at the thousands of tests themselves.

Imported modules and collected tests are half a million objects, which stay until the end of the run.
"""

import gc

import hypothesis  # noqa: F401 - at its import it looks for references, and finds none in what is left out


def pytest_configure() -> None:
    gc.disable()  # what a collection of tests makes, it keeps


def pytest_collection_finish() -> None:
    gc.collect()
    gc.freeze()
    gc.enable()
