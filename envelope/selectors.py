"""What a reader asks for: the meaning of an `EgressBatchRequest` (loggregator.md 2.1, 2.2)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from google.protobuf.message import DecodeError as ProtobufDecodeError

from envelope.crc64 import crc64
from envelope.errors import DecodeError
from envelope.kinds import Kind
from envelope.pb.loggregator_v2_pb2 import EgressBatchRequest, Envelope, Selector

_KINDS = {"log": Kind.LOG, "counter": Kind.COUNTER, "gauge": Kind.GAUGE, "timer": Kind.TIMER, "event": Kind.EVENT}
_WRAP = (1 << 64) - 1

MAX_SELECTORS = 50_000
"""What one request may hold: five kinds of what 10,000 sources send. Each costs a Doppler memory, and time."""


@dataclass(frozen=True, slots=True)
class Interest:
    """One selector: envelopes of `kind`, of one source or of any, with one name or with any."""

    kind: Kind
    source: bytes | None = None
    name_hash: int | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """A reader's request. Readers with the same non-empty `shard_id` share what both ask for."""

    shard_id: str
    interests: tuple[Interest, ...]
    preferred_tags: bool
    deterministic_name: str = ""


def parse_request(message: bytes) -> Request:
    """Read a serialised `EgressBatchRequest`; raises `DecodeError` when it is none, or asks for too much at once.

    A selector without a message asks for nothing (2.2); the legacy selector counts only where there is no other.
    """
    try:
        request = EgressBatchRequest.FromString(message)
    except ProtobufDecodeError as error:
        raise DecodeError(f"not an EgressBatchRequest: {error}") from error
    if len(request.selectors) > MAX_SELECTORS:
        raise DecodeError(f"an EgressBatchRequest with {len(request.selectors)} selectors: at most {MAX_SELECTORS}")
    selectors: Iterable[Selector] = request.selectors
    if not request.selectors and request.HasField("legacy_selector"):
        selectors = [request.legacy_selector]
    return Request(
        shard_id=request.shard_id,
        interests=tuple(interest for selector in selectors if (interest := _interest(selector))),
        preferred_tags=request.use_preferred_tags,
        deterministic_name=request.deterministic_name,
    )


def make_request(
    kinds: Kind, *, shard_id: str = "", sources: Iterable[str] = (), deterministic_name: str = ""
) -> bytes:
    """Ask for all envelopes of these kinds, of the given sources or (none given) of every source."""
    request = EgressBatchRequest(shard_id=shard_id, deterministic_name=deterministic_name, use_preferred_tags=True)
    for source in tuple(sources) or ("",):
        for field, kind in _KINDS.items():
            if kind & kinds:
                selector = request.selectors.add(source_id=source)
                getattr(selector, field).SetInParent()
    return request.SerializeToString()


def name_hash(envelope: Envelope) -> int:
    """Hash a counter's name, or sum up the hashes of a gauge's metric names, as the original does (2.2)."""
    if envelope.WhichOneof("message") == "counter":
        return _hash([envelope.counter.name])
    return _hash(envelope.gauge.metrics)


def _interest(selector: Selector) -> Interest | None:
    field = selector.WhichOneof("message")
    if field is None:
        return None
    names = [selector.counter.name] if selector.counter.name else list(selector.gauge.names)
    return Interest(
        kind=_KINDS[field],
        source=selector.source_id.encode() or None,
        name_hash=_hash(names) if names else None,
    )


def _hash(names: Iterable[str]) -> int:
    return sum(crc64(name.encode()) for name in names) & _WRAP
