"""What each stage gives, and the stage that is implied."""

import pytest

from event_store.query.shapes import EVENTS, completed, shape_after
from event_store.query.syntax import Aggregate, Fields, Head, Histogram, Limit, Sort, SortKey, Stage, Tail, Top


@pytest.mark.parametrize(
    ("stage", "before", "after"),
    [
        (Tail(5), EVENTS, EVENTS),
        (Limit(5), ("a", "b"), ("a", "b")),
        (Fields(("b",)), ("a", "b"), ("b",)),
        (Aggregate(("count",)), EVENTS, ("count",)),
        (Aggregate(("p50", "max"), "x", ("a",), 60), EVENTS, ("time", "a", "p50", "max")),
        (Top(5, "path"), EVENTS, ("path", "count")),
        (Histogram("x"), EVENTS, ("from", "to", "count")),
    ],
)
def test_a_stage_gives_columns(stage: Stage, before: tuple[str, ...] | None, after: tuple[str, ...] | None) -> None:
    assert shape_after(stage, before) == after


SORT = Sort((SortKey("a"),))


@pytest.mark.parametrize(
    ("pipeline", "added"),
    [
        ((), (Tail(100),)),
        ((Fields(("a",)),), (Tail(100),)),
        ((SORT,), (Limit(100),)),
        ((Head(3),), ()),
        ((SORT, Limit(3)), ()),
        ((Aggregate(("count",)), SORT), ()),
        ((Histogram("a"),), ()),
    ],
)
def test_a_list_of_events_ends_somewhere(pipeline: tuple[Stage, ...], added: tuple[Stage, ...]) -> None:
    assert completed(pipeline) == (*pipeline, *added)
