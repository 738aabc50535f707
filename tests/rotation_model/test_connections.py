"""Every order of events around an open connection; `python -m tests.rotation_model` goes deeper.

Source: rotation, "What must hold"; logout, "WebSockets and streams".
"""

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.rotation_model.connection_rules import Server, Span
from tests.rotation_model.connections import OUTLIVED, REACH, ConnectionWorld, Open
from tests.rotation_model.explore import Result, explore
from tests.rotation_model.open_worlds import CATCHES, SHORT, Endless, caught

Explored = dict[str, Result]


@pytest.fixture(scope="module")
def explored() -> Explored:
    return {world.name: world.run() for world in SHORT}


@pytest.mark.parametrize("name", [world.name for world in SHORT])
def test_no_story_violates_a_property(name: str, explored: Explored) -> None:
    told = [line for story in explored[name].stories.values() for line in story]
    assert not told, "\n".join(told)
    assert explored[name].complete


def test_enough_has_been_looked_at(explored: Explored) -> None:
    assert sum(result.states for result in explored.values()) >= 50_000


@pytest.mark.parametrize("name", CATCHES)
def test_a_mutation_is_caught(name: str) -> None:
    assert CATCHES[name][0] in caught(name).stories


@pytest.mark.parametrize("span", [Span(lifetime=4), Span(lifetime=4, skew=1)], ids=["clocks agree", "clocks apart"])
def test_a_stolen_access_token_reaches_no_less_far_than_the_bound_says(span: Span) -> None:
    less = replace(span, least=1)
    assert REACH in explore(ConnectionWorld(Server(less), less)).stories


def test_a_users_connection_outlives_its_time_where_nothing_ends_it() -> None:
    span = Span(lifetime=4)
    assert OUTLIVED in explore(ConnectionWorld(Endless(span), span), stop_at=OUTLIVED).stories


class Unabridged(ConnectionWorld):
    """With every state told in full."""

    def canonical(self) -> Callable[[Open], Open]:
        return lambda state: state


@pytest.mark.parametrize("name", CATCHES)
def test_what_states_leave_out_does_not_matter(name: str) -> None:
    wrong, server, span = CATCHES[name]
    worlds = ConnectionWorld(server(span), span), Unabridged(server(span), span)
    short, full = (explore(world, stop_at=wrong) for world in worlds)
    assert short.depth == full.depth
    assert len(short.stories[wrong]) == len(full.stories[wrong])
    assert short.states <= full.states


def test_a_tombstone_is_remembered_for_longer_than_any_access_token_is_good() -> None:
    span = Span()
    assert Server(span).remembered > span.access + 1
    assert span.lifetime > Server(span).remembered, "else no connection outlives its tombstone, which is the hard case"
