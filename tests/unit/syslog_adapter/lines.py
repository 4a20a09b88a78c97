"""Envelopes for the tests of this room."""

from collections.abc import Iterable

from envelope.kinds import Kind
from envelope.pb.loggregator_v2_pb2 import Envelope, EnvelopeBatch

LOG = int(Kind.LOG)


def lines(*texts: str, source_id: str = "app") -> bytes:
    """A batch of log lines."""
    return of(Envelope(source_id=source_id, log={"payload": text.encode()}) for text in texts)


def counter(source_id: str = "app") -> Envelope:
    """A counter."""
    return Envelope(source_id=source_id, counter={"name": "c", "delta": 1})


def of(envelopes: Iterable[Envelope]) -> bytes:
    """A batch of them."""
    return EnvelopeBatch(batch=envelopes).SerializeToString()


def texts(batch: bytes) -> list[str]:
    """What the lines of a batch say."""
    return [each.log.payload.decode() for each in EnvelopeBatch.FromString(batch).batch]
