"""Framing agrees with protobuf's own."""

from hypothesis import given

from envelope import framing
from envelope.errors import DecodeError
from envelope.framing import frame
from envelope.kernel import spans
from envelope.pb.loggregator_v2_pb2 import Envelope, EnvelopeBatch
from tests.strategies import batches, envelopes, odd_batches, parsed


@given(envelopes)
def test_a_framed_envelope_is_a_batch_of_one(envelope: Envelope) -> None:
    batch = EnvelopeBatch.FromString(frame(envelope.SerializeToString()))

    assert list(batch.batch) == [envelope]


@given(batches())
def test_a_batch_comes_apart_into_its_envelopes_in_order(batch: bytes) -> None:
    assert [Envelope.FromString(each) for each in framing.envelopes(batch)] == list(parsed(batch))
    assert [parsed(each) for each in framing.frames(batch)] == [[envelope] for envelope in parsed(batch)]


@given(odd_batches)
def test_an_odd_batch_comes_apart_into_as_many_as_the_kernel_finds_or_not_at_all(batch: bytes) -> None:
    try:
        found = spans(batch)
    except DecodeError:
        return
    bodies = framing.envelopes(batch)
    assert len(bodies) == len(found)
    assert framing.frames(batch) == [batch[start:end] for start, end, *_ in found]
    for body, (start, end, *_) in zip(bodies, found, strict=True):
        assert batch[start:end].endswith(body)
        assert framing.envelopes(frame(body)) == [body]
