import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from envelope.pb.loggregator_v2_pb2 import Envelope, Event, Log
from nozzles.transforms.parse_json import ParseJson, parse_json

SETTINGS = ParseJson(step="parse_json", keys=["a", "b"], max_payload_bytes=1000, max_value_bytes=5)


def log(payload: bytes, **tags: str) -> Envelope:
    return Envelope(log=Log(payload=payload), tags=tags)


def tags_of(payload: bytes, given_settings: ParseJson = SETTINGS) -> dict[str, str]:
    """The tags made of a payload, which stays as it is."""
    envelope = parse_json(given_settings)(log(payload))
    assert envelope.log.payload == payload
    return dict(envelope.tags)


def test_chosen_keys_become_tags() -> None:
    assert tags_of(b' {"a":"x","b":1.5,"c":"no"}\n') == {"a": "x", "b": "1.5"}
    assert tags_of(b'{"a":true,"b":-3}') == {"a": "true", "b": "-3"}
    assert tags_of(b'{"a":"x"}', ParseJson(step="parse_json", keys=["a"], prefix="json.")) == {"json.a": "x"}


def test_null_lists_and_objects_become_none() -> None:
    assert tags_of(b'{"a":null,"b":[1]}') == {}
    assert tags_of(b'{"a":{"b":"x"}}') == {}


@pytest.mark.parametrize(
    "payload", [b"", b"plain", b"{", b'{"a":"\xff"}', b'[{"a":1}]', b'"a"', b"{" * 5000, b'{"a":1}x']
)
def test_what_is_no_json_object_passes_unchanged(payload: bytes) -> None:
    assert tags_of(payload) == {}


def test_a_long_value_is_cut_off_before_the_character_that_does_not_fit() -> None:
    assert tags_of('{"a":"1234567","b":"123ü"}'.encode()) == {"a": "12345", "b": "123ü"}
    assert tags_of('{"a":"1234ü"}'.encode()) == {"a": "1234"}


def test_a_long_payload_is_not_looked_at() -> None:
    padding = b" " * (1000 - len(b'{"a":1}'))

    assert tags_of(b'{"a":1}' + padding) == {"a": "1"}
    assert tags_of(b'{"a":1} ' + padding) == {}


def test_a_tag_that_is_there_already_stays() -> None:
    assert parse_json(SETTINGS)(log(b'{"a":"forged"}', a="own")) == log(b'{"a":"forged"}', a="own")


def test_what_is_no_log_passes_unchanged() -> None:
    event = Envelope(event=Event(body='{"a":1}'))

    assert parse_json(SETTINGS)(event) == Envelope(event=Event(body='{"a":1}'))


@settings(max_examples=50)
@given(st.dictionaries(st.sampled_from("abc"), st.text(st.characters(codec="utf-8")) | st.integers(-(2**60), 2**60)))
def test_no_more_than_the_chosen_keys_and_no_longer_than_the_bound(found: dict[str, object]) -> None:
    made = tags_of(orjson.dumps(found))

    assert made.keys() <= {"a", "b"}
    assert all(len(value.encode()) <= 5 for value in made.values())
