"""Make envelopes of samples (loggregator.md 1.5). No I/O, no clock.

A number that no envelope can carry with sense is left out and counted: a gauge that is not finite (a summary without
observations says NaN), a counter that is negative, not finite or over 64 bits.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from envelope.numbers_as_text import UINT64, general
from envelope.pb.loggregator_v2_pb2 import Envelope, EnvelopeBatch
from metron.sources.prometheus.exposition import ExpositionError, Role, Sample

BATCH_ENVELOPES = 500
BATCH_BYTES = 256 << 10


@dataclass(frozen=True, slots=True)
class Origin:
    """What all envelopes of a target have in common."""

    source_id: str
    instance_id: str
    labels: Mapping[str, str]


@dataclass(slots=True)
class Scraped:
    """What became of one scrape."""

    batches: list[tuple[bytes, int]] = field(default_factory=list)
    """Serialised EnvelopeBatches, each with its count."""

    skipped: int = 0
    """Samples that no envelope was made of."""


def scraped_of(samples: Iterable[Sample], origin: Origin, timestamp: int, *, max_bytes: int) -> Scraped:
    """Make batches of at most 500 envelopes; raises `ExpositionError` when all together are over `max_bytes`."""
    scraped = Scraped()
    batch, size, total = EnvelopeBatch(), 0, 0
    for sample in samples:
        envelope = envelope_of(sample, origin, timestamp)
        if envelope is None:
            scraped.skipped += 1
            continue
        batch.batch.append(envelope)
        size += envelope.ByteSize()
        if size >= BATCH_BYTES or len(batch.batch) >= BATCH_ENVELOPES:
            scraped.batches.append((batch.SerializeToString(), len(batch.batch)))
            total += size
            batch, size = EnvelopeBatch(), 0
            if total > max_bytes:
                raise ExpositionError(f"its envelopes take more than {max_bytes} bytes")
    if batch.batch:
        scraped.batches.append((batch.SerializeToString(), len(batch.batch)))
    return scraped


def envelope_of(sample: Sample, origin: Origin, timestamp: int) -> Envelope | None:
    """Make the envelope of one sample; None if it makes no sense.

    The label `source_id` names the source. All other labels become tags and win over those of the target.
    """
    tags = {**origin.labels, **sample.labels}
    source_id = sample.labels.get("source_id", "") or origin.source_id
    if "source_id" in sample.labels:
        del tags["source_id"]
    envelope = Envelope(timestamp=timestamp, source_id=source_id, instance_id=origin.instance_id)
    if sample.role in (Role.COUNTER, Role.BUCKET):
        sensible = _count(envelope, sample)
    else:
        sensible = _measure(envelope, sample, tags.pop("unit", "") if sample.role is Role.GAUGE else "")
    if not sensible or not _bound(tags, sample.role):
        return None
    envelope.tags.update(tags)
    return envelope


def _count(envelope: Envelope, sample: Sample) -> bool:
    if sample.value is None or not math.isfinite(sample.value) or int(sample.value) not in UINT64:
        return False
    envelope.counter.name = sample.name
    envelope.counter.total = int(sample.value)
    return True


def _measure(envelope: Envelope, sample: Sample, unit: str) -> bool:
    try:
        value = math.nan if sample.value is None else float(sample.value)
    except OverflowError:  # an integer of hundreds of digits
        return False
    if not math.isfinite(value):
        return False
    metric = envelope.gauge.metrics[sample.name]
    metric.value, metric.unit = value, unit
    return True


def _bound(tags: dict[str, str], role: Role) -> bool:
    """Write the bound of a bucket or quantile as the original does; False if there is none."""
    name = {Role.BUCKET: "le", Role.QUANTILE: "quantile"}.get(role)
    if name is None:
        return True
    try:
        bound = float(tags.get(name, "nan"))
    except ValueError:
        raise ExpositionError(f"{tags[name][:40]!r} is no {name}") from None
    tags[name] = general(bound)
    return not math.isnan(bound)
