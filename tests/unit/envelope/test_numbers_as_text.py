import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from envelope.numbers_as_text import INT32, INT64, UINT64, fixed, general, integer, shortest, truncated

NOT_FINITE = [(math.nan, "NaN"), (math.inf, "+Inf"), (-math.inf, "-Inf")]
finite_doubles = st.floats(allow_nan=False, allow_infinity=False)


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0.000000"), (-0.0, "-0.000000"), (1.5, "1.500000"), (1e-7, "0.000000"), (2 / 3, "0.666667"), *NOT_FINITE],
)
def test_fixed_has_six_decimals(value: float, text: str) -> None:
    assert fixed(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        *[(0.0, "0"), (-0.0, "-0"), (1.0, "1"), (100.0, "100"), (0.1, "0.1"), (-2.5, "-2.5")],
        *[(1e21, "1" + "0" * 21), (1e-7, "0.0000001"), (1.7e308, "17" + "0" * 307), *NOT_FINITE],
    ],
)
def test_shortest_has_no_exponent(value: float, text: str) -> None:
    assert shortest(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        *[(0.0, "0"), (-0.0, "-0"), (1.0, "1"), (-2.5, "-2.5"), (100000.0, "100000"), (123456.5, "123456.5")],
        *[(999999.5, "999999.5"), (1e6, "1e+06"), (-1234567.0, "-1.234567e+06"), (1e21, "1e+21"), (1e100, "1e+100")],
        *[(0.0001, "0.0001"), (0.00001, "1e-05"), (1.5e-7, "1.5e-07"), (5e-324, "5e-324"), *NOT_FINITE],
    ],
)
def test_general_has_an_exponent_where_go_has_one(value: float, text: str) -> None:
    assert general(value) == text


@given(finite_doubles)
def test_shortest_and_general_read_back(value: float) -> None:
    assert float(shortest(value)) == float(general(value)) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *[("0", 0), ("7", 7), ("+7", 7), ("-7", -7), ("007", 7), ("-0", 0), ("0" * 5000 + "9", 9)],
        *[("9223372036854775807", 2**63 - 1), ("-9223372036854775808", -(2**63))],
    ],
)
def test_integer_reads_decimals(text: str, value: int) -> None:
    assert integer(text) == value


@pytest.mark.parametrize(
    "text",
    [
        *["", "+", "-", "--1", "1.0", "1e3", " 1", "1 ", "1\n", "1_0", "0x1f", "one", "٣", "1" * 5000],
        *["9223372036854775808", "-9223372036854775809"],
    ],
)
def test_integer_is_0_for_what_go_refuses(text: str) -> None:
    assert integer(text) == 0


@pytest.mark.parametrize(
    ("text", "value"),
    [("2147483647", 2**31 - 1), ("2147483648", 0), ("-2147483648", -(2**31)), ("-2147483649", 0)],
)
def test_integer_is_0_outside_its_bounds(text: str, value: int) -> None:
    assert integer(text, INT32) == value


@given(st.integers(-(2**63), 2**63 - 1))
def test_integer_reads_what_was_written(value: int) -> None:
    assert integer(str(value), INT64) == value


@pytest.mark.parametrize(
    ("value", "bounds", "whole"),
    [
        *[(0.0, UINT64, 0), (1.9, UINT64, 1), (2.0**53, UINT64, 2**53), (2.0**63, UINT64, 2**63)],
        *[(-0.5, UINT64, 0), (-1.5, UINT64, 0), (2.0**64, UINT64, 2**64 - 1), (1e300, UINT64, 2**64 - 1)],
        *[(math.nan, UINT64, 0), (math.inf, UINT64, 2**64 - 1), (-math.inf, UINT64, 0)],
        *[(-1.9, INT32, -1), (2.0**31, INT32, 2**31 - 1), (-1e10, INT32, -(2**31)), (math.nan, INT32, 0)],
    ],
)
def test_truncated_drops_the_fraction_and_stays_in_bounds(value: float, bounds: range, whole: int) -> None:
    assert truncated(value, bounds) == whole


@given(finite_doubles)
def test_truncated_is_exact_within_bounds(value: float) -> None:
    assume(0 <= value < 2**64)

    assert truncated(value, UINT64) == math.trunc(value)
