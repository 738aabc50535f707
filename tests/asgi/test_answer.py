"""The moves of an answer are those of the table in words, and the fast way past it sends the same."""

import re
from collections.abc import AsyncIterator, Callable
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.types import Message

from asgi_sessions import SessionManager
from asgi_sessions.asgi import answer_content
from asgi_sessions.asgi.answer import Answer
from asgi_sessions.asgi.answer_content import Content, Move
from asgi_sessions.asgi.http_exchange import HTTPExchange
from asgi_sessions.asgi.transport import Transport
from asgi_sessions.manager.records import Device, Login, TokenSet
from tests.asgi.apps import new_manager
from tests.asgi.connections import scope_of
from tests.clocks import MovableClock


def table_in(docstring: str | None) -> list[dict[str, str]]:
    """The rows of the first table in a docstring, by the columns' names; continued lines belong to the row above."""
    lines = (docstring or "").splitlines()
    rules = [number for number, line in enumerate(lines) if line.strip().startswith("===")]
    columns = [match.span() for match in re.finditer("=+", lines[rules[0]])]
    names = [lines[rules[0] + 1][begin:end].strip() for begin, end in columns]
    rows: list[dict[str, str]] = []
    for line in lines[rules[1] + 1 : rules[2]]:
        row = {name: line[begin:end].strip() for name, (begin, end) in zip(names, columns, strict=True)}
        if row[names[0]]:
            rows.append(row)
    return rows


TABLE = {Content[row["content"]]: row for row in table_in(answer_content.__doc__)}


def test_the_table_has_every_state_and_every_move() -> None:
    assert TABLE.keys() == set(Content)
    assert [column for column in TABLE[Content.NOTHING] if column not in {"content", "what leaves"}] == [
        move.value for move in Move
    ]


class Parts(NamedTuple):
    """What moves are made of."""

    answer: Answer
    tokens: TokenSet
    moves: dict[Move, Callable[[], object]]


@pytest.fixture
async def parts(sessions: SessionManager) -> AsyncIterator[Parts]:
    async with sessions:
        lifecycle = sessions.lifecycle
        tokens = await lifecycle.create(Login(user_id="alice"), device=Device("", None))
        changed = await lifecycle.issuer.reissue(tokens.access.with_payload("{}", 2), new_payload=True)
        answer = Answer(Transport(sessions.settings), scope_of("http", "/", "", spec_version="2.3"), sessions.time)
        made: dict[str, Any] = {"made_at": sessions.time(), "payload_changes": 0}
        moves: dict[Move, Callable[[], object]] = {
            Move.ISSUED: lambda: answer.issued(tokens, **made),
            Move.REFRESHED: lambda: answer.refreshed(tokens, **made, forget_marker=False),
            Move.ACCESS_TOKEN_CHANGED: lambda: answer.access_token_changed(*changed),
            Move.SESSION_ENDED: lambda: answer.session_ended(by_user=True),
            Move.WITHDRAW: answer.withdraw,
            Move.HANDED_OUT: answer.handed_out,
        }
        yield Parts(answer, tokens, moves)


WAYS = {
    Content.NOTHING: [],
    Content.LOGIN: [Move.ISSUED],
    Content.PAIR: [Move.REFRESHED],
    Content.ACCESS: [Move.ACCESS_TOKEN_CHANGED],
    Content.CLEARED: [Move.SESSION_ENDED],
}


@pytest.mark.parametrize("move", Move)
@pytest.mark.parametrize("content", Content)
async def test_each_move_leads_where_the_table_says(parts: Parts, content: Content, move: Move) -> None:
    for before in WAYS[content]:
        parts.moves[before]()
    assert parts.answer._content is content
    parts.moves[move]()
    after = Content[TABLE[content][move.value]]
    assert parts.answer._content is after
    assert (parts.answer.tokens is not None) == (after in {Content.LOGIN, Content.PAIR})
    assert (parts.answer.access is not None) == (after in {Content.LOGIN, Content.PAIR, Content.ACCESS})
    assert parts.answer.logged_in == (after is Content.LOGIN)
    assert parts.answer.session_has_ended == (after is Content.CLEARED)
    assert parts.answer.needs_a_look(1) == (parts.answer.access is not None)


async def test_a_changed_payload_leaves_in_the_pair_and_is_looked_at_again(parts: Parts) -> None:
    parts.moves[Move.ISSUED]()
    assert not parts.answer.needs_a_look(0)
    parts.moves[Move.ACCESS_TOKEN_CHANGED]()
    assert parts.answer.tokens is not None
    assert parts.answer.tokens.access.payload == {}
    assert parts.answer.tokens.refresh_token == parts.tokens.refresh_token
    assert parts.answer.needs_a_look(0)


HEADERS = st.lists(
    st.tuples(
        st.sampled_from([b"vary", b"vary", b"content-length", b"cache-control", b"expires", b"x-other"]),
        st.sampled_from([b"", b"*", b"Cookie", b"cookie, Accept", b"Accept,Authorization", b"4"]),
    ),
    max_size=4,
)


MANAGERS = {kind: new_manager(MovableClock(), token_transport=kind) for kind in ("cookie", "any", "header")}
WAYS_TO_TRAVEL = {kind: (manager, Transport(manager.settings)) for kind, manager in MANAGERS.items()}


@settings(deadline=None, max_examples=300)
@given(HEADERS, st.booleans(), st.sampled_from(["cookie", "any", "header"]))
def test_the_fast_way_past_the_answer_sends_the_same(
    headers: list[tuple[bytes, bytes]], looked: bool, transport: str
) -> None:
    manager, way = WAYS_TO_TRAVEL[transport]

    def sent(*, fast: bool) -> Message:
        heard: list[Message] = []

        async def say(message: Message) -> None:
            heard.append(message)

        async def hear() -> Message:
            raise NotImplementedError

        scope = scope_of("http", "/", "", spec_version="2.3")
        exchange = HTTPExchange(manager, way, scope, None, hear, say)
        exchange._looked = looked
        if not fast:
            exchange.answer.without_tokens()

        # A status without a body, so that no response is taken for a stream.
        sending = exchange.send({"type": "http.response.start", "status": 204, "headers": list(headers)})
        with pytest.raises(StopIteration):  # nothing in it waits
            sending.__await__().send(None)
        return heard[0]

    assert sent(fast=True) == sent(fast=False)
