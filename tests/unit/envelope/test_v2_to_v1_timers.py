"""Between the rows of loggregator.md 2.6: timers, for the converter and the kernel alike."""

import pytest

from envelope import kernel
from envelope.framing import frame
from envelope.pb import dropsonde_pb2 as v1
from envelope.pb import loggregator_v2_pb2 as v2
from envelope.v2_to_v1 import HTTP_TAGS
from envelope.wire import fields
from tests.strategies import UUID_TEXT
from tests.unit.envelope.v1_forms import HIGH, INDICES, LOW, NIL, Convert, both, only, timer


def text(value: str) -> v2.Value:
    return v2.Value(text=value)


@both
@pytest.mark.parametrize("name", ["http", "", "anything"])
def test_a_timer_of_any_name_is_an_http_request(name: str, convert: Convert) -> None:
    envelope = v2.Envelope(tags={"request_id": UUID_TEXT}, timer=v2.Timer(name=name))

    assert only(convert(envelope)).eventType == v1.Envelope.HttpStartStop


@both
@pytest.mark.parametrize(
    ("request_id", "halves"),
    [
        (UUID_TEXT, (LOW, HIGH)),
        (UUID_TEXT.upper(), (LOW, HIGH)),
        (UUID_TEXT.replace("-", "_"), (LOW, HIGH)),
        (NIL, (0, 0)),
    ],
)
def test_a_request_id_is_36_characters_of_hexadecimal(
    request_id: str, halves: tuple[int, int], convert: Convert
) -> None:
    http = only(convert(timer(tags={"request_id": request_id}))).httpStartStop

    assert (http.requestId.low, http.requestId.high) == halves


@both
@pytest.mark.parametrize(
    "request_id", ["", UUID_TEXT[:-1], UUID_TEXT + "0", UUID_TEXT.replace("-", ""), UUID_TEXT[:-1] + "g", "ü" * 18]
)
def test_a_timer_without_a_valid_request_id_vanishes(request_id: str, convert: Convert) -> None:
    assert convert(timer(tags={"request_id": request_id})) == []


def test_the_kernel_counts_a_timer_that_vanishes() -> None:
    batch = frame(timer(tags={"request_id": "none"}).SerializeToString())

    assert kernel.v1_frames(batch, 3) == (b"", 0, 1)


@both
@pytest.mark.parametrize(
    ("source_id", "halves"),
    [
        (UUID_TEXT, (LOW, HIGH)),
        (UUID_TEXT.upper(), (LOW, HIGH)),
        (NIL, (0, 0)),
        ("router", None),
        ("", None),
        (UUID_TEXT[:-1] + "g", None),
    ],
)
def test_an_application_id_is_a_source_id_that_is_a_uuid(
    source_id: str, halves: tuple[int, int] | None, convert: Convert
) -> None:
    http = only(convert(timer(source_id=source_id))).httpStartStop

    assert http.HasField("applicationId") == (halves is not None)
    assert (http.applicationId.low, http.applicationId.high) == (halves or (0, 0))


@both
@pytest.mark.parametrize(("instance_id", "index"), INDICES)
def test_the_index_of_a_timer_is_its_instance_id(instance_id: str, index: int, convert: Convert) -> None:
    assert only(convert(timer(instance_id=instance_id))).httpStartStop.instanceIndex == index


@both
@pytest.mark.parametrize("tags", [{}, {"peer_type": "client", "method": "GONE"}, {"peer_type": "2", "method": "0"}])
def test_an_unknown_peer_type_or_method_is_a_0_on_the_wire(tags: dict[str, str], convert: Convert) -> None:
    result = only(convert(timer(tags=tags)))

    http = result.httpStartStop.SerializePartialToString()
    written = {field.tag >> 3: http[field.body : field.end] for field in fields(http)}

    assert written[v1.HttpStartStop.PEERTYPE_FIELD_NUMBER] == b"\x00"
    assert written[v1.HttpStartStop.METHOD_FIELD_NUMBER] == b"\x00"
    assert result.FindInitializationErrors() == ["httpStartStop.peerType", "httpStartStop.method"]  # closed enums here


@both
@pytest.mark.parametrize("name", v1.Method.keys())
def test_every_method_is_known_by_name(name: str, convert: Convert) -> None:
    assert only(convert(timer(tags={"method": name}))).httpStartStop.method == v1.Method.Value(name)


@both
@pytest.mark.parametrize("name", v1.PeerType.keys())
def test_every_peer_type_is_known_by_name(name: str, convert: Convert) -> None:
    assert only(convert(timer(tags={"peer_type": name}))).httpStartStop.peerType == v1.PeerType.Value(name)


@both
@pytest.mark.parametrize(
    ("status_code", "content_length", "expected"),
    [
        ("200", "5", (200, 5)),
        ("-200", "-5", (-200, -5)),
        ("2147483647", "9223372036854775807", (2**31 - 1, 2**63 - 1)),
        ("2147483648", "9223372036854775808", (0, 0)),
        ("-2147483649", "-9223372036854775809", (0, 0)),
        ("", "", (0, 0)),
        ("2e2", "0x5", (0, 0)),
        ("1_0", "٣", (0, 0)),
    ],
)
def test_a_number_that_is_none_or_too_large_is_0(
    status_code: str, content_length: str, expected: tuple[int, int], convert: Convert
) -> None:
    http = only(convert(timer(tags={"status_code": status_code, "content_length": content_length}))).httpStartStop

    assert (http.statusCode, http.contentLength) == expected


@both
@pytest.mark.parametrize(
    ("tags", "forwarded"),
    [
        ({}, [""]),
        ({"forwarded": ""}, [""]),
        ({"forwarded": "a"}, ["a"]),
        ({"forwarded": "\n"}, ["", ""]),
        ({"forwarded": "a\nb\n"}, ["a", "b", ""]),
        ({"forwarded": "a, b"}, ["a, b"]),
    ],
)
def test_forwarded_is_split_into_lines(tags: dict[str, str], forwarded: list[str], convert: Convert) -> None:
    assert only(convert(timer(tags=tags))).httpStartStop.forwarded == forwarded


@both
@pytest.mark.parametrize(
    ("value", "status_code"), [(v2.Value(integer=404), 404), (text("404"), 404), (v2.Value(decimal=404), 0)]
)
def test_tags_of_a_timer_may_be_deprecated_ones(value: v2.Value, status_code: int, convert: Convert) -> None:
    deprecated = {"request_id": text(UUID_TEXT), "status_code": value}  # 404.000000 is no integer

    http = only(convert(v2.Envelope(deprecated_tags=deprecated, timer=v2.Timer()))).httpStartStop

    assert http.statusCode == status_code


@both
def test_a_timer_keeps_none_of_its_ten_tags(convert: Convert) -> None:
    deprecated = {name: text("x") for name in HTTP_TAGS}

    result = only(convert(timer(deprecated_tags=deprecated)))

    assert len(HTTP_TAGS) == 10
    assert not result.tags
    assert result.httpStartStop.uri == "x"
