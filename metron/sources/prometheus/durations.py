"""Durations as the original writes them: Go's `time.ParseDuration`."""

import re

_PART = r"(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:ns|us|µs|μs|ms|s|m|h)"
_DURATION = re.compile(rf"[+-]?(?:{_PART})+")
_PARTS = re.compile(r"(?P<number>[0-9.]+)(?P<unit>[a-zµμ]+)")
_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}


def seconds_of(text: str) -> float:
    """Read `15s`, `1m30s`, `-1s` or `0`; raises `ValueError` for anything else.

    A number without a unit is refused: where Go takes it at all it means nanoseconds, which nobody means.
    """
    if text.strip("+-") == "0":
        return 0.0
    if not _DURATION.fullmatch(text):
        raise ValueError(f"{text[:40]!r} is no duration with a unit, like 15s or 1m30s")
    total = sum(float(part["number"]) * _SECONDS[part["unit"]] for part in _PARTS.finditer(text))
    return -total if text.startswith("-") else total
