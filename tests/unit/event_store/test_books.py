"""The books are in envelopes, and balance whatever became of them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from event_store.books import account
from event_store.writer import WriterCounts

COUNTS = st.integers(0, 1000)


@given(COUNTS, COUNTS, COUNTS, COUNTS)
def test_they_balance_and_what_is_not_on_disk_is_held(stored: int, unfit: int, held: int, events: int) -> None:
    books = account(stored + unfit + held, WriterCounts(stored=stored, unfit=unfit, events=events))

    assert (books.delivered, books.dropped_total, books.held, books.balance) == (stored, unfit, held, 0)
    assert books.unconfirmed == books.held
