"""Which events of a batch meet a filter."""

from collections.abc import Iterator

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from envelope.pb.loggregator_v2_pb2 import Envelope
from event_store.events import to_events
from event_store.http.matching import Matcher
from event_store.query.parse import parse
from event_store.query.syntax import Word
from tests.strategies import batch_of

LINES = ("an Error", "status=500 path=/a", "status=200 path=/b", 'it\'s "quoted"')


@pytest.fixture(scope="module")
def matcher() -> Iterator[Matcher]:
    matcher = Matcher()
    yield matcher
    matcher.close()


def batch(*lines: str) -> pa.RecordBatch:
    envelopes = [
        Envelope(source_id=f"s{n}", timestamp=n, log={"payload": each.encode()}) for n, each in enumerate(lines)
    ]
    return to_events(b"".join(map(batch_of, envelopes)), parse=True)


def matched(matcher: Matcher, *texts: str) -> list[list[int]]:
    masks = matcher.masks(batch(*LINES), [parse(text, 10**18).filter for text in texts])
    return [[at for at, is_met in enumerate(mask.to_pylist()) if is_met] for mask in masks]


def test_each_filter_has_its_events(matcher: Matcher) -> None:
    assert matched(matcher, "error", "status>=500", "path:/*", "source:s3", "", "no_such:x", "not no_such:x") == [
        [0],
        [1],
        [1, 2],
        [3],
        [0, 1, 2, 3],
        [],
        [0, 1, 2, 3],
    ]
    assert matched(matcher) == []


def test_batches_of_other_columns_are_no_trouble(matcher: Matcher) -> None:
    filters = [parse("status:500", 10**18).filter]
    assert [mask.to_pylist() for mask in matcher.masks(batch("plain"), filters)] == [[False]]
    assert [mask.to_pylist() for mask in matcher.masks(batch("status=500"), filters)] == [[True]]


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=20))
def test_a_text_of_a_users_is_a_text_and_nothing_else(text: str) -> None:
    matcher = Matcher()
    try:
        assert matcher.masks(batch(f"<{text}>", ""), [Word(text)])[0].to_pylist() == [True, False]
    finally:
        matcher.close()
