"""The values of a query, and the error that says where it is wrong."""

import pytest

from event_store.query.syntax import And, Or, QuerySyntaxError, Word


@pytest.mark.parametrize(("suggestion", "ending"), [("", ""), ("did you mean tail?", " (did you mean tail?)")])
def test_an_error_says_where_and_what(suggestion: str, ending: str) -> None:
    error = QuerySyntaxError('"tial" is no stage', 7, suggestion)

    assert str(error) == 'column 7: "tial" is no stage' + ending
    assert (error.message, error.column, error.suggestion) == ('"tial" is no stage', 7, suggestion)


def test_filters_are_values() -> None:
    assert And((Word("a"), Word("b"))) == And((Word("a"), Word("b")))
    assert And((Word("a"), Word("b"))) != Or((Word("a"), Word("b")))
    assert len({Word("a"), Word("a")}) == 1
