"""A query becomes a list of parts; what is wrong or not supported is refused, and by what name."""

import pytest

from log_cache.promql.matchers import Matcher
from log_cache.promql.plan import (
    Absent,
    Aggregate,
    Binary,
    Function,
    Instants,
    Negate,
    Number,
    OverTime,
    Part,
    Spans,
    String,
    Subquery,
    When,
)
from log_cache.promql.planning import plan_of
from log_cache.promql.values import QueryError

NOW = When(None, 0)


def parts(text: str) -> list[Part]:
    return [part for part, _ in plan_of(text).parts]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1.5", [Number(1.5)]),
        ('"text"', [String("text")]),
        ("`raw\\n`", [String("raw\\n")]),
        ("(m)", [Instants(0, NOW)]),
        ("-m", [Instants(0, NOW), Negate()]),
        ("m[5m]", [Spans(0, NOW, 300_000)]),
        ("m[300]", [Spans(0, NOW, 300_000)]),
        ("m offset -1m", [Instants(0, When(None, -60_000))]),
        ("m @ 1.5 offset 1s", [Instants(0, When(1_500, 1_000))]),
        ("m[1m] @ end()", [Spans(0, When("end", 0), 60_000)]),
        ("timestamp((m))", [Instants(0, NOW, stamps=True)]),
        ("timestamp(-m)", [Instants(0, NOW), Negate(), Function("timestamp", 1)]),
        ("rate(m[1m])", [Spans(0, NOW, 60_000), OverTime("rate", 1)]),
        ("clamp_max(m, 2)", [Instants(0, NOW), Number(2), Function("clamp_max", 2)]),
        ("topk by (a) (2, m)", [Number(2), Instants(0, NOW), Aggregate("topk", ("a",), None, parameter=True)]),
        ("sum without (a) (m)", [Instants(0, NOW), Aggregate("sum", None, ("a",), parameter=False)]),
        (
            "m / on(a) group_left(b) n",
            [Instants(0, NOW), Instants(1, NOW), Binary("/", "many-to-one", ("a",), None, ("b",), return_bool=False)],
        ),
        ("2 > bool 1", [Number(2), Number(1), Binary(">", "one-to-one", None, None, (), return_bool=True)]),
        (
            "-2 ^ 2",
            [Number(2), Number(2), Binary("^", "one-to-one", None, None, (), return_bool=False), Negate()],
        ),
    ],
)
def test_parts_come_behind_those_whose_values_they_take(text: str, expected: list[Part]) -> None:
    assert parts(text) == expected


def test_a_subquery_opens_a_scope_for_what_is_in_it() -> None:
    plan = plan_of("m + max_over_time(rate(n[1m])[5m:30s] offset 1m)")

    assert [scope for _, scope in plan.parts] == [0, 1, 1, 0, 0, 0]
    assert plan.parts[3][0] == Subquery(1, When(None, 60_000), 300_000)
    assert plan.scopes[0].step_ms == 30_000


def test_a_subquery_without_a_step_has_that_of_a_minute() -> None:
    assert plan_of("m[1h:]").scopes[0].step_ms == 60_000


def test_matchers_are_read_as_they_were_written() -> None:
    (selector,) = plan_of("""m{a="1",b!='2',c=~`\\d`,d!~"\\\\d" , e = # why
        "\\x01"}""").selectors

    assert selector.matchers == (
        Matcher("__name__", "=", "m"),
        Matcher("a", "=", "1"),
        Matcher("b", "!=", "2"),
        Matcher("c", "=~", "\\d"),
        Matcher("d", "!~", "\\d"),
        Matcher("e", "=", "\x01"),
    )


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ('absent(m{a="1",b!="2",c=~"3"})', (("a", "1"),)),
        ('absent(m{a="1",a="2"})', ()),
        ('absent(m{a="1",b="2",b=~"2"})', (("a", "1"),)),
        ('absent_over_time(m{a="1"}[5m])', (("a", "1"),)),
        ('absent_over_time(m{a="1"}[5m:1m])', ()),
        ('absent(sum(m{a="1"}))', ()),
    ],
)
def test_what_is_absent_has_the_labels_that_were_fixed(text: str, labels: tuple[tuple[str, str], ...]) -> None:
    assert parts(text)[-1] == Absent(labels)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("m == bool ignoring(a) 1", "parse error"),
        ("m{", "parse error: .*brace"),
        ("rate(m)", "parse error: expected type matrix in call to function 'rate'"),
        ("nonsense(m)", "parse error: unknown function with name 'nonsense'"),
        ("info(m)", "the function 'info' is not supported"),
        ("limitk(2, m)", "the aggregation 'limitk' is not supported"),
        ('m{a="b" or c="d"}', "'or' between matchers is not supported"),
        ("sum(m) + fill(1) m", "'fill' in a binary operation is not supported"),
        ('{a=~".*"}', "at least one non-empty matcher"),
        ('{a=""}', "at least one non-empty matcher"),
        ('m{a=~"("}', "error parsing regexp '\\(': missing \\)"),
        ("{" + ",".join(['a=~"b"'] * 65) + "}", "too many regular expressions, at most 64"),
        ("m[0]", "duration must be greater than 0"),
        ("m[99999999999y]", "parse error"),
        ("m offset 999999999y", "out of range"),
        ("m offset 200000y", "a duration of the query is out of range"),
    ],
)
def test_what_is_refused(text: str, message: str) -> None:
    with pytest.raises(QueryError, match=message) as refused:
        plan_of(text)

    assert refused.value.kind == "bad_data"
    assert not any(mark in str(refused.value) for mark in "\x01\x02\x03\x04")


def test_the_depth_of_a_query_costs_no_stack() -> None:
    assert len(parts("sum(" * 99 + "m" + "+1" * 250 + ")" * 99)) == 600


def test_what_a_selector_must_have_is_one_condition_that_nothing_does_not_meet() -> None:
    assert plan_of('{a!~""}').selectors[0].matchers == (Matcher("a", "!~", ""),)
