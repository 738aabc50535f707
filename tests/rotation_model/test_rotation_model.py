"""Every interleaving up to the bounds of the short worlds; `python -m tests.rotation_model` goes deeper.

Source: rotation, "What must hold".
"""

from dataclasses import replace
from typing import Any

import pytest

from asgi_sessions.protocol.refresh_token import RefreshToken, stored_hash
from asgi_sessions.settings import SessionSettings
from tests.rotation_model.comparison import COMPARED, Strict
from tests.rotation_model.explore import Result, explore
from tests.rotation_model.mutations import Unabridged
from tests.rotation_model.parts import UNIT_MS, Token
from tests.rotation_model.policies import LINES, Ours, child_of, lineage_of, twin_of
from tests.rotation_model.scenarios import (
    CATCHES,
    LATE_THIEF,
    NUMBERS,
    PARENT_THIEF,
    SHORT,
    TINY,
    Scenario,
    caught,
    compared,
)
from tests.rotation_model.world import ALARM, LOCKSTEP, LOGOUT, SERVED_ON, Bounds, World

Explored = dict[str, tuple[Result, Ours]]


@pytest.fixture(scope="module")
def explored() -> Explored:
    found = {}
    for scenario in SHORT:
        policy = scenario.policy()
        found[scenario.name] = scenario.run(policy), policy
    return found


@pytest.mark.parametrize("name", [scenario.name for scenario in SHORT])
def test_no_story_violates_a_property(name: str, explored: Explored) -> None:
    result, _ = explored[name]
    told = [line for story in result.stories.values() for line in story]
    assert not told, "\n".join(told)


@pytest.mark.parametrize("name", [scenario.name for scenario in SHORT if scenario.most is None])
def test_nothing_else_can_ever_happen(name: str, explored: Explored) -> None:
    assert explored[name][0].complete


def test_enough_has_been_looked_at(explored: Explored) -> None:
    assert sum(result.states for result, _ in explored.values()) >= 100_000


def test_every_line_of_the_decision_table_is_reached(explored: Explored) -> None:
    assert set().union(*(policy.lines for _, policy in explored.values())) == LINES


@pytest.mark.parametrize("name", CATCHES)
def test_a_mutation_is_caught(name: str) -> None:
    assert CATCHES[name][0] in caught(name).stories


@pytest.mark.parametrize("thief", [LATE_THIEF, PARENT_THIEF], ids=["late", "parent"])
def test_a_thief_who_takes_no_tokens_is_served_no_less_than_the_bound_says(thief: Bounds) -> None:
    scenario = Scenario("one less", TINY, replace(thief, most=thief.most - 1))
    assert SERVED_ON in scenario.run().stories


@pytest.mark.parametrize("policy", COMPARED, ids=lambda policy: policy.name)
def test_every_other_policy_loses_something(policy: Strict) -> None:
    other = compared(policy, policy)
    assert other.alarm is not None or other.refreshes is None


def test_the_defaults_are_at_least_what_was_explored() -> None:
    fields = SessionSettings.model_fields
    assert fields["sibling_window"].default.total_seconds() >= NUMBERS.window * UNIT_MS / 1000
    assert fields["late_parent_window"].default.total_seconds() >= NUMBERS.late * UNIT_MS / 1000
    assert fields["min_refresh_age"].default.total_seconds() >= NUMBERS.young * UNIT_MS / 1000


def test_the_known_limit_is_an_answer_to_the_session_before_that_the_next_login_has_overtaken() -> None:
    _, numbers, bounds = CATCHES["deleted instead of a tombstone"]
    result = explore(World(Ours(numbers), replace(bounds, overtaken=True)), stop_at=LOGOUT)
    assert result.stories[LOGOUT][-1].endswith(f"an answer to the session before arrives: {LOGOUT.upper()}")


@pytest.mark.parametrize(
    ("changed", "world", "wrong"),
    [
        ({"young": 0}, {}, ALARM),
        ({"window": 0}, {"replica": True}, ALARM),
        ({"late": 0}, {"duplicates": True}, ALARM),
        ({}, {"thief": True, "tabs": 1, "refreshes": 2}, LOCKSTEP),
        ({}, {"thief": True, "tabs": 1, "first_use": True, "used": 1}, LOCKSTEP),
    ],
    ids=str,
)
def test_what_states_leave_out_does_not_matter(changed: dict[str, int], world: dict[str, Any], wrong: str) -> None:
    numbers = TINY._replace(**changed)
    bounds = replace(Bounds("endpoint", round_trip=1, stall=1, skew=0, access=numbers.access), **world)
    short, full = (explore(World(policy, bounds), stop_at=wrong) for policy in (Ours(numbers), Unabridged(numbers)))
    assert short.depth == full.depth
    assert len(short.stories[wrong]) == len(full.stories[wrong])
    assert short.states <= full.states


@pytest.mark.parametrize("twin", [False, True])
def test_the_models_tokens_descend_as_the_products_do(twin: bool) -> None:
    ours, theirs = Token(0, 1, 0, 0, 0, 0), RefreshToken("0" * 32, 0, bytes([1]) * 32, 0)
    hashes: dict[bytes | None, bytes | None] = {None: None}
    for number in range(2, 6):
        now = number * UNIT_MS
        hashes[stored_hash(theirs.token_hash)] = lineage_of(ours).token_hash
        if twin and number % 2:
            ours, theirs = twin_of(ours)._replace(id=number), theirs.twin(bytes([number]) * 32)
        else:
            ours, theirs = child_of(ours, number)._replace(id=number), theirs.child(now, bytes([number]) * 32)
        hashes[stored_hash(theirs.token_hash)] = lineage_of(ours).token_hash
        model, product = lineage_of(ours), theirs.lineage
        assert (model.generation, model.issued_at) == (product.generation, product.issued_at)
        assert model.parent_issued_at == product.parent_issued_at
        assert model.parent_hash == hashes[product.parent_hash]
        assert model.grandparent_hash == hashes[product.grandparent_hash]
