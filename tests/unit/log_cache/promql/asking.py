"""Ask a query about samples written down shortly: `{"m{a='b'}": [(0, 1.0), (15, 2.0)]}`, times in seconds."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from log_cache.promql.budget import Budget
from log_cache.promql.query import parse
from log_cache.promql.steps import StepTimes
from log_cache.promql.values import Series, labels_of

Samples = Mapping[str, Sequence[tuple[float, float]]]


def series_of(samples: Samples) -> list[Series]:
    return [
        Series(
            labels_of({"__name__": re.match(r"\w*", text)[0], **dict(re.findall(r"(\w+)='([^']*)'", text))}),
            np.array([time * 1000 for time, _ in points], np.int64),
            np.array([value for _, value in points], np.float64),
        )
        for text, points in samples.items()
    ]


def written(labels: tuple[tuple[str, str], ...]) -> str:
    name = dict(labels).get("__name__", "")
    rest = ",".join(f"{key}='{value}'" for key, value in labels if key != "__name__")
    return name + (f"{{{rest}}}" if rest else "")


def evaluate(text: str, samples: Samples, times: StepTimes, budget: Budget | None = None) -> Any:
    query = parse(text)
    series = series_of(samples)
    return query.evaluate(times, [series] * len(query.selections(times)), budget or Budget())


def at(text: str, samples: Samples, time: float = 300) -> dict[str, float]:
    """What an instant query finds: labels → value."""
    result = evaluate(text, samples, StepTimes.instant(int(time * 1000)))
    assert result.kind == "vector"
    return {written(sample.labels): sample.value for sample in result.data}


def over(text: str, samples: Samples, start: float, end: float, step: float) -> dict[str, list[tuple[float, float]]]:
    """What a range query finds: labels → (time, value)."""
    result = evaluate(text, samples, StepTimes.spaced(int(start * 1000), int(end * 1000), int(step * 1000)))
    assert result.kind == "matrix"
    return {written(labels): points for labels, points in result.data}


def every(seconds: int, *values: float, start: int = 0) -> list[tuple[float, float]]:
    return [(start + seconds * number, value) for number, value in enumerate(values)]
