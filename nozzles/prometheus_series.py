"""The series of Prometheus that an envelope has samples of: their names and labels, as Prometheus wants them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Literal, NamedTuple

from pydantic import Field, NonNegativeInt, PositiveInt

from envelope.pb.loggregator_v2_pb2 import Envelope
from plumbing.config import Section

_NOT_IN_A_NAME = re.compile(r"[^a-zA-Z0-9_:]")
_NOT_IN_A_LABEL = re.compile(r"[^a-zA-Z0-9_]")
_LONGEST_NAME = 200  # characters of a metric's or a label's name
_OF_AN_AGENT = "__v1_type"
_RESERVED = "__"


class SeriesSettings(Section):
    """How names and labels are made of envelopes."""

    prefix: Annotated[str, Field(pattern=r"^([a-zA-Z_:][a-zA-Z0-9_:]*)?$", max_length=100)] = ""
    """What each metric's name begins with."""

    tags: tuple[str, ...] | None = None
    """The tags that become labels beside source_id and instance_id; without this setting, all of them."""

    max_labels: NonNegativeInt = 30
    """Labels made of tags in one series; of more, the first by name stay."""

    max_label_chars: PositiveInt = 256
    """Characters of a label's value; what is longer is cut."""

    unit: Literal["label", "suffix", "none"] = "label"
    """Where a gauge's unit goes: a label `unit`, the end of its name, or nowhere."""


class Sample(NamedTuple):
    """One value of a series at one time."""

    name: str
    """A counter's ends in `_total`, a gauge's never does."""
    is_counter: bool
    labels: tuple[tuple[str, str], ...]
    """By name, each name once."""
    value: float
    timestamp: int


def samples(envelope: Envelope, settings: SeriesSettings) -> Iterator[Sample]:
    """Yield a counter's total or each metric of a gauge; nothing of what is neither, and nothing without a name."""
    match envelope.WhichOneof("message"):
        case "counter" if envelope.counter.name:
            stem = metric_name(settings.prefix + envelope.counter.name).removesuffix("_total") or "_"
            labels = tuple(sorted(labels_of(envelope, settings).items()))
            yield Sample(f"{stem}_total", True, labels, float(envelope.counter.total), envelope.timestamp)
        case "gauge":
            shared = labels_of(envelope, settings)
            for raw, metric in envelope.gauge.metrics.items():
                if not raw:
                    continue
                suffix = f"_{metric.unit}" if settings.unit == "suffix" and metric.unit else ""
                name = metric_name(settings.prefix + raw + suffix)
                if name.endswith("_total"):
                    name += "_gauge"
                unit = {"unit": metric.unit[: settings.max_label_chars]} if settings.unit == "label" else {}
                labels = tuple(sorted((shared | unit if metric.unit else shared).items()))
                yield Sample(name, False, labels, metric.value, envelope.timestamp)


def metric_name(raw: str) -> str:
    """Put `_` for what a metric's name may not hold, and keep the first 200 characters."""
    name = _NOT_IN_A_NAME.sub("_", raw[:_LONGEST_NAME])
    return f"_{name}" if name[:1].isdigit() else name


def label_name(raw: str) -> str:
    """Put `_` for what a label's name may not hold; one that begins with two of them is Prometheus's own."""
    name = _NOT_IN_A_LABEL.sub("_", raw[:_LONGEST_NAME])
    if name.startswith(_RESERVED):
        name = "_" + name.lstrip("_")
    return f"_{name}" if not name or name[0].isdigit() else name


def labels_of(envelope: Envelope, settings: SeriesSettings) -> dict[str, str]:
    """Give source_id, instance_id and the tags that are wished for, without the empty ones.

    Of two tags whose labels have the same name the first stays; no tag takes the place of an id.
    """
    own = {"source_id": envelope.source_id, "instance_id": envelope.instance_id}
    wished = sorted(envelope.tags) if settings.tags is None else settings.tags
    found = {name: value for name, value in own.items() if value}
    room = len(found) + settings.max_labels
    for key in wished:
        value = envelope.tags.get(key, "")
        if value and key != _OF_AN_AGENT and len(found) < room:
            found.setdefault(label_name(key), value)
    return {name: value[: settings.max_label_chars] for name, value in found.items()}
