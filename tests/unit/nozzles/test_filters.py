from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from envelope import kernel
from envelope.pb.loggregator_v2_pb2 import Counter, Envelope, Gauge, GaugeValue, Log, Timer
from nozzles.filters import ALL_TYPES, FilterSettings, make_filter
from tests.strategies import batch_of, batches, canonical, parsed

LOG = Envelope(source_id="app", log=Log(payload=b"hello"))


def kept(batch: bytes, **given_settings: Any) -> list[Envelope]:
    """What a filter leaves of a batch; its count is checked."""
    apply = make_filter(FilterSettings(**given_settings))
    assert apply is not None
    left, count = apply(batch)
    envelopes = list(parsed(left))
    assert len(envelopes) == count
    return envelopes


def gauge(*names: str) -> Envelope:
    return Envelope(gauge=Gauge(metrics={name: GaugeValue(value=1) for name in names}))


def test_what_lets_everything_through_is_no_filter() -> None:
    assert make_filter(FilterSettings()) is None
    assert make_filter(FilterSettings(types=list(reversed(ALL_TYPES)), sample=1)) is None


@settings(max_examples=50)
@given(
    batches(), st.sets(st.sampled_from(ALL_TYPES), min_size=1, max_size=4), st.sets(st.sampled_from(["", "0", "-1"]))
)
def test_keeps_what_it_is_asked_for_and_its_order(batch: bytes, types: set[Any], excluded: set[str]) -> None:
    expected = [
        canonical(each)
        for each in parsed(batch)
        if each.WhichOneof("message") in types and each.source_id not in excluded
    ]

    assert [canonical(each) for each in kept(batch, types=list(types), exclude_sources=list(excluded))] == expected


def test_what_has_no_type_passes_unless_types_are_chosen() -> None:
    batch = batch_of(Envelope(source_id="a"), LOG)

    assert len(kept(batch, sources=["a"])) == 1
    assert kept(batch, types=["log"]) == [LOG]


def test_a_source_that_is_excluded_is_left_out_though_it_is_named() -> None:
    one, two = Envelope(source_id="a"), Envelope(source_id="b")

    assert kept(batch_of(one, two), sources=["a", "b"], exclude_sources=["a"]) == [two]


def test_tags_match_in_full() -> None:
    web, web2, none = Envelope(tags={"job": "web"}), Envelope(tags={"job": "web-2"}), Envelope()

    assert kept(batch_of(web, web2, none), tags={"job": "web"}) == [web]
    assert kept(batch_of(web, web2, none), tags={"job": "web.*"}) == [web, web2]
    assert kept(batch_of(web, none), tags={"job": ".*"}) == [web]  # a tag that is not there has no empty value


def test_names_match_in_full_and_gauges_are_reduced_to_what_matches() -> None:
    counter, other = Envelope(counter=Counter(name="cpu")), Envelope(counter=Counter(name="cpus"))
    timer = Envelope(timer=Timer(name="cpu"))
    batch = batch_of(counter, other, timer, gauge("cpu", "memory"), gauge("memory"))

    assert kept(batch, metric_names="cpu") == [counter, timer, gauge("cpu")]


def test_names_have_no_say_about_what_has_none() -> None:
    assert kept(batch_of(LOG, gauge()), metric_names="cpu") == [LOG, gauge()]


def test_a_name_too_long_to_be_remembered_is_matched_all_the_same() -> None:
    long = Envelope(counter=Counter(name="a" * 100_000))

    assert kept(batch_of(long), metric_names="a+") == [long]


def test_a_sample_is_a_share_of_each_source_and_always_the_same() -> None:
    batch = batch_of(*(Envelope(source_id=source, timestamp=at) for source in "ab" for at in range(2000)))

    sample = kept(batch, sample=0.25)

    assert sample == kept(batch, sample=0.25)
    for source in "ab":
        assert 400 < sum(each.source_id == source for each in sample) < 600


def test_a_larger_sample_has_all_of_a_smaller_one() -> None:
    batch = batch_of(*(Envelope(source_id="a", instance_id=str(at % 3), timestamp=at) for at in range(500)))

    small, large = kept(batch, sample=0.2), kept(batch, sample=0.6)

    assert all(each in large for each in small)


@settings(max_examples=50)
@given(batches())
def test_what_is_kept_is_kept_to_the_byte(batch: bytes) -> None:
    everything = make_filter(FilterSettings(metric_names="(?s).*", tags={}))
    assert everything is not None

    assert everything(batch) == (batch, kernel.count(batch))


@pytest.mark.parametrize("pattern", ["a(", "[z-a]", "(?P<n", "a" * 5000, "((a{100}){100}){10}"])
def test_a_pattern_that_is_none_is_refused_when_the_settings_are_read(pattern: str) -> None:
    with pytest.raises(ValidationError, match="pattern"):
        FilterSettings(metric_names=pattern)
    with pytest.raises(ValidationError, match="pattern"):
        FilterSettings(tags={"job": pattern})


@pytest.mark.parametrize(
    "wrong", [{"sample": 0}, {"sample": 1.5}, {"types": []}, {"types": ["logs"]}, {"source": ["a"]}]
)
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        FilterSettings(**wrong)
