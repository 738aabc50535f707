import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asgi_sessions.protocol.rotation import (
    MOST_OVERTAKEN_PARENTS,
    THEFT,
    Chain,
    Lineage,
    Served,
    Service,
    Verdict,
    Windows,
    decide,
    is_young,
    serve,
)
from tests.rotation_model.promotion import after_promotion

NOW = 1_700_000_000_000
W, P = 120_000, 90_000
WINDOWS = Windows(sibling=W, late_parent=P)

CUR, PREV, OTHER, ANOTHER, THIRD = (bytes([n]) * 32 for n in range(1, 6))
GEN = 7
CUR_IAT = NOW - 500_000


def table(
    *,
    ahead: int,
    m_is: str,
    ph_is: str,
    gph_is: str,
    apart: int,
    parent_apart: int | None,
    promoted_ago: int | None,
    retried: bool,
    late_parent: int,
) -> Verdict:
    """The decision table of the protocol, row by row, in words instead of hashes."""
    rows = [
        (ahead == 0 and m_is == "cur", Verdict.HEAD),
        (ahead == 0 and ph_is == "prev" and abs(apart) <= W, Verdict.SIBLING),
        (ahead == 0 and ph_is == "prev" and abs(apart) > W, Verdict.FORK),
        (ahead == 1 and ph_is == "cur", Verdict.CHILD),
        (
            ahead == 1 and gph_is == "prev" and parent_apart is not None and abs(parent_apart) <= W,
            Verdict.CHILD,
        ),
        (
            ahead == -1
            and m_is == "prev"
            and not retried
            and late_parent > 0
            and promoted_ago is not None
            and promoted_ago <= late_parent,
            Verdict.LATE_PARENT,
        ),
        (ahead > 1, Verdict.FUTURE),
    ]
    return next((verdict for holds, verdict in rows if holds), Verdict.STALE)


EDGES = (-W - 1, -W, 0, W, W + 1)
HASHES = {"cur": CUR, "prev": PREV, "other": OTHER, "none": None, "empty": b""}


def test_the_decision_table_holds_for_every_combination() -> None:
    seen = set()
    for ahead, m_is, ph_is, gph_is, apart, parent_apart in itertools.product(
        (-7, -2, -1, 0, 1, 2, 9), ("cur", "prev", "other"), HASHES, HASHES, EDGES, (None, *EDGES)
    ):
        presented = Lineage(
            GEN + ahead,
            HASHES[m_is] or b"",
            CUR_IAT + apart,
            HASHES[ph_is],
            None if parent_apart is None else CUR_IAT + parent_apart,
            HASHES[gph_is],
        )
        for promoted_ago, retried, late_parent in itertools.product((None, -1, 0, P, P + 1), (False, True), (0, P)):
            promoted_at = None if promoted_ago is None else NOW - promoted_ago
            verdict = decide(
                presented,
                Chain(GEN, CUR, CUR_IAT, PREV, promoted_at),
                now=NOW,
                windows=Windows(W, late_parent),
                retried=retried,
            )
            expected = table(
                ahead=ahead,
                m_is=m_is,
                ph_is=ph_is,
                gph_is=gph_is,
                apart=apart,
                parent_apart=parent_apart,
                promoted_ago=promoted_ago,
                retried=retried,
                late_parent=late_parent,
            )
            assert verdict is expected, (presented, promoted_ago, retried, late_parent)
            seen.add(verdict)
    assert seen == set(Verdict)


@pytest.mark.parametrize("nothing", [None, b""])
@pytest.mark.parametrize("ahead", [-1, 0, 1])
def test_missing_hashes_match_no_missing_hashes(nothing: bytes | None, ahead: int) -> None:
    presented = Lineage(GEN + ahead, b"", CUR_IAT, nothing, CUR_IAT, nothing)
    stored = Chain(GEN, b"", CUR_IAT, nothing, NOW)
    assert decide(presented, stored, now=NOW, windows=WINDOWS) is Verdict.STALE


def test_a_first_token_is_the_head_of_a_new_session() -> None:
    assert decide(Lineage(0, CUR, NOW), Chain(0, CUR, NOW), now=NOW, windows=WINDOWS) is Verdict.HEAD


def test_the_first_token_is_a_late_parent_once_its_child_is_promoted() -> None:
    stored = Chain(1, CUR, NOW, PREV, NOW)
    assert decide(Lineage(0, PREV, NOW), stored, now=NOW, windows=WINDOWS) is Verdict.LATE_PARENT


@pytest.mark.parametrize("retried", [False, True])
def test_a_retry_marker_changes_nothing_but_the_late_parent(retried: bool) -> None:
    stored = Chain(GEN, CUR, CUR_IAT, PREV, NOW)
    verdicts = [
        decide(presented, stored, now=NOW, windows=WINDOWS, retried=retried)
        for presented in (
            Lineage(GEN, CUR, CUR_IAT, PREV),
            Lineage(GEN, OTHER, CUR_IAT, PREV),
            Lineage(GEN + 1, OTHER, NOW, CUR),
            Lineage(GEN - 1, PREV, CUR_IAT),
        )
    ]
    last = Verdict.STALE if retried else Verdict.LATE_PARENT
    assert verdicts == [Verdict.HEAD, Verdict.SIBLING, Verdict.CHILD, last]


def test_only_forks_and_stale_tokens_are_theft() -> None:
    assert {Verdict.FORK, Verdict.STALE} == THEFT


hashes = st.none() | st.just(b"") | st.sampled_from([CUR, PREV, OTHER]) | st.binary(max_size=40)
integers = st.integers(-(2**70), 2**70)


@given(
    st.builds(Lineage, integers, hashes, integers, hashes, st.none() | integers, hashes),
    st.builds(Chain, integers, hashes, integers, hashes, st.none() | integers),
    integers,
    st.builds(Windows, integers, integers),
    st.booleans(),
)
def test_no_token_and_no_row_make_the_decision_fail(
    presented: Lineage, stored: Chain, now: int, windows: Windows, retried: bool
) -> None:
    assert isinstance(decide(presented, stored, now=now, windows=windows, retried=retried), Verdict)


@pytest.mark.parametrize(
    ("generation", "age", "young"),
    [(1, 0, True), (1, 149, True), (1, 150, False), (9, -30, True), (0, 0, False)],
)
def test_a_young_token_gets_a_twin_except_in_generation_0(generation: int, age: int, young: bool) -> None:
    assert is_young(Lineage(generation, CUR, NOW - age), NOW, 150) is young


@pytest.mark.parametrize("age", [-30, 0, 30])
def test_no_token_is_young_where_twins_are_off(age: int) -> None:
    assert not is_young(Lineage(3, CUR, NOW - age), NOW, 0)


def test_a_promoted_child_is_the_head_and_its_parent_late() -> None:
    parent, child = Lineage(GEN, CUR, CUR_IAT, PREV), Lineage(GEN + 1, OTHER, NOW, CUR, CUR_IAT, PREV)
    promoted = after_promotion(child, Chain(GEN, CUR, CUR_IAT, PREV, CUR_IAT), NOW)
    assert promoted == Chain(GEN + 1, OTHER, NOW, CUR, NOW)
    assert decide(child, promoted, now=NOW, windows=WINDOWS) is Verdict.HEAD
    assert decide(parent, promoted, now=NOW, windows=WINDOWS) is Verdict.LATE_PARENT


def test_a_siblings_child_leaves_the_other_sibling_behind() -> None:
    child_of_sibling = Lineage(GEN + 1, ANOTHER, NOW, OTHER, CUR_IAT, PREV)
    promoted = after_promotion(child_of_sibling, Chain(GEN, CUR, CUR_IAT, PREV, CUR_IAT), NOW)
    child_of_current = Lineage(GEN + 1, THIRD, NOW, CUR, CUR_IAT, PREV)
    assert decide(child_of_current, promoted, now=NOW, windows=WINDOWS) is Verdict.STALE


def test_a_row_that_has_moved_on_is_not_promoted_again() -> None:
    moved = Chain(GEN + 1, CUR, NOW, PREV, NOW)
    assert after_promotion(Lineage(GEN + 1, OTHER, NOW, PREV), moved, NOW) is moved


# -- requests whose answer can carry no tokens

LASTS = 300_000
PROMOTED = NOW - 60_000
OWN = {Verdict.HEAD, Verdict.SIBLING, Verdict.CHILD, Verdict.LATE_PARENT}


def served(verdict: Verdict, known: Served, arrived_at: int, promoted_at: int | None = PROMOTED) -> Service:
    return serve(verdict, Chain(GEN, CUR, CUR_IAT, PREV, promoted_at), known, arrived_at=arrived_at, lasts=LASTS)


def service_table(verdict: Verdict, known: Served, arrived_at: int, promoted_at: int | None) -> Service:
    """The table of `serve`, row by row."""
    overtaken = verdict is Verdict.LATE_PARENT and promoted_at is not None and not arrived_at < promoted_at
    at_this_generation = known.generation == GEN
    since = known.began_at or 0
    rows = [
        (verdict not in OWN, Service.REFUSED),
        (verdict is Verdict.CHILD, Service.BEGINS),
        (at_this_generation and arrived_at - since < LASTS, Service.GOES_ON),
        (at_this_generation, Service.REFUSED),
        (overtaken and known.parents >= 4, Service.REFUSED),
    ]
    return next((service for holds, service in rows if holds), Service.BEGINS)


def test_the_table_of_service_without_tokens_holds_for_every_combination() -> None:
    seen = set()
    for verdict, generation, ago, parents, arrived_ago, promoted_at in itertools.product(
        Verdict,
        (None, GEN - 1, GEN),
        (0, LASTS - 1, LASTS, LASTS + 1),
        (0, 3, 4, 5),
        (0, 59_999, 60_000, 60_001, 10 * LASTS),
        (None, PROMOTED),
    ):
        known = Served(generation, None if generation is None else NOW - ago, parents)
        expected = service_table(verdict, known, NOW - arrived_ago, promoted_at)
        assert served(verdict, known, NOW - arrived_ago, promoted_at) is expected
        seen.add((verdict, expected))
    assert {service for _, service in seen} == set(Service)


def test_what_lasts_is_counted_from_the_first_and_to_the_arrival() -> None:
    known = Served(GEN, NOW - LASTS)
    assert served(Verdict.HEAD, known, NOW - 1) is Service.GOES_ON  # and its body may take for hours
    assert served(Verdict.HEAD, known, NOW) is Service.REFUSED


@pytest.mark.parametrize("verdict", [verdict for verdict in Verdict if verdict in OWN])
def test_the_next_generation_is_another_matter(verdict: Verdict) -> None:
    assert served(verdict, Served(GEN - 1, NOW - 9 * LASTS), NOW) is Service.BEGINS


def test_only_parents_that_were_overtaken_count() -> None:
    known = Served(None, None, MOST_OVERTAKEN_PARENTS)
    assert served(Verdict.LATE_PARENT, known, PROMOTED) is Service.REFUSED
    assert served(Verdict.LATE_PARENT, known, PROMOTED - 1) is Service.BEGINS
    assert served(Verdict.HEAD, known, NOW) is Service.BEGINS
