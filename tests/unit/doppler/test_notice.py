"""A reader that lost something is told in its own stream."""

from doppler.notice import Notice, V1Notice
from envelope.pb.dropsonde_pb2 import CounterEvent
from envelope.pb.dropsonde_pb2 import Envelope as V1Envelope
from envelope.pb.loggregator_v2_pb2 import EnvelopeBatch
from envelope.pb.plumbing_pb2 import BatchResponse


def test_a_notice_is_a_counter_named_dropped_with_its_direction_and_subscription() -> None:
    notice = Notice.of("nozzle", 5, 12, now_ns=99)

    (envelope,) = EnvelopeBatch.FromString(notice.batch).batch
    assert (notice.envelopes, notice.missed) == (1, 5)

    assert (envelope.counter.name, envelope.counter.delta, envelope.counter.total) == ("dropped", 5, 12)
    assert envelope.tags["direction"] == "egress"
    assert envelope.tags["subscription"] == "nozzle"
    assert (envelope.source_id, envelope.timestamp) == ("doppler", 99)


def test_a_v1_notice_is_the_same_as_a_counter_event() -> None:
    notice = V1Notice.of("nozzle", 5, 12, now_ns=99)

    (payload,) = BatchResponse.FromString(notice.batch).payload
    envelope = V1Envelope.FromString(payload)
    assert (notice.envelopes, notice.missed) == (1, 5)
    assert (envelope.origin, envelope.timestamp, envelope.eventType) == (
        "loggregator.doppler",
        99,
        V1Envelope.EventType.CounterEvent,
    )
    event: CounterEvent = envelope.counterEvent
    assert (event.name, event.delta, event.total) == ("dropped", 5, 12)
    assert dict(envelope.tags) == {"direction": "egress", "subscription": "nozzle", "source_id": "doppler"}
