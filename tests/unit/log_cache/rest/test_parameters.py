"""Parameters as grpc-gateway reads them, and the two kinds of refusal (loggregator.md 4.1, 4.3)."""

import json
from typing import Any

import pytest

from envelope.kinds import Kind
from log_cache.query import Query
from log_cache.rest.parameters import MAX_PARAMETERS, UNDERSTOOD, first, parse_parameters, parse_read
from plumbing.http.exchange import shown_query
from plumbing.http.refusal import Refusal

NOW = 1_700_000_000_000_000_000


def read(query: str, **more: Any) -> Query:
    return parse_read("app", parse_parameters(query.encode()), now_ns=NOW, **more)


def refusal(query: str, **more: Any) -> tuple[int, int, str]:
    with pytest.raises(Refusal) as caught:
        read(query, **more)
    said = json.loads(caught.value.body)
    return caught.value.status, said["code"], said["message"]


def test_without_parameters_the_oldest_hundred_are_read() -> None:
    query = read("")

    assert (query.source_id, query.start, query.end, query.limit) == ("app", 0, NOW, 100)
    assert (query.kinds, query.descending, query.name_filter, query.cursor) == (Kind.ALL, False, "", None)


@pytest.mark.parametrize(
    "text",
    [
        "start_time=-6795364578871345152&end_time=5&limit=7&envelope_types=LOG&descending=true&name_filter=a.b",
        "startTime=-6795364578871345152&endTime=5&limit=7&envelopeTypes=1&descending=1&nameFilter=a.b",
        "start_time=-6795364578871345152&end_time=%2B5&limit=07&envelope_types=LOG&descending=T&name_filter=a.b&x=y",
    ],
)
def test_the_proto_s_names_and_camel_case_are_both_known(text: str) -> None:
    query = read(text)

    assert (query.start, query.end, query.limit) == (-6795364578871345152, 5, 7)
    assert (query.kinds, query.descending, query.name_filter) == (Kind.LOG, True, "a.b")


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("envelope_types=LOG&envelope_types=COUNTER", Kind.LOG | Kind.COUNTER),
        ("envelope_types=LOG&envelopeTypes=3", Kind.LOG | Kind.GAUGE),
        ("envelope_types=4&envelope_types=EVENT", Kind.TIMER | Kind.EVENT),
        ("envelope_types=ANY", Kind.ALL),
        ("envelope_types=ANY&envelope_types=LOG", Kind.LOG),
        ("envelope_types=0", Kind.ALL),
    ],
)
def test_types_are_names_or_numbers(text: str, kinds: Kind) -> None:
    assert read(text).kinds == kinds


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("start_time=x", 'parsing field "start_time": strconv.ParseInt: parsing "x": invalid syntax'),
        ("limit=", 'parsing field "limit": strconv.ParseInt: parsing "": invalid syntax'),
        ("limit=1.5", 'parsing field "limit": strconv.ParseInt: parsing "1.5": invalid syntax'),
        ("limit=1_0", 'parsing field "limit": strconv.ParseInt: parsing "1_0": invalid syntax'),
        (f"end_time={1 << 63}", f'parsing field "end_time": strconv.ParseInt: parsing "{1 << 63}": value out of range'),
        ("descending=yes", 'parsing field "descending": strconv.ParseBool: parsing "yes": invalid syntax'),
        ("envelope_types=LOGS", 'parsing list "envelope_types": "LOGS" is not a valid value'),
        ("envelope_types=6", 'parsing list "envelope_types": "6" is not a valid value'),
        ("limit=1&limit=2", 'too many values for field "limit": 1, 2'),
        ("startTime=1&start_time=2", 'too many values for field "start_time": 2, 1'),
        ("cursor=&wait=x", 'parsing field "wait": "x" is not a number of seconds'),
        ("cursor=&wait=nan", 'parsing field "wait": "nan" is not a number of seconds'),
    ],
)
def test_what_cannot_be_parsed_is_an_invalid_argument(text: str, message: str) -> None:
    assert refusal(text) == (400, 3, message)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("limit=1001", "limit (1001) must be 1000 or less"),
        ("limit=-1", "limit (-1) must be greater than zero"),
        ("start_time=2&end_time=1", "StartTime (2) must be before EndTime (1)"),
    ],
)
def test_what_the_node_of_the_original_refuses_is_an_unknown_error(text: str, message: str) -> None:
    assert refusal(text) == (500, 2, message)


def test_a_bad_name_filter_is_told_so() -> None:
    assert refusal("name_filter=(")[:2] == (500, 2)


@pytest.mark.parametrize(
    "text", ["cursor=&start_time=1", "cursor=&end_time=1", "cursor=&descending=true", "wait=5", "cursor=&wait=31"]
)
def test_what_the_original_does_not_know_is_refused_as_the_clients_mistake(text: str) -> None:
    assert refusal(text)[:2] == (400, 3)


def test_a_cursor_goes_with_limit_types_and_filter() -> None:
    query = read("cursor=abc&wait=2.5&limit=5&envelope_types=GAUGE&name_filter=cpu")

    assert (query.cursor, query.wait_s, query.limit, query.kinds) == ("abc", 2.5, 5, Kind.GAUGE)


def test_what_a_browser_remembers_stands_in_for_the_cursor() -> None:
    assert read("cursor=first", last_event_id="later").cursor == "later"


def test_parameters_have_a_bound() -> None:
    parse_parameters(b"&".join([b"a"] * MAX_PARAMETERS))

    with pytest.raises(Refusal, match="more than 1000 parameters"):
        parse_parameters(b"&".join([b"a"] * (MAX_PARAMETERS + 1)))


def test_the_first_of_several_values_counts_for_prometheus() -> None:
    assert first("query", {"query": ["a", "b"]}) == "a"
    assert first("query", {}) == ""


def test_parameters_that_mean_nothing_are_not_shown() -> None:
    shown = "limit=1&envelopeTypes=2&query=up&match%5B%5D=x&match[]=y"

    assert shown_query(f"token=SECRET&{shown}&access_token=SECRET&x", UNDERSTOOD) == shown
