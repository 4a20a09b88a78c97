"""The gRPC services of a node (loggregator.md 2.7, 4.1): who may connect may ask for anything, as with the original.

In:    `Ingress.Send`, without a look into the envelopes; questions to `Egress` and `PromQLQuerier`.
Out:   what `Reads` and `Queries` find; errors as the original words them, with the code UNKNOWN that it gives them.
Drops: what is no envelope, counted by the intake.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from google.protobuf.message import DecodeError as ProtobufDecodeError

from envelope.errors import DecodeError
from envelope.framing import varint
from envelope.pb.logcache_v1_pb2 import MetaInfo, MetaRequest, MetaResponse, PromQL
from envelope.wire import fields
from log_cache.intake import Intake
from log_cache.peer import CURSOR, LOCAL, MISSED, REST, WAIT
from log_cache.promql.answers import to_instant_result, to_range_result
from log_cache.promql.values import QueryError
from log_cache.queries import Queries
from log_cache.query import BadRequest, Meta
from log_cache.reads import Reads
from log_cache.requests import read_request
from plumbing.egress_server import RequestRefused
from plumbing.grpc_server import Method, Service
from plumbing.unary import Call, Handler, Unsent, answered
from plumbing.unary_client import CallFailed

INGRESS = "logcache.v1.Ingress"
EGRESS = "logcache.v1.Egress"
PROMQL = "logcache.v1.PromQLQuerier"

_ENVELOPES = 0x0A  # field 1 of a SendRequest and of a ReadResponse
_LOCAL_ONLY = 0x10

MAX_QUESTION_BYTES = 256 << 10
"""Of a read or a query, which has but a source, a pattern, a text of bounded length."""
MAX_UNSENT_BYTES = 256 << 20
"""Of answers that clients have not taken yet, all together."""


class Doors:
    """The methods of all three services."""

    def __init__(self, intake: Intake, reads: Reads, queries: Queries, *, now_ns: Callable[[], int]) -> None:
        self._intake = intake
        self._reads = reads
        self._queries = queries
        self._now_ns = now_ns
        self._unsent = Unsent(MAX_UNSENT_BYTES)
        self._closing = False

    def services(self) -> Mapping[str, Service]:
        """Give the services by their full names, to be served."""
        return {
            INGRESS: {"Send": answered(self._send)},
            EGRESS: {"Read": self._polite(self._read), "Meta": self._polite(self._meta)},
            PROMQL: {"InstantQuery": self._polite(self._instant), "RangeQuery": self._polite(self._range)},
        }

    def close(self) -> None:
        """Take nothing in any more: what is sent now stays with its sender, who is told. Who waits is answered."""
        self._closing = True
        self._reads.end_waits()

    async def _send(self, message: bytes, _: Call) -> bytes:
        """Take a batch in. Hot path: 2,000 times a second."""
        if self._closing:
            raise RequestRefused("UNAVAILABLE", "this server is about to stop")
        try:
            batch, local_only = send_request(message)
        except DecodeError as error:
            self._intake.counts.sent += 1
            self._intake.counts.sent_malformed += 1
            raise RequestRefused("INVALID_ARGUMENT", f"not a SendRequest: {error}") from error
        try:
            await self._intake.take(batch, local_only=local_only)
        except DecodeError as error:
            raise RequestRefused("INVALID_ARGUMENT", f"not an EnvelopeBatch: {error}") from error
        return b""

    async def _read(self, message: bytes, call: Call) -> bytes:
        cursor, wait = call.metadata(CURSOR), call.metadata(WAIT)
        query = read_request(message, now_ns=self._now_ns(), cursor=cursor, wait_s=_seconds(wait))
        answer = await self._reads.read(query, local_only=call.metadata(LOCAL) is not None)
        call.trail(CURSOR, answer.cursor)
        if query.cursor is not None:
            call.trail(MISSED, "unknown" if answer.missed is None else str(answer.missed))
            if answer.rest:
                call.trail(REST, "1")
        return read_response(answer.batch)

    async def _meta(self, message: bytes, _: Call) -> bytes:
        request = MetaRequest.FromString(message)
        meta = await self._reads.meta(local_only=request.local_only)
        return await asyncio.to_thread(_meta_response, meta)

    async def _instant(self, message: bytes, _: Call) -> bytes:
        request = PromQL.InstantQueryRequest.FromString(message)
        result = await self._queries.instant(request.query, request.time)
        return await asyncio.to_thread(to_instant_result, result)

    async def _range(self, message: bytes, _: Call) -> bytes:
        request = PromQL.RangeQueryRequest.FromString(message)
        result = await self._queries.range(request.query, request.start, request.end, request.step)
        return await asyncio.to_thread(to_range_result, result)

    def _polite(self, handle: Handler) -> Method:
        """Serve a method whose refusals are told as the original tells them."""

        async def translated(message: bytes, call: Call) -> bytes:
            if len(message) > MAX_QUESTION_BYTES:
                raise RequestRefused("INVALID_ARGUMENT", f"the request is longer than {MAX_QUESTION_BYTES} bytes")
            try:
                return await handle(message, call)
            except (BadRequest, QueryError) as error:
                raise RequestRefused("UNKNOWN", str(error)) from error
            except CallFailed as error:
                raise RequestRefused(error.code, str(error)) from error
            except (DecodeError, ProtobufDecodeError) as error:
                raise RequestRefused("INVALID_ARGUMENT", str(error)) from error

        return answered(translated, self._unsent)


def send_request(message: bytes) -> tuple[bytes, bool]:
    """Take a `SendRequest` apart: (batch, local_only). Of several batches it makes one, as protobuf does."""
    batches: list[bytes] = []
    local_only = False
    for tag, _, body, end in fields(message):
        if tag == _ENVELOPES:
            batches.append(message[body:end])
        elif tag == _LOCAL_ONLY:
            local_only = any(byte & 0x7F for byte in message[body:end])
    return b"".join(batches), local_only


def read_response(batch: bytes) -> bytes:
    """Put a batch into a `ReadResponse`."""
    return b"\x0a" + varint(len(batch)) + batch


def _seconds(text: str | None) -> float | None:
    try:
        return None if text is None else float(text[:32])
    except ValueError:
        raise BadRequest(f"wait ({text[:32] if text else ''}) must be a number of seconds") from None


def _meta_response(meta: Mapping[str, Meta]) -> bytes:
    response = MetaResponse()
    for source_id, held in meta.items():
        response.meta[source_id].CopyFrom(
            MetaInfo(
                count=held.count,
                expired=held.expired,
                oldest_timestamp=held.oldest,
                newest_timestamp=held.newest,
            )
        )
    return response.SerializeToString()
