"""A worker's memory of who is out: exact, small, as quick with a million handles as with one."""

import gc
import pickle
import secrets
import tracemalloc
from collections.abc import Iterator

from asgi_sessions.revocation.handle_set import HANDLE_BYTES, TEXT_BYTES, HandleSet

MILLION = 1_000_000
LIMIT_MB = 64
"""What a million handles may take at most; `HandleSet` says about 60."""


def random_handles(count: int) -> Iterator[str]:
    block = 10_000
    for _ in range(count // block):
        digits = secrets.token_hex(16 * block)
        for start in range(0, 32 * block, 32):
            yield digits[start : start + 32]


def test_what_was_added_is_there_and_nothing_else() -> None:
    known = HandleSet(64_000_000)
    one, other = secrets.token_hex(16), "0" * 32
    assert one not in known
    assert known.add(one) is True
    assert one in known
    assert other not in known


def test_a_repeat_is_told_and_counts_once() -> None:
    known = HandleSet(64_000_000)
    handle = secrets.token_hex(16)
    assert known.add(handle) is True
    assert known.add(handle) is False
    assert len(known) == 1
    known.age()
    assert known.add(handle) is False
    assert len(known) == 1


def test_the_second_age_after_an_add_forgets() -> None:
    known = HandleSet(64_000_000)
    first, second = secrets.token_hex(16), secrets.token_hex(16)
    known.add(first)
    known.age()
    known.add(second)
    assert first in known
    assert second in known
    assert len(known) == 2
    known.age()
    assert first not in known
    assert second in known
    assert len(known) == 1
    known.age()
    assert len(known) == 0
    assert second not in known


def test_what_was_forgotten_is_new_again() -> None:
    known = HandleSet(64_000_000)
    handle = secrets.token_hex(16)
    known.add(handle)
    known.age()
    known.age()
    assert known.add(handle) is True


def test_handles_of_one_beginning_do_not_hide_each_other() -> None:
    known = HandleSet(64_000_000)
    alike = [f"abcd{secrets.token_hex(14)}" for _ in range(50)]
    assert [known.add(handle) for handle in alike] == [True] * 50
    assert all(handle in known for handle in alike)
    assert f"abcd{secrets.token_hex(14)}" not in known


def test_a_million_handles_take_little_memory_and_no_look_up_is_long() -> None:
    known = HandleSet(64_000_000)
    for handle in random_handles(MILLION):
        known.add(handle)
    megabytes = traced_megabytes(known)
    print(f"{len(known)} handles: {megabytes:.1f} MB")
    assert len(known) == MILLION
    assert megabytes < LIMIT_MB
    # A look-up reads one text. Were it to grow with the number of handles, the longest would.
    longest = max(map(len, known._young.values())) // 32
    assert longest < 50, "a million in 65,536 texts are 15 in each, and never far more"
    assert not any(handle in known for handle in random_handles(MILLION)), "a stranger was taken for one of them"


def traced_megabytes(known: HandleSet) -> float:
    """What a copy takes: tracing a million additions would take a minute."""
    packed = pickle.dumps(known)
    gc.collect()
    tracemalloc.start()
    try:
        copy = pickle.loads(packed)
        assert len(copy) == len(known)
        return tracemalloc.get_traced_memory()[0] / 1e6
    finally:
        tracemalloc.stop()


def test_it_takes_no_more_than_it_may_and_says_so_until_what_it_missed_is_of_no_use() -> None:
    known = HandleSet(3 * (HANDLE_BYTES + TEXT_BYTES))
    handles = [secrets.token_hex(16) for _ in range(5)]
    assert [known.add(handle) for handle in handles] == [True] * 5
    assert [handle in known for handle in handles] == [True] * 3 + [False] * 2
    assert len(known) == 3
    overflowing = [known.overflowing]
    for _ in range(2):
        known.age()
        overflowing.append(known.overflowing)
    assert overflowing == [True, True, False], "what there was no room for is as young as what it holds"
    assert known.add(handles[4]) is True
    assert handles[4] in known


def test_few_handles_take_no_more_than_it_may() -> None:
    limit = 6_400_000
    gc.collect()
    tracemalloc.start()
    try:
        known = HandleSet(limit)
        before = tracemalloc.get_traced_memory()[0]
        for handle in random_handles(100_000):
            known.add(handle)
        taken = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert known.overflowing
    assert limit / 2 < taken < limit
