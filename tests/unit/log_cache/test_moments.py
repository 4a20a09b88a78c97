"""Times and steps of queries are read as clients write them (loggregator.md 4.3, 4.4)."""

import pytest

from log_cache.moments import parse_step, parse_time
from log_cache.promql.values import QueryError


def refusal(parameter: str, text: str) -> str:
    with pytest.raises(QueryError) as caught:
        parse_step(text) if parameter == "step" else parse_time(parameter, text)
    assert caught.value.kind == "bad_data"
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [
        ("0", 0),
        ("1700000000", 1_700_000_000_000),
        ("1700000000.123", 1_700_000_000_123),
        ("-1.5", -1500),
        ("1.7e9", 1_700_000_000_000),
        (".5", 500),
    ],
)
def test_a_time_may_be_decimal_seconds(text: str, milliseconds: int) -> None:
    assert parse_time("time", text) == milliseconds


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [
        ("1970-01-01T00:00:01Z", 1000),
        ("1970-01-01T01:00:00.25+01:00", 250),
        ("2023-11-14T22:13:20.123456789Z", 1_700_000_000_123),
    ],
)
def test_a_time_may_be_rfc_3339(text: str, milliseconds: int) -> None:
    assert parse_time("time", text) == milliseconds


@pytest.mark.parametrize("text", ["", "now", "nan", "inf", "1_0", " 1", "1e300", "2023-13-01T00:00:00Z", "2023-11-14"])
def test_any_other_time_is_refused_by_the_name_of_its_parameter(text: str) -> None:
    assert (
        refusal("start", text) == f'couldn\'t parse start: cannot parse "{text}" to a valid Unix or RFC3339 timestamp'
    )


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [("15", 15_000), ("0.5", 500), ("1m", 60_000), ("1h30m", 5_400_000), ("0", 0), ("-1", -1000)],
)
def test_a_step_may_be_decimal_seconds_or_a_duration(text: str, milliseconds: int) -> None:
    assert parse_step(text) == milliseconds


@pytest.mark.parametrize("text", ["", "soon", "1.5m", "nan", "5 m"])
def test_any_other_step_is_refused(text: str) -> None:
    assert refusal("step", text) == f'couldn\'t parse step: cannot parse "{text}" to a valid step'


def test_a_step_that_is_too_large_says_so() -> None:
    assert refusal("step", "1e10").endswith('cannot parse "1e10" to a valid step. It overflows int64')


def test_endless_text_is_not_repeated() -> None:
    assert len(refusal("end", "9" * 1_000_000)) < 200
    assert len(refusal("step", "9" * 1_000_000)) < 200
