"""Hypothesis strategies: PromQL expressions of every kind, with what was recorded and when to evaluate them.

An expression is made from a form: text with placeholders such as `<vector>` that are filled in at random, nested ones
by other forms. `FORMS` has at least one for every function and operator that is promised. A case is drawn as a whole,
from one seed: piece by piece it would take ten times as long, and half of the pieces would be those of cases before.
"""

from __future__ import annotations

import math
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from tests.promql_oracle import Raw
from tests.promql_oracle.functions import DATES, TRIGONOMETRY

START_MS = 1_700_000_000_000

# --- what was recorded ------------------------------------------------------------------------------------------------

PLACES = (
    {"source_id": "app", "instance_id": "0", "zone": "east"},
    {"source_id": "app", "instance_id": "1", "zone": "west"},
    {"source_id": "db", "instance_id": "0"},
)
COUNTERS = ("requests", "errors")
GAUGES = ("heat", "load")
SOURCES = ({"source_id": "app", "tier": "front"}, {"source_id": "db", "tier": "back"})
BOUNDS = ("0.1", "0.5", "1", "+Inf")
ODD_BOUNDS = ("-2.5", "-1", "1", "1.0", "1e2", "Inf", "no number")

_GAPS_S = ((15,), (60,), (10, 15, 20), (1, 15, 37, 60, 290), (0, 0, 1, 15, 60), (60, 299, 300, 301, 420))
"""Between the points of a series: regular or not, and now and then longer than PromQL looks back."""
_ODD_READINGS = (0.0, 0.0, 1.0, 1.0, 1e6, -2.5, math.nan, math.inf, -math.inf)
_GROWTHS = (0, 1, 2, 5, 7, 30, 1000)


class _Recorder:
    """Makes series up, of no more than so many points each."""

    def __init__(self, chance: random.Random, most: int) -> None:
        self._random = chance
        self._most = most

    def times_ms(self) -> list[int]:
        """Ascending, now and then two the same, mostly whole seconds; none at all for a series in ten."""
        gaps_s = self._random.choice(_GAPS_S)
        count = self._random.randint(1, self._most) if self._random.random() < 0.9 else 0
        first_ms = START_MS + self._random.choice((0, 0, 7000, 7250, 150_000))
        return list(accumulate((self._random.choice(gaps_s) * 1000 for _ in range(count)), initial=first_ms))[:count]

    def counter(self, name: str, place: dict[str, str]) -> Raw:
        """A number that grows, and starts again at times."""
        points, count = [], self._random.choice((0, 3, 500))
        for time_ms in self.times_ms():
            points.append((time_ms, float(count)))
            count = 0 if self._random.random() < 0.1 else count + self._random.choice(_GROWTHS)
        return Raw({"__name__": name, **place}, points)

    def gauge(self, name: str, place: dict[str, str]) -> Raw:
        """Any number: quarters, tenths, and odd ones."""
        return Raw({"__name__": name, **place}, [(time_ms, self._reading()) for time_ms in self.times_ms()])

    def _reading(self) -> float:
        if self._random.random() < 0.15:
            return self._random.choice(_ODD_READINGS)
        return self._random.randint(-40, 400) / self._random.choice((4, 4, 10))

    def histogram(self, name: str, place: dict[str, str], bounds: Sequence[str]) -> list[Raw]:
        """Buckets that grow together, though now and then one of them starts again alone or is lost."""
        times_ms, counts = self.times_ms(), [0] * len(bounds)
        rows = []
        for _ in times_ms:
            rows.append(list(accumulate(counts)))
            counts = [0 if self._random.random() < 0.02 else count + self._random.randint(0, 9) for count in counts]
        lost = self._random.choice((*bounds, *(None,) * 12))
        return [
            Raw(
                {"__name__": name, **place, "le": bound},
                [(time_ms, float(row[n])) for time_ms, row in zip(times_ms, rows, strict=True)],
            )
            for n, bound in enumerate(bounds)
            if bound != lost
        ]


def _recorded(chance: random.Random, most: int) -> list[Raw]:
    """Counters, gauges and histograms of two sources."""
    recorder = _Recorder(chance, most)
    series = [recorder.counter(name, place) for name in COUNTERS for place in PLACES]
    series += [recorder.gauge(name, place) for name in GAUGES for place in PLACES]
    series += [recorder.gauge("quota", place) for place in SOURCES]
    for place in PLACES[1:]:
        series += recorder.histogram("latency_bucket", place, BOUNDS)
    return series + recorder.histogram("odd_bucket", SOURCES[0], ODD_BOUNDS)


def _moments(chance: random.Random) -> list[int]:
    """When to evaluate, in milliseconds: once, or at even steps."""
    first_ms = START_MS + chance.randint(0, 600) * 1000 + chance.choice((0, 0, 500))
    step_ms = chance.choice((1, 10, 15, 30, 60, 77, 301)) * 1000
    return [first_ms + n * step_ms for n in range(chance.choice((1, 1, 2, 3, 5, 8, 40)))]


# --- what is asked ----------------------------------------------------------------------------------------------------

MATCHERS = (
    *('source_id=~"app|db"', 'source_id="app"', 'source_id=~"app|db",instance_id="0"'),
    *(
        'source_id=~"app|db",instance_id!="1"',
        'source_id=~"app|db",zone=~"e.*|west"',
        'source_id=~"app|db",zone=~"eas"',
    ),
    *('source_id=~"app|db",zone!~"ea.+"', 'source_id=~"app|db",zone=""', 'source_id=~"app|db",zone!=""'),
    *('source_id=~"app|db",zone=~".*"', 'source_id=~"app|db",zone=~".+"', 'source_id=~"app|db",zone!~"|east"'),
    'source_id="nobody"',
)
_MOMENTS = ("", "", "", " offset 30s", " offset -20s", " offset 5m", " @ start()", " @ end()", " @ 1700000300")
_SHARES = ("0.5", "0.9", "0", "1", "0.25", "-1", "2", "NaN")
PLACEHOLDERS: dict[str, Sequence[str]] = {
    "metric": (*COUNTERS, *GAUGES, *GAUGES),
    "matchers": (*MATCHERS[:1] * 6, *MATCHERS),
    "when": (*_MOMENTS, *_MOMENTS, " @ 1700000300.5 offset 10s", " offset 1m @ end()"),
    "duration": ("2m", "5m", "5m", "10m", "10m", "1m30s", "30s", "20m"),
    "resolution": ("", "15s", "20s", "1m", "7s"),
    "number": ("2", "0", "-1.5", "7", "0.1", "1000"),
    "count": ("1", "2", "3", "0", "-1", "2.7", "10", "scalar(quota{<matchers>})"),
    "share": _SHARES,
    "scalar": ("2", "0", "-1.5", "0.5", "NaN", "Inf", 'scalar(quota{source_id="app"})', "(time() - 1700000000)"),
    "labels": ("source_id", "instance_id", "zone", "source_id, zone", "", "absent", "__name__"),
    "match": ("", "", " on (source_id, instance_id)", " ignoring (zone)", " on (zone)", " ignoring (absent)", " on ()"),
    "equal": ("", "", " on (source_id, instance_id)", " ignoring (zone)"),
    "selector": (*("<metric>{<matchers>}<when>",) * 9, '{__name__=~"re.+|heat",<matchers>}<when>'),
    "buckets": (
        "<bucket>{<matchers>}",
        "rate(<bucket>{<matchers>}[<duration>])",
        "sum by (le) (increase(<bucket>{<matchers>}[<duration>]))",
    ),
    "bucket": ("latency_bucket", "latency_bucket", "odd_bucket"),
    "range": (
        *("<metric>{<matchers>}[<duration>]<when>",) * 6,
        '{__name__=~"re.+|heat",<matchers>}[<duration>]',
        *("<vector>[<duration>:<resolution>]<when>",) * 2,
    ),
    "dates": ("timestamp(<selector>)", "vector(1709164800)", "(1e6 * <days> + 1e9)"),
    "days": ("clamp(<metric>{<matchers>}, -9000, 9000)",),
    "quota": ("quota{<matchers>}", "max by (source_id, tier) (quota{<matchers>})"),
}
"""What may stand in place of each."""

ARITHMETIC = ("+", "-", "*", "/", "%", "^", "atan2")
COMPARISONS = ("==", "!=", ">", "<", ">=", "<=")
SETS = ("and", "or", "unless")
OVER_TIME = ("sum", "avg", "min", "max", "count", "stddev", "stdvar", "first", "last", "present")
_AGGREGATED = ("(<vector>)", " by (<labels>) (<vector>)", " without (<labels>) (<vector>)")
_TO_ONE = (
    "(<vector> {op} on (source_id) group_left <quota>)",
    "(<vector> {op} on (source_id) group_left (tier) <quota>)",
    "(<vector> {op} ignoring (instance_id, zone, tier) group_left (tier) <quota>)",
    "(<quota> {op} on (source_id) group_right (tier, absent) <vector>)",
)

FORMS: dict[str, Sequence[str]] = {
    "matchers": ("<selector>", '{__name__=~"re.+|heat",<matchers>}<when>', '{__name__="load",<matchers>}'),
    "offset": ("<metric>{<matchers>} offset <duration>", "rate(<metric>{<matchers>}[<duration>] offset -1m)"),
    "@": (
        "max_over_time((<metric>{<matchers>} @ end())[<duration>:<resolution>])",
        "sum_over_time((<vector> - <metric>{<matchers>} @ start())[<duration>:<resolution>])",
        "<metric>{<matchers>} @ end()",
        "rate(<metric>{<matchers>}[<duration>] @ start() offset 1m)",
    ),
    "range vector": ("<metric>{<matchers>}[<duration>]<when>", "<vector>[<duration>:<resolution>]<when>"),
    "subquery": (
        "max_over_time((<vector>)[<duration>:<resolution>]<when>)",
        "rate(<metric>{<matchers>}[<duration>:<resolution>])",
        "avg_over_time(rate(<metric>{<matchers>}[<duration>])[<duration>:<resolution>] offset 10s)",
    ),
    **{
        name: (f"{name}(<range>)",)
        for name in ("rate", "irate", "increase", "delta", "idelta", "changes", "resets", "deriv")
    },
    **{f"{name}_over_time": (f"{name}_over_time(<range>)",) for name in OVER_TIME},
    "quantile_over_time": ("quantile_over_time(<share>, <range>)",),
    "predict_linear": ("predict_linear(<range>, <number>)",),
    **{
        name: tuple(name + form for form in _AGGREGATED)
        for name in ("sum", "avg", "min", "max", "count", "stddev", "stdvar", "group")
    },
    **{
        name: (f"{name}(<count>, <vector>)", f"{name} by (<labels>) (<count>, <vector>)", f"{name}(1, <vector>)")
        for name in ("topk", "bottomk")
    },
    "quantile": ("quantile(<share>, <vector>)", "quantile by (<labels>) (<share>, <vector>)"),
    "count_values": (
        'count_values("value", <vector>)',
        'count_values by (<labels>) ("zone", <vector>)',
        'count_values without (<labels>) ("zone", <vector>)',
    ),
    "histogram_quantile": ("histogram_quantile(<share>, <buckets>)",) * 4 + ("histogram_quantile(<share>, <vector>)",),
    "label_replace": (
        'label_replace(<vector>, "place", "$2-${1}", "zone", "(e|w)(.*)")',
        'label_replace(<vector>, "zone", "$tail", "zone", "e(?P<tail>.*)")',
        'label_replace(<vector>, "zone", "nowhere$$", "zone", "")',
        'label_replace(<vector>, "instance_id", "", "source_id", "app")',
        'label_replace(<vector>, "instance_id", "$1", "source_id", "pp")',
        'label_replace(<vector>, "__name__", "renamed_$1", "source_id", "(.*)")',
    ),
    "label_join": (
        'label_join(<vector>, "place", "/", "source_id", "zone", "absent")',
        'label_join(<vector>, "zone", "-")',
    ),
    **{name: (f"{name}(<vector>)",) for name in ("abs", "ceil", "floor", "exp", "ln", "log2", "log10", "sqrt", "sgn")},
    "round": ("round(<vector>)", "round(<vector>, <number>)"),
    "clamp": ("clamp(<vector>, <number>, <number>)",),
    "clamp_min": ("clamp_min(<vector>, <scalar>)",),
    "clamp_max": ("clamp_max(<vector>, <scalar>)",),
    "sort": ("sort(<vector>)", "sort_desc(<vector>)"),
    "absent": ("absent(<selector>)", "absent(sum(<selector>))", 'absent(heat{source_id="app",zone=~"x",tier="t"})'),
    "scalar": ("scalar(<vector>)", 'vector(scalar(quota{source_id="app"}))'),
    "time": ("time()", "(<vector> + time())", "vector(time())"),
    "timestamp": ("timestamp(<selector>)", "timestamp(<vector>)"),
    **{name: (f"{name}(<vector>)",) for name in (*TRIGONOMETRY, "deg", "rad")},
    **{
        name: (f"{name}(<dates>)", f"{name}(<dates> - 86400 * <days>)", f"{name}(<vector>)", f"{name}()")
        for name in DATES
    },
    "pi": ("(<vector> * pi())",),
    "absent_over_time": ("absent_over_time(<metric>{<matchers>}[<duration>]<when>)", "absent_over_time(<range>)"),
    "unary minus": ("(-<vector>)", "(2 - -<vector>)", "-scalar(<vector>)"),
    **{
        op: (
            *(f"(<vector> {op}<match> <vector>)", f"(<vector> {op} <scalar>)", f"(<scalar> {op} <vector>)"),
            *(f"(<selector> {op}<equal> <selector>)", f"(<scalar> {op} <scalar>)"),
            *(form.format(op=op) for form in _TO_ONE),
        )
        for op in ARITHMETIC
    },
    **{
        op: (
            *(f"(<vector> {op}<match> <vector>)", f"(<vector> {op} <scalar>)", f"(<scalar> {op} <vector>)"),
            *(
                f"(<vector> {op} bool<match> <vector>)",
                f"(<vector> {op} bool <scalar>)",
                f"(<scalar> {op} bool <vector>)",
            ),
            *(f"(<selector> {op}<equal> <selector>)", f"(<scalar> {op} bool <scalar>)"),
            *(form.format(op=op) for form in _TO_ONE),
        )
        for op in COMPARISONS
    },
    **{op: (f"(<vector> {op}<match> <vector>)", f"(<selector> {op} (<vector> > <scalar>))") for op in SETS},
    "group_left": tuple(form.format(op=op) for form in _TO_ONE for op in ("*", "/", ">", "< bool")),
}
"""Ways to use every function, operator and modifier, by its name."""

NO_VECTORS = {"scalar(<vector>)", "time()", "-scalar(<vector>)", *FORMS["range vector"]}
"""Forms that give no instant vector; neither do the operators between scalars."""

_PLACEHOLDER = re.compile(r"<(\w+)>")


def _gives_vector(form: str) -> bool:
    return form not in NO_VECTORS and not re.fullmatch(r"\(<scalar> \S+( bool)? <scalar>\)", form)


VECTOR_FORMS = tuple(forms for forms in (tuple(filter(_gives_vector, FORMS[name])) for name in sorted(FORMS)) if forms)


class _Writer:
    """Fills forms in."""

    def __init__(self, chance: random.Random) -> None:
        self._random = chance

    def filled(self, form: str, depth: int) -> str:
        """Fill a form in; vectors in it are selectors at depth 0, and other forms filled in above."""

        def fill(placeholder: re.Match[str]) -> str:
            name = placeholder[1]
            if name == "vector":
                return self.vector(depth)
            return (
                self.filled(self._random.choice(PLACEHOLDERS[name]), depth) if name in PLACEHOLDERS else placeholder[0]
            )

        return _PLACEHOLDER.sub(fill, form)

    def vector(self, depth: int) -> str:
        """An expression for an instant vector, nested so deep."""
        if depth == 0:
            return self.filled("<selector>", 0)
        return self.filled(self._random.choice(self._random.choice(VECTOR_FORMS)), depth - 1)


@dataclass(frozen=True)
class Case:
    """A question: an expression, what was recorded, and the moments to evaluate it at."""

    expression: str
    series: list[Raw]
    times_ms: list[int]


_seeds, _most = st.integers(0, 2**40), st.sampled_from((3, 6, 10, 14, 20))


def nested_cases(depth: int) -> SearchStrategy[Case]:
    """Cases of expressions for instant vectors, nested so deep."""

    def drawn(seed: int, most: int) -> Case:
        chance = random.Random(f"{depth} {seed}")
        return Case(_Writer(chance).vector(depth), _recorded(chance, most), _moments(chance))

    return st.builds(drawn, _seeds, _most)


def cases_of(name: str) -> SearchStrategy[Case]:
    """Cases of expressions that use the function or operator of this name on what was recorded."""

    def drawn(seed: int, most: int) -> Case:
        chance = random.Random(f"{name} {seed}")
        return Case(_Writer(chance).filled(chance.choice(FORMS[name]), 0), _recorded(chance, most), _moments(chance))

    return st.builds(drawn, _seeds, _most)
