"""What the parameters of a query ask for (loggregator.md 3.2)."""

import pytest

from envelope.pb.loggregator_v2_pb2 import EgressBatchRequest, Selector
from plumbing.http.exchange import shown_query
from plumbing.http.refusal import Refusal
from reverse_log_proxy.gateway import refusals
from reverse_log_proxy.gateway.query import MAX_SELECTORS, UNDERSTOOD, Query, parse_parameters, parse_query


def query(text: str) -> Query:
    return parse_query(parse_parameters(text.encode()))


def request(text: str) -> EgressBatchRequest:
    return EgressBatchRequest.FromString(query(text).request)


def selectors(text: str) -> list[Selector]:
    return list(request(text).selectors)


@pytest.mark.parametrize("kind", ["log", "counter", "gauge", "timer", "event"])
@pytest.mark.parametrize("value", ["", "=", "=true", "=false"])
def test_a_type_is_asked_for_by_its_name_whatever_its_value(kind: str, value: str) -> None:
    assert selectors(f"{kind}{value}") == [Selector(**{kind: {}})]


def test_every_source_is_asked_for_every_type() -> None:
    assert selectors("source_id=a&gauge&source_id=b&log") == [
        Selector(source_id="a", log={}),
        Selector(source_id="a", gauge={}),
        Selector(source_id="b", log={}),
        Selector(source_id="b", gauge={}),
    ]


def test_names_take_the_place_of_their_type() -> None:
    assert selectors("counter&counter.name=x&counter.name=y&gauge.name=g") == [
        Selector(counter={"name": "x"}),
        Selector(counter={"name": "y"}),
        Selector(gauge={"names": ["g"]}),
    ]


def test_gauge_names_with_commas_are_one_selector() -> None:
    assert selectors("gauge.name=cpu,memory&gauge.name=jvm.stuff") == [
        Selector(gauge={"names": ["cpu", "memory"]}),
        Selector(gauge={"names": ["jvm.stuff"]}),
    ]


@pytest.mark.parametrize(
    ("text", "selector"),
    [("counter.name=", Selector(counter={})), ("gauge.name", Selector(gauge={"names": [""]}))],
)
def test_an_empty_name_passes(text: str, selector: Selector) -> None:
    assert selectors(text) == [selector]


def test_the_shard_and_the_name_in_it_are_passed_on() -> None:
    asked = request("log&shard_id=a%20b&shard_id=c&deterministic_name=d")

    assert (asked.shard_id, asked.deterministic_name, asked.use_preferred_tags) == ("a b", "d", True)


@pytest.mark.parametrize(
    ("text", "refusal"),
    [
        ("", refusals.EMPTY_QUERY),
        ("&", refusals.EMPTY_QUERY),
        ("source_id=a", refusals.MISSING_TYPE),
        ("shard_id=log", refusals.MISSING_TYPE),
        ("LOG", refusals.MISSING_TYPE),
    ],
)
def test_a_query_that_asks_for_nothing_is_refused(text: str, refusal: Refusal) -> None:
    with pytest.raises(Refusal) as refused:
        query(text)
    assert refused.value is refusal


@pytest.mark.parametrize(
    ("name", "refusal"), [("counter.name", refusals.NO_COUNTER_NAME), ("gauge.name", refusals.NO_GAUGE_NAME)]
)
def test_a_name_without_any_value_is_refused(name: str, refusal: Refusal) -> None:
    with pytest.raises(Refusal) as refused:
        parse_query({name: []})
    assert refused.value is refusal


def test_the_order_of_parameters_means_nothing() -> None:
    assert query("source_id=a&source_id=b&log&counter").meaning == query("counter&source_id=b&source_id=a&log").meaning


@pytest.mark.parametrize("other", ["log&counter", "log&shard_id=a", "log&deterministic_name=a", "log&source_id=a"])
def test_another_query_means_something_else(other: str) -> None:
    assert query("log").meaning != query(other).meaning


def test_a_query_with_a_shard_is_shared() -> None:
    assert (query("log&shard_id=a").is_shared, query("log").is_shared) == (True, False)


def test_bytes_that_are_no_text_do_no_harm() -> None:
    assert parse_query(parse_parameters(b"log&source_id=\xff%ff")).request


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("log&source_id=a%20b&counter.name=x&source_id=c", "log&source_id=a%20b&counter.name=x&source_id=c"),
        ("token=t&log&access_token&logs=1&=&", "log"),
        ("", ""),
    ],
)
def test_what_means_nothing_is_left_out_where_a_query_is_shown(text: str, kept: str) -> None:
    assert shown_query(text, UNDERSTOOD) == kept


@pytest.mark.parametrize("sources", [1, 100])
def test_a_query_asks_for_so_much_and_no_more(sources: int) -> None:
    """Sources times names: what fits into the head of a request would fill the memory, multiplied."""
    text = "&".join(["source_id=a"] * sources + ["gauge.name=b"] * (MAX_SELECTORS // sources))
    assert len(selectors(text)) == MAX_SELECTORS

    with pytest.raises(Refusal) as refusal:
        query(f"{text}&counter")
    assert refusal.value is refusals.TOO_MUCH
