"""What the web page does to the text of a query, read by the parser that the store has."""

from __future__ import annotations

import json
import random

from event_store.query.parse import parse
from event_store.query.syntax import And, Compare, Not
from tests.browser import Page

NOW_NS = 1_800_000_000_000_000_000


def test_conditions_that_the_page_writes_mean_what_was_clicked(page: Page) -> None:
    choose = random.Random(3)
    letters = "ab 0\"\\'`|/()*:=<>!-µ😀\t"
    names = ["status", "and", "last", "top", "in", "contains", "a b", "k8s/app", "x.y-z@$", "é", "9", "<b>", "by"]
    names += ["has", "matches"]
    values: list[str | float] = [0, -5, 2.5, 1e21, 1e-7, "", " ", "or", "*", "x" * 200, "last 5m", "| count"]
    values += ["".join(choose.choices(letters, k=choose.randrange(1, 12))) for _ in range(300)]
    clicked = [(choose.choice(names), value, choose.random() < 0.5) for value in values]
    before = ["", "a b", "a or b last 15m | count by x", "last 1h not (c d)", "path matches /a|b/ | top 3 y"]
    cases = [(choose.choice(before), *each) for each in clicked]
    written = page.evaluate(
        f"import('/static/query_text.js').then(({{ withCondition }}) => {json.dumps(cases)}"
        ".map(([text, ...condition]) => withCondition(text, ...condition)))"
    )
    for (text, field, value, include), result in zip(cases, written, strict=True):
        query, was = parse(result, NOW_NS), parse(text, NOW_NS)
        number = f"{value:g}" if isinstance(value, float | int) else value
        terms = query.filter.terms if isinstance(query.filter, And) else (query.filter,)
        meant = terms[-1].term if isinstance(terms[-1], Not) else terms[-1]
        assert isinstance(meant, Compare), result
        assert (meant.field, meant.operator, isinstance(terms[-1], Not)) == (field, "==", not include), result
        assert meant.value == number or float(meant.value) == value, result
        assert (query.span, query.pipeline) == (was.span, was.pipeline), result


def test_long_and_broken_values_are_filtered_by_what_they_contain(page: Page) -> None:
    written = page.evaluate(
        "import('/static/query_text.js').then(({ withCondition, canFilter }) => ["
        "withCondition('', 'message', '\\n first line\\nsecond', true), withCondition('', 'user', null, true),"
        "withCondition('x == 1 y', 'x', 1, false), withCondition('not x == 1', 'x', 1, true),"
        "withCondition('user:*', 'user', null, true),"
        "canFilter('a`b', 'x'), canFilter('a', '\\n'), canFilter('a', '\\ud800'), canFilter('a', {})])"
    )
    assert written == [
        'message contains " first line"', "not user:*", "not x == 1 y", "x == 1", "not user:*",
        False, False, False, False,
    ]  # fmt: skip
