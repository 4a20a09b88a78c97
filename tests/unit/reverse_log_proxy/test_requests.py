"""What may be asked passes as it came; what may not is refused in the original's words."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envelope.pb.loggregator_v2_pb2 import EgressBatchRequest, EgressRequest, Selector
from envelope.selectors import MAX_SELECTORS
from plumbing.egress_server import RequestRefused
from reverse_log_proxy.requests import MAX_REQUEST_BYTES, parse_request

KINDS = ("log", "counter", "gauge", "timer", "event")
selectors = st.builds(
    lambda source, kind: Selector(source_id=source, **{kind: {}}), st.text(max_size=4), st.sampled_from(KINDS)
)
requests = st.builds(
    EgressBatchRequest,
    shard_id=st.text(max_size=4),
    deterministic_name=st.text(max_size=4),
    use_preferred_tags=st.booleans(),
    selectors=st.lists(selectors, min_size=1, max_size=4),
)


@given(requests)
def test_a_request_passes_as_it_came(request_: EgressBatchRequest) -> None:
    message = request_.SerializeToString()

    parsed = parse_request(message)

    assert parsed.message is message
    assert (parsed.shard_id, parsed.preferred_tags) == (request_.shard_id, request_.use_preferred_tags)


@given(requests)
def test_a_request_for_single_envelopes_keeps_its_name(request_: EgressBatchRequest) -> None:
    single = EgressRequest.FromString(request_.SerializeToString())

    assert EgressBatchRequest.FromString(parse_request(single.SerializeToString()).message) == request_


@given(requests, selectors)
def test_a_legacy_selector_is_forgotten_where_there_is_another(request_: EgressBatchRequest, legacy: Selector) -> None:
    asked = EgressBatchRequest()
    asked.CopyFrom(request_)
    asked.legacy_selector.CopyFrom(legacy)

    assert EgressBatchRequest.FromString(parse_request(asked.SerializeToString()).message) == request_


@given(selectors)
def test_a_legacy_selector_becomes_one_where_there_is_no_other(legacy: Selector) -> None:
    asked = EgressBatchRequest(shard_id="s", legacy_selector=legacy)

    parsed = EgressBatchRequest.FromString(parse_request(asked.SerializeToString()).message)

    assert parsed == EgressBatchRequest(shard_id="s", selectors=[legacy])


@given(st.binary(max_size=40))
def test_arbitrary_bytes_are_a_request_or_refused(message: bytes) -> None:
    with suppress(RequestRefused):
        assert EgressBatchRequest.FromString(parse_request(message).message).selectors


def test_a_request_for_too_much_at_once_is_refused() -> None:
    request = EgressBatchRequest(selectors=[Selector(log={})] * (MAX_SELECTORS + 1))

    with pytest.raises(RequestRefused, match=f"more than {MAX_SELECTORS} selectors"):
        parse_request(request.SerializeToString())


def test_a_request_that_is_too_large_is_refused() -> None:
    request = EgressBatchRequest(shard_id="x" * MAX_REQUEST_BYTES, selectors=[Selector(log={})])

    with pytest.raises(RequestRefused) as refusal:
        parse_request(request.SerializeToString())

    assert refusal.value.code == "RESOURCE_EXHAUSTED"
