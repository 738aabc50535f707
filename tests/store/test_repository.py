"""The contract of the store, the same on every engine."""

import asyncio
import dataclasses
import secrets
import time

import pytest

from asgi_sessions.errors import StoreUnavailable
from asgi_sessions.protocol.rotation import Chain
from asgi_sessions.store.handle_ranges import MOST_PARTS
from asgi_sessions.store.repository import REVOKE_BATCH, ListedSession, SessionRepository
from tests.store.rows import ALICE, BOB, HOUR, NOW, child_of, session_row, stored

NEVER_ISSUED = [
    "",
    "unknown",
    "H1",
    "h1 ",
    " h1",
    "h1\0",
    "h\u0131",
    "x" * 33,
    "x" * 100_000,
    "' OR 1=1 --",
    "😀",
    "\ud800",
]
ODD_USERS = [
    b"s:",
    b"s:\x00",
    b"s:a'b\"c\\d%s%%;--",
    "s:Zoë 😀".encode(),
    b"i:-1",
    bytes(range(256)),
    b"s:" + b"x" * 258,
]


async def test_a_session_comes_back_as_it_was_stored(sessions: SessionRepository) -> None:
    row = session_row(prev=stored("p"), promoted_at=NOW - 5, gen=2**40, cur=bytes(range(224, 256)))
    await sessions.insert(row)
    assert await sessions.find("h1") == dataclasses.replace(row, session_info=None)


async def test_a_fresh_read_gives_the_same(sessions: SessionRepository) -> None:
    await sessions.insert(session_row())
    assert await sessions.find("h1", fresh=True) == await sessions.find("h1")


async def test_a_row_knows_its_chain(sessions: SessionRepository) -> None:
    await sessions.insert(session_row(prev=stored("p"), promoted_at=NOW, gen=3))
    row = await sessions.find("h1")
    assert row is not None
    assert row.chain == Chain(3, stored("h1/0"), NOW, stored("p"), NOW)


def test_the_repr_of_a_row_hides_what_the_application_stored() -> None:
    row = session_row(jwt_payload='"canary"', session_info='"canary"')
    assert "canary" not in repr(row)


async def test_long_texts_are_kept_whole(sessions: SessionRepository) -> None:
    payload, info = '"' + "p" * 100_000 + '"', '"' + "\\ud800'\"\\\\%s" * 20_000 + '"'
    await sessions.insert(session_row(jwt_payload=payload, session_info=info))
    row = await sessions.find("h1")
    assert row is not None
    assert row.jwt_payload == payload
    assert await sessions.get_info("h1", NOW) == info


async def test_a_taken_handle_is_refused_and_nothing_is_overwritten(sessions: SessionRepository) -> None:
    await sessions.insert(session_row())
    with pytest.raises(StoreUnavailable):
        await sessions.insert(session_row(user_id=BOB))
    assert await sessions.handles_of(BOB, NOW) == []


@pytest.mark.parametrize("handle", ["", "x" * 33, "ü", "a b", "a\0"])
async def test_a_handle_that_could_not_be_found_again_is_not_stored(handle: str, sessions: SessionRepository) -> None:
    with pytest.raises(ValueError, match="handle"):
        await sessions.insert(session_row(handle))


async def test_an_unknown_handle_is_no_session_for_any_operation(sessions: SessionRepository) -> None:
    row = session_row()
    await sessions.insert(row)
    for handle in NEVER_ISSUED:
        assert await sessions.find(handle) is None
        assert await sessions.get_info(handle, NOW) is None
        assert not await sessions.set_info(handle, "1", NOW)
        assert not await sessions.swap_payload(handle, "1", NOW, version=0)
        assert not await sessions.swap_own_payload(handle, "1", NOW, version=0, known=0)
        assert not await sessions.revoke(handle, "logout", NOW)
        assert not await sessions.promote(handle, child_of(row), now=NOW, idle_expires_at=NOW + HOUR, sibling_window=0)
    assert await sessions.revoke_many(NEVER_ISSUED, "logout", NOW) == 0
    assert await sessions.find("h1") == dataclasses.replace(row, session_info=None)


async def test_user_ids_are_compared_byte_by_byte(sessions: SessionRepository) -> None:
    for number, user_id in enumerate(ODD_USERS):
        await sessions.insert(session_row(f"odd{number}", user_id=user_id))
    for number, user_id in enumerate(ODD_USERS):
        assert await sessions.handles_of(user_id, NOW) == [f"odd{number}"]
        row = await sessions.find(f"odd{number}")
        assert row is not None
        assert row.user_id == user_id


@pytest.mark.parametrize(
    "almost", [b"s:Alice", b"s:alice ", b"s:alice\0", b"s:alic", b"S:alice", b"s:al\xc3\xadce", b"s:" + b"a" * 9000]
)
async def test_almost_the_same_user_is_another(almost: bytes, sessions: SessionRepository) -> None:
    await sessions.insert(session_row())
    assert await sessions.handles_of(almost, NOW) == []
    assert await sessions.revoke_all(almost, "logout", NOW) == 0


async def test_live_sessions_are_listed_newest_first(sessions: SessionRepository) -> None:
    await sessions.insert(session_row("old", created_at=NOW - 2))
    await sessions.insert(session_row("new", created_at=NOW))
    await sessions.insert(session_row("middle", created_at=NOW - 1))
    await sessions.insert(session_row("other", user_id=BOB))
    assert await sessions.handles_of(ALICE, NOW) == ["new", "middle", "old"]
    assert [row.handle for row in await sessions.list_of(ALICE, NOW)] == ["new", "middle", "old"]


async def test_a_list_comes_in_pages_that_sessions_which_begin_or_end_meanwhile_do_not_disturb(
    sessions: SessionRepository,
) -> None:
    for number in range(10):  # four times, so that pages end among equal ones
        await sessions.insert(session_row(f"h{number}", created_at=NOW + number // 3))
    everything = [row.handle for row in await sessions.list_of(ALICE, NOW)]
    assert everything == [f"h{number}" for number in range(9, -1, -1)]
    seen: list[str] = []
    after: tuple[int, str] | None = None
    while page := await sessions.list_of(ALICE, NOW, limit=2, after=after):
        assert len(page) <= 2
        seen += [row.handle for row in page]
        after = page[-1].created_at, page[-1].handle
        await sessions.revoke(page[-1].handle, "logout", NOW)  # what a page ends with may be gone for the next
        await sessions.insert(session_row(f"new{len(seen)}", created_at=NOW + 100))
    assert seen == everything


async def test_the_newest_are_listed_with_their_times_and_no_more_than_asked_for(sessions: SessionRepository) -> None:
    for number in range(4):
        await sessions.insert(session_row(f"h{number}", created_at=NOW + number))
    await sessions.revoke("h3", "logout", NOW)
    newest = await sessions.newest_of(ALICE, NOW, limit=2)
    assert [(session.handle, session.created_at) for session in newest] == [("h2", NOW + 2), ("h1", NOW + 1)]
    row = await sessions.find("h2")
    assert newest[0] == ListedSession(*(getattr(row, name) for name in ListedSession._fields))


async def test_a_session_can_be_ended_only_if_it_is_a_certain_users(sessions: SessionRepository) -> None:
    await sessions.insert(session_row())
    assert not await sessions.revoke("h1", "logout", NOW, user_id=BOB)
    assert await sessions.revoke("h1", "logout", NOW, user_id=ALICE)


async def test_ended_sessions_are_not_live(sessions: SessionRepository) -> None:
    await sessions.insert(session_row("revoked", revoked_at=NOW - HOUR, revoked_reason="logout"))
    await sessions.insert(session_row("idle", idle_expires_at=NOW))
    await sessions.insert(session_row("expired", expires_at=NOW))
    assert await sessions.handles_of(ALICE, NOW) == []
    assert await sessions.list_of(ALICE, NOW) == []
    for handle in ("revoked", "idle", "expired"):
        row = await sessions.find(handle)
        assert row is not None
        assert row.is_expired(NOW) is (handle != "revoked")
        assert await sessions.get_info(handle, NOW) is None
        assert not await sessions.set_info(handle, "1", NOW)
        assert not await sessions.swap_payload(handle, "1", NOW, version=0)
        assert not await sessions.swap_own_payload(handle, "1", NOW, version=0, known=0)
        assert not await sessions.revoke(handle, "theft", NOW)
    assert await sessions.revoke_all(ALICE, "theft", NOW) == 0


async def test_infos_are_found_by_a_part_of_their_text_and_by_nothing_like_it(sessions: SessionRepository) -> None:
    infos = {
        "has": '{"a_key%!":"é 💻"}',
        "wild": '{"aXkeyZ!":1}',
        "other": '{"b":1}',
        "ended": '{"a_key%!":1}',
        "unasked": '{"a_key%!":1}',
    }
    for handle, info in infos.items():
        await sessions.insert(session_row(handle, session_info=info))
    await sessions.revoke("ended", "logout", NOW)
    asked = ["has", "wild", "other", "ended", *NEVER_ISSUED]
    assert await sessions.infos_with('"a_key%!"', asked, NOW) == {"has": infos["has"]}
    assert await sessions.infos_with('"a_key%!"', ["\0", ""], NOW) == {}
    assert await sessions.infos_with('"a_key%!"', [], NOW) == {}


async def test_info_and_payload_are_replaced_separately(sessions: SessionRepository) -> None:
    await sessions.insert(session_row())
    assert await sessions.set_info("h1", '{"a": 1}', NOW)
    assert await sessions.swap_payload("h1", '{"b": 2}', NOW, version=0)
    row = await sessions.find("h1")
    assert row is not None
    assert row.jwt_payload == '{"b": 2}'
    assert await sessions.get_info("h1", NOW) == '{"a": 1}'


async def test_replacing_a_text_by_the_same_is_success(sessions: SessionRepository) -> None:
    # MySQL counts changed rows where it is not told to count matched ones.
    await sessions.insert(session_row())
    assert await sessions.set_info("h1", "null", NOW)
    assert await sessions.swap_payload("h1", '{"role":"user"}', NOW, version=0)


async def test_methods_are_replaced_where_nothing_has_changed_since_they_were_read(
    sessions: SessionRepository,
) -> None:
    await sessions.insert(session_row())
    read = await sessions.find("h1")
    assert read is not None
    assert await sessions.swap_methods(read, '{"pwd":1}', NOW, auth_time=NOW + 1)
    assert not await sessions.swap_methods(read, '{"otp":1}', NOW, auth_time=NOW + 2)
    row = await sessions.find("h1")
    assert row is not None
    assert (row.methods, row.auth_time, row.payload_version) == ('{"pwd":1}', NOW + 1, 1)
    assert await sessions.swap_payload("h1", "1", NOW, version=1)
    assert not await sessions.swap_methods(row, '{"otp":1}', NOW, auth_time=NOW + 2)
    row = await sessions.find("h1")
    assert row is not None
    assert await sessions.swap_methods(row, row.methods, NOW, auth_time=NOW + 3)  # the same once more is a change
    assert await sessions.revoke("h1", "logout", NOW)
    row = await sessions.find("h1")
    assert row is not None
    assert not await sessions.swap_methods(row, '{"otp":1}', NOW, auth_time=NOW + 4)


async def test_sessions_in_which_somebody_else_acts_are_listed_and_do_not_count(sessions: SessionRepository) -> None:
    await sessions.insert(session_row("h1"))
    await sessions.insert(session_row("h2", actor=BOB))
    assert {row.handle: row.actor for row in await sessions.list_of(ALICE, NOW)} == {"h1": None, "h2": BOB}
    for by_use in (False, True):
        newest = await sessions.newest_of(ALICE, NOW, limit=5, by_use=by_use)
        assert [row.handle for row in newest] == ["h1"]
    assert await sessions.newest_of(BOB, NOW, limit=5) == []


async def test_the_payloads_version_counts_its_replacements(sessions: SessionRepository) -> None:
    await sessions.insert(session_row())
    assert await sessions.swap_payload("h1", "1", NOW, version=0)
    assert not await sessions.swap_own_payload("h1", "2", NOW, version=0, known=0)
    assert await sessions.swap_own_payload("h1", "2", NOW, version=1, known=0)
    assert not await sessions.swap_payload("h1", "3", NOW, version=1)
    assert await sessions.swap_payload("h1", "4", NOW, version=2)
    row = await sessions.find("h1")
    assert row is not None
    assert (row.jwt_payload, row.payload_version) == ("4", 3)


async def test_one_of_any_number_of_replacements_of_one_version_succeeds(sessions: SessionRepository) -> None:
    await sessions.insert(session_row())
    swaps = (sessions.swap_payload("h1", str(number), NOW, version=0) for number in range(10))
    assert sum(await asyncio.gather(*swaps)) == 1


async def test_revocation_leaves_a_tombstone_with_the_databases_time(sessions: SessionRepository) -> None:
    await sessions.insert(session_row())
    assert await sessions.revoke("h1", "logout", NOW)
    row = await sessions.find("h1")
    assert row is not None
    assert row.revoked_reason == "logout"
    assert row.revoked_at == pytest.approx(time.time() * 1000, abs=5000)


async def test_only_the_first_revocation_counts(sessions: SessionRepository) -> None:
    await sessions.insert(session_row())
    assert await sessions.revoke("h1", "logout", NOW)
    first = await sessions.find("h1")
    assert not await sessions.revoke("h1", "theft", NOW)
    assert await sessions.revoke_many(["h1"], "theft", NOW) == 0
    assert await sessions.revoke_all(ALICE, "theft", NOW) == 0
    assert await sessions.find("h1") == first


async def test_all_sessions_of_a_user_end_and_no_others(sessions: SessionRepository) -> None:
    for number in range(3):
        await sessions.insert(session_row(f"a{number}"))
    await sessions.insert(session_row("b", user_id=BOB))
    assert await sessions.revoke_all(ALICE, "logout", NOW) == 3
    assert await sessions.handles_of(ALICE, NOW) == []
    assert await sessions.handles_of(BOB, NOW) == ["b"]


async def test_all_sessions_but_one_end(sessions: SessionRepository) -> None:
    for number in range(3):
        await sessions.insert(session_row(f"a{number}"))
    assert await sessions.revoke_all(ALICE, "logout", NOW, except_handle="a1") == 2
    assert await sessions.handles_of(ALICE, NOW) == ["a1"]


async def test_sparing_a_session_that_never_was_spares_none(sessions: SessionRepository) -> None:
    await sessions.insert(session_row())
    assert await sessions.revoke_all(ALICE, "logout", NOW, except_handle="h1 ") == 1


async def test_many_handles_end_and_each_is_counted_once(sessions: SessionRepository) -> None:
    await asyncio.gather(*(sessions.insert(session_row(f"n{number}")) for number in range(30)))
    handles = [f"n{number}" for number in range(REVOKE_BATCH - 2)]
    assert await sessions.revoke_many([*handles, "n0", "n0"], "logout", NOW) == 30
    assert await sessions.revoke_many([], "logout", NOW) == 0


async def test_a_user_with_more_sessions_than_end_at_once_keeps_all_of_them(sessions: SessionRepository) -> None:
    sessions.at_once = 3
    for number in range(3):
        await sessions.insert(session_row(f"a{number}"))
    await sessions.insert(session_row("b", user_id=BOB))
    assert await sessions.revoke_all(ALICE, "logout", NOW, except_handle="a1") == 2
    await sessions.insert(session_row("a3"))  # the ended ones count as well
    assert await sessions.revoke_all(ALICE, "logout", NOW) == 0
    assert await sessions.revoke_all(ALICE, "logout", NOW, except_handle="a1") == 0
    assert sorted(await sessions.handles_of(ALICE, NOW)) == ["a1", "a3"]
    assert await sessions.revoke_all(BOB, "logout", NOW) == 1


async def test_a_user_of_whom_no_session_is_live_has_none_to_count(sessions: SessionRepository) -> None:
    assert await sessions.count_of(ALICE, NOW) == 0
    for number in range(3):
        await sessions.insert(session_row(f"a{number}"))
    await sessions.insert(session_row("b", user_id=BOB))
    assert await sessions.revoke("a0", "logout", NOW)
    assert await sessions.count_of(ALICE, NOW) == 3, "ended ones too"
    assert await sessions.revoke("a1", "logout", NOW)
    assert await sessions.count_of(ALICE, NOW) == 3
    assert await sessions.count_of(ALICE, NOW, except_handle="a1") == 3
    assert await sessions.count_of(ALICE, NOW, except_handle="a2") == 0
    assert await sessions.count_of(ALICE, NOW + HOUR) == 0


@pytest.mark.parametrize("parts", [1, 2, 3, 16, 50])
async def test_each_session_is_in_one_part_whatever_its_handle(sessions: SessionRepository, parts: int) -> None:
    borders = [f"{number * 16**32 // parts:032x}" for number in range(1, parts)]
    handles = {"!", "~", "0", "Z", "f" * 32, "0" * 32, "9" * 32, *borders, *(border[:5] for border in borders)}
    handles |= {secrets.token_hex(16) for _ in range(40)}
    for handle in handles:
        await sessions.insert(session_row(handle))
    await sessions.insert(session_row("b", user_id=BOB))
    ended = 0
    for part in range(parts):
        count = await sessions.revoke_part(ALICE, "logout_all", NOW, part, parts, except_handle="9" * 32)
        ended += count
        left = len(await sessions.handles_of(ALICE, NOW))
        assert left == len(handles) - ended
    assert await sessions.handles_of(ALICE, NOW) == ["9" * 32]
    assert await sessions.handles_of(BOB, NOW) == ["b"]
    row = await sessions.find("!")
    assert row is not None
    assert row.revoked_reason == "logout_all"
    for part in range(parts):
        ended += await sessions.revoke_any_part("logout", NOW, part, parts, except_handle="9" * 32)
    assert ended == len(handles), "all but the one that is kept, and Bob's"
    assert [await sessions.handles_of(user, NOW) for user in (ALICE, BOB)] == [["9" * 32], []]


async def test_only_those_created_before_a_time_end(sessions: SessionRepository) -> None:
    for number in range(4):
        await sessions.insert(session_row(f"h{number}", created_at=NOW + number))
    assert await sessions.revoke_any_part("logout", NOW, 0, 1, begun_before=NOW + 2) == 2
    assert await sessions.handles_of(ALICE, NOW) == ["h3", "h2"]


async def test_the_first_handles_tell_into_how_many_parts_all_are_divided(sessions: SessionRepository) -> None:
    assert await sessions.parts_of_all() == 1
    sessions.at_once = 10
    for number in range(9):
        await sessions.insert(session_row(f"{number:032x}"))
    assert await sessions.parts_of_all() == 1
    await sessions.insert(session_row("8" + "0" * 31))
    assert await sessions.parts_of_all() == 2
    await sessions.insert(session_row("0f" + "f" * 30))
    assert await sessions.parts_of_all() == 16
    await sessions.insert(session_row("0" * 31 + "9"))
    assert await sessions.parts_of_all() == MOST_PARTS, "no handle that was drawn lies there"
    await sessions.insert(session_row("!"))
    sessions.at_once = 1
    assert await sessions.parts_of_all() == 1, "no handle at all"
