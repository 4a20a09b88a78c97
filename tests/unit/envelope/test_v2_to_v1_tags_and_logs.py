"""Between the rows of loggregator.md 2.6: tags and logs, for the converter and the kernel alike."""

import math
from typing import Any

import pytest

from envelope.pb import dropsonde_pb2 as v1
from envelope.pb import loggregator_v2_pb2 as v2
from tests.unit.envelope.v1_forms import Convert, both, container, gauge, only, timer

COUNTER = v2.Counter(name="n")


def text(value: str) -> v2.Value:
    return v2.Value(text=value)


# --- tags -------------------------------------------------------------------------------------------------------------


@both
def test_base_fields_come_from_tags_the_preferred_first(convert: Convert) -> None:
    envelope = v2.Envelope(
        tags={"origin": "o", "deployment": "d"},
        deprecated_tags={
            "origin": text("loses"),
            "job": text("j"),
            "index": v2.Value(integer=-4),
            "ip": v2.Value(decimal=1.5),
        },
        counter=COUNTER,
    )

    result = only(convert(envelope))

    assert (result.origin, result.deployment, result.job, result.index, result.ip) == ("o", "d", "j", "-4", "1.500000")


@both
def test_other_tags_come_from_both_maps_the_deprecated_wins(convert: Convert) -> None:
    envelope = v2.Envelope(
        tags={"clash": "loses", "own": "stays", "kept": "has a value"},
        deprecated_tags={
            "clash": text("wins"),
            "integer": v2.Value(integer=-(2**63)),
            "decimal": v2.Value(decimal=1e21),
            "small": v2.Value(decimal=-5e-324),
            "nan": v2.Value(decimal=math.nan),
            "inf": v2.Value(decimal=-math.inf),
            "kept": v2.Value(),
            "nothing": v2.Value(),
        },
        counter=COUNTER,
    )

    assert only(convert(envelope)).tags == {
        "clash": "wins",
        "own": "stays",
        "integer": "-9223372036854775808",
        "decimal": "1000000000000000000000.000000",
        "small": "-0.000000",
        "nan": "NaN",
        "inf": "-Inf",
        "kept": "has a value",
    }


@both
def test_a_deprecated_value_that_holds_nothing_reads_as_empty(convert: Convert) -> None:
    assert only(convert(v2.Envelope(deprecated_tags={"origin": v2.Value()}, counter=COUNTER))).origin == ""


@both
def test_a_preferred_tag_that_is_empty_is_preferred_still(convert: Convert) -> None:
    envelope = v2.Envelope(tags={"origin": ""}, deprecated_tags={"origin": text("loses")}, counter=COUNTER)

    assert only(convert(envelope)).origin == ""


@both
def test_what_has_a_field_of_its_own_leaves_the_tags(convert: Convert) -> None:
    tags = dict.fromkeys(("__v1_type", "origin", "deployment", "job", "index", "ip"), "x")
    deprecated = {key: text("x") for key in tags}

    assert not only(convert(v2.Envelope(tags=tags, counter=COUNTER))).tags
    assert not only(convert(v2.Envelope(tags=tags, deprecated_tags=deprecated, counter=COUNTER))).tags


@both
@pytest.mark.parametrize(
    ("source_id", "preferred", "deprecated", "tags"),
    [
        ("s", {}, {}, {"source_id": "s"}),
        ("s", {"source_id": "t"}, {}, {"source_id": "s"}),
        ("s", {"source_id": "t"}, {"source_id": text("d")}, {"source_id": "s"}),
        ("", {}, {}, {}),
        ("", {"source_id": "t"}, {}, {"source_id": "t"}),
        ("", {"source_id": ""}, {}, {"source_id": ""}),
        ("", {"source_id": "t"}, {"source_id": text("d")}, {"source_id": "d"}),
    ],
)
def test_the_tag_source_id_gives_way_to_a_source_id(
    source_id: str, preferred: dict[str, str], deprecated: dict[str, v2.Value], tags: dict[str, str], convert: Convert
) -> None:
    envelope = v2.Envelope(source_id=source_id, tags=preferred, deprecated_tags=deprecated, counter=COUNTER)

    assert only(convert(envelope)).tags == tags


@both
@pytest.mark.parametrize(("instance_id", "tag"), [("3", "3"), ("", "t")])
@pytest.mark.parametrize("message", [{"counter": COUNTER}, {"gauge": gauge(heat=("C", 1.0))}])
def test_the_tag_instance_id_gives_way_to_an_instance_id(
    message: dict[str, Any], instance_id: str, tag: str, convert: Convert
) -> None:
    envelope = v2.Envelope(instance_id=instance_id, tags={"instance_id": "t"}, **message)

    assert only(convert(envelope)).tags == {"instance_id": tag}


@both
@pytest.mark.parametrize(
    "envelope",
    [
        v2.Envelope(instance_id="3", log=v2.Log()),
        v2.Envelope(instance_id="3", gauge=container()),
        timer(instance_id="3"),
    ],
)
def test_what_has_a_field_for_the_instance_gets_no_tag_of_it(envelope: v2.Envelope, convert: Convert) -> None:
    assert not only(convert(envelope)).tags


# --- logs -------------------------------------------------------------------------------------------------------------


@both
@pytest.mark.parametrize("number", [1, 2, 7, -1, 2**31 - 1, -(2**31)])
def test_any_log_type_but_stdout_is_stderr(number: int, convert: Convert) -> None:
    assert only(convert(v2.Envelope(log=v2.Log(type=number)))).logMessage.message_type == v1.LogMessage.ERR


@both
@pytest.mark.parametrize(
    ("preferred", "deprecated", "source_type"),
    [({}, {"source_type": text("d")}, "d"), ({"source_type": "p"}, {"source_type": text("d")}, "p")],
)
def test_a_source_type_may_be_a_deprecated_tag(
    preferred: dict[str, str], deprecated: dict[str, v2.Value], source_type: str, convert: Convert
) -> None:
    result = only(convert(v2.Envelope(tags=preferred, deprecated_tags=deprecated, log=v2.Log())))

    assert result.logMessage.source_type == source_type
    assert not result.tags


@both
@pytest.mark.parametrize("message", [{"counter": COUNTER}, {"gauge": container()}])
def test_only_a_log_loses_the_tag_source_type(message: dict[str, Any], convert: Convert) -> None:
    assert only(convert(v2.Envelope(tags={"source_type": "stays"}, **message))).tags == {"source_type": "stays"}


@both
@pytest.mark.parametrize(
    ("code", "number"),
    [("-5", -5), ("+5", 5), ("-2147483648", -(2**31)), ("2147483648", 0), ("5.0", 0), ("five", 0), ("", 0)],
)
def test_the_code_of_an_error_is_a_number_or_0(code: str, number: int, convert: Convert) -> None:
    envelope = v2.Envelope(tags={"__v1_type": "Error", "code": code}, log=v2.Log(type="ERR"))

    assert only(convert(envelope)).error.code == number


@both
def test_the_code_of_an_error_may_be_a_deprecated_integer(convert: Convert) -> None:
    deprecated = {"__v1_type": text("Error"), "code": v2.Value(integer=-5), "source": text("disk")}

    result = only(convert(v2.Envelope(deprecated_tags=deprecated, log=v2.Log())))

    assert (result.error.source, result.error.code) == ("disk", -5)
    assert not result.tags


@both
def test_an_error_keeps_a_payload_that_is_not_utf8(convert: Convert) -> None:
    result = only(convert(v2.Envelope(tags={"__v1_type": "Error"}, log=v2.Log(payload=b"\xff\x00"))))

    assert b"\x1a\x02\xff\x00" in result.SerializePartialToString()


@both
@pytest.mark.parametrize("v1_type", ["LogMessage", "error", ""])
def test_only_the_tag_of_an_error_makes_an_error(v1_type: str, convert: Convert) -> None:
    assert only(convert(v2.Envelope(tags={"__v1_type": v1_type}, log=v2.Log()))).HasField("logMessage")


@both
def test_only_a_log_becomes_an_error(convert: Convert) -> None:
    assert only(convert(v2.Envelope(tags={"__v1_type": "Error"}, counter=COUNTER))).HasField("counterEvent")
