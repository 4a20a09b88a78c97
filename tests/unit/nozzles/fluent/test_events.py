"""Envelopes as events: what a record says, how they are packed, and which times can be told."""

from __future__ import annotations

import msgpack
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from envelope.pb.loggregator_v2_pb2 import Counter, Envelope, EnvelopeBatch, Gauge, GaugeValue, Log, Timer
from envelope.pb.loggregator_v2_pb2 import Event as EventMessage
from nozzles.fluent.events import chunks_of, event_time, record_of, tag_of
from tests.strategies import envelopes


@examples(max_examples=50)
@given(made=st.lists(envelopes, max_size=10), max_bytes=st.integers(1, 500))
def test_every_envelope_is_in_one_chunk_and_a_tags_events_are_in_order(made: list[Envelope], max_bytes: int) -> None:
    chunks = chunks_of(EnvelopeBatch(batch=made).SerializeToString(), "<kind>.<source_id>", max_bytes)

    assert sorted(place for chunk in chunks for place in chunk.places) == list(range(len(made)))
    for tag in {chunk.tag for chunk in chunks}:
        places = [place for chunk in chunks if chunk.tag == tag for place in chunk.places]
        assert places == sorted(places)
    assert all(len(chunk.entries) <= max_bytes or len(chunk.places) == 1 for chunk in chunks)


def test_records_are_flat() -> None:
    common = {"source_id": "app", "instance_id": "3", "tags": {"origin": "rep"}}
    head = {"source_id": "app", "instance_id": "3", "tags.origin": "rep"}

    def record(**message: object) -> dict[str, object]:
        return record_of(Envelope(**common, **message))  # type: ignore[arg-type]  # one member of the oneof

    log = {"kind": "log", "message": "a\ufffd", "stream": "stderr"}
    assert record(log=Log(payload=b"a\xff", type=Log.ERR)) == head | log
    counter = {"kind": "counter", "name": "c", "delta": 2**64 - 1, "total": 0}
    assert record(counter=Counter(name="c", delta=2**64 - 1)) == head | counter
    gauge = {"kind": "gauge", "metrics.cpu": 0.5, "units.cpu": "%"}
    assert record(gauge=Gauge(metrics={"cpu": GaugeValue(unit="%", value=0.5)})) == head | gauge
    timer = {"kind": "timer", "name": "t", "start": -1, "stop": 5}
    assert record(timer=Timer(name="t", start=-1, stop=5)) == head | timer
    assert record(event=EventMessage(title="t", body="b")) == head | {"kind": "event", "title": "t", "body": "b"}
    assert record() == head | {"kind": "bare"}


def test_a_time_is_told_to_the_nanosecond_where_the_protocol_can() -> None:
    assert event_time(1_500_000_000_000_000_007) == msgpack.ExtType(0, b"\x59\x68\x2f\x00\x00\x00\x00\x07")
    assert event_time(-1) == -1
    assert event_time(2**63 - 1) == 9223372036


def test_a_source_id_adds_no_parts_to_a_tag() -> None:
    assert tag_of("a.<source_id>.<kind>", Envelope(source_id="b.c d", log=Log())) == "a.b_c_d.log"
    assert tag_of("<source_id>", Envelope(source_id="<kind>")) == "_kind_"
    assert tag_of("<source_id>", Envelope()) == "_"
