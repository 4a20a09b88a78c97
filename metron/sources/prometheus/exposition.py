"""Read what a target exposes: Prometheus' text format, or OpenMetrics if it says so. No I/O, no clock.

`prometheus_client` reads the samples. The types of the text format are read here, since the library gives every
counter a name that ends in `_total`, whatever it is called in the text.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterable, Iterator
from enum import Enum, auto
from typing import NamedTuple, TextIO, cast

from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics import parser as openmetrics_parser
from prometheus_client.parser import text_fd_to_metric_families as read_text

MAX_LINE_BYTES = 16 << 10
"""The longest line: the library's work on a line grows with the square of its length."""

_TYPE = re.compile(r'#\s*TYPE\s+(?P<name>"(?:[^"\\]|\\.)*"|\S+)\s+(?P<type>\w+)\s*')
_ESCAPED = re.compile(r'\\(["\\])')
_OF_A_DISTRIBUTION = ("_bucket", "_count", "_sum")
_read_openmetrics: Callable[[TextIO], Iterable[Metric]] = openmetrics_parser.text_fd_to_metric_families
_OPENMETRICS = "application/openmetrics-text"


class ExpositionError(ValueError):
    """This is no exposition, or one over the limits: count a failed scrape."""


class Role(Enum):
    """What a sample is within its family."""

    GAUGE = auto()
    COUNTER = auto()
    SUM = auto()
    BUCKET = auto()
    QUANTILE = auto()


class Sample(NamedTuple):
    """One number, under the name it has in the text."""

    name: str
    role: Role
    labels: dict[str, str]
    value: float | None
    """None where the number is a structure of another kind, a native histogram."""


_ROLES = {
    ("counter", ""): Role.COUNTER,
    ("counter", "_total"): Role.COUNTER,
    ("histogram", "_bucket"): Role.BUCKET,
    ("histogram", "_count"): Role.COUNTER,
    ("histogram", "_sum"): Role.SUM,
    ("summary", ""): Role.QUANTILE,
    ("summary", "_count"): Role.COUNTER,
    ("summary", "_sum"): Role.SUM,
}
"""By type of the family and ending of the sample's name; whatever is not here is a gauge."""


def samples_of(
    body: bytes, content_type: str, *, max_samples: int, check: Callable[[], None] = lambda: None
) -> Iterator[Sample]:
    """Give every sample; raises `ExpositionError`. `check` is called before each line, and may raise to end it."""
    if body and not body.endswith(b"\n"):
        raise ExpositionError("the last line has no end: the answer was cut short")
    read = _openmetrics if content_type.partition(";")[0].strip().lower() == _OPENMETRICS else _text
    try:
        yield from read(_lines(body, max_samples, check))
    except ExpositionError:
        raise
    except (ValueError, LookupError, TypeError, AttributeError) as error:  # what the library stumbles over
        raise ExpositionError(f"not an exposition: {str(error)[:200] or type(error).__name__}") from error


def _lines(body: bytes, max_samples: int, check: Callable[[], None]) -> Iterator[str]:
    """Give every line that says something, decoded."""
    stream = io.BytesIO(body)
    samples = 0
    while line := stream.readline(MAX_LINE_BYTES + 1):
        check()
        if len(line) > MAX_LINE_BYTES:
            raise ExpositionError(f"a line of more than {MAX_LINE_BYTES} bytes")
        if line.lstrip()[:1] != b"#":
            samples += not line.isspace()
            if samples > max_samples:
                raise ExpositionError(f"more than {max_samples} samples")
        elif line.split(None, 2)[1:2] == [b"HELP"]:
            continue
        yield line.decode()


def _text(lines: Iterator[str]) -> Iterator[Sample]:
    types: dict[str, str] = {}

    def bare_samples() -> Iterator[str]:
        for line in lines:
            if not (comment := line.lstrip()).startswith("#"):
                yield line
            elif match := _TYPE.fullmatch(comment):
                types[_unquoted(match["name"])] = match["type"].lower()

    for family in read_text(cast(TextIO, bare_samples())):
        for sample in family.samples:
            yield Sample(sample.name, _role_in_text(sample.name, types), sample.labels, sample.value)


def _role_in_text(name: str, types: dict[str, str]) -> Role:
    if kind := types.get(name):
        return _ROLES.get((kind, ""), Role.GAUGE)
    for ending in _OF_A_DISTRIBUTION:
        if name.endswith(ending) and (kind := types.get(name.removesuffix(ending))) in ("histogram", "summary"):
            return _ROLES.get((kind, ending), Role.GAUGE)
    return Role.GAUGE


def _openmetrics(lines: Iterator[str]) -> Iterator[Sample]:
    for family in _read_openmetrics(cast(TextIO, lines)):
        for sample in family.samples:
            role = _ROLES.get((family.type, sample.name.removeprefix(family.name)), Role.GAUGE)
            yield Sample(sample.name, role, sample.labels or {}, sample.value)


def _unquoted(name: str) -> str:
    return _ESCAPED.sub(r"\1", name[1:-1]) if name.startswith('"') else name
