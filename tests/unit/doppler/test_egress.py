"""Each envelope of a `BatchResponse` is a `Response` as it stands."""

import hypothesis.strategies as st
from hypothesis import given

from envelope.framing import frames
from envelope.pb.plumbing_pb2 import BatchResponse, Response


@given(payloads=st.lists(st.binary(max_size=200)))
def test_each_envelope_of_a_batch_is_one_response(payloads: list[bytes]) -> None:
    messages = frames(BatchResponse(payload=payloads).SerializeToString())

    assert [Response.FromString(message).payload for message in messages] == payloads
