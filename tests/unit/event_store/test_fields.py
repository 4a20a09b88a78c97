"""Fields: what is found in a line, and that no line can do harm."""

from __future__ import annotations

import math

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from envelope.line_fields import MOST_FIELDS, MOST_NAME, MOST_TEXT
from event_store import fields as reading
from event_store.fields import fields_of

LINES = {
    b'{"level":"info","status":200,"latency_ms":12.5}': {"level": "info", "status": 200.0, "latency_ms": 12.5},
    b'{"user":{"id":7,"tags":["a",1]},"ok":true,"none":null}': {"user.id": 7.0, "user.tags": '["a",1]', "ok": "true"},
    b'{"broken": ': {},
    b'{"a":1} tail': {},
    b"{}": {},
    b"plain words": {},
    b"": {},
    b"level=warn status=503 path=/x?a=b&c=d": {"level": "warn", "status": 503.0, "path": "/x?a=b&c=d"},
    b'msg="two \\"quoted\\" words" n=-1.5e3': {"msg": 'two "quoted" words', "n": -1500.0},
    b"a=1, b=2; (c=3) [d=4] {e=5}": {"a": 1.0, "b": 2.0, "c": 3.0, "d": 4.0, "e": 5.0},
    b"logname= uid=0 euid=0 tty=ssh": {"uid": 0.0, "euid": 0.0, "tty": "ssh"},
    b"a=1 a=2": {"a": 1.0},
    b"1a=2 x==y /p?q=r": {},
    b'quoted="5" plain=5': {"quoted": "5", "plain": 5.0},
    b"long=12345678901234567890": {"long": "12345678901234567890"},
    b"text=\xff": {"text": "\ufffd"},
}


@pytest.mark.parametrize(("line", "fields"), LINES.items())
def test_a_line_has_these_fields(line: bytes, fields: dict[str, str | float]) -> None:
    assert fields_of(line) == fields


def test_only_the_first_fields_count() -> None:
    line = orjson.dumps({f"f{number}": number for number in range(100)})
    assert list(fields_of(line)) == [f"f{number}" for number in range(MOST_FIELDS)]
    assert len(fields_of(b" ".join(b"f%d=1" % number for number in range(100)))) == MOST_FIELDS


def test_what_is_too_long_is_no_field() -> None:
    assert fields_of(orjson.dumps({"a" * (MOST_NAME + 1): 1, "b": "x" * (MOST_TEXT + 1), "c": "x" * MOST_TEXT})) == {
        "c": "x" * MOST_TEXT
    }
    assert fields_of(b"a=" + b"x" * (MOST_TEXT + 1) + b" b=1") == {"b": 1.0}


def test_objects_too_deep_are_left_out() -> None:
    line = b'{"a":' * 50 + b"1" + b"}" * 50
    assert fields_of(line) == {}


def test_a_list_so_deep_that_it_cannot_be_written_is_no_field() -> None:
    deep = b"[" * 300 + b"]" * 300
    assert fields_of(b'{"a":1,"b":%s,"c":{"d":[%s]},"e":[2]}' % (deep, deep)) == {"a": 1.0, "e": "[2]"}


def test_what_is_within_a_name_that_is_too_long_is_not_gone_through() -> None:
    within = {"x": {f"{number}": number for number in range(50)}}
    looked_at = [name for name, _ in reading._members({"a" * MOST_NAME: within, "b" * (MOST_NAME - 1): {"": 1}}, "", 8)]
    assert looked_at == ["b" * (MOST_NAME - 1) + "."]


texts = st.text(st.characters(blacklist_categories=["Cs"]), max_size=20)
values = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(texts, values, max_size=5))
def test_any_object_has_fields_within_bounds(document: dict[str, object]) -> None:
    fields = fields_of(orjson.dumps(document))
    assert len(fields) <= MOST_FIELDS
    assert all(name and len(name) <= MOST_NAME for name in fields)
    for name, value in document.items():
        if name and isinstance(value, float) and "." not in name:
            assert fields.get(name) == (None if "\0" in name else value)


@settings(max_examples=500)
@given(
    st.binary(max_size=200)
    | st.lists(st.sampled_from([b"a=", b'"', b"\\", b" ", b"x", b"{", b",", b"1", b"\xff"])).map(b"".join)
)
def test_any_bytes_have_fields_or_none(line: bytes) -> None:
    for name, value in fields_of(line).items():
        assert name
        assert isinstance(value, str) or math.isfinite(value)


def test_a_long_line_of_half_open_quotes_takes_no_time_to_speak_of() -> None:
    assert len(fields_of(b'k="\\' * 250_000)) <= MOST_FIELDS
