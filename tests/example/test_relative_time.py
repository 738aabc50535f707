from datetime import UTC, datetime, timedelta

import pytest

from example_app.relative_time import relative_time

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("distance", "words"),
    [
        (timedelta(), "just now"),
        (timedelta(seconds=-59), "just now"),
        (timedelta(seconds=-60), "1 minute ago"),
        (timedelta(minutes=-59), "59 minutes ago"),
        (timedelta(hours=-1), "1 hour ago"),
        (timedelta(hours=-47), "1 day ago"),
        (timedelta(days=-800), "2 years ago"),
        (timedelta(seconds=5), "in a moment"),
        (timedelta(days=14, seconds=-1), "in 14 days"),
        (timedelta(days=100), "in 3 months"),
    ],
)
def test_a_time_is_said_as_people_say_it(distance: timedelta, words: str) -> None:
    assert relative_time(NOW + distance, NOW) == words
