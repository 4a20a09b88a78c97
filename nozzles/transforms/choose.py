"""Steps that keep some envelopes and drop the others: select, drop, sample."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from pydantic import Field, model_validator

from envelope.kinds import Kind
from envelope.pb.loggregator_v2_pb2 import Envelope
from nozzles.filters import Criteria, kinds_of, name_matcher, reduce_metrics, sampler, tag_matcher
from plumbing.config import Section


class Select(Criteria):
    """Keep what meets every criterion given. `metric_names` has no say about logs and events."""

    step: Literal["select"]


class Drop(Criteria):
    """Drop what meets every criterion given. `metric_names` names metrics to drop: logs and events then stay."""

    step: Literal["drop"]

    @model_validator(mode="after")
    def _drops_not_everything(self) -> Drop:
        if not self.model_fields_set & Criteria.model_fields.keys():
            raise ValueError("says not what to drop: give types, sources, tags or metric_names")
        return self


class Sample(Section):
    """Keep a share of each source's envelopes: the very ones that a filter's `sample` of the same share keeps."""

    step: Literal["sample"]

    share: float = Field(gt=0, le=1)
    """The share that is kept."""


def select(settings: Select) -> Callable[[Envelope], Envelope | None]:
    """Make the step; a gauge is reduced to its matching metrics."""
    meets = _meets(settings)
    wanted = None if settings.metric_names is None else name_matcher(settings.metric_names)

    def step(envelope: Envelope) -> Envelope | None:
        kept = meets(envelope) and (wanted is None or reduce_metrics(envelope, wanted))
        return envelope if kept else None

    return step


def drop(settings: Drop) -> Callable[[Envelope], Envelope | None]:
    """Make the step; a gauge loses its matching metrics, and is dropped with the last of them."""
    meets = _meets(settings)
    unwanted = None if settings.metric_names is None else name_matcher(settings.metric_names)

    def step(envelope: Envelope) -> Envelope | None:
        if not meets(envelope):
            return envelope
        kept = unwanted is not None and reduce_metrics(envelope, lambda name: not unwanted(name))
        return envelope if kept else None

    return step


def sample(settings: Sample) -> Callable[[Envelope], Envelope | None]:
    """Make the step."""
    chosen = sampler(settings.share)
    return lambda envelope: envelope if settings.share == 1 or chosen(envelope) else None


def _meets(criteria: Criteria) -> Callable[[Envelope], bool]:
    """Say of envelopes whether they meet every criterion but that of names."""
    everything = kinds_of(criteria.types) == Kind.ALL
    types = frozenset[str | None](criteria.types)
    sources = frozenset(criteria.sources)
    tagged = tag_matcher(criteria.tags)

    def meets(envelope: Envelope) -> bool:
        if not everything and envelope.WhichOneof("message") not in types:
            return False
        return (not sources or envelope.source_id in sources) and tagged(envelope)

    return meets
