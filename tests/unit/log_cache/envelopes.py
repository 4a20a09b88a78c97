"""Envelopes to put into a store, told apart by their instance_id, and what comes out of it again."""

from envelope.pb.loggregator_v2_pb2 import Counter, Envelope, EnvelopeBatch, Gauge, Log, Timer
from log_cache.store import Store, StoreLimits

MESSAGES = {
    "log": {"log": Log(payload=b"x")},
    "counter": {"counter": Counter(name="requests", total=1)},
    "gauge": {"gauge": Gauge()},
    "timer": {"timer": Timer(name="http")},
    "bare": {},
}
KINDS = {"log": 1, "counter": 2, "gauge": 4, "timer": 8, "bare": 32}
ALL = 63
"""Envelopes of every kind."""
EVER = (-(2**63), 2**63 - 1)
"""From the first moment to the last."""


def envelope(time: int, name: str = "", *, source: str = "app", kind: str = "log", size: int = 0) -> Envelope:
    """Make one; `size` is how many bytes that compress well it has besides."""
    made = Envelope(timestamp=time, source_id=source, instance_id=name, **MESSAGES[kind])
    if size:
        made.tags["filling"] = "x" * size
    return made


def batch(*envelopes: Envelope) -> bytes:
    return EnvelopeBatch(batch=envelopes).SerializeToString()


def batch_of_times(*times: int, source: str = "app", size: int = 0) -> bytes:
    """Make envelopes that are named after their places."""
    return batch(*(envelope(time, str(place), source=source, size=size) for place, time in enumerate(times)))


def names(serialised: bytes) -> list[str]:
    return [each.instance_id for each in EnvelopeBatch.FromString(serialised).batch]


def times(serialised: bytes) -> list[int]:
    return [each.timestamp for each in EnvelopeBatch.FromString(serialised).batch]


def filled(members: bytes, count: int, **limits: object) -> Store:
    """Make a store that was given a batch."""
    store = Store(StoreLimits(**limits))
    store.put(members, count)
    return store
