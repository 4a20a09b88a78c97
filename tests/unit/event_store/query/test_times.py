"""Times and durations in every way people write them."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from event_store.query.times import (
    DAY_NS,
    MAX_DURATION_NS,
    SECOND_NS,
    format_duration,
    format_time,
    parse_duration,
    parse_time,
)

NOW_NS = 1_800_000_000 * SECOND_NS + 5  # 2027-01-15T08:00:00.000000005Z
TODAY_NS = 1_799_971_200 * SECOND_NS


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("now", NOW_NS),
        ("Today", TODAY_NS),
        ("yesterday", TODAY_NS - DAY_NS),
        ("14:05", TODAY_NS + (14 * 60 + 5) * 60 * SECOND_NS),
        ("7:00:01", TODAY_NS + 25201 * SECOND_NS),
        ("2h", NOW_NS - 7200 * SECOND_NS),
        ("-2h", NOW_NS - 7200 * SECOND_NS),
        ("3 days ago", NOW_NS - 3 * DAY_NS),
        ("2027-01-15", TODAY_NS),
        ("2027-01-15T01:00", TODAY_NS + 3600 * SECOND_NS),
        ("2027-01-15 01:00:00.000000001Z", TODAY_NS + 3600 * SECOND_NS + 1),
        ("2027-01-15T01:00:00.5+01:00", TODAY_NS + SECOND_NS // 2),
        ("2027-01-15t01:00:00z", TODAY_NS + 3600 * SECOND_NS),
        ("1969-12-31T23:59:59.5Z", -SECOND_NS // 2),
        ("1700000000", 1_700_000_000 * SECOND_NS),
        ("1700000000.25", 1_700_000_000 * SECOND_NS + SECOND_NS // 4),
        ("1700000000123", 1_700_000_000_123 * 1_000_000),
        ("1700000000123456", 1_700_000_000_123_456 * 1000),
        ("1700000000123456789", 1_700_000_000_123_456_789),
    ],
)
def test_a_time_is_read(text: str, expected: int) -> None:
    assert parse_time(text, NOW_NS) == expected


@pytest.mark.parametrize(
    "text", ["", "soon", "25:00", "2027-13-01", "2027-01-15T1", "9999-01-01", "1500-01-01", "2x", "9" * 19, "1" * 99]
)
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_time(text, NOW_NS)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("15m", 900 * SECOND_NS),
        ("1h30m", 5400 * SECOND_NS),
        ("1.5h", 5400 * SECOND_NS),
        ("2 hours", 7200 * SECOND_NS),
        ("1 w 1 DAY", 8 * DAY_NS),
        ("250ms", SECOND_NS // 4),
        ("3us 2µs 1ns", 5001),
    ],
)
def test_a_duration_is_read(text: str, expected: int) -> None:
    assert parse_duration(text) == expected


@pytest.mark.parametrize(
    "text", ["", "5", "m", "0s", "5 parsecs", "1h x", "101w" * 60, "9999999w", "0.0000000001s", "-1s"]
)
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_duration(text)


@given(st.integers(-(2**63) + DAY_NS, 2**63 - DAY_NS))
def test_a_written_time_reads_as_the_same(moment_ns: int) -> None:
    assert parse_time(format_time(moment_ns), NOW_NS) == moment_ns


@given(st.integers(1, MAX_DURATION_NS))
def test_a_written_duration_reads_as_the_same(duration_ns: int) -> None:
    assert parse_duration(format_duration(duration_ns)) == duration_ns


@pytest.mark.parametrize(("seconds", "text"), [(60, "1m"), (90, "90s"), (7200, "2h"), (14 * 86400, "2w")])
def test_a_duration_is_written_in_its_largest_unit(seconds: int, text: str) -> None:
    assert format_duration(seconds * SECOND_NS) == text


@given(st.text(max_size=100))
def test_any_text_is_a_time_or_not(text: str) -> None:
    with suppress(ValueError):
        assert parse_duration(text) > 0
    with suppress(ValueError):
        assert abs(parse_time(text, NOW_NS)) < 2**63
