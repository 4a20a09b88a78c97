"""The envelope by which a reader learns, in its own stream, that it lost something."""

from __future__ import annotations

from envelope import kernel
from envelope.framing import frame
from envelope.pb.dropsonde_pb2 import CounterEvent
from envelope.pb.dropsonde_pb2 import Envelope as V1Envelope
from envelope.pb.loggregator_v2_pb2 import Counter, Envelope, EnvelopeBatch
from envelope.pb.plumbing_pb2 import BatchResponse
from plumbing.diode import Parcel

ORIGIN = "loggregator.doppler"  # loggregator.md 1.8
SOURCE_ID = "doppler"


class Notice(Parcel):
    """A parcel of one counter named `dropped`."""

    __slots__ = ()

    @classmethod
    def of(cls, subscription: str, missed: int, total: int, now_ns: int) -> Notice:
        """Tell of `missed` envelopes just now, and of `total` since the subscription began."""
        notice = Envelope(
            timestamp=now_ns,
            source_id=SOURCE_ID,
            tags={"origin": ORIGIN, "direction": "egress", "subscription": subscription},
            counter=Counter(name="dropped", delta=missed, total=total),
        )
        return cls(EnvelopeBatch(batch=[notice]).SerializeToString(), 1)

    @property
    def missed(self) -> int:
        """How many envelopes it tells of."""
        return EnvelopeBatch.FromString(self.batch).batch[0].counter.delta


class V1Notice(Notice):
    """The same for a v1 reader: a CounterEvent."""

    __slots__ = ()

    @classmethod
    def of(cls, subscription: str, missed: int, total: int, now_ns: int) -> V1Notice:
        """Tell of `missed` envelopes just now, and of `total` since the subscription began."""
        (message,) = kernel.v1_messages(Notice.of(subscription, missed, total, now_ns).batch)
        return cls(frame(message), 1)

    @property
    def missed(self) -> int:
        """How many envelopes it tells of."""
        told: CounterEvent = V1Envelope.FromString(BatchResponse.FromString(self.batch).payload[0]).counterEvent
        return told.delta
