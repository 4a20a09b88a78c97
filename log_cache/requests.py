"""What a read asks for, checked by the original's rules and refused in its words (loggregator.md 4.1). No I/O."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from google.protobuf.message import DecodeError as ProtobufDecodeError

from envelope.errors import DecodeError
from envelope.kinds import Kind
from envelope.pb.logcache_v1_pb2 import EnvelopeType, ReadRequest
from log_cache.name_filter import NameFilter
from log_cache.query import DEFAULT_LIMIT, MAX_LIMIT, BadRequest, Query

MAX_SOURCE_ID_BYTES = 64 << 10
MAX_WAIT_S = 30.0

_KINDS: Mapping[int, Kind] = {
    EnvelopeType.LOG: Kind.LOG,
    EnvelopeType.COUNTER: Kind.COUNTER,
    EnvelopeType.GAUGE: Kind.GAUGE,
    EnvelopeType.TIMER: Kind.TIMER,
    EnvelopeType.EVENT: Kind.EVENT,
}


def make_query(
    source_id: str,
    start: int = 0,
    end: int = 0,
    limit: int = 0,
    types: Iterable[int] = (),
    descending: bool = False,
    name_filter: str = "",
    *,
    now_ns: int,
    cursor: str | None = None,
    wait_s: float | None = None,
) -> Query:
    """Fill in what a client left out, an `end` or a `limit` of 0; raises `BadRequest` with the message for it.

    `types` are numbers of `EnvelopeType`. With a `cursor`, even an empty one, times and direction have no meaning and
    are refused; without one a wait is. Bounds: `MAX_SOURCE_ID_BYTES`, `MAX_WAIT_S`, and those of `NameFilter`.
    """
    if end != 0 and start > end:
        raise BadRequest(f"StartTime ({start}) must be before EndTime ({end})")
    if limit > MAX_LIMIT:
        raise BadRequest(f"limit ({limit}) must be {MAX_LIMIT} or less")
    if limit < 0:
        raise BadRequest(f"limit ({limit}) must be greater than zero")
    if name_filter:
        NameFilter(name_filter)
    if len(source_id.encode("utf-8", "surrogateescape")) > MAX_SOURCE_ID_BYTES:
        raise BadRequest(f"source_id must be {MAX_SOURCE_ID_BYTES} bytes or less")
    _check_following(start, end, descending, cursor, wait_s)
    return Query(
        source_id=source_id,
        start=start,
        end=end or now_ns,
        open_ended=end == 0,
        limit=limit or DEFAULT_LIMIT,
        kinds=_kinds(types),
        descending=descending,
        name_filter=name_filter,
        cursor=cursor,
        wait_s=wait_s or 0.0,
    )


def read_request(message: bytes, *, now_ns: int, cursor: str | None = None, wait_s: float | None = None) -> Query:
    """Make the query of a serialised `ReadRequest`; raises `BadRequest`, or `DecodeError` if it is none."""
    try:
        request = ReadRequest.FromString(message)
    except ProtobufDecodeError as error:
        raise DecodeError(f"not a ReadRequest: {error}") from error
    return make_query(
        request.source_id,
        request.start_time,
        request.end_time,
        request.limit,
        request.envelope_types,
        request.descending,
        request.name_filter,
        now_ns=now_ns,
        cursor=cursor,
        wait_s=wait_s,
    )


def _check_following(start: int, end: int, descending: bool, cursor: str | None, wait_s: float | None) -> None:
    if cursor is not None and (start or end or descending):
        raise BadRequest("a cursor reads in order of arrival: start_time, end_time and descending do not go with it")
    if wait_s is None:
        return
    if cursor is None:
        raise BadRequest("wait goes with a cursor only")
    if not 0 <= wait_s <= MAX_WAIT_S:
        raise BadRequest(f"wait ({wait_s:g}) must be from 0 to {MAX_WAIT_S:g} seconds")


def _kinds(types: Iterable[int]) -> Kind:
    """Say which kinds are asked for; none named, or nothing but ANY, is all. A type of the future matches nothing."""
    named = set(types) - {EnvelopeType.ANY}
    if not named:
        return Kind.ALL
    kinds = Kind(0)
    for number in named:
        kinds |= _KINDS.get(number, Kind(0))
    return kinds
