"""A reader that lost something is told in its own stream."""

from doppler.notice import Notice
from envelope.pb.loggregator_v2_pb2 import EnvelopeBatch


def test_a_notice_is_a_counter_named_dropped_with_its_direction_and_subscription() -> None:
    notice = Notice.of("nozzle", 5, 12, now_ns=99)

    (envelope,) = EnvelopeBatch.FromString(notice.batch).batch
    assert (notice.envelopes, notice.missed) == (1, 5)

    assert (envelope.counter.name, envelope.counter.delta, envelope.counter.total) == ("dropped", 5, 12)
    assert envelope.tags["direction"] == "egress"
    assert envelope.tags["subscription"] == "nozzle"
    assert (envelope.source_id, envelope.timestamp) == ("doppler", 99)
