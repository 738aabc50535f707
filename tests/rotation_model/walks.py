"""How often a policy raises a false alarm: random walks through the same world, for figures and not for proof."""

import random
from dataclasses import dataclass

from tests.rotation_model.canonical import Canonical
from tests.rotation_model.world import ARRIVES, World


@dataclass(frozen=True)
class Walked:
    """What came of the walks.

    Attributes:
        refreshes: How many answers with tokens arrived.
        alarms: How many walks a false alarm ended.
    """

    refreshes: int
    alarms: int


def walk(world: World, *, walks: int, steps: int = 300, seed: int = 1) -> Walked:
    """Choose among all that can happen, each as likely as the others.

    Args:
        world: One without a thief.
        walks: How many, each from the start.
        steps: How long each is unless an alarm ends it.
        seed: The same walks for the same seed.
    """
    chance = random.Random(seed)
    canonical = Canonical(world.policy)
    refreshes = alarms = 0
    for _ in range(walks):
        state = canonical(world.start())
        for _ in range(steps):
            step, after = chance.choice(list(world.steps(state)))
            if step.wrong is not None:
                alarms += 1
                break
            refreshes += step.text == ARRIVES
            state = canonical(after)
    return Walked(refreshes, alarms)
