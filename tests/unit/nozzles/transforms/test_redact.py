import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from envelope.pb.loggregator_v2_pb2 import Envelope, Event, Log
from nozzles.transforms.redact import MAX_MATCHES, Redact, redact


def log(payload: bytes, **tags: str) -> Envelope:
    return Envelope(log=Log(payload=payload), tags=tags)


def test_every_match_in_a_log_is_replaced_and_its_tags_are_left() -> None:
    step = redact(Redact(step="redact", pattern=r"\d{4}"))

    assert step(log(b"pin 1234, or 5678", pin="1234")) == log(b"pin [redacted], or [redacted]", pin="1234")


def test_tags_are_searched_where_asked_for() -> None:
    named = redact(Redact(step="redact", pattern="secret", replacement="*", tags=["a", "c"], logs=False))
    every = redact(Redact(step="redact", pattern="secret", replacement="*", tags=["*"]))

    assert named(log(b"secret", a="my secret", b="secret")) == log(b"secret", a="my *", b="secret")
    assert every(log(b"secret", a="my secret", b="secret")) == log(b"*", a="my *", b="*")


def test_a_replacement_is_taken_as_it_stands() -> None:
    step = redact(Redact(step="redact", pattern="(a)(b)", replacement=r"\2\n\g<0>"))

    assert step(log(b"ab")) == log(rb"\2\n\g<0>")


def test_a_payload_that_is_no_text_is_searched_too() -> None:
    step = redact(Redact(step="redact", pattern="key=[a-z]+", replacement="-"))

    assert step(log(b"\xff\x00key=abc\xfe")) == log(b"\xff\x00-\xfe")


def test_what_matches_too_often_becomes_the_replacement_alone() -> None:
    step = redact(Redact(step="redact", pattern="a", replacement="long"))

    assert step(log(b"a" * MAX_MATCHES)) == log(b"long" * MAX_MATCHES)
    assert step(log(b"a" * (MAX_MATCHES + 1))) == log(b"long")


def test_a_part_of_a_character_may_match_and_leaves_a_tag_text() -> None:
    step = redact(Redact(step="redact", pattern=r"\C", replacement="", tags=["*"]))

    assert step(Envelope(tags={"a": "ü"})) == Envelope(tags={"a": ""})


@settings(max_examples=50)
@given(st.binary(max_size=30), st.sampled_from(["a+", "[0-9]", "ab"]))
def test_nothing_else_of_a_payload_changes(payload: bytes, pattern: str) -> None:
    step = redact(Redact(step="redact", pattern=pattern, replacement=""))

    changed = step(log(payload)).log.payload

    removed = bytes(set(payload) - set(changed))
    assert set(removed) <= set(b"ab0123456789")
    assert changed == payload or len(changed) < len(payload)


def test_what_is_no_log_is_left() -> None:
    event = Envelope(event=Event(title="secret"))

    assert redact(Redact(step="redact", pattern="secret"))(event) == Envelope(event=Event(title="secret"))


@pytest.mark.parametrize("pattern", ["a*", "", "(", "x?"])
def test_a_pattern_that_matches_everywhere_or_is_none_is_refused(pattern: str) -> None:
    with pytest.raises(ValidationError, match="pattern"):
        Redact(step="redact", pattern=pattern)
