"""gRPC subscribers of a running system, as programs of others are: each reads in a thread of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from queue import SimpleQueue
from typing import Any

import grpc

from envelope.pb import dropsonde_pb2 as v1
from envelope.pb import loggregator_v2_pb2 as v2
from envelope.pb import plumbing_pb2 as plumbing
from plumbing.acks import ACKS_METADATA, encode_ack
from tests.end_to_end.systems import PATIENCE_S, RunningUp
from tests.running import dial

V1_METHOD = "/plumbing.Doppler/BatchSubscribe"
V2_METHOD = "/loggregator.v2.Egress/BatchedReceiver"
_AGAIN_S = 0.05


class Subscriber:
    """One request, asked again whenever its stream ends, and the logs of the source `load` that came."""

    def __init__(
        self, open_channel: Callable[[], grpc.Channel], method: str, request: bytes, *, confirms: bool
    ) -> None:
        self.lines: list[str] = []
        self.others = 0
        self.dropped = 0
        """How many envelopes it was told that it lost."""
        self.may_read = threading.Event()
        self.may_read.set()
        self._open_channel = open_channel
        self._method = method
        self._request = request
        self._confirms = confirms
        self._ending = threading.Event()
        self._call: Any = None
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def end(self) -> None:
        self._ending.set()
        self.may_read.set()
        if self._call is not None:
            self._call.cancel()
        self._thread.join(PATIENCE_S)

    def _run(self) -> None:
        while not self._ending.wait(_AGAIN_S):
            with self._open_channel() as channel, suppress(grpc.RpcError):
                self._read(channel)

    def _read(self, channel: grpc.Channel) -> None:
        outgoing: SimpleQueue[bytes | None] = SimpleQueue()
        outgoing.put(self._request)
        if not self._confirms:
            outgoing.put(None)
        metadata = (ACKS_METADATA,) if self._confirms else ()
        self._call = channel.stream_stream(self._method)(iter(outgoing.get, None), metadata=metadata)
        try:
            for count, message in enumerate(self._call, start=1):
                self.may_read.wait()
                self._take(message)
                outgoing.put(encode_ack(count))
        finally:
            outgoing.put(None)

    def _take(self, message: bytes) -> None:
        if self._method == V1_METHOD:
            envelopes = [v1.Envelope.FromString(each) for each in plumbing.BatchResponse.FromString(message).payload]
            self.lines += [each.logMessage.message.decode() for each in envelopes if each.logMessage.app_id == "load"]
            self.others += sum(each.logMessage.app_id != "load" for each in envelopes)
            self.dropped += sum(each.counterEvent.delta for each in envelopes if each.counterEvent.name == "dropped")
        else:
            batch: Sequence[v2.Envelope] = v2.EnvelopeBatch.FromString(message).batch
            self.lines += [each.log.payload.decode() for each in batch if each.source_id == "load"]


@contextmanager
def subscriber(system: RunningUp, name: str) -> Iterator[Subscriber]:
    """Read the logs of a named subscription through the reverse log proxy, and confirm what came."""
    request = v2.EgressBatchRequest(shard_id=name, selectors=[v2.Selector(log={})], use_preferred_tags=True)
    yield from _reading(system, "reverse_log_proxy", "reverselogproxy", V2_METHOD, request, confirms=True)


@contextmanager
def v1_subscriber(system: RunningUp, doppler: str, name: str) -> Iterator[Subscriber]:
    """Read everything of a named subscription from one Doppler, as an original traffic controller does."""
    request = plumbing.SubscriptionRequest(shardID=name)
    yield from _reading(system, doppler, "doppler", V1_METHOD, request, confirms=False)


def _reading(
    system: RunningUp, component: str, server_name: str, method: str, request: Any, *, confirms: bool
) -> Iterator[Subscriber]:
    def open_channel() -> grpc.Channel:
        return dial(system.endpoints[component], system.data_dir / "certs", server_name)

    reading = Subscriber(open_channel, method, request.SerializeToString(), confirms=confirms)
    try:
        yield reading
    finally:
        reading.end()
