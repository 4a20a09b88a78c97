"""What lies between the rows of loggregator.md 2.5."""

from typing import Any

import pytest

from envelope import uuids
from envelope.framing import varint
from envelope.pb import dropsonde_pb2 as v1
from envelope.pb import loggregator_v2_pb2 as v2
from envelope.v1_to_v2 import to_v2
from tests.strategies import UUID_TEXT
from tests.unit.envelope.v2_forms import common_tags, of_type


def of_each_type(**ids: str) -> dict[str, dict[str, Any]]:
    """Return the smallest message of each type, those that may name an app and an instance with these `ids`."""
    app, instance = ids.get("app", ""), ids.get("instance", "")
    low, high = uuids.parse(app) or (0, 0)
    return {
        "LogMessage": {"logMessage": v1.LogMessage(message=b"", app_id=app, source_instance=instance)},
        "HttpStartStop": {"httpStartStop": v1.HttpStartStop(applicationId=v1.UUID(low=low, high=high))},
        "ValueMetric": {"valueMetric": v1.ValueMetric(name="n", value=1, unit="u")},
        "CounterEvent": {"counterEvent": v1.CounterEvent(name="n", delta=1)},
        "ContainerMetric": {"containerMetric": v1.ContainerMetric(applicationId=app, instanceIndex=5)},
        "Error": {"error": v1.Error(source="s", code=1, message="m")},
    }


TYPES = sorted(of_each_type())
OF_AN_APP = {"LogMessage", "HttpStartStop", "ContainerMetric"}


# --- source and instance ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", TYPES)
@pytest.mark.parametrize(
    ("fields", "source_id"),
    [
        ({}, "/"),
        ({"deployment": "cf", "job": "router"}, "cf/router"),
        ({"deployment": "cf"}, "cf/"),
        ({"job": "router"}, "/router"),
        ({"deployment": "cf", "job": "router", "tags": {"source_id": "gorouter"}}, "gorouter"),
        ({"deployment": "cf", "job": "router", "tags": {"source_id": ""}}, ""),
    ],
)
def test_source_id_is_the_tag_of_that_name_or_else_deployment_and_job(
    name: str, fields: dict[str, Any], source_id: str
) -> None:
    result = to_v2(of_type(name, **of_each_type()[name], **fields))

    assert result.source_id == source_id
    assert "source_id" not in result.tags


@pytest.mark.parametrize("name", TYPES)
@pytest.mark.parametrize("tag", ["tag", ""])
def test_an_app_id_goes_before_the_tag(name: str, tag: str) -> None:
    result = to_v2(of_type(name, tags={"source_id": tag}, **of_each_type(app=UUID_TEXT)[name]))

    assert result.source_id == (UUID_TEXT if name in OF_AN_APP else tag)
    assert "source_id" not in result.tags


@pytest.mark.parametrize(
    ("name", "instance_id", "stays"),
    [
        ("LogMessage", "3", True),
        ("HttpStartStop", "0", True),
        ("ValueMetric", "tag", True),
        ("CounterEvent", "tag", False),
        ("ContainerMetric", "5", True),
        ("Error", "", True),
    ],
)
def test_metrics_have_their_instance_from_the_tag_which_only_a_counter_loses(
    name: str, instance_id: str, stays: bool
) -> None:
    result = to_v2(of_type(name, tags={"instance_id": "tag"}, **of_each_type(instance="3")[name]))

    assert result.instance_id == instance_id
    assert ("instance_id" in result.tags) == stays


@pytest.mark.parametrize("name", ["ValueMetric", "CounterEvent"])
def test_a_metric_without_the_tag_is_of_no_instance(name: str) -> None:
    result = to_v2(of_type(name, **of_each_type()[name]))

    assert result.instance_id == ""
    assert "instance_id" not in result.tags


# --- tags -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("preferred", [True, False])
@pytest.mark.parametrize("name", TYPES)
def test_the_base_tags_are_there_whatever_is_unset(name: str, preferred: bool) -> None:
    result = to_v2(of_type(name, **of_each_type()[name]), preferred)

    tags = result.tags if preferred else {key: value.text for key, value in result.deprecated_tags.items()}
    assert common_tags(name).items() <= tags.items()


def test_the_fields_of_an_envelope_go_before_tags_of_their_name() -> None:
    log = v1.LogMessage(message=b"", message_type="OUT", timestamp=1, source_type="APP")
    tags = {"origin": "t", "ip": "t", "__v1_type": "t", "source_type": "t", "own": "stays"}

    result = to_v2(v1.Envelope(origin="o", eventType="LogMessage", tags=tags, logMessage=log))

    assert result.tags == {
        **common_tags("LogMessage", source_type="APP", own="stays"),
        "origin": "o",
    }


@pytest.mark.parametrize(
    ("forwarded", "text"), [([], ""), ([""], ""), (["a"], "a"), (["", ""], "\n"), (["a\nb", "c"], "a\nb\nc")]
)
def test_forwarded_is_joined_by_newlines(forwarded: list[str], text: str) -> None:
    result = to_v2(of_type("HttpStartStop", httpStartStop=v1.HttpStartStop(forwarded=forwarded)))

    assert result.tags["forwarded"] == text


# --- numbers without a name, text that is none ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "text"), [(b"\x00", "0"), (b"\x63", "99"), (b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "-1")]
)
def test_an_enum_number_without_a_name_reads_as_the_number(number: bytes, text: str) -> None:
    http = b"\x20" + number + b"\x28" + number

    result = to_v2(v1.Envelope.FromString(b"\x0a\x00\x10\x04\x3a" + varint(len(http)) + http))

    assert (result.tags["peer_type"], result.tags["method"]) == (text, text)


def test_the_last_number_without_a_name_counts() -> None:
    http = v1.HttpStartStop.FromString(b"\x28\x00\x28\x63\x2a\x01a")  # the third is no number

    assert to_v2(of_type("HttpStartStop", httpStartStop=http)).tags["method"] == "99"


@pytest.mark.parametrize("number", [b"\x00", b"\x07"])
def test_a_log_type_without_a_name_is_stdout(number: bytes) -> None:
    log = v1.LogMessage.FromString(b"\x0a\x01a\x10" + number + b"\x18\x01")

    assert to_v2(of_type("LogMessage", logMessage=log)).log == v2.Log(payload=b"a", type="OUT")


def test_an_event_type_without_a_name_leaves_a_bare_envelope() -> None:
    result = to_v2(v1.Envelope.FromString(b"\x0a\x01o\x10\x03\x30\x05"))

    assert result == v2.Envelope(timestamp=5, source_id="/", tags={**common_tags("3"), "origin": "o"})


def test_text_that_is_not_utf8_gets_replacement_characters() -> None:
    result = to_v2(
        v1.Envelope.FromString(b"\x0a\x02o\xff\x10\x06\x8a\x01\x07\x0a\x01k\x12\x02v\xff\x4a\x03\x0a\x01\xff")
    )

    assert (result.tags["origin"], result.tags["k"]) == ("o�", "v�")
    assert list(result.gauge.metrics) == ["�"]


def test_a_tag_whose_name_is_not_utf8_is_left_out() -> None:
    result = to_v2(v1.Envelope.FromString(b"\x10\x06\x8a\x01\x06\x0a\x01\xff\x12\x01v\x8a\x01\x06\x0a\x01k\x12\x01v"))

    assert result.tags == common_tags("ValueMetric", k="v")


def test_an_error_message_that_is_not_utf8_stays_as_it_is() -> None:
    error = v1.Error.FromString(b"\x0a\x01s\x10\x01\x1a\x01\xff")

    assert to_v2(of_type("Error", error=error)).log.payload == b"\xff"
