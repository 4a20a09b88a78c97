"""Try one rate for a few seconds, and search for the highest one at which nothing is lost."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.rig import Rig, Snapshot

ARRIVED_S = 2.0
_IDLE_S = 60.0
_BUSY = 0.9
_HIGHEST = 3_200_000.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What came of one rate."""

    offered: float
    achieved: float
    """Envelopes a second from the first sent to the last arrived: what was truly carried."""
    sent: int
    missing: int
    """Of those that were due, not arrived 2 s after the end."""
    dropped: int
    unsent: int
    """Of those that were due, not even sent 2 s after the end: the first component did not take them."""
    cores: dict[str, float]
    """How busy each process was."""
    busiest_thread: dict[str, float]
    """How busy the busiest thread of each process was."""
    machine_cores: float
    """How busy the machine was, with us and with anything else."""

    @property
    def passed(self) -> bool:
        return self.missing == 0 and self.dropped == 0

    @property
    def bound_by(self) -> str:
        """Name what could not do more, if anything that can be seen from outside."""
        name, busy = max(self.busiest_thread.items(), key=lambda item: item[1])
        ours = sum(self.cores.values())
        cores = f"{self.machine_cores:.2f} of {os.cpu_count()} cores busy, {ours:.2f} of them ours"
        if busy >= _BUSY:
            return f"one thread of the {name}, {busy:.0%} busy ({cores})"
        if self.machine_cores >= _BUSY * (os.cpu_count() or 1):
            return f"the machine ({cores}; the busiest thread, of the {name}, {busy:.0%})"
        if self.unsent and not self.dropped:
            return f"the one ingress stream, whose messages wait for each other ({cores})"
        return f"waiting, not work ({cores}; the busiest thread, of the {name}, {busy:.0%})"

    def as_dict(self) -> dict[str, Any]:
        """Make it ready for JSON."""
        return {**asdict(self), "passed": self.passed, "bound_by": self.bound_by}


def attempt(rig: Rig, rate: float, seconds: float) -> Trial:
    """Send at `rate` for `seconds`; all must have arrived 2 s after that."""
    received_before, dropped_before = rig.received(), rig.dropped()
    before = rig.snapshot()
    due = rig.send(rate, seconds)
    deadline = before.at + seconds + ARRIVED_S
    time.sleep(seconds)
    after = rig.snapshot()
    sent_all = rig.wait_until_sent(deadline)
    arrived = rig.wait_until_received(received_before + due, deadline) - received_before
    last_at = _last_arrival(rig)
    unsent = 0
    if not sent_all:
        unsent = before.sent + due - rig.sender.ask("progress")["sent"]
        rig.sender.ask("stop")
        rig.wait_until_sent(time.monotonic() + _IDLE_S)
    rig.wait_until_idle(_IDLE_S)
    return Trial(
        offered=rate,
        achieved=round(min(rate, arrived / max(seconds, last_at - before.at))),
        sent=due,
        missing=due - arrived,
        dropped=rig.dropped() - dropped_before,
        unsent=unsent,
        cores=_cores(before, after),
        busiest_thread=_busiest_thread(before, after),
        machine_cores=round((after.machine_busy_s - before.machine_busy_s) / (after.at - before.at), 2),
    )


def search(
    attempt_at: Callable[[float], Trial], first: float, precision: float, *, known_good: float = 0.0
) -> list[Trial]:
    """Double the rate until one fails, then halve the gap; returns all trials.

    The highest one that passed and the lowest one above it that failed are at most `precision` apart.
    """
    trials = []
    good, bad, rate = known_good, float("inf"), first
    while bad > good * (1 + precision):
        trial = attempt_at(rate)
        trials.append(trial)
        if trial.passed:
            good = rate
        else:
            bad = rate
        if bad < first / 16 or good >= _HIGHEST:
            break
        rate = good * 2 if bad == float("inf") else bad / 2 if not good else (good + bad) / 2
    return trials


def highest(trials: list[Trial]) -> float:
    """The highest rate that was carried without loss."""
    return max((trial.achieved for trial in trials if trial.passed), default=0.0)


def first_failure(trials: list[Trial]) -> Trial | None:
    """The lowest rate that was not carried."""
    return min((trial for trial in trials if not trial.passed), key=lambda trial: trial.offered, default=None)


def _last_arrival(rig: Rig) -> float:
    if rig.reader is None:
        return time.monotonic()
    at: float = rig.reader.ask("progress")["last_at"]
    return at


def _cores(before: Snapshot, after: Snapshot) -> dict[str, float]:
    elapsed_s = after.at - before.at
    return {name: round((use.cpu_s - before.uses[name].cpu_s) / elapsed_s, 2) for name, use in after.uses.items()}


def _busiest_thread(before: Snapshot, after: Snapshot) -> dict[str, float]:
    elapsed_s = after.at - before.at
    return {
        name: round(
            max(cpu - before.uses[name].threads_s.get(thread, 0.0) for thread, cpu in use.threads_s.items())
            / elapsed_s,
            2,
        )
        for name, use in after.uses.items()
    }
