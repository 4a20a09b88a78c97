"""Write numbers as people read them."""

from __future__ import annotations

_BYTE_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")
_DURATIONS = ((3600 * 10**9, "h"), (60 * 10**9, "min"), (10**9, "s"), (10**6, "ms"), (10**3, "µs"))


def bytes_text(size: float) -> str:
    """Write a number of bytes: 512 B, 1.5 KiB, 34 MiB."""
    unit = 0
    while abs(size) >= 1024 and unit < len(_BYTE_UNITS) - 1:
        size /= 1024
        unit += 1
    return f"{_short(size)} {_BYTE_UNITS[unit]}"


def duration_text(nanoseconds: int) -> str:
    """Write a span of time: 800 ns, 12.3 ms, 1.5 s."""
    for factor, unit in _DURATIONS:
        if abs(nanoseconds) >= factor:
            return f"{_short(nanoseconds / factor)} {unit}"
    return f"{nanoseconds} ns"


def count_text(count: float) -> str:
    """Write a count or a rate: 1,234, or 0.5 where a whole number would say too little."""
    return f"{count:,.1f}" if 0 < abs(count) < 10 and count != int(count) else f"{count:,.0f}"


def _short(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0") if abs(value) < 100 else f"{value:.0f}"
