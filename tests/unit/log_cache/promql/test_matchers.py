"""Matchers hold for whole values; a selector says which sources it lists, and can be made to ask for others."""

import pytest

from log_cache.promql.matchers import MAX_PATTERN, Matcher, Operator, Selector
from log_cache.promql.values import QueryError, labels_of


def selector(*matchers: tuple[str, Operator, str]) -> Selector:
    return Selector(tuple(Matcher(*matcher) for matcher in matchers))


@pytest.mark.parametrize(
    ("operator", "wanted", "value", "accepted"),
    [
        ("=", "a", "a", True),
        ("=", "a", "ab", False),
        ("=", "", "", True),
        ("!=", "a", "", True),
        ("!=", "a", "a", False),
        ("=~", "a|b", "b", True),
        ("=~", "a|b", "ab", False),
        ("=~", "a.*", "abc", True),
        ("=~", ".*", "", True),
        ("!~", "a.*", "abc", False),
        ("!~", "b", "abc", True),
        ("=~", "é+", "éé", True),
    ],
)
def test_a_matcher(operator: Operator, wanted: str, value: str, accepted: bool) -> None:
    assert Matcher("label", operator, wanted).accepts(value) is accepted


@pytest.mark.parametrize("pattern", ["(", "a" * (MAX_PATTERN + 1), "\\pL{1000}", "(a{100}){100}", "(?P<n>", "\\8"])
def test_a_pattern_that_is_wrong_or_too_large_is_refused(pattern: str) -> None:
    with pytest.raises(QueryError) as refused:
        Matcher("label", "=~", pattern)

    assert refused.value.kind == "bad_data"


def test_a_selector_applies_its_matchers_to_the_final_labels() -> None:
    wanted = selector(("__name__", "=", "m"), ("source_id", "=", "app"), ("instance_id", "!=", "0"))

    assert wanted.accepts(labels_of({"__name__": "m", "source_id": "app", "instance_id": "1"}))
    assert not wanted.accepts(labels_of({"__name__": "m", "source_id": "app", "instance_id": "0"}))
    assert not wanted.accepts(labels_of({"__name__": "n", "source_id": "app", "instance_id": "1"}))


def test_a_selector_may_name_its_metric_by_a_pattern() -> None:
    wanted = selector(("__name__", "=~", "cpu|memory"), ("source_id", "=", "x"))

    assert wanted.name == "cpu|memory"
    assert [name for name in ("cpu", "memory", "disk") if wanted.wants(name)] == ["cpu", "memory"]


@pytest.mark.parametrize(
    ("matchers", "sources"),
    [
        ([("source_id", "=", "a")], ("a",)),
        ([("source_id", "=~", "a|b|a")], ("a", "b")),
        ([("source_id", "=~", "(a|b)")], ("a", "b")),
        ([("source_id", "=~", "(?:a|b)")], ("a", "b")),
        ([("source_id", "=~", "p.mysql|b\\.c")], ("p.mysql", "b.c")),
        ([("source_id", "=~", "a|")], ("a",)),
        ([("source_id", "=~", "a|b"), ("source_id", "=", "b")], ("b",)),
        ([("source_id", "=", "a"), ("source_id", "=", "b")], ()),
        ([("source_id", "=~", "a|b"), ("source_id", "!=", "a")], ("a", "b")),
        ([("source_id", "=", "")], None),
        ([("source_id", "=~", "")], None),
        ([("source_id", "=~", "a.*")], None),
        ([("source_id", "=~", "a[bc]")], None),
        ([("source_id", "=~", "(a)|(b)")], None),
        ([("source_id", "!=", "a")], None),
        ([("app", "=", "a")], None),
        ([], None),
    ],
)
def test_the_sources_that_a_selector_lists(
    matchers: list[tuple[str, Operator, str]], sources: tuple[str, ...] | None
) -> None:
    assert selector(("__name__", "=", "m"), *matchers).sources() == sources


def test_a_renamed_selector_asks_for_the_new_ids_alone() -> None:
    wanted = selector(("source_id", "=~", "shop|blog|gone"), ("job", "=", "web")).renamed({"shop": ["1", "2"]})

    assert wanted.sources() == ("1", "2")
    assert wanted.accepts(labels_of({"source_id": "2", "job": "web"}))
    assert not wanted.accepts(labels_of({"source_id": "2", "job": "db"}))
    assert not wanted.accepts(labels_of({"source_id": "shop", "job": "web"}))


def test_a_selector_whose_ids_all_vanish_matches_nothing() -> None:
    wanted = selector(("__name__", "=", "m"), ("source_id", "=", "shop")).renamed({})

    assert wanted.sources() == ()
    assert not wanted.accepts(labels_of({"__name__": "m", "source_id": "shop"}))
    assert not wanted.accepts(labels_of({"__name__": "m"}))


def test_a_selector_that_lists_no_sources_is_not_renamed() -> None:
    wanted = selector(("source_id", "=~", "a.*"))

    assert wanted.renamed({"a": ["1"]}) == wanted
