"""The envelope by which a reader learns, in its own stream, that it lost something."""

from __future__ import annotations

from envelope.pb.loggregator_v2_pb2 import Counter, Envelope, EnvelopeBatch

ORIGIN = "loggregator.doppler"  # loggregator.md 1.8
SOURCE_ID = "doppler"


def drop_notice(subscription: str, missed: int, total: int, now_ns: int) -> bytes:
    """Make a batch of one counter named `dropped`: `missed` envelopes just now, `total` since the reader came."""
    return EnvelopeBatch(
        batch=[
            Envelope(
                timestamp=now_ns,
                source_id=SOURCE_ID,
                tags={"origin": ORIGIN, "direction": "egress", "subscription": subscription},
                counter=Counter(name="dropped", delta=missed, total=total),
            )
        ]
    ).SerializeToString()
