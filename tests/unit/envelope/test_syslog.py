"""The syslog form of every kind of envelope (loggregator.md 5.5), by hand, and that both kernels write it alike."""

import re
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envelope import kernel, reference
from envelope.kinds import Kind
from envelope.pb import loggregator_v2_pb2 as v2
from envelope.syslog import Unformattable, messages, most_bytes
from tests.kernel_results import admitted
from tests.strategies import batch_of, batches, odd_batches

HEAD = b"<14>1 1970-01-01T00:00:00.012345+00:00 test-hostname test-app-id [1] - "


def envelope(**fields: Any) -> v2.Envelope:
    return v2.Envelope(**{"timestamp": 12345678, "source_id": "test-app-id", "instance_id": "1", **fields})


def log(payload: bytes = b"just a test", log_type: int = 0, **fields: Any) -> v2.Envelope:
    return envelope(log={"payload": payload, "type": log_type}, **fields)


def lines(one: v2.Envelope, hostname: bytes = b"test-hostname", metadata: bool = True) -> list[bytes]:
    """What both kernels make of an envelope: each message on its own."""
    batch = batch_of(one)
    result = kernel.syslog(batch, hostname, int(Kind.ALL), metadata, False)
    assert result == reference.syslog(batch, hostname, int(Kind.ALL), metadata, False)
    assert result[2:] in {(1, 0, 0), (0, 1, 0)}
    found = messages(one, hostname, metadata, most_bytes(len(one.SerializeToString())))
    assert b"".join(found) == result[0]
    return found


def line(one: v2.Envelope, **how: Any) -> bytes:
    (only,) = lines(one, **how)
    return only


def fields_of(one: v2.Envelope, **how: Any) -> list[bytes]:
    return line(one, **how).split(b" ", 6)


def is_malformed(one: v2.Envelope, hostname: bytes = b"h", metadata: bool = True) -> bool:
    results = [
        k.syslog(batch_of(one), hostname, int(Kind.ALL), metadata, True)  # type: ignore[attr-defined]
        for k in (kernel, reference)
    ]
    assert results[0] == results[1]
    return bool(results[0] == (b"", [0], 0, 0, 1))


def test_a_log_line() -> None:
    one = log(instance_id="2", tags={"source_type": "MY TASK"})

    assert line(one) == (
        b"<14>1 1970-01-01T00:00:00.012345+00:00 test-hostname test-app-id [MY-TASK/2] - "
        b'[tags@47450 source_type="MY TASK"] just a test\n'
    )


@pytest.mark.parametrize(("log_type", "priority"), [(0, b"<14>1"), (1, b"<11>1"), (20, b"<14>1")])
def test_the_priority_tells_out_from_err(log_type: int, priority: bytes) -> None:
    assert fields_of(log(log_type=log_type))[0] == priority


def test_a_counter() -> None:
    counter = envelope(counter={"name": "some-counter", "delta": 1, "total": 2**64 - 1}, tags={"a": "scallop"})

    assert line(counter) == HEAD + (
        b'[counter@47450 name="some-counter" total="18446744073709551615" delta="1"][tags@47450 a="scallop"] \n'
    )


def test_a_gauge_is_one_message_for_each_metric_by_name() -> None:
    gauge = envelope(gauge={"metrics": {"disk": {"unit": "bytes", "value": 1234}, "cpu": {"unit": "%", "value": 0.23}}})

    assert lines(gauge) == [
        HEAD + b'[gauge@47450 name="cpu" value="0.23" unit="%"] \n',
        HEAD + b'[gauge@47450 name="disk" value="1234" unit="bytes"] \n',
    ]


def test_a_timer() -> None:
    assert line(envelope(timer={"name": "http", "start": -10, "stop": 20})) == HEAD + (
        b'[timer@47450 name="http" start="-10" stop="20"] \n'
    )


def test_an_event() -> None:
    assert line(envelope(event={"title": "a]b", "body": 'say "\\"'})) == HEAD + (
        b'[event@47450 title="a\\]b" body="say \\"\\\\\\""] \n'
    )


@pytest.mark.parametrize("empty", [{}, {"gauge": {"metrics": {}}}])
def test_without_a_message_nothing_is_said(empty: Mapping[str, Any]) -> None:
    assert lines(envelope(**empty)) == []


@pytest.mark.parametrize(
    ("timestamp", "text"),
    [
        (0, b"1970-01-01T00:00:00+00:00"),
        (999, b"1970-01-01T00:00:00+00:00"),
        (1_999, b"1970-01-01T00:00:00.000001+00:00"),
        (1_767_323_045_120_000_000, b"2026-01-02T03:04:05.12+00:00"),
        (951_782_400_000_000_000, b"2000-02-29T00:00:00+00:00"),
        (-1, b"1969-12-31T23:59:59.999999+00:00"),
        (2**63 - 1, b"2262-04-11T23:47:16.854775+00:00"),
        (-(2**63), b"1677-09-21T00:12:43.145224+00:00"),
    ],
)
def test_times_are_cut_to_microseconds_and_their_zeros_trimmed(timestamp: int, text: bytes) -> None:
    assert fields_of(log(timestamp=timestamp))[1] == text


@given(st.integers(-(2**63), 2**63 - 1))
def test_every_time_is_written_alike(timestamp: int) -> None:
    line(log(timestamp=timestamp))


@pytest.mark.parametrize(
    ("tags", "host"),
    [
        ({}, b"test-hostname"),
        ({"organization_name": "org", "space_name": "my space", "app_name": "app"}, b"org.my-space.app"),
        ({"app_name": "app"}, b"..app"),
        ({"space_name": ""}, b".."),
        ({"organization_name": " a \t\n b_c! ", "app_name": "--x--"}, b"-a-bc..--x"),
        ({"app_name": "grün \v\f!- -"}, b"..grn"),
        ({"app_name": "a" * 62 + "--b"}, b".." + b"a" * 62 + b"-"),
        ({"app_name": "a" * 62 + "-- "}, b".." + b"a" * 62),
        (dict.fromkeys(("organization_name", "space_name", "app_name"), "a" * 70), b".".join([b"a" * 63] * 3)),
    ],
)
def test_the_host_is_what_the_tags_say(tags: dict[str, str], host: bytes) -> None:
    assert fields_of(log(tags=tags))[2] == host
    assert fields_of(log(tags=tags), metadata=False)[2] == host


@pytest.mark.parametrize(("hostname", "host"), [(b"", b"-"), (b"h" * 256, b"h" * 255), (b"a.b", b"a.b")])
def test_the_host_is_the_binding_s_otherwise(hostname: bytes, host: bytes) -> None:
    assert fields_of(log(), hostname=hostname)[2] == host


@pytest.mark.parametrize(("source_id", "name"), [("", b"-"), ("a" * 49, b"a" * 48), ("a" * 48 + "ü", b"a" * 48)])
def test_the_app_name_is_the_source_id(source_id: str, name: bytes) -> None:
    assert fields_of(log(source_id=source_id))[3] == name


@pytest.mark.parametrize(
    ("source_type", "instance", "process"),
    [
        ("app/proc/web", "0", b"[APP/PROC/WEB/0]"),
        ("a b  c", "0", b"[A-B--C/0]"),
        ("rtr", "", b"[RTR]"),
        ("", "3", b"[/3]"),
        ("", "", b"[]"),
        ("APP", "i" * 200, b"[APP/" + b"i" * 122 + b"]"),
        ("s" * 126, "1", b"[" + b"S" * 126 + b"]"),
        ("s" * 125, "1", b"[" + b"S" * 125 + b"/]"),
        ("s" * 200 + "ü", "1", b"[" + b"S" * 126 + b"]"),
    ],
)
def test_the_process_of_a_log_is_its_source(source_type: str, instance: str, process: bytes) -> None:
    assert fields_of(log(instance_id=instance, tags={"source_type": source_type}))[4] == process


@pytest.mark.parametrize(("instance", "process"), [("", b"[]"), ("7", b"[7]"), ("i" * 127, b"[" + b"i" * 126 + b"]")])
def test_the_process_of_a_metric_is_its_instance(instance: str, process: bytes) -> None:
    assert fields_of(envelope(instance_id=instance, timer={}, tags={"source_type": "RTR"}))[4] == process


def test_tags_are_sorted_by_key_and_escaped() -> None:
    tags = {"b": 'q"b\\c]', "a": "ü\n\0", "aa": "", "B": "1"}

    assert line(log(tags=tags)).endswith(
        '- [tags@47450 B="1" a="ü\n\0" aa="" b="q\\"b\\\\c\\]"] just a test\n'.encode()
    )


@given(st.lists(st.sampled_from(["\\", '"', "]", "[", "a", "ü", "bcdefg"]), max_size=30))
def test_an_escape_may_stand_anywhere(pieces: list[str]) -> None:
    value = "".join(pieces)

    written = line(log(tags={"k": value})).decode()

    (escaped,) = re.findall(r'\[tags@47450 k="((?:[^\\"\]]|\\.)*)"\] just', written)
    assert re.sub(r"\\(.)", r"\1", escaped) == value


def test_without_metadata_no_tags_are_shown_and_none_is_in_the_way() -> None:
    tags = {"not a name": "x", "source_type": "APP"}

    assert line(log(tags=tags), metadata=False) == HEAD.replace(b"[1]", b"[APP/1]") + b"- just a test\n"
    assert b"tags@" not in line(envelope(timer={}, tags=tags), metadata=False)


@pytest.mark.parametrize(
    ("payload", "text"),
    [
        (b"", b"\n"),
        (b"a", b"a\n"),
        (b"a\n", b"a\n"),
        (b"a\n\n", b"a\n\n"),
        (b"\0a\0\0b\0", b"ab\n"),
        (b"\n\0", b"\n"),
        (b"\0", b"\n"),
        (b"\xff\xfe", b"\xff\xfe\n"),
        (b"x" * 2**20, b"x" * 2**20 + b"\n"),
    ],
)
def test_text_loses_its_nuls_and_ends_its_line(payload: bytes, text: bytes) -> None:
    assert line(log(payload)) == HEAD.replace(b"[1]", b"[/1]") + b"- " + text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, b"0"),
        (-0.0, b"-0"),
        (1e6, b"1e+06"),
        (999999.5, b"999999.5"),
        (-1234567.5, b"-1.2345675e+06"),
        (16777216.0, b"1.6777216e+07"),
        (123456789012345.6, b"1.234567890123456e+14"),
        (1e15, b"1e+15"),
        (1e16, b"1e+16"),
        (1e21, b"1e+21"),
        (1.5e300, b"1.5e+300"),
        (0.0001, b"0.0001"),
        (0.00001, b"1e-05"),
        (5e-324, b"5e-324"),
        (float("nan"), b"NaN"),
        (float("inf"), b"+Inf"),
        (float("-inf"), b"-Inf"),
    ],
)
def test_values_are_as_short_as_go_writes_them(value: float, text: bytes) -> None:
    (written,) = lines(envelope(gauge={"metrics": {"m": {"value": value}}}))

    assert re.findall(rb'value="([^"]*)"', written) == [text]


@given(st.floats())
def test_every_value_reads_back(value: float) -> None:
    (written,) = lines(envelope(gauge={"metrics": {"m": {"value": value}}}))

    assert repr(float(re.findall(rb'value="([^"]*)"', written)[0])) == repr(value)


@pytest.mark.parametrize("key", ["a b", "a=", "]", '"', "ü", "\n", "\x7f", "\0"])
def test_a_tag_s_name_that_is_not_allowed_is_malformed(key: str) -> None:
    assert is_malformed(log(tags={key: "x"}))
    assert is_malformed(envelope(gauge={"metrics": {"a": {}, "b": {}}}, tags={key: "x"}))


@pytest.mark.parametrize("text", ["a b", "a\nb", "ü", "\0", "\x7f"])
def test_a_header_that_is_not_printable_is_malformed(text: str) -> None:
    assert is_malformed(log(source_id=text))
    assert is_malformed(log(instance_id=text))
    assert is_malformed(envelope(timer={}, instance_id=text))
    assert is_malformed(log(), hostname=text.encode())
    assert text == "a b" or is_malformed(log(tags={"source_type": text}))


def test_a_gauge_may_not_become_more_than_some_times_its_size() -> None:
    metrics = {f"metric-{number}": {"value": 1.0} for number in range(60)}

    assert len(lines(envelope(gauge={"metrics": metrics}, tags={"a": "x" * 100}))) == 60
    assert is_malformed(envelope(gauge={"metrics": metrics}, tags={"a": "x" * 100_000}))
    with pytest.raises(Unformattable, match="too many metrics"):
        messages(log(), b"", True, 10)


@pytest.mark.parametrize("count", [0, 1, 63, 64, 65, 500])
def test_every_number_of_tags_and_metrics_fits(count: int) -> None:
    names = [f"n{number:03}" for number in range(count)]

    written = line(log(tags=dict.fromkeys(names, '"')))
    assert written.count(b'="\\""') == count
    assert re.findall(rb" (n\d+)=", written) == [name.encode() for name in names]
    assert len(lines(envelope(gauge={"metrics": {name: {"unit": "]"} for name in names}}))) == count


def test_octets_are_counted_and_ends_are_those_of_each_envelope() -> None:
    gauge = envelope(gauge={"metrics": {"a": {}, "b": {}}})
    batch = batch_of(envelope(), log(), envelope(timer={}), gauge, log(tags={"ü": ""}), log(b"y" * 1000))

    written, ends, *counts = kernel.syslog(batch, b"h", int(Kind.LOG | Kind.GAUGE), True, True)

    pieces = [written[start:end] for start, end in zip([0, *ends], ends, strict=False)]
    assert counts == [3, 2, 1]
    assert [piece.count(b"<14>1 ") for piece in pieces] == [0, 1, 0, 2, 0, 1]
    sizes = re.findall(rb"(\d+) (<14>1 [^\n]*\n)", written)
    assert len(sizes) == 4
    assert all(int(size) == len(message) for size, message in sizes)
    assert b"".join(b"%s %s" % pair for pair in sizes) == written


@given((batches() | odd_batches).map(admitted), st.integers(0, 63), st.booleans(), st.booleans())
def test_both_kernels_write_the_same(batch: bytes, kinds: int, metadata: bool, octets: bool) -> None:
    ours = kernel.syslog(batch, b"host", kinds, metadata, octets)

    assert ours == reference.syslog(batch, b"host", kinds, metadata, octets)
    assert len(ours[1]) == sum(ours[2:]) == reference.count(batch)
