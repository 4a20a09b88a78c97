"""What of the firehose a nozzle is for: which types, sources, tags and names, and which share of them.

Pure: batch -> batch. What is kept stays in order, and stays as it was to the byte, but for gauges that lose metrics.
Patterns are RE2 throughout, so time is linear in what is matched, and match a name or a value in full.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Annotated, Literal, TypeAlias

import re2  # type: ignore[import-untyped]  # ships no types
import xxhash
from pydantic import AfterValidator, Field

from envelope import kernel
from envelope.framing import frame
from envelope.kinds import Kind
from envelope.pb.loggregator_v2_pb2 import Envelope, EnvelopeBatch
from plumbing.config import Section

MAX_PATTERN_BYTES = 4096
_MAX_COMPILED_BYTES = 1 << 20
_MAX_REMEMBERED = 10_000
_MAX_REMEMBERED_NAME = 256  # characters

Filter: TypeAlias = Callable[[bytes], tuple[bytes, int]]
"""Takes an admitted batch; returns what is kept of it, and how many envelopes that is."""


def compiled(pattern: str) -> re2._Regexp[bytes]:
    """Compile an RE2 pattern that matches bytes.

    ValueError says what is wrong with one: no RE2, over 4096 bytes, or over 1 MiB compiled.
    """
    options = re2.Options()
    options.max_mem = _MAX_COMPILED_BYTES
    options.log_errors = False  # RE2 would write to the process's stderr
    written = pattern.encode("utf-8", "surrogateescape")
    if len(written) > MAX_PATTERN_BYTES:
        raise ValueError(f"the pattern is longer than {MAX_PATTERN_BYTES} bytes")
    try:
        return re2.compile(written, options)
    except re2.error as error:
        raise ValueError(f"no RE2 pattern: {error.args[0].decode('utf-8', 'replace')}") from None


def _sound(pattern: str) -> str:
    compiled(pattern)
    return pattern


Pattern = Annotated[str, AfterValidator(_sound), Field(title="RE2 pattern")]
"""The type of a setting that is a pattern: checked when the settings are read."""

TypeName: TypeAlias = Literal["log", "counter", "gauge", "timer", "event"]
ALL_TYPES: tuple[TypeName, ...] = ("log", "counter", "gauge", "timer", "event")


class Criteria(Section):
    """What envelopes are chosen by: those that meet every criterion given."""

    types: list[TypeName] = Field(default=list(ALL_TYPES), min_length=1)
    """Types of envelope. One without a message has no type, and is among them only when all five are."""

    sources: list[str] = Field(default_factory=list)
    """Exact source ids; empty means every source."""

    tags: dict[str, Pattern] = Field(default_factory=dict)
    """Tags an envelope must have, each with a pattern that its value matches in full."""

    metric_names: Pattern | None = None
    """What a metric's name matches in full: a counter's, a timer's; a gauge is reduced to its matching metrics."""


class FilterSettings(Criteria):
    """What a nozzle gets of the firehose. `metric_names` has no say about logs and events, which have no such name."""

    exclude_sources: list[str] = Field(default_factory=list)
    """Exact source ids that are left out, also when `sources` names them."""

    sample: float = Field(default=1.0, gt=0, le=1)
    """The share of each source's envelopes that is kept; the same ones whichever nozzle is asked, and however often."""


def make_filter(settings: FilterSettings) -> Filter | None:
    """Make the filter that `settings` ask for; None when they let everything through."""
    steps: list[Filter] = []
    kinds = kinds_of(settings.types)
    if kinds != Kind.ALL:
        steps.append(lambda batch: kernel.select(batch, kinds))
    if settings.sources or settings.exclude_sources:
        steps.append(_by_source(settings))
    if settings.tags or settings.metric_names is not None or settings.sample < 1:
        steps.append(_by_content(settings))
    if not steps:
        return None
    return steps[0] if len(steps) == 1 else _one_after_the_other(steps)


def kinds_of(types: Sequence[TypeName]) -> int:
    """Return the types as bits; all five mean everything."""
    kinds = sum(int(Kind[name.upper()]) for name in set(types))
    return int(Kind.ALL) if kinds == Kind.TYPED else kinds


def name_matcher(pattern: str) -> Callable[[str], bool]:
    """Say of names whether they match in full; remembers the 10,000 asked for last, of up to 256 characters."""
    fullmatch = compiled(pattern).fullmatch

    def matches(name: str) -> bool:
        return fullmatch(name.encode()) is not None

    remembered = lru_cache(_MAX_REMEMBERED)(matches)
    return lambda name: remembered(name) if len(name) <= _MAX_REMEMBERED_NAME else matches(name)


def tag_matcher(patterns: Mapping[str, str]) -> Callable[[Envelope], bool]:
    """Say of envelopes whether they have all these tags, with values that match in full."""
    expressions = [(key, compiled(pattern).fullmatch) for key, pattern in patterns.items()]

    def matches(envelope: Envelope) -> bool:
        tags = envelope.tags
        return all(key in tags and fullmatch(tags[key].encode()) is not None for key, fullmatch in expressions)

    return matches


def reduce_metrics(envelope: Envelope, wanted: Callable[[str], bool]) -> bool:
    """Take the metrics whose names are not wanted out of an envelope; say whether anything is left of it.

    A counter or timer has one name. What has none stays as it is: logs, events, a gauge without metrics.
    """
    kind = envelope.WhichOneof("message")
    if kind == "counter":
        return wanted(envelope.counter.name)
    if kind == "timer":
        return wanted(envelope.timer.name)
    if kind == "gauge":
        metrics = envelope.gauge.metrics
        unwanted = [name for name in metrics if not wanted(name)]
        for name in unwanted:
            del metrics[name]
        return bool(metrics) or not unwanted
    return True


def sampler(share: float) -> Callable[[Envelope], bool]:
    """Choose this share of the envelopes of each source, by a hash of source_id, instance_id and timestamp."""
    below = int(share * 2**64)

    def chosen(envelope: Envelope) -> bool:
        identity = f"{envelope.source_id}\0{envelope.instance_id}\0{envelope.timestamp}"
        return xxhash.xxh3_64_intdigest(identity.encode()) < below

    return chosen


def _by_source(settings: FilterSettings) -> Filter:
    wanted = {source.encode() for source in settings.sources}
    unwanted = {source.encode() for source in settings.exclude_sources}

    def apply(batch: bytes) -> tuple[bytes, int]:
        kept = [
            batch[start:end]
            for start, end, _, source, _ in kernel.spans(batch)
            if source not in unwanted and (not wanted or source in wanted)
        ]
        return b"".join(kept), len(kept)

    return apply


def _by_content(settings: FilterSettings) -> Filter:
    tagged = tag_matcher(settings.tags)
    named = None if settings.metric_names is None else name_matcher(settings.metric_names)
    sampled = sampler(settings.sample) if settings.sample < 1 else None

    def apply(batch: bytes) -> tuple[bytes, int]:
        kept: list[bytes] = []
        parsed = EnvelopeBatch.FromString(batch).batch
        for (start, end, *_), envelope in zip(kernel.spans(batch), parsed, strict=True):
            if not tagged(envelope) or (sampled and not sampled(envelope)):
                continue
            metrics = len(envelope.gauge.metrics)
            if named and not reduce_metrics(envelope, named):
                continue
            reduced = len(envelope.gauge.metrics) < metrics
            kept.append(frame(envelope.SerializeToString()) if reduced else batch[start:end])
        return b"".join(kept), len(kept)

    return apply


def _one_after_the_other(steps: Sequence[Filter]) -> Filter:
    def apply(batch: bytes) -> tuple[bytes, int]:
        count = 0
        for step in steps:
            batch, count = step(batch)
        return batch, count

    return apply
