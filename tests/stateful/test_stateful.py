"""Stories told by chance, at two workers on a real database: every answer and every row is as the model says."""

from collections.abc import Iterator

import pytest

from tests.conftest import empty_database
from tests.stateful.administration import ADMINISTRATION
from tests.stateful.by_hand import BY_HAND
from tests.stateful.chances import Fate
from tests.stateful.events import Event
from tests.stateful.opening import OPENING_PROFILES, tell_opening
from tests.stateful.profiles import PROFILES, Profile
from tests.stateful.rotation_table import Line
from tests.stateful.running import tell_stories
from tests.stateful.story import STEPS
from tests.stateful.tampering import Tampering
from tests.stateful.world import World

STORIES = {"sqlite": 4, "mariadb": 2}
"""Told by chance with each profile, beside the opening ones."""
LENGTH = 30
SEED = 20_261_122


@pytest.fixture(scope="module", params=STORIES)
def engine(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(scope="module")
def world(request: pytest.FixtureRequest, engine: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """One for all profiles: every story begins with an empty table."""
    if engine == "sqlite":
        urls = iter([f"sqlite+aiosqlite:///{tmp_path_factory.mktemp('stateful') / 'sessions.db'}"])
    else:
        urls = empty_database(request.getfixturevalue(engine))
    opened = World(next(urls))
    yield opened
    opened.close()
    next(urls, None)


@pytest.mark.parametrize("profile", PROFILES, ids=str)
def test_every_answer_and_every_row_is_as_the_model_says(world: World, engine: str, profile: Profile) -> None:
    if profile in OPENING_PROFILES:
        tell_opening(world, profile)
    seed = SEED + PROFILES.index(profile)
    tell_stories(world, profile, stories=STORIES[engine], steps=LENGTH, chosen_by=seed)
    world.told.add(profile)


def test_the_stories_have_been_everywhere(world: World) -> None:
    if world.told != set(PROFILES):
        pytest.skip("not every profile has been told")
    kinds = (Line, Event, Fate, Tampering)
    wanted = {member.name for kind in kinds for member in kind} | STEPS | ADMINISTRATION.keys() | BY_HAND.keys()
    assert not {name for name in wanted if not world.reached[name]}
