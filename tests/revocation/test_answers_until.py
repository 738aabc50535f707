"""The one number that each request looks at agrees with the states that it stands for, whatever has happened before."""

import asyncio

from hypothesis import example, given
from hypothesis import strategies as st

from asgi_sessions.revocation.freshness import Freshness
from tests.clocks import Seconds

MOST_STALE = 30
EVENTS = st.lists(
    st.one_of(
        st.sampled_from(["read", "failed", "recovered", "expect", "expect no more", "beat", "request", "stop"]),
        st.sampled_from([0.25, 0.75, 20.0, 31.0]),  # seconds that pass, exact as floats
    ),
    max_size=30,
)


@given(EVENTS)
@example(["read", 0.75, "beat"])
@example(["read", 31.0, "request", "beat"])
def test_memory_answers_where_the_news_is_neither_stale_nor_behind_nothing_is_expected_and_the_loop_runs(
    events: list[str | float],
) -> None:
    asyncio.run(agrees(events))


async def agrees(events: list[str | float]) -> None:
    seconds, expecting = Seconds(), False
    freshness = Freshness(MOST_STALE, seconds, lambda: None)
    freshness.start()
    for event in events:
        match event:
            case float():
                seconds.now += event
            case "read":
                freshness.polled(seconds.now)
            case "failed":
                freshness.failed()
            case "recovered":
                freshness.recovered()
            case "expect" | "expect no more":
                freshness.expect(expecting := event == "expect")
            case "beat":
                freshness._pulse.beat()
            case "request":
                freshness.required_from()
            case "stop":
                freshness.stop()
        unanswered = freshness.is_stale or freshness.is_behind or expecting or freshness._pulse.is_late
        assert (seconds() <= freshness.answers_until) is not unanswered
    freshness.stop()
