"""One other node of the cluster (loggregator.md 4.2). Lives on the island.

In:    envelopes that belong to it; questions about its sources.
Out:   `Ingress.Send`, `Egress.Read` and `Egress.Meta` of `logcache.v1`, over mTLS; its certificate must carry the name
       `log-cache`.
Drops: `peer_full`, the oldest that wait while it is away; `peer_failed`, a batch whose fate nobody knows because the
       node went away with it, or took too long: sent again, some might come twice.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence

import structlog
from google.protobuf.message import DecodeError as ProtobufDecodeError

from envelope import kernel
from envelope.errors import DecodeError
from envelope.framing import varint
from envelope.kinds import Kind
from envelope.pb import logcache_v1_pb2 as pb
from envelope.wire import fields
from log_cache.query import Answer, Meta, Query
from plumbing.diode import Parcel, SharedDiode
from plumbing.grpc_client import Backoff, PeerUnavailable
from plumbing.ledger import Account
from plumbing.tls import TlsFiles
from plumbing.unary_client import CallFailed, Reply, UnaryClient

log = structlog.get_logger(__name__)

SERVER_NAME = "log-cache"
MAX_MESSAGE_BYTES = 50 << 20  # what a node takes (loggregator.md 4.1)
CURSOR = "standpipe-cursor"
WAIT = "standpipe-wait"
MISSED = "standpipe-missed"
REST = "standpipe-rest"
"""The metadata of reads in order of arrival; a node of the original knows none of them."""

LOCAL = "standpipe-local"
"""The metadata of a read that another node passed on: it is answered here, even if the two do not agree whose it is."""

_OUTBOX_ENVELOPES = 100_000
_OUTBOX_BYTES = 32 << 20
_MESSAGE_BYTES = 1 << 20
_TIMEOUT_S = 3.0
_READ_TIMEOUT_S = 5.0
_LOCAL_ONLY = b"\x10\x01"
_TYPES = {
    Kind.LOG: pb.EnvelopeType.LOG,
    Kind.COUNTER: pb.EnvelopeType.COUNTER,
    Kind.GAUGE: pb.EnvelopeType.GAUGE,
    Kind.TIMER: pb.EnvelopeType.TIMER,
    Kind.EVENT: pb.EnvelopeType.EVENT,
}


class Peer:
    """Sends to one node what is its, and asks it."""

    def __init__(self, address: str, tls: TlsFiles) -> None:
        self._address = address
        self._client = UnaryClient(address, tls, SERVER_NAME, max_receive_bytes=MAX_MESSAGE_BYTES)
        self._outbox = SharedDiode(_OUTBOX_ENVELOPES, _OUTBOX_BYTES)
        self._delivered = self._failed = self._in_flight = 0

    def keep(self, batch: bytes, count: int) -> None:
        """Take envelopes for it, to be sent as soon as it can be reached."""
        self._outbox.put(Parcel(batch, count))

    async def send(self) -> None:
        """Send what it is owed, until `close`; what waits then is sent first."""
        backoff = Backoff(random.Random())
        while parcels := await self._outbox.next(_MESSAGE_BYTES):
            self._in_flight = sum(parcel.envelopes for parcel in parcels)
            try:
                await self._client.connected()
                await self._send(parcels)
            except PeerUnavailable as error:  # not even dialled: nothing is on its way
                log.info("peer_away", peer=self._address, error=str(error))
                self._in_flight = 0
                self._outbox.give_back(parcels)
                await asyncio.sleep(backoff.next_s())
            else:
                backoff.reset()

    def close(self) -> None:
        """Take nothing more: `send` ends when what is held has left."""
        self._outbox.close()

    async def hang_up(self) -> None:
        """Close the connection."""
        await self._client.close()

    def account(self) -> Account:
        """Show what became of the envelopes that belong to it."""
        outbox = self._outbox
        return Account(
            account=f"peer {self._address}",
            kind="forward",
            received=outbox.put_total,
            delivered=self._delivered,
            dropped={"peer_full": outbox.dropped_total, "peer_failed": self._failed},
            held=outbox.held,
            in_flight=self._in_flight,
        )

    async def read(self, query: Query) -> Answer:
        """Ask it for envelopes. Raises `PeerUnavailable`, or `CallFailed` with what it says."""
        metadata = [(LOCAL, "1")]
        if query.cursor is not None:
            metadata += [(CURSOR, query.cursor), (WAIT, f"{query.wait_s:g}")]
        timeout_s = query.wait_s + _READ_TIMEOUT_S
        reply = await self._ask("Egress/Read", _request(query), timeout_s=timeout_s, metadata=metadata)
        if query.cursor is not None and CURSOR not in reply.metadata:
            raise CallFailed("UNIMPLEMENTED", f"the node at {self._address} knows no reads in order of arrival")
        return _answer(reply)

    async def meta(self) -> dict[str, Meta]:
        """Ask it what it holds. Raises `PeerUnavailable`, or `CallFailed` with what it says."""
        reply = await self._ask("Egress/Meta", pb.MetaRequest(local_only=True).SerializeToString())
        try:
            answer = pb.MetaResponse.FromString(reply.message)
        except ProtobufDecodeError as error:
            raise CallFailed("INTERNAL", f"not a MetaResponse: {error}") from error
        return {
            source_id: Meta(
                count=info.count, expired=info.expired, oldest=info.oldest_timestamp, newest=info.newest_timestamp
            )
            for source_id, info in answer.meta.items()
        }

    async def _send(self, parcels: Sequence[Parcel]) -> None:
        batch = b"".join(parcel.batch for parcel in parcels)
        request = b"\x0a" + varint(len(batch)) + batch + _LOCAL_ONLY
        try:
            await self._ask("Ingress/Send", request)
        except (PeerUnavailable, CallFailed) as error:
            log.warning("forwarding_failed", peer=self._address, envelopes=self._in_flight, error=str(error))
            self._failed += self._in_flight
        except asyncio.CancelledError:
            self._failed += self._in_flight
            raise
        else:
            self._delivered += self._in_flight
        finally:
            self._in_flight = 0

    async def _ask(
        self, method: str, request: bytes, *, timeout_s: float = _TIMEOUT_S, metadata: Sequence[tuple[str, str]] = ()
    ) -> Reply:
        return await self._client.ask(f"/logcache.v1.{method}", request, timeout_s=timeout_s, metadata=metadata)


def _request(query: Query) -> bytes:
    """Write a query down; with a cursor without times and direction, which do not go with one."""
    kinds = [] if query.kinds == Kind.ALL else [number for kind, number in _TYPES.items() if kind & query.kinds]
    request = pb.ReadRequest(
        source_id=query.source_id, limit=query.limit, envelope_types=kinds, name_filter=query.name_filter
    )
    if query.cursor is None:
        end = 0 if query.open_ended else query.end
        request.start_time, request.end_time, request.descending = query.start, end, query.descending
    return request.SerializeToString()


def _answer(reply: Reply) -> Answer:
    """Read a `ReadResponse` without looking into envelopes that are well-formed."""
    try:
        batch = b"".join(reply.message[field.body : field.end] for field in fields(reply.message) if field.tag == 0x0A)
        batch, count, _, _ = kernel.admit(batch)
    except DecodeError as error:
        raise CallFailed("INTERNAL", f"not a ReadResponse: {error}") from error
    missed = reply.metadata.get(MISSED, "0")
    return Answer(
        batch=batch,
        count=count,
        cursor=reply.metadata.get(CURSOR, ""),
        missed=int(missed) if missed.isdecimal() else None,
        rest=REST in reply.metadata,
    )
