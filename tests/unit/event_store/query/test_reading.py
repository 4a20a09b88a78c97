"""Every form of the language means what docs/query-language.md says."""

import pytest

from event_store.query.parse import parse
from event_store.query.syntax import (
    EVERYTHING,
    Aggregate,
    And,
    Compare,
    Contains,
    Exists,
    Expr,
    Fields,
    Has,
    Head,
    Histogram,
    In,
    Limit,
    Not,
    Or,
    Query,
    Regex,
    Sort,
    SortKey,
    Span,
    Stage,
    Tail,
    Top,
    Word,
)
from event_store.query.times import SECOND_NS
from tests.event_store_queries import NOW_NS

MINUTE_NS = 60 * SECOND_NS
A, B, C = Word("a"), Word("b"), Word("c")


def filter_of(text: str) -> Expr:
    return parse(text, NOW_NS).filter


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", EVERYTHING),
        ("a", A),
        ('"a b"', Word("a b")),
        ("'a \"b'", Word('a "b')),
        (r'"say \"a\\\""', Word('say "a\\"')),
        (
            "don't 12:30 10.0.0.1:80 /api/v1 [x]",
            And(tuple(map(Word, ("don't", "12:30", "10.0.0.1:80", "/api/v1", "[x]")))),
        ),
        ("from 10.0.0.1 to nowhere", And(tuple(map(Word, ("from", "10.0.0.1", "to", "nowhere"))))),
        ("it contains in", Contains("it", "in")),
        ("contains in matches", And(tuple(map(Word, ("contains", "in", "matches"))))),
        (r"/a\d+ b/", Regex("message", r"a\d+ b")),
        ("/a/i", Regex("message", "(?i)a")),
        ("app:web", Compare("app", ":", "web")),
        ('app:"a b"', Compare("app", ":", "a b")),
        ("app==web", Compare("app", "==", "web")),
        ("app = web", Compare("app", "==", "web")),
        ("app != web", Compare("app", "!=", "web")),
        ("status>=500", Compare("status", ">=", "500")),
        ("status <= 5e2", Compare("status", "<=", "5e2")),
        ("a.b<1 a-b>2", And((Compare("a.b", "<", "1"), Compare("a-b", ">", "2")))),
        ("`odd name`:1", Compare("odd name", ":", "1")),
        ("path:/api/*", Compare("path", ":", "/api/*")),
        ("url:http://x:80/", Compare("url", ":", "http://x:80/")),
        ("source:a app_id:b", And((Compare("source_id", ":", "a"), Compare("source_id", ":", "b")))),
        ("severity >= WARN", Compare("severity", ">=", "WARN")),
        ("duration > 100ms", Compare("duration", ">", "100000000")),
        ("latency > 100ms", Compare("latency", ">", "100ms")),
        ("time >= 2027-01-15", Compare("time", ">=", str(1_799_971_200 * SECOND_NS))),
        ('path contains "/v1"', Contains("path", "/v1")),
        ("message contains 'x' msg contains 'y'", And((Word("x"), Word("y")))),
        ("has timeout", Has("message", "timeout")),
        ("has 'a b' and path HAS api", And((Has("message", "a b"), Has("path", "api")))),
        ("has web has api", And((Has("message", "web"), Has("message", "api")))),
        ('a and has b or not has"c"', Or((And((A, Has("message", "b"))), Not(Has("message", "c"))))),
        ("a has b", Has("a", "b")),
        ("msg has /var/log `has` has has", And((Has("message", "/var/log"), Has("has", "has")))),
        ("has:1 has contains x has in (a)", And((Compare("has", ":", "1"), Contains("has", "x"), In("has", ("a",))))),
        ("hash has-been has,", And(tuple(map(Word, ("hash", "has-been", "has,"))))),
        ("path matches /v[12]/i", Regex("path", "(?i)v[12]")),
        ('path MATCHES "v\\d"', Regex("path", r"v\d")),
        ("status in (502, '503', \"a b\")", In("status", ("502", "503", "a b"))),
        ("user:*", Exists("user")),
        ("user:'*'", Compare("user", ":", "*")),
    ],
)
def test_a_term_is_read(text: str, expected: Expr) -> None:
    assert filter_of(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a b", And((A, B))),
        ("a and b AND c", And((A, B, C))),
        ("a && b || !c", Or((And((A, B)), Not(C)))),
        ("a or b c", Or((A, And((B, C))))),
        ("(a or b) c", And((Or((A, B)), C))),
        ("a (b c)", And((A, B, C))),
        ("a or (b or c)", Or((A, B, C))),
        ("not a b", And((Not(A), B))),
        ("not (a b)", Not(And((A, B)))),
        ("not not a !!b", And((A, B))),
        ("not app:web or a", Or((Not(Compare("app", ":", "web")), A))),
        ('"or" "and"', And((Word("or"), Word("and")))),
        ("order android notable", And((Word("order"), Word("android"), Word("notable")))),
    ],
)
def test_not_binds_closest_then_and_then_or(text: str, expected: Expr) -> None:
    assert filter_of(text) == expected


@pytest.mark.parametrize(
    ("text", "start_s", "end_s"),
    [
        ("a last 15m", -900, 0),
        ("last 1h30m a", -5400, 0),
        ("last 2 hours", -7200, 0),
        ("since 2h", -7200, 0),
        ("a from 2h ago to 1h", -7200, -3600),
        ("since 07:00 until 07:30:00", -3600, -1800),
        ("from 2027-01-15 07:00 to now", -3600, 0),
        ("FROM 1799996400 TO 1799998200000", -3600, -1800),
        ("until 2027-01-15T07:00:00Z", -7200, -3600),
        ("a until yesterday", -8 * 3600 - 86400 - 3600, -8 * 3600 - 86400),
    ],
)
def test_a_range_of_time_is_read(text: str, start_s: int, end_s: int) -> None:
    query = parse(text, NOW_NS)

    assert query.span == Span(NOW_NS + start_s * SECOND_NS, NOW_NS + end_s * SECOND_NS)
    assert query.filter == (A if "a " in text[:2] or text.endswith(" a") else EVERYTHING)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("tail 5", Tail(5)),
        ("tail", Tail(100)),
        ("HEAD 5", Head(5)),
        ("limit 1000000", Limit(1_000_000)),
        ("sort -a, b, +c, -`by`", Sort((SortKey("a", True), SortKey("b"), SortKey("c"), SortKey("by", True)))),
        ("fields ts, source, a.b, `p50`", Fields(("time", "source_id", "a.b", "p50"))),
        ("count", Aggregate(("count",))),
        ("count by a", Aggregate(("count",), None, ("a",))),
        ("count by a, b per 90s", Aggregate(("count",), None, ("a", "b"), 90 * SECOND_NS)),
        ("count per minute by a", Aggregate(("count",), None, ("a",), MINUTE_NS)),
        ("count per 1m", Aggregate(("count",), None, (), MINUTE_NS)),
        ("sum bytes", Aggregate(("sum",), "bytes")),
        ("P50 p95.0 p99.9 duration by app per 1m", Aggregate(("p50", "p95", "p99.9"), "duration", ("app",), MINUTE_NS)),
        ("sum avg min max distinct rate x", Aggregate(("sum", "avg", "min", "max", "distinct", "rate"), "x")),
        ("rate", Aggregate(("rate",))),
        ("rate by a", Aggregate(("rate",), None, ("a",))),
        ("rate delta per 1m", Aggregate(("rate",), "delta", (), MINUTE_NS)),
        ("sum `max`", Aggregate(("sum",), "max")),
        ("sum summary", Aggregate(("sum",), "summary")),
        ("top 20 path", Top(20, "path")),
        ("top path", Top(10, "path")),
        (
            "top 20 path where status >= 500 or a",
            Top(20, "path", Or((Compare("status", ">=", "500"), A))),
        ),
        ("histogram latency_ms", Histogram("latency_ms")),
    ],
)
def test_a_stage_is_read(text: str, expected: Stage) -> None:
    assert parse(f"| {text}", NOW_NS).pipeline == (expected,)


def test_a_whole_query_is_read() -> None:
    query = parse(
        "error app:web last 1h | rate by severity per 1m | max `rate` by severity | sort -max | limit 3", NOW_NS
    )

    assert query == Query(
        And((Word("error"), Compare("app", ":", "web"))),
        Span(NOW_NS - 60 * MINUTE_NS, NOW_NS),
        (
            Aggregate(("rate",), None, ("severity",), MINUTE_NS),
            Aggregate(("max",), "rate", ("severity",)),
            Sort((SortKey("max", True),)),
            Limit(3),
        ),
    )
