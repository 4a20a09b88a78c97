"""The parameters of requests, good and bad."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from event_store.http import parameters
from event_store.http.parameters import MAX_PARAMETERS, choice, duration, field, flag, moment, read, whole
from event_store.http.routes import ROUTES
from plumbing.http.refusal import Refusal

QUERY = ROUTES["/api/query"]
FORM = "application/x-www-form-urlencoded"
NOW = 1_763_726_400 * 10**9


def message_of(work: Callable[[], Any]) -> str:
    with pytest.raises(Refusal) as refused:
        work()
    return str(orjson.loads(refused.value.body)["error"]["message"])


def test_a_form_or_json_goes_before_the_query() -> None:
    assert read(QUERY, b"query=a&limit=1") == {"query": "a", "limit": "1"}
    assert read(QUERY, b"query=a&limit=1", b"query=b%20c", FORM) == {"query": "b c", "limit": "1"}
    body = b'{"query":"b","limit":5,"progress":true,"start":null}'
    assert read(QUERY, b"", body, "application/json; charset=utf-8") == {"query": "b", "limit": "5", "progress": "true"}


@pytest.mark.parametrize(
    ("query", "body", "kind", "said"),
    [
        (b"querry=a", b"", "", "querry: no such parameter; there are query, start"),
        (b"query=a&query=b", b"", "", "query: was given twice"),
        (b"query=%ff", b"", "", "percent-encoded UTF-8"),
        (b"&".join([b"query=a"] * (MAX_PARAMETERS + 1)), b"", "", "no more than"),
        (b"", b"<a/>", "text/xml", "the body is neither"),
        (b"", b"{", "application/json", "the body is no JSON"),
        (b"", b"[]", "application/json", "no JSON object"),
        (b"", b'{"query":[]}', "application/json", "query: is neither text nor a number"),
    ],
)
def test_what_makes_no_sense_is_named(query: bytes, body: bytes, kind: str, said: str) -> None:
    assert said in message_of(lambda: read(QUERY, query, body, kind))


def test_what_a_route_needs_must_be_there() -> None:
    assert message_of(lambda: read(ROUTES["/api/facets"], b"query=a")) == "field: is missing"


def test_values_are_read() -> None:
    given_ = {"limit": "500", "progress": "true", "format": "csv", "start": "1h", "step": "1m30s", "by": "app"}
    assert (whole(given_, "limit", 10, 100), whole({}, "limit", 10, 100)) == (100, 10)
    assert (flag(given_, "progress"), flag({}, "progress")) == (True, False)
    assert choice(given_, "format", ("json", "csv")) == "csv"
    assert choice({}, "format", ("json", "csv")) == "json"
    assert moment(given_, "start", NOW) == NOW - 3600 * 10**9
    assert moment({}, "start", NOW) is None
    assert duration(given_, "step") == 90 * 10**9
    assert field(given_, "by") == "app"


@pytest.mark.parametrize(
    "work",
    [
        lambda: whole({"limit": "0"}, "limit", 1, 9),
        lambda: whole({"limit": "9" * 30}, "limit", 1, 9),
        lambda: whole({"limit": "-1"}, "limit", 1, 9),
        lambda: flag({"limit": "yes"}, "limit"),
        lambda: choice({"limit": "xml"}, "limit", ("json",)),
        lambda: moment({"limit": "tomorrow"}, "limit", NOW),
        lambda: duration({"limit": "often"}, "limit"),
        lambda: field({"limit": "x" * 501}, "limit"),
    ],
)
def test_a_bad_value_is_named(work: Callable[[], Any]) -> None:
    assert message_of(work).startswith("limit: ")


@given(st.binary(max_size=300), st.binary(max_size=300), st.sampled_from([FORM, "application/json", "x"]))
def test_any_bytes_are_parameters_or_refused(query: bytes, body: bytes, kind: str) -> None:
    with suppress(Refusal):
        assert all(isinstance(value, str) for value in parameters.read(QUERY, query, body, kind).values())
