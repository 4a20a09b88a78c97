"""Events: what each column holds for every kind of envelope."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from envelope.pb import loggregator_v2_pb2 as v2
from event_store import events as module
from event_store.events import MOST_COLUMNS, to_events
from event_store.model import FIXED, OVERFLOW, RAW_MESSAGE
from event_store.storage.schema import check
from tests.kernel_results import admitted
from tests.strategies import batch_of, batches, odd_batches

COLUMNS = [name for name in FIXED if name != "seq"]


def log(line: bytes, **others: Any) -> v2.Envelope:
    return v2.Envelope(timestamp=1, source_id="app", instance_id="0", log=v2.Log(payload=line), **others)


def rows(*envelopes: v2.Envelope, parse: bool = True) -> list[dict[str, Any]]:
    """The events of some envelopes, without what is null."""
    made = to_events(batch_of(*envelopes), parse=parse)
    made.validate(full=True)
    plain = made.set_column(0, "time", made.column("time").cast("int64"))
    return [{name: value for name, value in row.items() if value is not None} for row in plain.to_pylist()]


def test_a_log() -> None:
    error = v2.Envelope(
        timestamp=5, source_id="app", log=v2.Log(payload=b"ERROR: no", type=v2.Log.ERR), tags={"a": "b"}
    )
    (row,) = rows(error)
    assert row.pop("time") == 5
    assert row == {
        "source_id": "app",
        "instance_id": "",
        "type": "log",
        "severity": "error",
        "stream": "ERR",
        "message": "ERROR: no",
        "t_a": "b",
    }


def test_a_text_whose_name_is_that_of_numbers_is_no_field() -> None:
    (row,) = rows(log(b'{"a$num":"x","a":1,"b$num":2}'))

    assert {name: value for name, value in row.items() if name.startswith("f_")} == {"f_a$num": 1.0, "f_b$num$num": 2.0}
    check(to_events(batch_of(log(b'{"a$num":"x"}'))))


def test_metrics() -> None:
    counter, gauge, timer = rows(
        v2.Envelope(counter=v2.Counter(name="hits", delta=2**64 - 1, total=7)),
        v2.Envelope(gauge=v2.Gauge(metrics={"cpu": v2.GaugeValue(unit="%", value=0.0)})),
        v2.Envelope(timer=v2.Timer(name="http", start=1, stop=4)),
    )
    assert (counter["type"], counter["name"], counter["value"], counter["delta"]) == ("counter", "hits", 7.0, 2**63 - 1)
    assert (gauge["type"], gauge["name"], gauge["value"], gauge["unit"]) == ("gauge", "cpu", 0.0, "%")
    assert (timer["type"], timer["name"], timer["duration"]) == ("timer", "http", 3)
    assert not {"message", "severity", "stream"} & {*counter, *gauge, *timer}
    assert "value" not in timer
    assert "duration" not in counter


def test_an_event_an_empty_gauge_and_no_message_at_all() -> None:
    event, gauge, bare = rows(
        v2.Envelope(event=v2.Event(title="deploy", body="ERROR done")), v2.Envelope(gauge=v2.Gauge()), v2.Envelope()
    )
    assert (event["type"], event["name"], event["message"]) == ("event", "deploy", "ERROR done")
    assert "severity" not in event
    assert gauge["type"] == "gauge"
    assert "value" not in gauge
    assert "type" not in bare


def test_fields_of_lines_are_columns_numbers_beside_texts() -> None:
    first, second, third = rows(log(b"status=200 path=/a"), log(b'{"status":"gone","n":{"m":1}}'), log(b"nothing"))
    assert (first["f_status$num"], first["f_path"]) == (200.0, "/a")
    assert (second["f_status"], second["f_n.m$num"]) == ("gone", 1.0)
    assert "f_status" not in first
    assert not [name for name in third if name.startswith("f_")]


def test_lines_are_not_parsed_if_nobody_wants_it() -> None:
    (row,) = rows(log(b"status=200 level=warn"), parse=False)
    assert not [name for name in row if name.startswith("f_")]


def test_the_level_a_line_names_counts_more_than_a_word_in_it() -> None:
    found = [
        row.get("severity")
        for row in rows(
            log(b'{"msg":"ERROR handled","level":"info"}'),
            log(b'{"level":50,"msg":"x"}'),
            log(b'{"level":"unheard of","msg":"WARN"}'),
            log(b"lvl=crit"),
        )
    ]
    assert found == ["info", "error", "warn", "fatal"]


def test_bytes_that_are_no_text_are_kept() -> None:
    made = to_events(batch_of(log(b"good"), log(b"\xffbad"), v2.Envelope()))
    assert made.column("message").to_pylist() == ["good", "\ufffdbad", None]
    assert made.column(RAW_MESSAGE).to_pylist() == [None, b"\xffbad", None]
    assert RAW_MESSAGE not in to_events(batch_of(log(b"good"))).schema.names


def test_tags_and_fields_beyond_the_columns_are_in_the_map() -> None:
    tagged = [log(b"x", tags={f"tag{number}": "v"}) for number in range(MOST_COLUMNS + 3)]
    made = to_events(batch_of(*tagged, *(log(b"k%d=%d" % (number, number)) for number in range(MOST_COLUMNS + 3))))
    assert len([name for name in made.schema.names if name.startswith("t_")]) == MOST_COLUMNS
    assert len([name for name in made.schema.names if name.startswith("f_")]) == MOST_COLUMNS
    over = {key: text for row in made.column(OVERFLOW).to_pylist() for key, text in row or ()}
    assert over["f_k502"] == "502"
    assert len([key for key in over if key.startswith("t_")]) == 3
    assert len(over) == 6


def test_numbers_in_the_map_are_whole() -> None:
    others = [log(b"k%d=%d" % (number, number)) for number in range(MOST_COLUMNS)]
    made = to_events(batch_of(*others, log(b"size=1234567.25 bytes=16777217 far=1e300")))
    assert dict(made.column(OVERFLOW).to_pylist()[-1]) == {
        "f_size": "1234567.25",
        "f_bytes": "16777217",
        "f_far": "1e+300",
    }


@given(st.lists(st.floats() | st.text(max_size=3) | st.integers(-(2**63), 2**63).map(float)))
def test_each_value_of_many_has_the_text_that_it_has_alone(values: list[str | float]) -> None:
    assert module._texts_of(values) == [text for value in values for text in module._texts_of([value])]


def test_a_line_that_can_be_read_as_json_and_not_written_is_an_event_all_the_same() -> None:
    (row,) = rows(log(b'{"level":"warn","deep":' + b"[" * 300 + b"]" * 300 + b"}"))
    assert (row["severity"], "f_deep" in row) == ("warn", False)


def test_no_column_has_a_nul_in_its_name() -> None:
    line = b'{"a\\u0000b":1,"\\u0000":"x","c":{"\\u0000":2},"d":"\\u0000"}'
    (row,) = rows(log(line, tags={"t\0u": "v\0"}))
    assert not [name for name in row if "\0" in name]
    assert (row["f_d"], row["t_t\ufffdu"]) == ("\0", "v\0")


@given((batches() | odd_batches).map(admitted))
def test_any_batch_becomes_sound_arrow_with_every_fixed_column(batch: bytes) -> None:
    made = to_events(batch)
    made.validate(full=True)
    assert made.schema.names[: len(COLUMNS)] == COLUMNS or RAW_MESSAGE in made.schema.names
    assert set(COLUMNS) <= set(made.schema.names)
    assert pa.types.is_timestamp(made.schema.field("time").type)
