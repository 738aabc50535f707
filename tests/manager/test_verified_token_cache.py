"""The cache of verified tokens: bounded in bytes, the newest stay, what has expired goes."""

import gc
import secrets
import tracemalloc

import pytest

from asgi_sessions.manager.verified_token_cache import TOKEN_BYTES, VerifiedTokenCache
from asgi_sessions.protocol.access_token import AccessToken
from tests.clocks import START, MovableClock

TEXT_BYTES = 500
LIFETIME = 300_000


def memory_of(max_bytes: int, clock: MovableClock | None = None) -> VerifiedTokenCache:
    return VerifiedTokenCache(max_bytes, LIFETIME, clock or MovableClock(), lambda _: None)


def new_token(payload_bytes: int = 20) -> tuple[bytes, AccessToken]:
    token = AccessToken(
        handle=secrets.token_hex(16),
        user_id=secrets.token_hex(8),
        issued_at=secrets.randbits(40),
        expires_at=secrets.randbits(40),
        session_expires_at=secrets.randbits(40),
        auth_time=secrets.randbits(40),
        generation=secrets.randbits(20),
        payload_json=secrets.token_hex(payload_bytes // 2),
    )
    return secrets.token_hex(TEXT_BYTES // 2).encode(), token


def test_it_knows_what_was_remembered_and_nothing_else() -> None:
    memory = memory_of(1_000_000)
    text, token = new_token()
    assert memory[text] is None
    memory.remember(text, token, START)
    assert memory[text] is token
    assert memory[text + b"A"] is None
    assert len(memory) == 1


def test_the_newest_stay_and_so_does_what_is_used() -> None:
    memory = memory_of(10 * (TEXT_BYTES + 20 + TOKEN_BYTES))
    used = new_token()
    memory.remember(*used, START)
    others = [new_token() for _ in range(40)]
    for other in others:
        memory.remember(*other, START)
        assert memory[used[0]] is used[1]
    assert all(memory[text] is token for text, token in others[-4:])
    assert memory[others[0][0]] is None


@pytest.mark.parametrize("payload_bytes", [2, 2000])
def test_it_takes_no_more_than_it_may(payload_bytes: int) -> None:
    limit = 4_000_000
    gc.collect()
    tracemalloc.start()
    try:
        memory = memory_of(limit)
        before = tracemalloc.get_traced_memory()[0]
        largest = 0
        for _ in range(3 * limit // (TEXT_BYTES + payload_bytes + TOKEN_BYTES)):
            memory.remember(*new_token(payload_bytes), START)
            largest = max(largest, tracemalloc.get_traced_memory()[0] - before)
    finally:
        tracemalloc.stop()
    assert limit / 3 < largest < limit


def test_nothing_is_remembered_where_there_is_no_room() -> None:
    for limit in (0, TOKEN_BYTES):
        memory = memory_of(limit)
        text, token = new_token()
        memory.remember(text, token, START)
        assert memory[text] is None


def test_it_forgets() -> None:
    memory = memory_of(10 * (TEXT_BYTES + 20 + TOKEN_BYTES))
    tokens = [new_token() for _ in range(8)]
    for text, token in tokens:
        memory.remember(text, token, START)
    memory.forget()
    assert [memory[text] for text, _ in tokens] == [None] * 8


def test_what_has_expired_is_let_go_though_there_is_room() -> None:
    clock = MovableClock()
    memory = memory_of(1_000_000, clock)
    expired, used = new_token(), new_token()
    memory.remember(*expired, clock())
    memory.remember(*used, clock())
    for _ in range(2):
        clock.advance(LIFETIME / 1000)
        assert memory[used[0]] is used[1]
        memory.remember(*new_token(), clock())
    assert expired[0] not in memory.keys() | memory._old.keys()
    assert memory[used[0]] is used[1]


@pytest.mark.parametrize("lifetimes_before", [0, 1, 5])
def test_within_a_lifetime_nothing_goes(lifetimes_before: int) -> None:
    clock = MovableClock()
    memory = memory_of(1_000_000, clock)
    for _ in range(lifetimes_before):
        clock.advance(LIFETIME / 1000)
        memory.remember(*new_token(), clock())
    token = new_token()
    memory.remember(*token, clock())
    for _ in range(3):
        clock.advance(LIFETIME / 1000 / 4)
        memory.remember(*new_token(), clock())
    assert memory[token[0]] is token[1]
