"""Framing agrees with protobuf's own."""

from hypothesis import given

from envelope.framing import frame
from envelope.pb.loggregator_v2_pb2 import Envelope, EnvelopeBatch
from tests.strategies import envelopes


@given(envelopes)
def test_a_framed_envelope_is_a_batch_of_one(envelope: Envelope) -> None:
    batch = EnvelopeBatch.FromString(frame(envelope.SerializeToString()))

    assert list(batch.batch) == [envelope]
