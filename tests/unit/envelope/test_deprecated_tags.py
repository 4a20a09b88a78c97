import pytest
from hypothesis import given
from hypothesis import strategies as st

from envelope.deprecated_tags import converge, text_of
from envelope.numbers_as_text import fixed
from envelope.pb.loggregator_v2_pb2 import Envelope, Value
from tests.strategies import envelopes


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Value(text="a"), "a"),
        (Value(text=""), ""),
        (Value(integer=-5), "-5"),
        (Value(integer=2**62), "4611686018427387904"),
        (Value(decimal=0.25), "0.250000"),
        (Value(), None),
    ],
)
def test_text_of_each_type(value: Value, text: str | None) -> None:
    assert text_of(value, decimal=fixed) == text


def test_preferring_tags_moves_everything_there_as_text() -> None:
    envelope = Envelope(
        tags={"own": "stays", "clash": "loses"},
        deprecated_tags={
            "clash": Value(text="wins"),
            "integer": Value(integer=-5),
            "decimal": Value(decimal=1234567.0),
            "nothing": Value(),
        },
    )

    assert converge(envelope, preferred=True)

    assert envelope == Envelope(
        tags={"own": "stays", "clash": "wins", "integer": "-5", "decimal": "1.234567e+06"},
    )


def test_preferring_deprecated_tags_moves_everything_there_and_keeps_their_types() -> None:
    envelope = Envelope(
        tags={"own": "moves", "clash": "wins"},
        deprecated_tags={"clash": Value(integer=1), "integer": Value(integer=-5), "nothing": Value()},
    )

    assert converge(envelope, preferred=False)

    assert envelope == Envelope(
        deprecated_tags={
            "own": Value(text="moves"),
            "clash": Value(text="wins"),
            "integer": Value(integer=-5),
            "nothing": Value(),
        },
    )


@given(envelopes, st.booleans())
def test_converging_again_changes_nothing(envelope: Envelope, preferred: bool) -> None:
    converge(envelope, preferred)
    once = envelope.SerializeToString(deterministic=True)

    assert not converge(envelope, preferred)
    assert envelope.SerializeToString(deterministic=True) == once


@given(envelopes)
def test_every_name_survives_in_deprecated_tags(envelope: Envelope) -> None:
    names = set(envelope.tags) | set(envelope.deprecated_tags)

    converge(envelope, preferred=False)

    assert set(envelope.deprecated_tags) == names
    assert not envelope.tags
