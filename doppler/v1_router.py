"""Decide which v1 subscriptions an envelope is for (end of loggregator.md 2.2, 2.3, 2.6). No I/O, no clock.

Envelopes pass as the very bytes that came in, framed as a `BatchResponse` frames them: such batches join by `a + b`
like those of v2, and one envelope's frame is a `Response`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import NamedTuple

from google.protobuf.message import DecodeError as ProtobufDecodeError

from doppler.notice import V1Notice
from doppler.register import Places, Register
from doppler.subscription import Reader, Subscription
from envelope import uuids
from envelope.errors import DecodeError
from envelope.framing import frame
from envelope.kinds import Keep, Kind
from envelope.pb.dropsonde_pb2 import ContainerMetric, HttpStartStop, LogMessage
from envelope.pb.dropsonde_pb2 import Envelope as V1Envelope
from envelope.pb.plumbing_pb2 import SubscriptionRequest
from envelope.selectors import Request
from plumbing.diode import SharedDiode
from plumbing.egress_server import MESSAGE_BYTES

SYSTEM = "system"  # whom envelopes belong to that name no app
_ALL, _LOGS, _METRICS = int(Keep.ALL), int(Keep.LOGS), int(Keep.METRICS)
_LOG, _CONTAINER, _HTTP = V1Envelope.LogMessage, V1Envelope.ContainerMetric, V1Envelope.HttpStartStop


class Filter(NamedTuple):
    """What a v1 reader asks for: envelopes of one app or ("") of all, logs or metrics or all."""

    app: str
    keep: Keep


EVERYTHING = Filter("", Keep.ALL)


class V1Request(NamedTuple):
    """A v1 reader's request. Readers with the same filter and the same non-empty `shard_id` share what it lets by."""

    shard_id: str
    filter: Filter


def parse_subscription(message: bytes) -> V1Request:
    """Read a serialised `SubscriptionRequest`; raises `DecodeError` when it is none."""
    try:
        request = SubscriptionRequest.FromString(message)
    except ProtobufDecodeError as error:
        raise DecodeError(f"not a SubscriptionRequest: {error}") from error
    keep = {"log": Keep.LOGS, "metric": Keep.METRICS, None: Keep.ALL}[request.filter.WhichOneof("Message")]
    return V1Request(request.shardID, Filter(request.filter.appID, keep))


def address_of(envelope: V1Envelope) -> tuple[str, int]:
    """Say whose envelope this is, and which of the two types filters know. One that v1 does not define is a metric."""
    event_type = envelope.eventType if envelope.HasField("eventType") else None
    if event_type == _LOG:
        log: LogMessage = envelope.logMessage
        return log.app_id, _LOGS
    if event_type == _CONTAINER:
        container: ContainerMetric = envelope.containerMetric
        return container.applicationId, _METRICS
    if event_type == _HTTP:
        http: HttpStartStop = envelope.httpStartStop
        if http.HasField("applicationId"):
            return uuids.text_of(http.applicationId.low, http.applicationId.high), _METRICS
    return SYSTEM, _METRICS


class _Audience:
    """The subscriptions of one filter, and what there is for them just now."""

    __slots__ = ("frames", "subscriptions")

    def __init__(self) -> None:
        self.subscriptions: list[Subscription] = []
        self.frames: list[bytes] = []

    def offer(self, frames: Sequence[bytes]) -> None:
        for batch, count in _batches(frames):
            for subscription in self.subscriptions:
                subscription.offer(batch, count, Kind.ALL)

    def offer_collected(self) -> None:
        frames, self.frames = self.frames, []
        self.offer(frames)


class V1Subscription(Subscription):
    """The account and the buffer of one v1 request."""

    notice_form = V1Notice

    def __init__(
        self, name: str, request: V1Request, make_diode: Callable[[], SharedDiode], now_ns: Callable[[], int]
    ) -> None:
        super().__init__(f"v1 {name}", Request(request.shard_id, (), preferred_tags=True), make_diode, now_ns)
        self.filter = request.filter


class V1Router(Register):
    """All v1 subscriptions of one doppler."""

    def __init__(
        self, make_diode: Callable[[], SharedDiode], *, linger_s: float, places: Places, now_ns: Callable[[], int]
    ) -> None:
        super().__init__(places, linger_s)
        self._make_diode = make_diode
        self._now_ns = now_ns
        self._everyone = _Audience()
        self._filtered: dict[tuple[str, int], _Audience] = {}

    def route(self, envelopes: Iterable[bytes]) -> None:
        """Offer serialised v1 envelopes to everyone who asked for them; each must parse."""
        framed = [(envelope, frame(envelope)) for envelope in envelopes]
        if self._everyone.subscriptions:
            self._everyone.offer([frame_of_it for _, frame_of_it in framed])
        if not self._filtered:
            return
        audience_of = self._filtered.get
        present: list[_Audience] = []
        for envelope, frame_of_it in framed:
            app, type_of_it = address_of(V1Envelope.FromString(envelope))
            filters = (("", type_of_it), (app, _ALL), (app, type_of_it)) if app else (("", type_of_it),)
            for each in filters:
                if (audience := audience_of(each)) is not None:
                    if not audience.frames:
                        present.append(audience)
                    audience.frames.append(frame_of_it)
        for audience in present:
            audience.offer_collected()

    def subscribe(self, request: V1Request) -> Reader:
        """Open a reader, of a subscription there is already if it is named and asks for the same.

        Raises `TooManySubscriptions` at the limit.
        """
        key = request if request.shard_id else object()
        return self._join(key, partial(self._open, request))

    def _open(self, request: V1Request) -> Subscription:
        name = request.shard_id or f"unnamed-{self._opened}"
        subscription = V1Subscription(name, request, self._make_diode, self._now_ns)
        if request.filter == EVERYTHING:
            self._everyone.subscriptions.append(subscription)
        else:
            self._filtered.setdefault(_key(request.filter), _Audience()).subscriptions.append(subscription)
        return subscription

    def _ended(self, subscription: Subscription) -> None:
        assert isinstance(subscription, V1Subscription)
        if subscription.filter == EVERYTHING:
            self._everyone.subscriptions.remove(subscription)
            return
        audience = self._filtered[_key(subscription.filter)]
        audience.subscriptions.remove(subscription)
        if not audience.subscriptions:
            del self._filtered[_key(subscription.filter)]


def _key(filter_: Filter) -> tuple[str, int]:
    return (filter_.app, int(filter_.keep))  # an enum's hash is slow


def _batches(frames: Sequence[bytes]) -> Iterator[tuple[bytes, int]]:
    """Join frames up to the size of one message: v2 envelopes may grow very much on their way to v1."""
    joined: list[bytes] = []
    size = 0
    for each in frames:
        if joined and size + len(each) > MESSAGE_BYTES:
            yield b"".join(joined), len(joined)
            joined, size = [], 0
        joined.append(each)
        size += len(each)
    if joined:
        yield b"".join(joined), len(joined)
