"""Systems that run nozzles, loads for them, and what must be so in a sink and in the books after whatever happened."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from tests.end_to_end.systems import Load, RunningUp, accounts, dopplers, eventually, is_subscribed, load, up

SOURCES = ("shop", "till")


@contextmanager
def running_nozzles(directory: Path, certs: Path, tables: Mapping[str, str], *, dopplers: int) -> Iterator[RunningUp]:
    """Run a system with nozzles, each with its own table, for the time of the block; they are subscribed by then.

    With several Dopplers an agent gives each what it has time for, and no source has an order that could be kept. They
    wait for a nozzle longer than they do by default: the supervisor lets one that dies again and again wait, too.
    """
    shutil.copytree(certs, directory / "data" / "certs")
    config = directory / "standpipe.toml"
    sections = ["[doppler]\nlinger_s = 300\n", *(f"[nozzles.{name}]\n{table}" for name, table in tables.items())]
    config.write_text("\n".join(sections))
    flags = ("--only", "doppler,metron,nozzles", "--dopplers", str(dopplers), "--config", str(config))
    with up(directory / "data", *flags) as system:
        assert eventually(lambda: all(is_subscribed(system, f"nozzle-{name}") for name in tables)), system.output
        yield system


class Loads:
    """One load for each source."""

    def __init__(self, each: Sequence[Load]) -> None:
        self._each = each

    def finish(self) -> dict[str, int]:
        """Send no more, and say how many lines of each source there were; the agent has confirmed them all."""
        for sending in self._each:
            assert sending.finish() == 0, sending.emit.errors
        return {source: len(sending.lines()) for source, sending in zip(SOURCES, self._each, strict=True)}


@contextmanager
def loads(system: RunningUp, per_second: int) -> Iterator[Loads]:
    """Send numbered lines of every source for the time of the block, so many a second all together."""
    with ExitStack() as stack:
        rate = per_second // len(SOURCES)
        yield Loads([stack.enter_context(load(system, source, per_second=rate)) for source in SOURCES])


def sink_of(system: RunningUp, nozzle: str) -> dict[str, Any]:
    """Return the account of a nozzle's sink; while the nozzle does not answer, one of zeros."""
    found = accounts(system, f"nozzles.{nozzle}", nozzle)
    return found[0] if found else {"received": 0, "delivered": 0, "held": 0, "dropped": {}}


def comes_to_rest(system: RunningUp, nozzle: str, *, sink_is_away: bool = False) -> bool:
    """Wait until nothing is on its way from the agent to a sink, or (if that is away) to its nozzle; look downwards."""
    flow = [("metron", "agent"), *((name, f"nozzle-{nozzle}") for name in dopplers(system))]
    flow += [] if sink_is_away else [(f"nozzles.{nozzle}", nozzle)]

    def is_at_rest() -> bool:
        found = [accounts(system, component, name) for component, name in flow]
        return all(found) and not any(each["held"] or each["in_flight"] for one in found for each in one)

    return eventually(is_at_rest)


def assert_at_least_once(found: Mapping[str, Sequence[int]], sent: Mapping[str, int]) -> None:
    """Fail unless the sink has every line of each source, and in order.

    In order means here: behind each line comes the next one, or one that was there before, and from it on they come
    again. So no line is there before the one that was sent before it.
    """
    assert found.keys() == sent.keys()
    for source, count in sent.items():
        before = -1
        for number in found[source]:
            assert 0 <= number <= before + 1, f"{source}: line {number} behind line {before}"
            before = number
        assert max(found[source]) == count - 1, source


def assert_exactly_once(found: Mapping[str, Sequence[int]], sent: Mapping[str, int]) -> None:
    """Fail unless the sink has every line of each source once, in order."""
    assert found == {source: list(range(count)) for source, count in sent.items()}


def assert_nothing_dropped(said: Any, nozzle: str) -> None:
    """Fail unless all the books say that nothing is lost: no drop anywhere, all at rest, and only a nozzle's deaths."""
    assert not said["problems"]
    assert not any(sum(each["dropped"].values()) for book in said["books"] for each in book["accounts"])
    assert all(f"nozzles.{nozzle}" in each or "sent again after a broken stream" in each for each in said["remarks"])
    assert {book["component"] for book in said["books"] if book["gone"]} <= {f"nozzles.{nozzle}"}
    living = [each for book in said["books"] if not book["gone"] for each in book["accounts"]]
    assert not any(each["held"] or each["in_flight"] or each["balance"] for each in living)
