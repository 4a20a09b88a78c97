import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envelope import uuids
from tests.strategies import uint64s

TEXT = "f47ac10b-58cc-4372-a567-0e02b2c3d479"
LOW, HIGH = 0x7243CC580BC17AF4, 0x79D4C3B2020E67A5


def test_reads_the_example_of_the_protocol() -> None:
    assert uuids.parse(TEXT) == (LOW, HIGH)


def test_writes_the_example_of_the_protocol() -> None:
    assert uuids.text_of(LOW, HIGH) == TEXT


def test_zero_is_the_nil_uuid() -> None:
    assert uuids.text_of(0, 0) == "00000000-0000-0000-0000-000000000000"


@pytest.mark.parametrize("text", [TEXT.upper(), TEXT.replace("-", "_"), TEXT.replace("-", "f")])
def test_takes_either_case_and_any_separator(text: str) -> None:
    assert uuids.parse(text) == (LOW, HIGH)


@pytest.mark.parametrize(
    "text",
    [
        "",
        TEXT[:-1],
        TEXT + "0",
        TEXT.replace("-", ""),
        TEXT[:-1] + "g",
        TEXT[:-1] + " ",
        "+" + TEXT[1:],
        "٣" + TEXT[1:],
        TEXT.replace("-", "–"),
    ],
)
def test_refuses_what_is_not_36_bytes_of_hex(text: str) -> None:
    assert uuids.parse(text) is None


@given(uint64s, uint64s)
def test_text_reads_back(low: int, high: int) -> None:
    assert uuids.parse(uuids.text_of(low, high)) == (low, high)


@given(st.uuids())
def test_the_integers_are_the_bytes_in_reading_order(any_uuid: uuid.UUID) -> None:
    parsed = uuids.parse(str(any_uuid))

    assert parsed is not None
    assert b"".join(half.to_bytes(8, "little") for half in parsed) == any_uuid.bytes
