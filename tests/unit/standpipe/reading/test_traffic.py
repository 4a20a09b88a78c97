"""Who sends how much, counted envelope by envelope."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envelope.pb import dropsonde_pb2 as v1
from standpipe.reading.traffic import Load, Traffic, ranked


def _envelope(source: str, kind: str, **fields: Any) -> bytes:
    return v1.Envelope(
        origin="o", eventType=v1.Envelope.EventType.Value(kind), tags={"source_id": source}, **fields
    ).SerializePartialToString()


def _log(source: str = "shop", *, err: bool = False) -> bytes:
    kind = v1.LogMessage.ERR if err else v1.LogMessage.OUT
    return _envelope(source, "LogMessage", logMessage=v1.LogMessage(message=b"", message_type=kind, timestamp=1))


def _http(status: int) -> bytes:
    return _envelope("shop", "HttpStartStop", httpStartStop=v1.HttpStartStop(statusCode=status))


def _counted(*messages: bytes, most: int = 100) -> Traffic:
    traffic = Traffic(max_sources=most)
    for message in messages:
        traffic.add(message)
    return traffic


def test_every_source_has_its_own_count() -> None:
    one, other = _log("shop"), _log("cart")
    assert _counted(one, other, other).sources == {"shop": Load(1, len(one)), "cart": Load(2, 2 * len(other))}


@pytest.mark.parametrize(
    ("message", "errors"),
    [
        (_log(), 0),
        (_log(err=True), 1),
        (_http(499), 0),
        (_http(500), 1),
        (_envelope("shop", "Error", error=v1.Error(source="s", code=1, message="m")), 1),
        (_envelope("shop", "CounterEvent", counterEvent=v1.CounterEvent(name="errors", delta=5)), 0),
    ],
)
def test_what_counts_as_an_error(message: bytes, errors: int) -> None:
    assert _counted(message).total.errors == errors


def test_envelopes_dropped_for_this_reader_are_counted() -> None:
    notice = v1.Envelope(
        origin="loggregator.doppler",
        eventType=v1.Envelope.CounterEvent,
        tags={"source_id": "doppler", "direction": "egress"},
        counterEvent=v1.CounterEvent(name="dropped", delta=12, total=40),
    )
    assert _counted(notice.SerializeToString(), notice.SerializeToString()).dropped == 24


def test_what_is_no_envelope_is_nobodys() -> None:
    traffic = _counted(b"\xff")
    assert (traffic.undecodable, traffic.sources) == (1, {})


@given(sources=st.lists(st.integers(0, 200), max_size=400), most=st.integers(1, 20))
def test_sources_are_bounded_and_the_total_is_not(sources: list[int], most: int) -> None:
    traffic = _counted(*[_log(str(source)) for source in sources], most=most)
    assert len(traffic.sources) <= most
    assert traffic.total.envelopes == len(sources)


def test_the_quietest_are_forgotten_first() -> None:
    traffic = _counted(*[_log("loud")] * 3, *[_log(f"quiet-{n}") for n in range(50)], most=10)
    assert traffic.sources["loud"].envelopes == 3
    assert traffic.forgotten == 41


@pytest.mark.parametrize(("by", "first"), [("envelopes", "many"), ("bytes", "big"), ("errors", "bad")])
def test_sources_are_ranked_by_what_was_asked_for(by: str, first: str) -> None:
    sources = {"bad": Load(1, 1, 1), "big": Load(2, 99, 0), "many": Load(9, 9, 0)}
    assert ranked(sources, by)[0][0] == first


def test_equal_sources_are_ranked_by_name() -> None:
    assert [name for name, _ in ranked({"b": Load(1), "a": Load(1)}, "envelopes")] == ["a", "b"]
