"""What the original's programs have in common when they dial a server, on plain gRPC (loggregator.md 0.1, 2.1, 2.3)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from queue import SimpleQueue
from types import TracebackType
from typing import Any, Self

import grpc

from envelope.pb import loggregator_v2_pb2 as v2
from envelope.pb import plumbing_pb2 as plumbing
from tests.running import dial

RECEIVE_LIMIT = ("grpc.max_receive_message_length", 10 << 20)
"""What routers, agents, traffic controllers and reverse log proxies take; others have gRPC's default, 4 MiB."""

PINGS = [
    ("grpc.keepalive_time_ms", 15_000),
    ("grpc.keepalive_timeout_ms", 15_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
]
OWN_CONNECTION = ("grpc.use_local_subchannel_pool", 1)
_ANSWER_S = 10.0

METHODS: dict[str, tuple[Any, Any]] = {
    "/loggregator.v2.Ingress/Sender": (v2.Envelope, v2.IngressResponse),
    "/loggregator.v2.Ingress/BatchSender": (v2.EnvelopeBatch, v2.BatchSenderResponse),
    "/loggregator.v2.Ingress/Send": (v2.EnvelopeBatch, v2.SendResponse),
    "/loggregator.v2.Egress/Receiver": (v2.EgressRequest, v2.Envelope),
    "/loggregator.v2.Egress/BatchedReceiver": (v2.EgressBatchRequest, v2.EnvelopeBatch),
    "/plumbing.DopplerIngestor/Pusher": (plumbing.EnvelopeData, plumbing.PushResponse),
    "/plumbing.Doppler/Subscribe": (plumbing.SubscriptionRequest, plumbing.Response),
    "/plumbing.Doppler/BatchSubscribe": (plumbing.SubscriptionRequest, plumbing.BatchResponse),
}


def method(channel: grpc.Channel, path: str, shape: str) -> Any:
    """Give a method with its messages; `shape` is gRPC's name for it, such as `stream_unary`."""
    request, answer = METHODS[path]
    make = getattr(channel, shape)
    return make(path, request_serializer=request.SerializeToString, response_deserializer=answer.FromString)


class Sending:
    """A stream of messages to a server, which answers once, when all have been sent."""

    def __init__(self, channel: grpc.Channel, path: str, timeout: float | None = None) -> None:
        self._messages: SimpleQueue[Any] = SimpleQueue()
        messages: Iterator[Any] = iter(self._messages.get, None)
        self._call = method(channel, path, "stream_unary").future(messages, timeout=timeout)

    def send(self, message: Any) -> None:
        """Send a message, and hear nothing of it; raises what the stream has ended with."""
        if self._call.done():
            self._call.result()
            raise EOFError("the stream was answered before its end")
        self._messages.put(message)

    @property
    def is_answered(self) -> bool:
        """Whether the server has said anything that ends the stream."""
        return bool(self._call.done())

    def close_and_receive(self) -> Any:
        """Half-close and wait for the one answer."""
        self._messages.put(None)
        return self._call.result(_ANSWER_S)

    def forget(self) -> None:
        """Cancel it."""
        self._call.cancel()
        self._messages.put(None)


class Program:
    """Something that holds connections until the end of a `with` block."""

    def __init__(self, certs: Path, server_name: str, *options: tuple[str, int]) -> None:
        self._certs = certs
        self._server_name = server_name
        self._options = [*PINGS, OWN_CONNECTION, *options]
        self._ending = ExitStack()

    def dial(self, address: str) -> grpc.Channel:
        """Open a connection that nobody else uses."""
        channel = dial(address, self._certs, self._server_name, *self._options)
        self._ending.callback(channel.close)
        return channel

    def until_the_end(self, callback: Callable[[], object]) -> None:
        """Call it when the program ends."""
        self._ending.callback(callback)

    def leave(self) -> None:
        """End every stream and close every connection."""
        self._ending.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.leave()
