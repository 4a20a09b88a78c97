"""Arrivals without a Doppler."""

from __future__ import annotations

from typing import cast

from envelope.pb.loggregator_v2_pb2 import Envelope, EnvelopeBatch
from plumbing.egress_client import Arrival


class FakeStream:
    """One of those of a peer."""

    def __init__(self, peer: str = "doppler") -> None:
        self.peer = peer
        self.is_over = False


STREAM = FakeStream()


class FakeArrival:
    """One message, and whether it was confirmed."""

    def __init__(self, batch: bytes = b"", *, is_kept: bool = True, stream: FakeStream = STREAM) -> None:
        self.batch = batch
        self.stream = stream
        self.is_kept = is_kept
        self.confirmed = 0

    def confirm(self) -> None:
        """Note that it was."""
        self.confirmed += 1


def arrival(batch: bytes = b"", *, is_kept: bool = True, stream: FakeStream = STREAM) -> Arrival:
    """Make one."""
    return cast(Arrival, FakeArrival(batch, is_kept=is_kept, stream=stream))


def logs(*texts: str, source_id: str = "app") -> bytes:
    """A batch of lines."""
    return EnvelopeBatch(
        batch=[Envelope(source_id=source_id, timestamp=1, log={"payload": text.encode()}) for text in texts]
    ).SerializeToString()


def texts(batch: bytes) -> list[str]:
    """What the lines of a batch say."""
    return [envelope.log.payload.decode() for envelope in EnvelopeBatch.FromString(batch).batch]
