"""The functions of an instant vector: numbers, labels and histograms."""

from __future__ import annotations

import calendar
import math
import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta

import re2

from tests.promql_oracle.vectors import NAME, NAN, Failure, Labels, Vector, gathered, labels_from, without

LABEL_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
REFERENCE = re.compile(r"\$(?:(?P<dollar>\$)|\{(?P<braced>\w+)\}|(?P<bare>\w+))", re.ASCII)


def _whole(rounding: Callable[[float], int]) -> Callable[[float], float]:
    """Rounding as Go has it: of infinities and NaN too, and a zero keeps its sign."""
    return lambda value: math.copysign(float(rounding(value)), value) if math.isfinite(value) else value


def _exp(value: float) -> float:
    try:
        return math.exp(value)
    except OverflowError:
        return math.inf


def _sqrt(value: float) -> float:
    return math.sqrt(value) if value >= 0 else NAN


def _logarithm(log: Callable[[float], float]) -> Callable[[float], float]:
    def of(value: float) -> float:
        if value == 0:
            return -math.inf
        return log(value) if value > 0 else NAN

    return of


def _wherever(function: Callable[[float], float]) -> Callable[[float], float]:
    """A function of `math`, NaN where it is not defined, infinite where it is too large."""

    def of(value: float) -> float:
        try:
            return function(value)
        except OverflowError:
            return math.copysign(math.inf, value) if function is not math.cosh else math.inf
        except ValueError:
            return math.copysign(math.inf, value) if function is math.atanh and abs(value) == 1 else NAN

    return of


def _sign(value: float) -> float:
    return value if math.isnan(value) or value == 0 else math.copysign(1.0, value)


def rounded(value: float, nearest: float = 1.0) -> float:
    """To the nearest multiple, upwards from the middle."""
    inverse = 1.0 / nearest if nearest else math.inf
    scaled = value * inverse + 0.5
    return (math.floor(scaled) if math.isfinite(scaled) else scaled) / inverse


def at_least(value: float, bound: float) -> float:
    """The greater one, as Go has it: infinity even beside NaN."""
    if math.inf in (value, bound):
        return math.inf
    return NAN if math.isnan(value) or math.isnan(bound) else max(value, bound)


def at_most(value: float, bound: float) -> float:
    """The smaller one, likewise."""
    return -at_least(-value, -bound)


TRIGONOMETRY = ("acos", "acosh", "asin", "asinh", "atan", "atanh", "cos", "cosh", "sin", "sinh", "tan", "tanh")
NUMBERS: dict[str, Callable[..., float]] = {
    "abs": abs,
    "ceil": _whole(math.ceil),
    "floor": _whole(math.floor),
    "exp": _exp,
    "sqrt": _sqrt,
    "ln": _logarithm(math.log),
    "log2": _logarithm(math.log2),
    "log10": _logarithm(math.log10),
    "sgn": _sign,
    "round": rounded,
    "clamp_min": at_least,
    "clamp_max": at_most,
    "deg": lambda value: value * 180 / math.pi,
    "rad": lambda value: value * math.pi / 180,
    **{name: _wherever(getattr(math, name)) for name in TRIGONOMETRY},
}
"""Functions of one number, and of scalars beside it."""


DATES: dict[str, Callable[[datetime], float]] = {
    "minute": lambda moment: moment.minute,
    "hour": lambda moment: moment.hour,
    "day_of_week": lambda moment: moment.isoweekday() % 7,
    "day_of_month": lambda moment: moment.day,
    "day_of_year": lambda moment: moment.timetuple().tm_yday,
    "days_in_month": lambda moment: calendar.monthrange(moment.year, moment.month)[1],
    "month": lambda moment: moment.month,
    "year": lambda moment: moment.year,
}
"""What a number of seconds since 1970 says as a moment, in UTC."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_CYCLE = timedelta(days=146_097)
"""400 years, after which the calendar is the same again."""


def dated(name: str, seconds: float) -> float:
    """What the calendar says, back or ahead as far as a double has whole seconds."""
    if not abs(seconds) <= 2**53:
        return NAN
    cycles, rest = divmod(int(seconds), int(_CYCLE.total_seconds()))
    return DATES[name](_EPOCH + timedelta(seconds=rest)) + (400.0 * cycles if name == "year" else 0.0)


def clamped(vector: Vector, low: float, high: float) -> Vector:
    """Nothing at all if the bounds are the wrong way round."""
    if high < low:
        return {}
    return gathered((without(labels, [NAME]), at_least(at_most(v, high), low)) for labels, v in vector.items())


def in_order(vector: Vector, *, descending: bool) -> Vector:
    """By value, with NaN at the end either way."""
    numbers = [pair for pair in vector.items() if not math.isnan(pair[1])]
    nans = [pair for pair in vector.items() if math.isnan(pair[1])]
    return dict([*sorted(numbers, key=lambda pair: pair[1], reverse=descending), *nans])


def label_replaced(vector: Vector, target: str, template: str, source: str, pattern: str) -> Vector:
    """Set a label to what a pattern finds in another; where it does not match, all stays as it is."""
    _check_name(target)
    try:
        matcher = re2.compile(f"^(?:{pattern})$")
    except re2.error as error:
        raise Failure(f"invalid regular expression: {pattern}") from error

    def replaced(labels: Labels) -> Labels:
        found = matcher.fullmatch(dict(labels).get(source, ""))
        return labels if found is None else _with(labels, target, _expanded(template, found))

    return gathered((replaced(labels), value) for labels, value in vector.items())


def label_joined(vector: Vector, target: str, separator: str, *sources: str) -> Vector:
    """Set a label to the values of others, one after the other."""
    for name in (target, *sources):
        _check_name(name)

    def joined(labels: Labels) -> Labels:
        values = dict(labels)
        return _with(labels, target, separator.join(values.get(name, "") for name in sources))

    return gathered((joined(labels), value) for labels, value in vector.items())


def _check_name(name: str) -> None:
    if not LABEL_NAME.fullmatch(name):
        raise Failure(f"invalid label name: {name}")


def _with(labels: Labels, name: str, value: str) -> Labels:
    return labels_from({**dict(labels), name: value})


def _expanded(template: str, found: re2._Match[str]) -> str:
    """As Go expands a template: `$1` and `${1}` and `$name`, `$$` for a dollar; what does not exist is empty."""
    groups = {str(n): value or "" for n, value in enumerate((found.group(0), *found.groups()))}
    groups |= {name: value or "" for name, value in found.groupdict().items()}

    def expand(reference: re.Match[str]) -> str:
        return "$" if reference["dollar"] else groups.get(reference["braced"] or reference["bare"], "")

    return REFERENCE.sub(expand, template)


def histogram_quantile(share: float, vector: Vector) -> Vector:
    """The quantile of every histogram whose buckets are in the vector; a series without a usable `le` is no bucket."""
    histograms: dict[Labels, list[tuple[float, float]]] = {}
    for labels, count in vector.items():
        bound = _bound(dict(labels).get("le", ""))
        if bound is not None:
            histograms.setdefault(without(labels, [NAME, "le"]), []).append((bound, count))
    return {labels: _bucket_quantile(share, buckets) for labels, buckets in histograms.items()}


def _bound(text: str) -> float | None:
    try:
        bound = float(text)
    except ValueError:
        return None
    return None if math.isnan(bound) else bound


def _rising(counts: Iterable[float]) -> list[float]:
    """Take a count that is less than one before it to be the same; NaN is neither less nor more."""
    heights: list[float] = []
    highest = -math.inf
    for count in counts:
        highest = count if count > highest or not heights else highest
        heights.append(highest if count < highest else count)
    return heights


def _bucket_quantile(share: float, unsorted: Iterable[tuple[float, float]]) -> float:
    counts: dict[float, float] = {}
    for bound, count in sorted(unsorted):
        counts[bound] = counts.get(bound, 0.0) + count
    bounds, heights = list(counts), _rising(counts.values())
    if math.isnan(share):
        return NAN
    if not 0 <= share <= 1:
        return math.copysign(math.inf, share)
    if bounds[-1] != math.inf or len(bounds) < 2 or not heights[-1]:
        return NAN
    rank = share * heights[-1]
    at = next((n for n, height in enumerate(heights[:-1]) if height >= rank), len(heights) - 1)
    if at == len(heights) - 1:
        return bounds[-2]
    if at == 0 and bounds[0] <= 0:
        return bounds[0]
    below, start = (heights[at - 1], bounds[at - 1]) if at else (0.0, 0.0)
    if heights[at] == below:
        return NAN
    return start + (bounds[at] - start) * ((rank - below) / (heights[at] - below))
