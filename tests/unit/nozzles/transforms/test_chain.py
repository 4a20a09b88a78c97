from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from envelope.pb.loggregator_v2_pb2 import Envelope, Log
from nozzles.filters import ALL_TYPES
from nozzles.transforms import TransformSettings, make_transforms
from tests.strategies import batch_of, batches, canonical, parsed

SETTINGS: TypeAdapter[Any] = TypeAdapter(list[TransformSettings])

LABELLING: list[dict[str, Any]] = [
    {"step": "rename", "tags": {"origin": "job", "job": "origin"}, "metrics": {"cpu": "processor"}},
    {"step": "add_tags", "tags": {"site": "north"}},
    {"step": "redact", "pattern": "a+", "tags": ["*"]},
    {"step": "parse_json", "keys": ["level"]},
    {"step": "aggregate_counters"},
    {"step": "sample", "share": 1},
]


def chain(batch: bytes, *steps: dict[str, Any]) -> list[Envelope]:
    """What a chain makes of a batch; its count is checked."""
    passed, count = make_transforms(SETTINGS.validate_python(list(steps)))(batch, len(parsed(batch)))
    assert len(parsed(passed)) == count
    return list(parsed(passed))


def test_without_steps_a_batch_passes_untouched() -> None:
    batch = batch_of(Envelope(source_id="a"))

    assert make_transforms([])(batch, 1) == (batch, 1)
    assert make_transforms([])(batch, 1)[0] is batch


@settings(max_examples=50)
@given(batches(), st.lists(st.sampled_from(LABELLING), min_size=1, max_size=6))
def test_steps_that_change_lose_nothing_invent_nothing_and_keep_the_order(
    batch: bytes, steps: list[dict[str, Any]]
) -> None:
    def untouched(envelope: Envelope) -> tuple[object, ...]:
        return envelope.timestamp, envelope.source_id, envelope.instance_id, envelope.WhichOneof("message")

    assert [untouched(each) for each in chain(batch, *steps)] == [untouched(each) for each in parsed(batch)]


@settings(max_examples=50)
@given(batches(), st.sets(st.sampled_from(ALL_TYPES), min_size=1, max_size=4))
def test_what_is_selected_and_what_is_dropped_are_the_whole(batch: bytes, types: set[Any]) -> None:
    selected = chain(batch, {"step": "select", "types": list(types)})
    dropped = chain(batch, {"step": "drop", "types": list(types)})

    left = [canonical(each) for each in parsed(batch)]
    for each in map(canonical, selected):
        left.remove(each)
    assert sorted(left) == sorted(map(canonical, dropped))
    assert all(each.WhichOneof("message") in types for each in selected)


def test_each_step_sees_what_the_one_before_left() -> None:
    batch = batch_of(Envelope(log=Log(payload=b'{"level":"debug"}')), Envelope(log=Log(payload=b'{"level":"error"}')))

    passed = chain(
        batch,
        {"step": "parse_json", "keys": ["level"]},
        {"step": "drop", "tags": {"level": "debug"}},
        {"step": "rename", "tags": {"level": "severity"}},
    )

    assert [dict(each.tags) for each in passed] == [{"severity": "error"}]


@pytest.mark.parametrize(
    "wrong", [{}, {"step": "nothing"}, {"step": "add_tags"}, {"step": "redact", "pattern": "("}, {"step": "drop"}]
)
def test_a_step_that_makes_no_sense_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        SETTINGS.validate_python([wrong])
