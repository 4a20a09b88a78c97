"""Numbers in tags: written and read to the letter as the original (Go's fmt and strconv) does it."""

import re
from decimal import Decimal
from math import isfinite, isnan

INT32 = range(-(2**31), 2**31)
INT64 = range(-(2**63), 2**63)
UINT64 = range(2**64)

_INTEGER = re.compile(r"([+-]?)0*([0-9]{1,19})")  # more digits than 19 exceed 64 bits


def fixed(value: float) -> str:
    """Write a float with six decimals: Go's `%f`."""
    return f"{value:f}" if isfinite(value) else _not_finite(value)


def shortest(value: float) -> str:
    """Write a float with as few digits as identify it and no exponent: Go's FormatFloat(value, 'f', -1, 64)."""
    if not isfinite(value):
        return _not_finite(value)
    text = f"{Decimal(repr(value)):f}"
    return text.removesuffix(".0")


def general(value: float) -> str:
    """Write a float with as few digits as identify it, below 1e-4 and from a million with an exponent: Go's `%v`."""
    if not isfinite(value):
        return _not_finite(value)
    sign, digits, exponent = Decimal(repr(value)).normalize().as_tuple()
    assert isinstance(exponent, int)
    magnitude = len(digits) - 1 + exponent
    if value == 0 or -4 <= magnitude < 6:
        return shortest(value)
    first, *rest = map(str, digits)
    return f"{'-' * sign}{first}{'.' * bool(rest)}{''.join(rest)}e{magnitude:+03d}"


def integer(text: str, bounds: range = INT64) -> int:
    """Read a decimal integer; 0 when it is not one or lies outside `bounds`."""
    match = _INTEGER.fullmatch(text)
    value = int(match[1] + match[2]) if match else 0
    return value if value in bounds else 0


def truncated(value: float, bounds: range) -> int:
    """Drop a float's fraction and keep it within `bounds`: the nearest bound beyond them, 0 for NaN.

    Go leaves such conversions to the processor; here they have one answer.
    """
    if isnan(value):
        return 0
    if value <= bounds[0]:
        return bounds[0]
    return int(value) if value < bounds[-1] else bounds[-1]


def _not_finite(value: float) -> str:
    if isnan(value):
        return "NaN"
    return "+Inf" if value > 0 else "-Inf"
