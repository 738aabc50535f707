"""Promotion is one compare-and-swap, and a tombstone always wins. Source: rotation, "Promotion"."""

import asyncio
import dataclasses
from typing import Any

import pytest

from asgi_sessions.protocol.rotation import Lineage
from asgi_sessions.store.repository import SessionRepository, SessionRow
from tests.rotation_model.promotion import after_promotion
from tests.store.rows import HOUR, NOW, child_of, session_row, stored

WINDOW = 120_000


async def promote(sessions: SessionRepository, lineage: Lineage, *, handle: str = "h1", now: int = NOW) -> bool:
    return await sessions.promote(handle, lineage, now=now, idle_expires_at=now + 2 * HOUR, sibling_window=WINDOW)


def second_generation() -> SessionRow:
    return session_row(gen=1, cur=stored("h1/1"), cur_iat=NOW, prev=stored("h1/0"), promoted_at=NOW)


def child_of_sibling(issued_at: int) -> Lineage:
    """A child of a token that has the current one's parent, issued at the given time."""
    return Lineage(2, stored("h1/2b"), NOW + 9000, stored("h1/1b"), issued_at, stored("h1/0"))


async def test_a_child_moves_the_chain(sessions: SessionRepository) -> None:
    row = session_row()
    await sessions.insert(row)
    assert await promote(sessions, child_of(row), now=NOW + 2000)
    assert await sessions.find("h1") == dataclasses.replace(
        row,
        gen=1,
        cur=stored("h1/1"),
        cur_iat=NOW + 1000,
        prev=stored("h1/0"),
        promoted_at=NOW + 2000,
        last_active_at=NOW + 2000,
        idle_expires_at=NOW + 2000 + 2 * HOUR,
        session_info=None,
    )


@pytest.mark.parametrize("served", [False, True])
async def test_a_child_of_a_background_request_moves_the_chain_and_no_clock(
    served: bool, sessions: SessionRepository
) -> None:
    row = session_row()
    await sessions.insert(row)
    child = child_of(row)
    assert await sessions.promote(
        "h1", child, now=NOW + 2000, idle_expires_at=None, sibling_window=WINDOW, served=served
    )
    assert await sessions.find("h1") == dataclasses.replace(
        row,
        gen=1,
        cur=child.token_hash,
        cur_iat=child.issued_at,
        prev=row.cur,
        promoted_at=NOW + 2000,
        late_gen=1 if served else None,
        late_at=NOW + 2000 if served else None,
        session_info=None,
    )


@pytest.mark.parametrize("of_sibling", [False, True])
async def test_the_chain_is_what_the_model_of_rotation_says(of_sibling: bool, sessions: SessionRepository) -> None:
    row = second_generation()
    await sessions.insert(row)
    child = child_of_sibling(NOW) if of_sibling else child_of(row)
    assert await promote(sessions, child, now=NOW + 2000)
    found = await sessions.find("h1")
    assert found is not None
    assert found.chain == after_promotion(child, row.chain, NOW + 2000)


async def test_promoting_twice_is_refused(sessions: SessionRepository) -> None:
    row = session_row()
    await sessions.insert(row)
    assert await promote(sessions, child_of(row))
    assert not await promote(sessions, child_of(row))


@pytest.mark.parametrize("apart", [0, WINDOW, -WINDOW])
async def test_the_child_of_a_sibling_is_promoted(apart: int, sessions: SessionRepository) -> None:
    await sessions.insert(second_generation())
    assert await promote(sessions, child_of_sibling(NOW + apart))


@pytest.mark.parametrize("apart", [WINDOW + 1, -WINDOW - 1, -NOW, 2**60])
async def test_the_child_of_a_distant_sibling_is_not(apart: int, sessions: SessionRepository) -> None:
    await sessions.insert(second_generation())
    assert not await promote(sessions, child_of_sibling(NOW + apart))


@pytest.mark.parametrize(
    "lineage",
    [
        Lineage(2, stored("x"), NOW, stored("other"), NOW, None),
        Lineage(2, stored("x"), NOW, None, None, None),
        Lineage(2, stored("x"), NOW, b"", NOW, b""),
        Lineage(2, stored("x"), NOW, stored("other"), None, stored("h1/0")),
        Lineage(1, stored("x"), NOW, stored("h1/1"), NOW, stored("h1/0")),
        Lineage(3, stored("x"), NOW, stored("h1/1"), NOW, stored("h1/0")),
        Lineage(0, stored("x"), NOW, stored("h1/1"), NOW, stored("h1/0")),
    ],
)
async def test_no_other_token_is_promoted(lineage: Lineage, sessions: SessionRepository) -> None:
    await sessions.insert(second_generation())
    assert not await promote(sessions, lineage)


async def test_nothing_matches_the_parent_that_generation_zero_lacks(sessions: SessionRepository) -> None:
    await sessions.insert(session_row())
    assert not await promote(sessions, Lineage(1, stored("x"), NOW, stored("other"), NOW, None))
    assert not await promote(sessions, Lineage(1, stored("x"), NOW, b"", NOW, b""))


@pytest.mark.parametrize("ended", [{"revoked_at": NOW}, {"expires_at": NOW}, {"idle_expires_at": NOW}])
async def test_an_ended_session_is_not_promoted(ended: dict[str, Any], sessions: SessionRepository) -> None:
    row = session_row(**ended)
    await sessions.insert(row)
    assert not await promote(sessions, child_of(row))


async def test_of_fifty_promotions_at_once_one_wins(sessions: SessionRepository) -> None:
    row = session_row()
    await sessions.insert(row)
    children = [child_of(row, name=str(number)) for number in range(50)]
    won = await asyncio.gather(*(promote(sessions, child) for child in children))
    assert won.count(True) == 1
    after = await sessions.find("h1")
    assert after is not None
    assert after.cur == children[won.index(True)].token_hash


async def test_logout_wins_against_promotion_in_any_order(sessions: SessionRepository) -> None:
    rows = [session_row(f"r{number}") for number in range(40)]
    await asyncio.gather(*(sessions.insert(row) for row in rows))
    promotions = [promote(sessions, child_of(row), handle=row.handle) for row in rows]
    logouts = [sessions.revoke(row.handle, "logout", NOW) for row in rows]
    mixed = [
        step
        for number, pair in enumerate(zip(promotions, logouts, strict=True))
        for step in (pair if number % 2 else pair[::-1])
    ]
    await asyncio.gather(*mixed)
    for row in rows:
        after = await sessions.find(row.handle)
        assert after is not None
        assert after.revoked_reason == "logout"
        assert not await promote(sessions, child_of(after), handle=row.handle)


async def test_ending_all_sessions_wins_against_promotions(sessions: SessionRepository) -> None:
    rows = [session_row(f"r{number}") for number in range(20)]
    await asyncio.gather(*(sessions.insert(row) for row in rows))
    promotions = [promote(sessions, child_of(row), handle=row.handle) for row in rows]
    *_, ended = await asyncio.gather(*promotions, sessions.revoke_all(rows[0].user_id, "logout", NOW))
    assert ended == 20


# -- service without tokens


async def serve(sessions: SessionRepository, generation: int = 0, *, now: int = NOW, overtaken: bool = False) -> bool:
    return await sessions.serve("h1", generation, now=now, idle_expires_at=now + 2 * HOUR, overtaken=overtaken)


async def test_service_without_tokens_is_noted_once_per_generation(sessions: SessionRepository) -> None:
    row = session_row()
    await sessions.insert(row)
    assert await serve(sessions, now=NOW + 2000)
    assert not await serve(sessions, now=NOW + 3000)
    assert await sessions.find("h1") == dataclasses.replace(
        row,
        late_gen=0,
        late_at=NOW + 2000,
        last_active_at=NOW + 2000,
        idle_expires_at=NOW + 2000 + 2 * HOUR,
        session_info=None,
    )


async def test_service_of_a_background_request_is_noted_and_moves_no_clock(sessions: SessionRepository) -> None:
    row = session_row()
    await sessions.insert(row)
    assert await sessions.serve("h1", 0, now=NOW + 2000, idle_expires_at=None, overtaken=True)
    assert not await sessions.serve("h1", 0, now=NOW + 3000, idle_expires_at=None, overtaken=True)
    assert await sessions.find("h1") == dataclasses.replace(
        row, late_gen=0, late_at=NOW + 2000, late_count=1, session_info=None
    )


async def test_of_fifty_services_at_once_one_is_noted(sessions: SessionRepository) -> None:
    await sessions.insert(session_row())
    noted = await asyncio.gather(*(serve(sessions, overtaken=True) for _ in range(50)))
    assert noted.count(True) == 1
    after = await sessions.find("h1")
    assert after is not None
    assert after.late_count == 1


async def test_a_promotion_keeps_what_was_noted(sessions: SessionRepository) -> None:
    row = session_row()
    await sessions.insert(row)
    assert await serve(sessions, now=NOW + 2000, overtaken=True)
    assert await promote(sessions, child_of(row), now=NOW + 3000)
    after = await sessions.find("h1")
    assert after is not None
    assert (after.gen, after.late_gen, after.late_at, after.late_count) == (1, 0, NOW + 2000, 1)
    assert await serve(sessions, 1, now=NOW + 4000, overtaken=True)
    after = await sessions.find("h1")
    assert after is not None
    assert (after.late_gen, after.late_at, after.late_count) == (1, NOW + 4000, 2)


async def test_a_child_that_asks_late_is_promoted_and_noted_in_one(sessions: SessionRepository) -> None:
    row = session_row()
    await sessions.insert(row)
    assert await sessions.promote(
        "h1", child_of(row), now=NOW + 2000, idle_expires_at=NOW + HOUR, sibling_window=WINDOW, served=True
    )
    after = await sessions.find("h1")
    assert after is not None
    assert (after.gen, after.promoted_at, after.late_gen, after.late_at) == (1, NOW + 2000, 1, NOW + 2000)
    assert after.late_count == 0


@pytest.mark.parametrize("ended", [{"revoked_at": NOW}, {"expires_at": NOW}, {"idle_expires_at": NOW}, {"gen": 1}])
async def test_an_ended_session_or_another_generation_is_not_served(
    ended: dict[str, Any], sessions: SessionRepository
) -> None:
    await sessions.insert(session_row(**ended))
    assert not await serve(sessions)


@pytest.mark.parametrize("handle", ["", " h1", "nobody", "h1\x00"])
async def test_nobody_is_served_for_a_handle_that_does_not_exist(handle: str, sessions: SessionRepository) -> None:
    await sessions.insert(session_row())
    assert not await sessions.serve(handle, 0, now=NOW, idle_expires_at=NOW + HOUR, overtaken=False)
