from dataclasses import FrozenInstanceError

import pytest

from envelope.kinds import Kind
from log_cache.query import DEFAULT_LIMIT, Query


def test_a_query_asks_for_everything_it_does_not_exclude() -> None:
    query = Query(source_id="app", start=0, end=1)

    assert (query.kinds, query.limit, query.descending, query.cursor) == (Kind.ALL, DEFAULT_LIMIT, False, None)


def test_a_query_that_was_checked_stays_as_it_was() -> None:
    with pytest.raises(FrozenInstanceError):
        Query(source_id="app", start=0, end=1).limit = 10_000  # type: ignore[misc]
