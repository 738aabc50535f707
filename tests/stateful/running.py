"""Runs the machine: a stated number of stories of a stated length."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.stateful.machine import SessionMachine
from tests.stateful.profiles import Profile
from tests.stateful.world import World


def tell_stories(
    world: World, profile: Profile, *, stories: int, steps: int, chosen_by: int, shrink: bool = True
) -> None:
    """Run so many stories with one profile. One that the model does not explain is made as short as can be and raised.

    Args:
        world: The real side.
        profile: The settings.
        stories: How many.
        steps: Of each, at most.
        chosen_by: The seed: the same one tells the same stories.
        shrink: Whether to look for a shorter story that fails.
    """

    class Machine(SessionMachine):
        pass

    Machine.world, Machine.profile = world, profile
    with _silence():
        run_state_machine_as_test(
            seed(chosen_by)(Machine),
            settings=settings(
                max_examples=stories,
                stateful_step_count=steps,
                deadline=None,
                database=None,
                phases=[Phase.generate, *([Phase.shrink] if shrink else [])],
                suppress_health_check=list(HealthCheck),
                print_blob=False,
            ),
        )


@contextmanager
def _silence() -> Iterator[None]:
    """No log of thefts and restored backups by the hundred."""
    log = logging.getLogger("asgi_sessions")
    level = log.level
    log.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        log.setLevel(level)
