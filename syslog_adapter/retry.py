"""When to try again what a drain did not take: the original's schedule (loggregator.md 5.3). No clock, no tasks."""

from __future__ import annotations

from collections.abc import Iterator

TRIES = 22
"""How often something is tried in all, before it is given up."""

MOST_WAIT_S = 15.0

MOST_RETRY_AFTER_S = 60.0
"""The longest that a drain may ask us to wait between two of them."""


def wait_s(failures: int) -> float | None:
    """Say how long to wait after so many failures, one at least, before the next try; None: give up."""
    if failures >= TRIES:
        return None
    wait: float = 0.001 * 2.0 ** max(0, failures - 2)
    return min(wait, MOST_WAIT_S)


def waits() -> Iterator[float]:
    """Yield the waits between all the tries, about two minutes together."""
    failures = 1
    while (wait := wait_s(failures)) is not None:
        yield wait
        failures += 1
