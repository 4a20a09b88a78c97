from hypothesis import given
from hypothesis import strategies as st

from log_cache.promql.values import QueryError, labels_of


@given(st.dictionaries(st.text(max_size=3), st.text(max_size=2), max_size=5))
def test_labels_are_in_order_and_an_empty_one_is_not_there(pairs: dict[str, str]) -> None:
    labels = labels_of(pairs)

    assert list(labels) == sorted(labels)
    assert dict(labels) == {name: value for name, value in pairs.items() if value}


@given(st.permutations([("a", "1"), ("b", "2"), ("c", "")]))
def test_labels_are_equal_however_they_came(pairs: list[tuple[str, str]]) -> None:
    assert labels_of(dict(pairs)) == (("a", "1"), ("b", "2"))


def test_an_error_says_of_what_kind_it_is() -> None:
    error = QueryError("timeout", "too slow")

    assert (error.kind, str(error)) == ("timeout", "too slow")
