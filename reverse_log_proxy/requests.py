"""What a subscriber may ask for, and the original's words for what it may not (loggregator.md 1.9)."""

from __future__ import annotations

from dataclasses import dataclass

from google.protobuf.message import DecodeError as ProtobufDecodeError

from envelope.pb.loggregator_v2_pb2 import EgressBatchRequest
from envelope.selectors import MAX_SELECTORS
from plumbing.egress_server import RequestRefused

MAX_REQUEST_BYTES = 4 << 20
"""The largest request: what the original's server takes (loggregator.md 0.1)."""


@dataclass(frozen=True, slots=True)
class Request:
    """A request that the Dopplers can be asked."""

    message: bytes
    shard_id: str
    preferred_tags: bool


def parse_request(message: bytes) -> Request:
    """Read an `EgressRequest` or an `EgressBatchRequest`, which look the same; raises `RequestRefused`.

    The request passes to the Dopplers as it came, but for a legacy selector: where there is no other, it becomes one.
    """
    if len(message) > MAX_REQUEST_BYTES:
        raise RequestRefused("RESOURCE_EXHAUSTED", f"a request of more than {MAX_REQUEST_BYTES} bytes")
    try:
        request = EgressBatchRequest.FromString(message)
    except ProtobufDecodeError as error:
        raise RequestRefused("INVALID_ARGUMENT", f"not an EgressBatchRequest: {error}") from error
    if request.HasField("legacy_selector"):
        if not request.selectors:
            request.selectors.append(request.legacy_selector)
        request.ClearField("legacy_selector")
        message = request.SerializeToString()
    if len(request.selectors) > MAX_SELECTORS:
        raise RequestRefused("INVALID_ARGUMENT", f"more than {MAX_SELECTORS} selectors")
    if not request.selectors:
        raise RequestRefused("INVALID_ARGUMENT", "Selectors cannot be empty")
    if any(selector.WhichOneof("message") is None for selector in request.selectors):
        raise RequestRefused("INVALID_ARGUMENT", "Selectors must have a Message")
    return Request(message, request.shard_id, request.use_preferred_tags)
