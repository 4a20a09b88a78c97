"""A step that gives counters their running total, as a metron does for those that reach it with a delta alone."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from typing import Literal

from pydantic import Field

from envelope.pb.loggregator_v2_pb2 import Counter, Envelope
from plumbing.config import Section

_UINT64 = 0xFFFFFFFFFFFFFFFF


class AggregateCounters(Section):
    """Fill in the total of counters that say only by how much they grew.

    A counter is known by its name, source_id, instance_id and tags. One that tells its total is believed, and counted
    on from there. Totals are not kept across a restart.
    """

    step: Literal["aggregate_counters"]

    max_counters: int = Field(default=10_000, ge=1, le=10_000_000)
    """How many totals are remembered; beyond that the one not heard of for longest is forgotten, and begins at 0."""


def aggregate_counters(settings: AggregateCounters) -> Callable[[Envelope], Envelope]:
    """Make the step, with no totals yet."""
    totals: dict[bytes, int] = {}

    def step(envelope: Envelope) -> Envelope:
        if envelope.WhichOneof("message") != "counter":
            return envelope
        counter, key = envelope.counter, _key(envelope)
        known = totals.pop(key, 0)  # and put back as the newest
        if counter.total == 0 and counter.delta != 0:
            counter.total = (known + counter.delta) & _UINT64
        totals[key] = counter.total
        if len(totals) > settings.max_counters:
            del totals[next(iter(totals))]
        return envelope

    return step


def _key(envelope: Envelope) -> bytes:
    """Hash what a counter is known by, so that a key is 32 bytes whatever its tags."""
    identity = Envelope(
        source_id=envelope.source_id, instance_id=envelope.instance_id, counter=Counter(name=envelope.counter.name)
    )
    identity.tags.MergeFrom(envelope.tags)
    return sha256(identity.SerializeToString(deterministic=True)).digest()
