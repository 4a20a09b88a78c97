"""Answers that are known: worked out by hand, or held fast by Prometheus's own tests. The oracle is held to them."""

from __future__ import annotations

import math
from dataclasses import dataclass

from tests.promql_oracle.vectors import Labels, Raw, labels_from

NAN, INF = math.nan, math.inf
MINUTE = 60


@dataclass(frozen=True)
class Known:
    """A query, evaluated so many seconds after zero, and what it says; None: it is an error."""

    query: str
    series: tuple[Raw, ...]
    at_s: float
    says: dict[Labels, float] | None


def row(text: str, every_s: int, **labels: str) -> Raw:
    """A series with a number every so often, beginning at zero; `_` leaves one out."""
    numbers = text.split()
    points = [(n * every_s * 1000, float(number)) for n, number in enumerate(numbers) if number != "_"]
    return Raw({"__name__": labels.pop("name", "x"), **labels}, points)


def growing(start: int, step: int, count: int) -> str:
    return " ".join(str(start + n * step) for n in range(count + 1))


def of(**labels: str) -> Labels:
    return labels_from({"__name__": labels.pop("name", ""), **labels})


ONE = of()
EVERY_5 = 5 * MINUTE

RESETS = row("1 2 3 0 1 0 0 1 2 0", EVERY_5)
CLIMB = row(growing(0, 10, 10), EVERY_5)
CLIMB_TWICE = row(f"{growing(0, 10, 5)} {growing(0, 10, 5)}", EVERY_5)
CLIMB_LATE = row(f"{growing(0, 10, 4)} {growing(0, 10, 5)}", EVERY_5)
FROM_A_MINUTE = row("_ 1 11 21 31 41", MINUTE)
NUMBERS = row("0 8 8 2 3", 10)
STANDING = (row("3", 10, v="a"), row("1", 10, v="b"), row("NaN", 10, v="c"), row("2", 10, v="d"))
POSITIVE = tuple(
    row(growing(n, n, 10), EVERY_5, le=le, start="positive")
    for le, n in ((".1", 5), (".2", 7), ("1e0", 11), ("+Inf", 12))
)
NEGATIVE = tuple(
    row(growing(n, n, 10), EVERY_5, le=le, start="negative")
    for le, n in (("-.2", 1), ("-0.1", 2), ("0.3", 2), ("+Inf", 3))
)
MANY = (row("6", 10, place="a", of="1"), row("8", 10, place="b", of="1"), row("2", 10, name="y", of="1", tier="t"))
TWO_NAMES = (row("7", 10, place="a"), row("7", 10, name="z", place="a"), row("2", 10, name="y", tier="t"))
SEVENS = {of(name=name, place="a", tier="t"): 7 for name in ("x", "z")}
FAR_OUT = row("10000000001 10000000002 10000000003", 10)


def _histogram(share: str, positive: float, negative: float) -> Known:
    says = {of(start="positive"): positive, of(start="negative"): negative}
    return Known(f"histogram_quantile({share}, x)", POSITIVE + NEGATIVE, 50 * MINUTE, says)


KNOWN = (
    # a sample counts for five minutes, to the very end of them
    Known("x", (row("7", 10),), 300, {of(name="x"): 7}),
    Known("x", (row("7", 10),), 300.001, {}),
    Known("x offset 5m", (row("7", 10),), 300, {of(name="x"): 7}),
    Known("count_over_time(x[20s])", (NUMBERS,), 40, {ONE: 3}),
    # counters
    Known("increase(x[50m])", (CLIMB,), 50 * MINUTE, {ONE: 100}),
    Known("increase(x[50m])", (CLIMB_TWICE,), 50 * MINUTE, {ONE: 90}),
    Known("rate(x[50m])", (CLIMB_TWICE,), 50 * MINUTE, {ONE: 0.03}),
    Known("increase(x[5m])", (FROM_A_MINUTE,), 300, {ONE: 40 * 246 / 240}),  # it was zero six seconds before
    Known("delta(x[5m])", (FROM_A_MINUTE,), 300, {ONE: 40 * 300 / 240}),
    Known("delta(x[10m])", (FROM_A_MINUTE,), 360, {ONE: 40 * 330 / 240}),  # too far from the start, near enough the end
    Known("irate(x[50m])", (CLIMB,), 50 * MINUTE, {ONE: 10 / 300}),
    Known("irate(x[50m])", (CLIMB_TWICE,), 30 * MINUTE, {ONE: 0}),
    Known("idelta(x[50m])", (CLIMB_TWICE,), 30 * MINUTE, {ONE: -50}),
    Known("rate(x[1m])", (CLIMB,), 50 * MINUTE, {}),
    Known("changes(x[50m])", (RESETS,), 50 * MINUTE, {ONE: 8}),
    Known("resets(x[50m])", (RESETS,), 50 * MINUTE, {ONE: 3}),
    Known("deriv(x[100m])", (CLIMB_LATE,), 50 * MINUTE, {ONE: 0.010606060606060607}),
    Known("predict_linear(x[100m], 3600)", (CLIMB_LATE,), 50 * MINUTE, {ONE: 76.81818181818181}),
    # over time
    Known("stdvar_over_time(x[1m])", (NUMBERS,), MINUTE, {ONE: 10.56}),
    Known("stddev_over_time(x[1m])", (NUMBERS,), MINUTE, {ONE: 3.249615361854384}),
    Known("stdvar_over_time(x[1m])", (FAR_OUT,), MINUTE, {ONE: 2 / 3}),
    Known("deriv(x[1m])", (FAR_OUT,), MINUTE, {ONE: 0.1}),
    Known("avg_over_time(x[1m])", (row("1e308 1e308", 10),), MINUTE, {ONE: 1e308}),
    Known("avg_over_time(x[1m])", (row("Inf 1", 10),), MINUTE, {ONE: INF}),
    Known("avg_over_time(x[1m])", (NUMBERS,), MINUTE, {ONE: 4.2}),
    Known("quantile_over_time(0.75, x[1m])", (row("0 1 4", 10),), MINUTE, {ONE: 2.5}),
    Known("quantile_over_time(0, x[1m])", (row("0 1 4", 10),), MINUTE, {ONE: 0}),
    Known("quantile_over_time(1, x[1m])", (row("0 1 4", 10),), MINUTE, {ONE: 4}),
    Known("quantile_over_time(-1, x[1m])", (row("0 1 4", 10),), MINUTE, {ONE: -INF}),
    Known("max_over_time(x[1m])", (row("NaN 2 NaN", 10),), MINUTE, {ONE: 2}),
    Known("min_over_time(x[1m])", (row("NaN NaN", 10),), MINUTE, {ONE: NAN}),
    Known("last_over_time(x[1m])", (NUMBERS,), MINUTE, {of(name="x"): 3}),
    # subqueries look at the multiples of their step
    Known("sum_over_time(x[50s:10s])", (row("1 2", 10),), 10, {ONE: 3}),
    Known("sum_over_time(x[50s:5s])", (row("1 2", 10),), 10, {ONE: 4}),
    Known("sum_over_time(x[50s:10s] offset 3s)", (row("1 2", 10),), 11, {ONE: 1}),
    Known("count_over_time(x[5m:])", (row("1 2", 10),), 301, {ONE: 5}),
    # aggregations
    Known("sum(x)", STANDING, 10, {ONE: NAN}),
    Known("max(x)", STANDING, 10, {ONE: 3}),
    Known("topk(3, x)", STANDING, 10, {of(name="x", v="a"): 3, of(name="x", v="b"): 1, of(name="x", v="d"): 2}),
    Known("bottomk(1, x)", STANDING, 10, {of(name="x", v="b"): 1}),
    Known("stdvar(x)", (row("10000000001", 10, v="a"), row("10000000003", 10, v="b")), 10, {ONE: 1}),
    Known("topk(NaN, x)", STANDING, 10, None),
    Known("topk(1e19, x)", STANDING, 10, None),
    Known("bottomk(-1e19, x)", STANDING, 10, None),
    Known("quantile(0, x)", STANDING[:2], 10, {ONE: 1}),
    Known("quantile(1, x)", STANDING[:2], 10, {ONE: 3}),
    Known("quantile(1.01, x)", STANDING[:2], 10, {ONE: INF}),
    Known("quantile(0.5, x)", STANDING[:2], 10, {ONE: 2}),
    Known("stddev(x)", STANDING[:2], 10, {ONE: 1}),
    Known("sum without (place) (x)", MANY, 10, {of(of="1"): 14}),
    Known('count_values("value", x)', STANDING[:3], 10, {of(value="3"): 1, of(value="1"): 1, of(value="NaN"): 1}),
    # histograms
    _histogram("0.5", 0.15, -0.15),
    _histogram("0.2", 0.048, -0.2),
    _histogram("0.8", 0.72, 0.3),
    _histogram("1", 1, 0.3),
    _histogram("0", 0, -0.2),
    _histogram("-0.1", -INF, -INF),
    _histogram("1.01", INF, INF),
    Known("histogram_quantile(0.5, x)", (row("0", 10, le="-1"), row("0", 10, le="+Inf")), 10, {ONE: NAN}),
    Known("histogram_quantile(0.5, x)", (row("3", 10, le="+Inf"),), 10, {ONE: NAN}),
    Known("histogram_quantile(0.5, x)", (row("3", 10, le="1"), row("4", 10, le="2")), 10, {ONE: NAN}),
    Known("histogram_quantile(0.5, rate(x[5m]))", POSITIVE, 50 * MINUTE, {of(start="positive"): 0.15}),
    # operators
    Known(
        "x * on (of) group_left (tier) y",
        MANY,
        10,
        {of(place="a", of="1", tier="t"): 12, of(place="b", of="1", tier="t"): 16},
    ),
    Known("y - on (of) group_right x", MANY, 10, {of(place="a", of="1"): -4, of(place="b", of="1"): -6}),
    Known("x * on (of) y", MANY, 10, None),
    Known("y * on (of) x", MANY, 10, None),
    Known("(y > 5) * on (of) x", MANY, 10, {}),  # nothing to match with, so nothing matches twice
    Known('{__name__=~"x|z"} > ignoring (place, tier) y', TWO_NAMES, 10, None),
    Known('{__name__=~"x|z"} > ignoring (place, tier) group_left (tier) y', TWO_NAMES, 10, SEVENS),
    Known("x > 6", MANY, 10, {of(name="x", place="b", of="1"): 8}),
    Known("7 > x", MANY, 10, {of(name="x", place="a", of="1"): 6}),
    Known("x > bool 6", MANY, 10, {of(place="a", of="1"): 0, of(place="b", of="1"): 1}),
    Known('x{place="a"} > on (of) y', MANY, 10, {of(of="1"): 6}),
    Known("-x % 5", MANY, 10, {of(place="a", of="1"): -1, of(place="b", of="1"): -3}),
    Known("-2 ^ 2", (), 10, {ONE: -4}),
    Known("2 ^ 3 ^ 2", (), 10, {ONE: 512}),
    Known("-1 / 0", (), 10, {ONE: -INF}),
    Known("x and on (of) y", MANY, 10, {of(name="x", place="a", of="1"): 6, of(name="x", place="b", of="1"): 8}),
    Known("x unless on (of) y", MANY, 10, {}),
    Known("y or on (of) x", MANY, 10, {of(name="y", of="1", tier="t"): 2}),
    # labels and numbers
    Known('x{place=~"a|"}', MANY, 10, {of(name="x", place="a", of="1"): 6}),
    Known('y{place=""}', MANY, 10, {of(name="y", of="1", tier="t"): 2}),
    Known('label_replace(y, "of", "$1-${1}s$$", "tier", "(.).*")', MANY, 10, {of(name="y", of="t-ts$", tier="t"): 2}),
    Known('label_replace(y, "of", "$1s", "tier", "(.*)")', MANY, 10, {of(name="y", tier="t"): 2}),
    Known('label_replace(x, "place", "", "place", ".*")', MANY, 10, None),
    Known('label_join(y, "of", "-", "of", "none", "tier")', MANY, 10, {of(name="y", of="1--t", tier="t"): 2}),
    Known("round(x - 6.5)", MANY, 10, {of(place="a", of="1"): 0, of(place="b", of="1"): 2}),
    Known("round(x, 5)", MANY, 10, {of(place="a", of="1"): 5, of(place="b", of="1"): 10}),
    Known("clamp(x, 7, 6)", MANY, 10, {}),
    Known("absent(x)", MANY, 10, {}),
    Known('absent(z{a="1", b=~".x", c="2", c="3"})', MANY, 10, {of(a="1"): 1}),
    Known("scalar(x)", MANY, 10, {ONE: NAN}),
    Known("timestamp(x)", MANY, 10, {of(place="a", of="1"): 0, of(place="b", of="1"): 0}),
    Known("time() - 3", (), 10.5, {ONE: 7.5}),
    Known("day_of_month(vector(1709164800 + 86399))", (), 10, {ONE: 29}),
    Known("absent_over_time(x[1m])", (row("1", 10),), 10, {}),
    Known('absent_over_time({__name__=~"x|z",of="1"}[1m])', TWO_NAMES, 10, {of(of="1"): 1}),
    Known('absent_over_time({__name__=~"x|z"}[1m])', TWO_NAMES, 10, {}),
    Known("max_over_time((x @ end())[1m:10s])", (NUMBERS,), 20, {of(): 8}),
    Known("min_over_time((x @ start())[1m:10s])", (NUMBERS,), 20, {of(): 8}),
    Known("x @ 10", (NUMBERS,), 1000, {of(name="x"): 8}),
    Known("rate(x[50m] @ 3000)", (CLIMB_TWICE,), 10, {ONE: 0.03}),
)
