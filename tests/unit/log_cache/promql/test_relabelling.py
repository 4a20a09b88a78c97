import pytest
from hypothesis import given
from hypothesis import strategies as st

from log_cache.promql.relabelling import MAX_PATTERN, MAX_WRITTEN, expand, label_join, label_replace
from log_cache.promql.steps import StepTimes
from log_cache.promql.values import Columns, QueryError, Text
from tests.unit.log_cache.promql.tables import Table, labels, shown, table

INSTANT = StepTimes.instant(0)
HOSTS = {"up host=a-1": "1 2", "up host=b-2": "3 _"}


def replaced(series: Table, *texts: str) -> Table:
    return shown(label_replace([table(series), *map(Text, texts)], INSTANT))


def joined(series: Table, *texts: str) -> Table:
    return shown(label_join([table(series), *map(Text, texts)], INSTANT))


def test_groups_of_the_match_are_written() -> None:
    assert replaced(HOSTS, "zone", "$1", "host", "(.*)-(.*)") == {
        "up host=a-1 zone=a": "1 2",
        "up host=b-2 zone=b": "3 _",
    }
    assert replaced(HOSTS, "host", "${n}_x", "host", ".*-(?P<n>.*)") == {"up host=1_x": "1 2", "up host=2_x": "3 _"}


def test_the_pattern_must_match_from_end_to_end() -> None:
    assert replaced(HOSTS, "zone", "x", "host", "a") == HOSTS
    assert replaced(HOSTS, "zone", "x", "host", "a|a-1") == {"up host=a-1 zone=x": "1 2", "up host=b-2": "3 _"}


def test_a_label_that_is_missing_is_empty() -> None:
    assert replaced({"up": "1"}, "zone", "none", "host", "") == {"up zone=none": "1"}


def test_an_empty_value_takes_the_label_away() -> None:
    assert replaced(HOSTS, "host", "", "host", "a-.*") == {"up": "1 2", "up host=b-2": "3 _"}


def test_a_dot_is_any_character() -> None:
    metric = (("host", "a\nb"),)
    columns = Columns([metric], table({"x": "1"}).values, table({"x": "1"}).present)

    result = label_replace([columns, *map(Text, ("zone", "$1", "host", "a(.*)"))], INSTANT)

    assert isinstance(result, Columns)
    assert result.labels == [(("host", "a\nb"), ("zone", "\nb"))]


def test_series_that_become_the_same_are_an_error() -> None:
    with pytest.raises(QueryError, match="vector cannot contain metrics with the same labelset") as caught:
        replaced(HOSTS, "host", "same", "host", ".*")
    assert caught.value.kind == "execution"


def test_the_name_can_be_written() -> None:
    assert replaced({"up a=1": "1"}, "__name__", "down", "a", "1") == {"down a=1": "1"}


@pytest.mark.parametrize(
    ("pattern", "message"),
    [("(", 'invalid regular expression in label_replace.*"\\("'), ("a" * (MAX_PATTERN + 1), "expression too large")],
)
def test_a_pattern_that_does_not_compile_is_an_error(
    pattern: str, message: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(QueryError, match=message) as caught:
        replaced(HOSTS, "zone", "x", "host", pattern)
    assert caught.value.kind == "execution"
    assert capfd.readouterr() == ("", "")


def test_the_destination_must_be_the_name_of_a_label() -> None:
    with pytest.raises(QueryError, match=r"invalid destination label name in label_replace\(\): a-b"):
        replaced(HOSTS, "a-b", "x", "host", ".*")
    with pytest.raises(QueryError, match=r"invalid destination label name in label_join\(\): "):
        joined(HOSTS, "", "x", "host")


@pytest.mark.parametrize(
    ("template", "text"),
    [
        *[("$1", "one"), ("${1}", "one"), ("a$1b", "a"), ("a${1}b", "aoneb"), ("$0", "zero"), ("$12", ""), ("$01", "")],
        *[("$name", "named"), ("${name}s", "nameds"), ("$names", ""), ("$$1", "$1"), ("$$$1", "$one"), ("$", "$")],
        *[("a$", "a$"), ("$-", "$-"), ("${", "${"), ("${1", "${1"), ("${}", "${}"), ("${a-b}", "${a-b}"), ("$$", "$")],
    ],
)
def test_templates_are_filled_in_as_go_does(template: str, text: str) -> None:
    groups = {"0": "zero", "1": "one", "name": "named"}

    assert expand(template, lambda name: groups.get(name, "")) == text


@given(st.text(max_size=20), st.text(max_size=20))
def test_dollars_can_be_written(before: str, after: str) -> None:
    template = f"{before}{after}".replace("$", "$$")

    assert expand(template, lambda name: "") == before + after


@pytest.mark.parametrize("reference", ["$01", "$2", "$99999999999999999999", "$none"])
def test_a_group_that_is_not_there_is_empty(reference: str) -> None:
    assert replaced({"up a=1": "1"}, "b", f"x{reference}", "a", "(.)") == {"up a=1 b=x": "1"}


def test_values_are_joined() -> None:
    series = {"up a=1 b=2": "1", "up b=3": "2"}

    assert joined(series, "c", "-", "a", "b", "missing") == {"up a=1 b=2 c=1-2-": "1", "up b=3 c=-3-": "2"}
    assert joined(series, "b", "", "a") == {"up a=1 b=1": "1", "up": "2"}
    assert joined(series, "c", ",") == series


def test_sources_must_be_names_of_labels() -> None:
    with pytest.raises(QueryError, match=r"invalid source label name in label_join\(\): a-b"):
        joined(HOSTS, "zone", "x", "host", "a-b")


def test_what_is_written_has_a_bound() -> None:
    half = "x" * (MAX_WRITTEN // 2)
    columns = Columns([labels(f"a={half}")], table({"x": "1"}).values, table({"x": "1"}).present)

    label_join([columns, *map(Text, ("b", "", "a", "a"))], INSTANT)
    with pytest.raises(QueryError, match="longer than 65536 characters"):
        label_join([columns, *map(Text, ("b", "-", "a", "a"))], INSTANT)
    with pytest.raises(QueryError, match="longer than 65536 characters"):
        label_replace([columns, *map(Text, ("b", "$1$1$1", "a", "(.*)"))], INSTANT)
