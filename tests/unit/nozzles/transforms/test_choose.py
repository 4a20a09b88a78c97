import pytest
from pydantic import ValidationError

from envelope.pb.loggregator_v2_pb2 import Counter, Envelope, Gauge, GaugeValue, Log
from nozzles.filters import FilterSettings, make_filter
from nozzles.transforms.choose import Drop, Sample, Select, drop, sample, select
from tests.strategies import batch_of, parsed


def log(source: str = "", **tags: str) -> Envelope:
    return Envelope(source_id=source, tags=tags, log=Log(payload=b"x"))


def counter(name: str) -> Envelope:
    return Envelope(counter=Counter(name=name))


def gauge(*names: str) -> Envelope:
    return Envelope(gauge=Gauge(metrics={name: GaugeValue(value=1) for name in names}))


def test_select_keeps_what_meets_every_criterion() -> None:
    step = select(Select(step="select", types=["log"], sources=["a"], tags={"job": "web"}))

    assert step(log("a", job="web")) is not None
    assert step(log("b", job="web")) is None
    assert step(log("a", job="webs")) is None
    assert step(Envelope(source_id="a", tags={"job": "web"})) is None


def test_select_reduces_gauges_and_has_no_say_about_logs_by_name() -> None:
    step = select(Select(step="select", metric_names="cpu"))

    assert step(gauge("cpu", "memory")) == gauge("cpu")
    assert step(gauge("memory")) is None
    assert step(counter("memory")) is None
    assert step(log()) == log()


def test_drop_drops_only_what_meets_every_criterion() -> None:
    step = drop(Drop(step="drop", types=["log"], sources=["a"]))

    assert step(log("a")) is None
    assert step(log("b")) == log("b")
    assert step(Envelope(source_id="a")) == Envelope(source_id="a")


def test_drop_takes_matching_metrics_out_of_gauges_and_the_gauge_with_the_last_of_them() -> None:
    step = drop(Drop(step="drop", metric_names="cpu"))

    assert step(gauge("cpu", "memory")) == gauge("memory")
    assert step(gauge("cpu")) is None
    assert step(counter("cpu")) is None
    assert step(counter("cpus")) == counter("cpus")
    assert step(log()) == log()
    assert step(gauge()) == gauge()


def test_drop_without_a_criterion_is_refused() -> None:
    with pytest.raises(ValidationError, match="says not what to drop"):
        Drop(step="drop")


def test_sample_keeps_the_very_ones_that_a_filter_keeps() -> None:
    envelopes = [Envelope(source_id="a", timestamp=at) for at in range(300)]
    step, apply = sample(Sample(step="sample", share=0.3)), make_filter(FilterSettings(sample=0.3))
    assert apply is not None

    chosen = [each for each in envelopes if step(each)]

    assert chosen == list(parsed(apply(batch_of(*envelopes))[0]))
    assert 0 < len(chosen) < 300
