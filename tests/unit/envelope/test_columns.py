"""Columns: what each row of a batch has, by either kernel."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable

import pytest

from envelope import kernel, reference
from envelope.columns import NO_STREAM, Columns
from envelope.kinds import Kind
from envelope.pb import loggregator_v2_pb2 as v2
from tests.kernel_results import rows_of, texts_of
from tests.strategies import batch_of

Make = Callable[..., Columns]

both = pytest.mark.parametrize("columns", [kernel.columns, reference.columns])


def floats(column: bytes) -> tuple[float, ...]:
    return struct.unpack(f"<{len(column) // 8}d", column)


@both
def test_a_log_has_a_stream_and_a_text(columns: Make) -> None:
    made = columns(
        batch_of(
            v2.Envelope(timestamp=5, source_id="app", instance_id="1", log=v2.Log(payload=b"out")),
            v2.Envelope(timestamp=6, source_id="app", log=v2.Log(payload=b"\xff", type=v2.Log.ERR)),
        )
    )
    assert made.rows == 2
    assert made.kinds == bytes([Kind.LOG, Kind.LOG])
    assert made.streams == b"\0\1"
    assert made.texts == b"out\xff"
    assert made.broken == b"\0\1"
    assert texts_of(made.source_id) == [b"app", b"app"]
    assert texts_of(made.instance_id) == [b"1", b""]
    assert texts_of(made.name) == [None, None]


@both
def test_a_gauge_has_a_row_for_each_metric_with_all_its_tags(columns: Make) -> None:
    metrics = {"cpu": v2.GaugeValue(unit="%", value=1.5), "memory": v2.GaugeValue(unit="B", value=2)}
    made = columns(batch_of(v2.Envelope(timestamp=5, tags={"ip": "10.0.0.1"}, gauge=v2.Gauge(metrics=metrics))))
    rows = zip(texts_of(made.name), texts_of(made.unit), floats(made.values), texts_of(made.tags[b"ip"]), strict=True)
    assert sorted(rows) == [(b"cpu", b"%", 1.5, b"10.0.0.1"), (b"memory", b"B", 2.0, b"10.0.0.1")]
    assert made.streams == bytes([NO_STREAM] * 2)


@both
def test_a_gauge_without_metrics_and_an_envelope_without_a_message_have_a_row_too(columns: Make) -> None:
    made = columns(batch_of(v2.Envelope(timestamp=5, gauge=v2.Gauge()), v2.Envelope(timestamp=6)))
    assert made.kinds == bytes([Kind.GAUGE, Kind.BARE])
    assert texts_of(made.name) == [None, None]


@both
def test_numbers_of_counters_and_timers(columns: Make) -> None:
    made = columns(
        batch_of(
            v2.Envelope(counter=v2.Counter(name="hits", delta=2**64 - 1, total=10)),
            v2.Envelope(timer=v2.Timer(name="http", start=10, stop=25)),
            v2.Envelope(timer=v2.Timer(name="http", start=-(2**63), stop=2**63 - 1)),
        )
    )
    assert floats(made.values) == (10.0, 0.0, 0.0)
    assert struct.unpack("<3Q", made.deltas) == (2**64 - 1, 0, 0)
    assert struct.unpack("<3q", made.durations) == (0, 15, -1)
    assert texts_of(made.name) == [b"hits", b"http", b"http"]


@both
def test_an_event_has_a_title_and_a_body(columns: Make) -> None:
    made = columns(batch_of(v2.Envelope(event=v2.Event(title="deploy", body="done"))))
    assert texts_of(made.name) == [b"deploy"]
    assert made.texts == b"done"


@both
def test_tags_of_either_map_are_tags(columns: Make) -> None:
    old = v2.Envelope(tags={"job": "cell"}, log=v2.Log(payload=b"x"))
    old.deprecated_tags["index"].integer = 3
    made = columns(batch_of(v2.Envelope(log=v2.Log()), old, v2.Envelope(log=v2.Log())))
    assert {name: texts_of(coded) for name, coded in made.tags.items()} == {
        b"job": [None, b"cell"],
        b"index": [None, b"3"],
    }


@both
def test_tags_beyond_the_limit_are_kept_aside(columns: Make) -> None:
    batch = batch_of(v2.Envelope(tags={"a": "1"}), v2.Envelope(tags={"b": "2"}), v2.Envelope(tags={"a": "3"}))
    made = columns(batch, 1)
    assert [*made.tags] == [b"a"]
    assert made.more == [(1, b"b", b"2")]


@both
def test_not_a_number_is_a_value(columns: Make) -> None:
    made = columns(batch_of(v2.Envelope(gauge=v2.Gauge(metrics={"x": v2.GaugeValue(value=math.nan)}))))
    assert math.isnan(floats(made.values)[0])


@both
def test_nothing_makes_no_rows(columns: Make) -> None:
    assert rows_of(columns(b"")) == []


@both
@pytest.mark.parametrize("most_tags", [1_000, 10])
def test_a_small_gauge_does_not_grow_beyond_measure(
    columns: Make, most_tags: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("envelope.columns.MOST_CELLS", 10_000)
    metrics = {f"m{number}": v2.GaugeValue(value=1) for number in range(40_000 if columns is kernel.columns else 200)}
    tags = {f"t{number}": "" for number in range(900 if columns is kernel.columns else 100)}
    monkeypatch.setattr("envelope.columns.MOST_MORE", 100)
    with pytest.raises(OverflowError, match="too many rows with too many tags"):
        columns(batch_of(v2.Envelope(gauge=v2.Gauge(metrics=metrics), tags=tags)), most_tags)
