"""The memory of verified tokens: bounded in bytes, the newest stay."""

import gc
import secrets
import tracemalloc

import pytest

from asgi_sessions.manager.verified import TOKEN_BYTES, VerifiedTokens
from asgi_sessions.protocol.access_token import AccessToken

TEXT_BYTES = 500


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
    memory = VerifiedTokens(1_000_000)
    text, token = new_token()
    assert memory[text] is None
    memory.remember(text, token)
    assert memory[text] is token
    assert memory[text + b"A"] is None
    assert len(memory) == 1


def test_the_newest_stay_and_so_does_what_is_used() -> None:
    memory = VerifiedTokens(10 * (TEXT_BYTES + 20 + TOKEN_BYTES))
    used = new_token()
    memory.remember(*used)
    others = [new_token() for _ in range(40)]
    for other in others:
        memory.remember(*other)
        assert memory[used[0]] is used[1]
    assert all(memory[text] is token for text, token in others[-4:])
    assert memory[others[0][0]] is None


@pytest.mark.parametrize("payload_bytes", [2, 2000])
def test_it_takes_no_more_than_it_may(payload_bytes: int) -> None:
    limit = 4_000_000
    gc.collect()
    tracemalloc.start()
    try:
        memory = VerifiedTokens(limit)
        before = tracemalloc.get_traced_memory()[0]
        largest = 0
        for _ in range(3 * limit // (TEXT_BYTES + payload_bytes + TOKEN_BYTES)):
            memory.remember(*new_token(payload_bytes))
            largest = max(largest, tracemalloc.get_traced_memory()[0] - before)
    finally:
        tracemalloc.stop()
    assert limit / 3 < largest < limit


def test_nothing_is_remembered_where_there_is_no_room() -> None:
    for limit in (0, TOKEN_BYTES):
        memory = VerifiedTokens(limit)
        text, token = new_token()
        memory.remember(text, token)
        assert memory[text] is None


def test_it_forgets() -> None:
    memory = VerifiedTokens(10 * (TEXT_BYTES + 20 + TOKEN_BYTES))
    tokens = [new_token() for _ in range(8)]
    for text, token in tokens:
        memory.remember(text, token)
    memory.forget()
    assert [memory[text] for text, _ in tokens] == [None] * 8
