"""Durations and times, as people write them and as the package counts them."""

import time
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asgi_sessions.protocol.clock import system_clock
from asgi_sessions.protocol.durations import (
    LONGEST,
    datetime_to_ms,
    format_duration,
    format_time,
    from_ms,
    parse_duration,
    to_ms,
)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("5m", timedelta(minutes=5)),
        ("300", timedelta(seconds=300)),
        ("300s", timedelta(seconds=300)),
        (300, timedelta(seconds=300)),
        (" 5m\n", timedelta(minutes=5)),
        ("1h30m", timedelta(minutes=90)),
        ("1h 30m", timedelta(minutes=90)),
        ("1.5h", timedelta(minutes=90)),
        ("2w", timedelta(days=14)),
        ("1d2h3m4s5ms", timedelta(days=1, hours=2, minutes=3, seconds=4, milliseconds=5)),
        ("500ms", timedelta(milliseconds=500)),
        ("0.5s", timedelta(milliseconds=500)),
        ("0.5", timedelta(milliseconds=500)),
        (0.5, timedelta(milliseconds=500)),
        ("PT5M", timedelta(minutes=5)),
        ("P1DT2H", timedelta(hours=26)),
        ("P2W", timedelta(days=14)),
        ("PT0,5S", timedelta(milliseconds=500)),
        (timedelta(minutes=5), timedelta(minutes=5)),
        (0, timedelta()),
        ("0", timedelta()),
        (1.0004, timedelta(seconds=1)),
        (timedelta(microseconds=1_000_600), timedelta(milliseconds=1001)),
    ],
)
def test_a_duration_may_be_written_in_several_ways(written: object, meant: timedelta) -> None:
    assert parse_duration(written) == meant


@pytest.mark.parametrize(
    "written",
    [
        "",
        " ",
        "soon",
        "5 parsecs",
        "5M",  # minutes or months?
        "m",
        "30m1h",
        "5m5m",
        "1 0m",
        "1e3",
        "0x10",
        "٣m",
        "P",
        "PT",
        "P1DT",
        "P1M",
        "P1Y",
        "P1W1D",
        "00:05:00",
        "nan",
        "inf",
        "-5m",
        "9" * 5000,
        -1,
        -0.5,
        float("nan"),
        float("inf"),
        10**400,
        1e300,
        True,
        None,
        b"5m",
        [300],
        timedelta(seconds=-1),
        timedelta.max,
        LONGEST + timedelta(seconds=1),
    ],
)
def test_what_is_no_duration_is_a_value_error(written: object) -> None:
    with pytest.raises(ValueError, match=r"^must (be|not be) "):
        parse_duration(written)


def test_the_error_does_not_repeat_the_value() -> None:
    with pytest.raises(ValueError, match="must be") as caught:
        parse_duration("hunter2")
    assert "hunter2" not in str(caught.value)


@given(st.one_of(st.text(), st.from_regex(r"P?T?([0-9.,]{1,30} ?[wdhmsWDHMS]{1,2} ?){0,6}", fullmatch=True)))
def test_any_text_is_a_duration_or_a_value_error(text: str) -> None:
    try:
        duration = parse_duration(text)
    except ValueError:
        return
    assert timedelta() <= duration <= LONGEST


@given(st.one_of(st.integers(), st.floats(), st.timedeltas()))
def test_any_number_is_a_duration_or_a_value_error(number: object) -> None:
    try:
        duration = parse_duration(number)
    except ValueError:
        return
    assert timedelta() <= duration <= LONGEST


@given(st.integers(min_value=0, max_value=to_ms(LONGEST)))
def test_a_duration_written_down_reads_back_the_same(milliseconds: int) -> None:
    duration = timedelta(milliseconds=milliseconds)
    assert parse_duration(format_duration(duration)) == duration


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0s"), (300, "5m"), (5400, "1h30m"), (14 * 86_400, "14d"), (0.5, "500ms")]
)
def test_a_duration_is_written_in_its_shortest_form(seconds: float, text: str) -> None:
    assert format_duration(timedelta(seconds=seconds)) == text


@given(st.integers(min_value=0, max_value=250_000_000_000_000))
def test_a_time_in_milliseconds_survives_the_way_through_datetime(milliseconds: int) -> None:
    assert datetime_to_ms(from_ms(milliseconds)) == milliseconds


def test_a_time_comes_back_aware_and_in_utc() -> None:
    assert from_ms(1_700_000_000_123) == datetime(2023, 11, 14, 22, 13, 20, 123_000, tzinfo=UTC)
    assert from_ms(0).tzinfo is UTC


def test_a_datetime_of_another_zone_is_the_same_moment() -> None:
    east = timezone(timedelta(hours=2))
    assert datetime_to_ms(datetime(1970, 1, 1, 2, 0, 1, tzinfo=east)) == 1000


def test_a_naive_datetime_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="naive datetime"):
        datetime_to_ms(datetime(2024, 1, 1))  # noqa: DTZ001 - the naive one is the test


def test_the_system_clock_counts_milliseconds_since_the_epoch() -> None:
    before = time.time()
    assert before - 1 <= system_clock() / 1000 <= time.time() + 1


@pytest.mark.parametrize(
    ("moment", "written"),
    [
        (0, "1970-01-01 00:00:00Z"),
        (1_800_000_000_999, "2027-01-15 08:00:00Z"),
        (-1, "1969-12-31 23:59:59Z"),
        (10**18, "1000000000000000000 ms"),
    ],
)
def test_a_time_is_written_for_people(moment: int, written: str) -> None:
    assert format_time(moment) == written
