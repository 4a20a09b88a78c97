"""A batch is cut into one `Response` for each envelope."""

import hypothesis.strategies as st
from hypothesis import given

from doppler.egress import responses
from envelope.pb.plumbing_pb2 import BatchResponse, Response


@given(payloads=st.lists(st.binary(max_size=200)))
def test_each_envelope_of_a_batch_is_one_response(payloads: list[bytes]) -> None:
    messages = responses(BatchResponse(payload=payloads).SerializeToString())

    assert [Response.FromString(message).payload for message in messages] == payloads
