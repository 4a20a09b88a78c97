"""Steps in a row: each envelope is decoded once, goes from step to step, and is dropped where one of them says so.

Pure but for the running totals of `aggregate_counters`. What stays, stays in order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, TypeAlias

from pydantic import Field

from envelope.framing import frame
from envelope.pb.loggregator_v2_pb2 import Envelope, EnvelopeBatch
from nozzles.transforms.aggregate_counters import AggregateCounters, aggregate_counters
from nozzles.transforms.choose import Drop, Sample, Select, drop, sample, select
from nozzles.transforms.label import AddTags, Rename, add_tags, rename
from nozzles.transforms.parse_json import ParseJson, parse_json
from nozzles.transforms.redact import Redact, redact

TransformSettings = Annotated[
    Select | Drop | Rename | AddTags | Redact | ParseJson | Sample | AggregateCounters, Field(discriminator="step")
]
"""The settings of one step, told apart by `step`."""

Transform: TypeAlias = Callable[[bytes, int], tuple[bytes, int]]
"""Takes an admitted batch and its count of envelopes; returns what became of it, and the count of that."""

Step: TypeAlias = Callable[[Envelope], Envelope | None]
"""Takes an envelope, which it may change; None drops it."""


def make_transforms(settings: Sequence[TransformSettings]) -> Transform:
    """Make the chain of these steps; without any, batches pass untouched."""
    steps = [_make_step(each) for each in settings]

    def apply(batch: bytes, count: int) -> tuple[bytes, int]:
        if not steps:
            return batch, count
        passed = [through for each in EnvelopeBatch.FromString(batch).batch if (through := _through(each, steps))]
        return b"".join(frame(envelope.SerializeToString()) for envelope in passed), len(passed)

    return apply


def _through(envelope: Envelope, steps: Sequence[Step]) -> Envelope | None:
    passed: Envelope | None = envelope
    for step in steps:
        if passed is None:
            break
        passed = step(passed)
    return passed


def _make_step(settings: TransformSettings) -> Step:
    match settings:
        case Select():
            return select(settings)
        case Drop():
            return drop(settings)
        case Sample():
            return sample(settings)
        case Rename():
            return rename(settings)
        case AddTags():
            return add_tags(settings)
        case Redact():
            return redact(settings)
        case ParseJson():
            return parse_json(settings)
        case AggregateCounters():
            return aggregate_counters(settings)
