"""From parameters to queries."""

from typing import Any

import orjson
import pytest

from event_store.http.asked import filter_of, limited, query_of, readable, step_of
from event_store.query.syntax import EVERYTHING, And, In, Limit, Or, Span, Tail, Word
from plumbing.http.refusal import Refusal

S = 10**9
NOW = 1_763_726_400 * S
HOUR = 3600 * S


def error_of(work: Any) -> dict[str, Any]:
    with pytest.raises(Refusal) as refused:
        work()
    error: dict[str, Any] = orjson.loads(refused.value.body)["error"]
    return error


def test_the_text_says_what_and_when() -> None:
    query = query_of({"query": "error last 2h"}, NOW, None)
    assert (query.filter, query.span) == (Word("error"), Span(NOW - 2 * HOUR, NOW))


@pytest.mark.parametrize(
    ("given", "span"),
    [
        ({"start": "2h", "end": "1h"}, Span(NOW - 2 * HOUR, NOW - HOUR)),
        ({"start": "2h"}, Span(NOW - 2 * HOUR, NOW)),
        ({"end": "30m"}, Span(NOW - HOUR, NOW - HOUR // 2)),
        ({"end": "3h"}, Span(NOW - 4 * HOUR, NOW - 3 * HOUR)),
        ({"query": "from 5h to 4h", "start": "3h"}, Span(NOW - 3 * HOUR, NOW)),
    ],
)
def test_times_that_are_given_go_before_those_of_the_text(given: dict[str, str], span: Span) -> None:
    assert query_of(given, NOW, None).span == span


def test_a_time_that_ends_before_it_begins_is_refused() -> None:
    assert error_of(lambda: query_of({"start": "1h", "end": "2h"}, NOW, None))["message"].startswith("start: ")


def test_a_query_that_is_none_is_refused_with_its_column() -> None:
    error = error_of(lambda: query_of({"query": "a )"}, NOW, None))
    assert (error["code"], error["column"]) == ("syntax", 3)


def test_what_may_not_be_read_is_left_out_whatever_the_text_says() -> None:
    query = query_of({"query": "a or source:x"}, NOW, frozenset({"s2", "s1"}))
    assert isinstance(query.filter, And)
    assert query.filter.terms[0] == In("source_id", ("s1", "s2"))
    assert isinstance(query.filter.terms[1], Or)
    assert readable(EVERYTHING, frozenset()) == And((In("source_id", ()), EVERYTHING))


def test_a_live_tail_takes_a_filter_alone() -> None:
    assert filter_of({"query": "error"}, NOW, None) == Word("error")
    assert "without stages" in error_of(lambda: filter_of({"query": "error | count"}, NOW, None))["message"]


@pytest.mark.parametrize(
    ("text", "limit", "stages", "rows"),
    [
        ("error", None, (), 1000),
        ("error", "500", (Tail(500),), 500),
        ("error | sort value", "500", None, 500),
        ("error | tail 700", "500", (Tail(700),), 500),
        ("error | count by app", "50", None, 50),
        ("error", "5000", (Tail(1000),), 1000),
    ],
)
def test_a_limit_of_events_means_the_newest(text: str, limit: str | None, stages: Any, rows: int) -> None:
    given = {"query": text, **({"limit": limit} if limit else {})}
    query, most = limited(query_of(given, NOW, None), given, 1000)
    assert most == rows
    if stages is not None:
        assert query.pipeline == stages
    elif "sort" in text:
        assert query.pipeline[-1] == Limit(500)


def test_buckets_are_of_a_round_width_and_whole_milliseconds() -> None:
    assert step_of({}, Span(NOW - HOUR, NOW)) == 60 * S
    assert step_of({"buckets": "7"}, Span(NOW - HOUR, NOW)) == 600 * S
    assert step_of({"step": "90s"}, Span(NOW - HOUR, NOW)) == 90 * S
    assert step_of({"step": "10ns"}, Span(NOW - 10, NOW)) == 10**6


def test_there_are_so_many_buckets() -> None:
    assert "is the most" in error_of(lambda: step_of({"step": "1s"}, Span(NOW - HOUR, NOW)))["message"]
