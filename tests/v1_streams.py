"""v1 streams to and from a doppler, as plain gRPC clients of the original's open them (reference 1.8, 2.3)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import grpc

from envelope.pb import dropsonde_pb2 as v1
from envelope.pb import plumbing_pb2 as plumbing

TYPE = v1.Envelope.EventType
APP = "f47ac10b-58cc-4372-a567-0e02b2c3d479"
APP_UUID = v1.UUID(low=0x7243CC580BC17AF4, high=0x79D4C3B2020E67A5)


def log(text: bytes, app: str = APP) -> v1.Envelope:
    message = {"message": text, "message_type": v1.LogMessage.OUT, "timestamp": 7, "app_id": app, "source_type": "APP"}
    return v1.Envelope(origin="rep", eventType=TYPE.LogMessage, timestamp=7, logMessage=message, job="cell")


def counter(name: str) -> v1.Envelope:
    return v1.Envelope(origin="rep", eventType=TYPE.CounterEvent, timestamp=7, counterEvent={"name": name, "delta": 1})


def odd_http() -> bytes:
    """An event of a method and a peer type that nobody knows, as Go sends it."""
    http = {"startTimestamp": 1, "stopTimestamp": 2, "requestId": APP_UUID, "applicationId": APP_UUID, "uri": "/"}
    envelope = v1.Envelope(
        origin="gorouter",
        eventType=TYPE.HttpStartStop,
        httpStartStop={**http, "remoteAddress": "", "userAgent": "", "statusCode": 200, "contentLength": 3},
    )
    envelope.httpStartStop.MergeFromString(b"\x20\x00\x28\x00")
    return envelope.SerializePartialToString()


def pusher(channel: grpc.Channel) -> Any:
    return channel.stream_unary(
        "/plumbing.DopplerIngestor/Pusher",
        request_serializer=plumbing.EnvelopeData.SerializeToString,
        response_deserializer=plumbing.PushResponse.FromString,
    )


def push(channel: grpc.Channel, envelopes: Iterable[v1.Envelope | bytes]) -> plumbing.PushResponse:
    """Send envelopes over one stream, as each of an original agent's does, and end it."""
    payloads = (each if isinstance(each, bytes) else each.SerializeToString() for each in envelopes)
    answer: plumbing.PushResponse = pusher(channel)(plumbing.EnvelopeData(payload=payload) for payload in payloads)
    return answer


def batch_subscribe(channel: grpc.Channel, **request: Any) -> Any:
    """Open a stream as an original traffic controller does for each of its clients; wait until the doppler has it."""
    stream = channel.unary_stream(
        "/plumbing.Doppler/BatchSubscribe",
        request_serializer=plumbing.SubscriptionRequest.SerializeToString,
        response_deserializer=plumbing.BatchResponse.FromString,
    )(plumbing.SubscriptionRequest(**request))
    stream.initial_metadata()
    return stream


def read(stream: Any, count: int) -> list[bytes]:
    payloads: list[bytes] = []
    while len(payloads) < count:
        payloads += next(stream).payload
    return payloads


def texts(payloads: Iterable[bytes]) -> list[bytes]:
    return [v1.Envelope.FromString(payload).logMessage.message for payload in payloads]
