"""Steps that change how an envelope is labelled: rename, add_tags."""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from envelope.pb.loggregator_v2_pb2 import Envelope, GaugeValue
from plumbing.config import Section


def _distinct(names: dict[str, str]) -> dict[str, str]:
    if len(set(names.values())) < len(names):
        raise ValueError("two names become the same one")
    return names


Names = Annotated[dict[str, str], AfterValidator(_distinct)]
"""Old names and the new name of each: all renamed at once, so two may swap. No two become the same."""


class Rename(Section):
    """Rename tags, metrics, or both. What bears a new name already gives way to what is renamed to it."""

    step: Literal["rename"]

    tags: Names = Field(default_factory=dict)
    """Tags to rename: old name to new name."""

    metrics: Names = Field(default_factory=dict)
    """Counters, timers and gauges' metrics to rename: old name to new name."""

    @model_validator(mode="after")
    def _renames_something(self) -> Rename:
        if not self.tags and not self.metrics:
            raise ValueError("says not what to rename: give tags or metrics")
        return self


class AddTags(Section):
    """Add tags to every envelope."""

    step: Literal["add_tags"]

    tags: dict[str, str] = Field(min_length=1)
    """The tags, and the value of each."""

    overwrite: bool = False
    """Whether they replace what an envelope says itself; else its own tags stay."""


def rename(settings: Rename) -> Callable[[Envelope], Envelope]:
    """Make the step."""
    tags, metrics = settings.tags, settings.metrics

    def step(envelope: Envelope) -> Envelope:
        _rename_keys(envelope.tags, tags)
        kind = envelope.WhichOneof("message") if metrics else None
        if kind == "counter":
            envelope.counter.name = metrics.get(envelope.counter.name, envelope.counter.name)
        elif kind == "timer":
            envelope.timer.name = metrics.get(envelope.timer.name, envelope.timer.name)
        elif kind == "gauge":
            _rename_metrics(envelope, metrics)
        return envelope

    return step


def add_tags(settings: AddTags) -> Callable[[Envelope], Envelope]:
    """Make the step."""
    added, overwrite = settings.tags, settings.overwrite

    def step(envelope: Envelope) -> Envelope:
        tags = envelope.tags
        for key, value in added.items():
            if overwrite or key not in tags:
                tags[key] = value
        return envelope

    return step


def _rename_keys(mapping: MutableMapping[str, str], names: Mapping[str, str]) -> None:
    moved = {new: mapping.pop(old) for old, new in names.items() if old in mapping}
    mapping.update(moved)


def _rename_metrics(envelope: Envelope, names: Mapping[str, str]) -> None:
    metrics: Any = envelope.gauge.metrics  # a map of messages is no MutableMapping: its members are copied
    moved: dict[str, GaugeValue] = {}
    for old, new in names.items():
        if old in metrics:
            moved[new] = GaugeValue(unit=metrics[old].unit, value=metrics[old].value)
    for old in names:
        metrics.pop(old, None)
    for new, value in moved.items():
        metrics[new].CopyFrom(value)
