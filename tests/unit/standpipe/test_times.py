from datetime import UTC, datetime

import pytest

from standpipe.times import parse_moment, parse_span

NOW = 1_763_726_400.5


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("5m", 300), ("2h", 7200), ("1h30m", 5400), ("250ms", 0.25), ("1.5d", 129600)]
)
def test_a_span_is_in_seconds(text: str, seconds: float) -> None:
    assert parse_span(text) == seconds


@pytest.mark.parametrize("text", ["", "5", "m", "5y", "-5m", "5m ", "5m3", "1 h"])
def test_what_is_no_span_is_said(text: str) -> None:
    with pytest.raises(ValueError, match="no span of time like"):
        parse_span(text)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("now", NOW),
        ("5m", NOW - 300),
        ("1763726400.25", 1_763_726_400.25),
        ("2025-11-21T12:00:00Z", 1_763_726_400),
        ("2025-11-21T13:00:00+01:00", 1_763_726_400),
        ("2025-11-21", datetime(2025, 11, 21).timestamp()),
    ],
)
def test_a_moment_is_in_seconds_since_1970(text: str, moment: float) -> None:
    assert parse_moment(text, NOW) == moment


@pytest.mark.parametrize("text", ["", "yesterday", "90", "1763726400000000000", "5y", "2025-13-01"])
def test_what_is_no_moment_is_said(text: str) -> None:
    with pytest.raises(ValueError, match="no time"):
        parse_moment(text, NOW)


def test_a_number_without_its_unit_is_guessed_at() -> None:
    with pytest.raises(ValueError, match="did you mean 90s"):
        parse_moment("90", datetime.now(UTC).timestamp())
