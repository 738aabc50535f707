"""A full collection of garbage, which many tests ask for, has little to look at."""

import gc
import sys


def test_what_was_collected_and_imported_is_left_out() -> None:
    assert gc.isenabled()
    assert gc.get_freeze_count() > 10_000
    assert not any(thing is vars(sys.modules["tests.conftest"]) for thing in gc.get_objects())
