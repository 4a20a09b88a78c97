from typing import Any

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st

from envelope import kernel
from envelope.pb import dropsonde_pb2 as v1
from envelope.pb import loggregator_v2_pb2 as v2
from standpipe.writing.write_envelopes import Origin, batch_of, parse_origin, parse_time, write_metrics

ID = "f47ac10b-58cc-4372-a567-0e02b2c3d479"


def write(tags: dict[str, str] | None = None, **options: Any) -> list[v2.Envelope]:
    origin = Origin(source_id="app", instance_id="0", tags=tags or {})
    return write_metrics(origin, 1234, new_request_id=lambda: ID, **options)


def complaint(**options: Any) -> str:
    with pytest.raises(typer.BadParameter) as caught:
        write(**options)
    return caught.value.format_message()


def test_an_origin_is_in_every_envelope() -> None:
    origin = parse_origin("app", "3", ["a=b", "empty=", "a=c=d"])

    assert origin.envelope(5) == v2.Envelope(
        timestamp=5, source_id="app", instance_id="3", tags={"a": "c=d", "empty": ""}
    )


def test_the_head_of_an_origin_serves_for_logs() -> None:
    batch = kernel.log_batch([b"x"], parse_origin("app", "3", ["a=b"]).head, 9, False)

    assert v2.EnvelopeBatch.FromString(batch).batch[0] == v2.Envelope(
        timestamp=9, source_id="app", instance_id="3", tags={"a": "b"}, log={"payload": b"x"}
    )


@pytest.mark.parametrize(
    ("source", "instance", "tag", "option"),
    [
        ("", "0", "a=b", "--source"),
        ("\udcff", "0", "a=b", "--source"),
        ("app", "\udcff", "a=b", "--instance"),
        ("app", "0", "a", "--tag"),
        ("app", "0", "=b", "--tag"),
        ("app", "0", "a=\udcff", "--tag"),
    ],
)
def test_a_wrong_origin_names_its_option(source: str, instance: str, tag: str, option: str) -> None:
    with pytest.raises(typer.BadParameter) as caught:
        parse_origin(source, instance, [tag])

    assert option in caught.value.format_message()


def test_a_counter_has_a_delta() -> None:
    (envelope,) = write(counters=["orders=18446744073709551615"])

    assert envelope.counter == v2.Counter(name="orders", delta=(1 << 64) - 1)
    assert envelope.timestamp == 1234


@pytest.mark.parametrize("text", ["orders", "=1", "orders=", "a=-1", "a=1.5", "a=1_0", "a=18446744073709551616", "a=x"])
def test_a_wrong_counter_names_its_option(text: str) -> None:
    assert "--counter" in complaint(counters=[text])


def test_all_gauges_make_one_envelope() -> None:
    (envelope,) = write(gauges=["cpu=0.5", "memory=-1e3:bytes", "path=1:a:b"])

    assert envelope.gauge.metrics["cpu"] == v2.GaugeValue(value=0.5)
    assert envelope.gauge.metrics["memory"] == v2.GaugeValue(value=-1000.0, unit="bytes")
    assert envelope.gauge.metrics["path"].unit == "a:b"


@pytest.mark.parametrize("texts", [["a"], ["=1"], ["a="], ["a=x"], ["a=nan"], ["a=inf"], ["a=1_0"], ["a=1", "a=2"]])
def test_a_wrong_gauge_names_its_option(texts: list[str]) -> None:
    assert "--gauge" in complaint(gauges=texts)


def test_a_timer_has_a_form_on_the_v1_wire() -> None:
    (message,) = kernel.v1_messages(batch_of(write(timers=["http=1000,3000"])))
    timer = v1.Envelope.FromString(message).httpStartStop

    assert (timer.startTimestamp, timer.stopTimestamp) == (1000, 3000)
    assert (timer.method, timer.peerType) == (v1.GET, v1.Client)


def test_a_timer_keeps_the_tags_it_was_given() -> None:
    (envelope,) = write({"method": "POST", "uri": "/"}, timers=["http=1,2"])

    assert envelope.tags == {"method": "POST", "uri": "/", "request_id": ID, "peer_type": "Client"}


def test_a_timer_takes_times_in_words() -> None:
    (envelope,) = write(timers=["http=2026-01-31T12:00:00Z,2026-01-31T13:00:00.5+01:00"])

    assert envelope.timer.stop - envelope.timer.start == 500_000_000


@pytest.mark.parametrize(
    "text", ["http", "http=", "http=1", "http=1,", "http=1,2,3", "http=2,1", "=1,2", "http=0,9999999999999999999"]
)
def test_a_wrong_timer_names_its_option(text: str) -> None:
    assert "--timer" in complaint(timers=[text])


def test_an_event_has_title_and_body() -> None:
    (envelope,) = write(events=["deploy=version=2"])

    assert envelope.event == v2.Event(title="deploy", body="version=2")


def test_a_wrong_event_names_its_option() -> None:
    assert "--event" in complaint(events=["no body"])


def test_a_batch_holds_all_envelopes() -> None:
    envelopes = write(counters=["a=1", "b=2"], gauges=["c=3"], events=["d=4"])

    assert list(v2.EnvelopeBatch.FromString(batch_of(envelopes)).batch) == envelopes


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0", 0),
        ("-5", -5),
        ("1970-01-01T00:00:01Z", 10**9),
        ("1970-01-01t00:00:00.000000001z", 1),
        ("1970-01-01 01:00:00.123456789+01:00", 123_456_789),
        ("1969-12-31T23:59:59.5Z", -500_000_000),
    ],
)
def test_a_time_is_exact_to_the_nanosecond(text: str, expected: int) -> None:
    assert parse_time(text) == expected


@pytest.mark.parametrize(
    "text", ["", "now", "1.5", "2026-01-31", "2026-01-31T12:00:00", "2026-02-30T12:00:00Z", "2026-01-31T12:00:00.Z"]
)
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_time(text)


@given(moment=st.datetimes())
def test_a_time_survives_being_written(moment: Any) -> None:
    seconds = (moment - moment.min).days * 86_400 + (moment - moment.min).seconds - 62_135_596_800
    assert parse_time(f"{moment.isoformat(timespec='microseconds')}Z") == seconds * 10**9 + moment.microsecond * 1000
