"""A list is looked for where it most likely is, and no longer than until it is settled."""

from dataclasses import replace

import numpy as np
import pytest

from event_store.engine.listing import Best, Listing, listing_of
from event_store.query.syntax import Fields, Head, Sort, SortKey, Tail
from tests.unit.event_store.engine.stores import asked
from tests.unit.event_store.engine.test_pruning import SEGMENT


def listing(text: str) -> Listing:
    found = listing_of(asked(text))
    assert found is not None
    return found


def best(*times: int) -> Best:
    return Best(np.array(times, np.int64), np.arange(len(times)))


def test_a_list_is_what_comes_before_anything_is_made_of_it() -> None:
    place = Fields(("time", "seq"))

    assert listing("error").query.pipeline == (Tail(100), place)
    assert listing("| fields message | head 5 | count by message").query.pipeline == (Head(5), place)
    assert listing("| sort -status | limit 7").query.pipeline[:1] == (Sort((SortKey("status", descending=True),)),)


@pytest.mark.parametrize("text", ["| count", "| top 5 app | limit 2", "| histogram status", "| sort app | count"])
def test_figures_of_all_events_are_no_list(text: str) -> None:
    assert listing_of(asked(text)) is None


def test_the_newest_come_first_and_then_more_and_more() -> None:
    segments = [replace(SEGMENT, min_time=at, max_time=at + 1) for at in range(40)]

    def steps(text: str) -> list[list[int]]:
        return [[one.min_time for one in step] for step in listing(text).steps(segments)]

    assert [len(step) for step in steps("| tail 5")] == [1, 2, 4, 8, 16, 9]
    assert steps("| tail 5")[:2] == [[39], [38, 37]]
    assert steps("| head 5")[:2] == [[0], [1, 2]]


def test_is_settled_when_the_rest_is_older() -> None:
    two = listing("| tail 2")
    segment = replace(SEGMENT, min_time=0, max_time=10)

    assert two.is_settled(best(11, 12), segment)
    assert not two.is_settled(best(10, 12), segment)  # one of the same time may come later
    assert not two.is_settled(best(12), segment)
    assert listing("| head 2").is_settled(best(1, 2), replace(SEGMENT, min_time=3))


def test_keeps_as_many_as_are_listed() -> None:
    merged = best(1, 5).with_more(Best(np.array([3, 5]), np.array([7, 8])), listing("| tail 2"))

    assert (merged.times.tolist(), merged.seqs.tolist()) == ([5, 5], [1, 8])
    assert best(1, 5).with_more(best(3), listing("| head 2")).times.tolist() == [1, 3]


def test_a_glimpse_of_the_newest_is_enough_where_all_else_is_older() -> None:
    tail = listing("| tail 2")
    start_ns, day = tail.query.span.start_ns, 86_400_000_000_000
    newest = replace(SEGMENT, min_time=start_ns, max_time=start_ns + day - 1)
    older = replace(SEGMENT, min_time=0, max_time=start_ns + day // 2)

    glimpse, longer = tail.glimpses([older, newest])

    begins = glimpse.query.span.start_ns
    assert (glimpse.segment, glimpse.next) == (longer.segment, longer.next) == (newest, older)
    assert start_ns + day // 2 < longer.query.span.start_ns < begins < start_ns + day
    assert glimpse.is_enough(best(begins, begins + 5), tail)
    assert not glimpse.is_enough(best(begins), tail)
    assert not glimpse.is_enough(best(begins - 1, begins), tail)  # there may be a newer one before it begins
    assert not replace(glimpse, next=replace(older, max_time=begins)).is_enough(best(begins, begins + 5), tail)


def test_only_the_newest_are_glimpsed_at() -> None:
    span = listing("| head 2").query.span

    assert [*listing("| head 2").glimpses([replace(SEGMENT, min_time=span.start_ns, max_time=span.end_ns)])] == []
    assert [*listing("| tail 2").glimpses([])] == []
    assert [*listing("| tail 2").glimpses([replace(SEGMENT, min_time=0, max_time=span.start_ns + 1000)])] == []
