"""Events, however their bytes arrive."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from standpipe.reading import server_sent_events as module
from standpipe.reading.https_client import MAX_ANSWER_BYTES
from standpipe.reading.server_sent_events import Event, EventParser, EventTooLarge

STREAM = (
    b": a comment\n\nid: 1.5\ndata: one\n\nevent: missed\r\ndata:two\r\ndata:  three\r\n\r\n"
    b"event: nothing\n\nid: 7\nretry: 5\nunknown\ndata\n\ndata: not whole"
)
EVENTS = [
    Event(name="message", data=b"one", id="1.5"),
    Event(name="missed", data=b"two\n three", id="1.5"),
    Event(name="message", data=b"", id="7"),
]


def test_events_are_as_the_standard_has_them() -> None:
    assert EventParser().feed(STREAM) == EVENTS


def test_an_id_may_come_without_an_event() -> None:
    parser = EventParser()
    assert parser.feed(b"id: 1\n\nid: 2\n") == []
    assert parser.last_id == "1"
    parser.feed(b"\n")
    assert parser.last_id == "2"


@given(cuts=st.lists(st.integers(0, len(STREAM)), max_size=20))
def test_it_does_not_matter_how_the_bytes_arrive(cuts: list[int]) -> None:
    parser, edges = EventParser(), [0, *sorted(cuts), len(STREAM)]
    chunks = [STREAM[start:end] for start, end in pairwise(edges)]
    assert [event for chunk in chunks for event in parser.feed(chunk)] == EVENTS


def test_an_event_may_be_as_large_as_any_answer() -> None:
    assert module.MAX_EVENT_BYTES >= MAX_ANSWER_BYTES


@pytest.mark.parametrize("chunk", [b"data: too long a line", b"data: 1234567890\n"])
def test_an_event_has_a_bound(monkeypatch: pytest.MonkeyPatch, chunk: bytes) -> None:
    monkeypatch.setattr(module, "MAX_EVENT_BYTES", 30)
    parser = EventParser()
    with pytest.raises(EventTooLarge):
        for _ in range(4):
            parser.feed(chunk)
