"""What every kind of nozzle promises, tried against a sink of its own that refuses, is slow, stops and restarts.

To put a kind under the contract, write a `Bench`: a class whose instance is one sink for the time of one test.

    class MyBench(Bench):
        kind = my_nozzle.kind

        @asynccontextmanager
        async def running(self) -> AsyncIterator[None]:  # the sink is up within
            ...

        @property
        def settings(self) -> object:  # an instance of kind.Config that leads to the sink
            ...

        async def received(self) -> list[Item]:  # everything that is safe in it, in its order
            ...

`received` gives (source_id, n) of each envelope: `numbered` makes them, each a log whose payload is `n` in decimals. A
kind that takes no logs overrides `numbered`. What is of none of the `SOURCES` is hostile, and left out: `items` helps.
What a sink can suffer is said by overriding `refusing`, `denying`, `slow`, `stopped` and `unheard`, context managers
within which it suffers so; those that are not overridden are not tried. A sink on a TCP port has most of them from
`relayed.RelayedBench`. Where some envelopes have no form, `formless` is one of them. Then add the class to `BENCHES` in
one of `benches_*.py`.

`deliver` is the runner's retrying in ten lines. The runner itself is tested elsewhere.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from pathlib import Path
from typing import ClassVar, TypeAlias, TypeVar

import trio

from envelope.pb.loggregator_v2_pb2 import Envelope, EnvelopeBatch, Log
from nozzles.sdk import Batch, NozzleKind, SinkRefused, SinkUnavailable, Write
from tests.contracts.hostile import HOSTILE

Item: TypeAlias = tuple[str, int]
Thing = TypeVar("Thing")

SOURCES = ("api", "router", "worker")
_WITHIN_S = 30.0
_PAUSE_S = 0.01


class Bench(ABC):
    """One sink, and the settings of a nozzle for it."""

    kind: ClassVar[NozzleKind]
    formless: ClassVar[Envelope | None] = None
    """An envelope that the sink has no form for, if there are any."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    @abstractmethod
    def running(self) -> AbstractAsyncContextManager[None]:
        """Keep the sink up."""

    @property
    @abstractmethod
    def settings(self) -> object:
        """Lead a nozzle to the sink; may be asked for only while it runs."""

    @abstractmethod
    async def received(self) -> list[Item]:
        """List what is safe in the sink."""

    def numbered(self, source: str, n: int) -> Envelope:
        """Make an envelope that `received` knows again."""
        return Envelope(timestamp=n + 1, source_id=source, instance_id="0", log=Log(payload=str(n).encode()))

    def refusing(self) -> AbstractAsyncContextManager[None]:
        """Have the sink answer that it takes nothing now."""
        return nullcontext()

    def denying(self) -> AbstractAsyncContextManager[None]:
        """Have the sink not let us in."""
        return nullcontext()

    def slow(self) -> AbstractAsyncContextManager[None]:
        """Have the sink take its time."""
        return nullcontext()

    def stopped(self) -> AbstractAsyncContextManager[None]:
        """Have the sink away; it comes back with what it had."""
        return nullcontext()

    def unheard(self) -> AbstractAsyncContextManager[None]:
        """Have the sink take what it is given, and lose its word that it did."""
        return nullcontext()

    @classmethod
    def can(cls, what: str) -> bool:
        """Say whether the bench has something of its own for what is optional."""
        return getattr(cls, what) is not getattr(Bench, what)


def items(
    things: Iterable[Thing], source: Callable[[Thing], object], number: Callable[[Thing], str | bytes | float]
) -> list[Item]:
    """Read what is in a sink, but for what is not of `SOURCES`."""
    return [(name, int(number(thing))) for thing in things for name in SOURCES if source(thing) == name]


class Failures:
    """How often a write failed, and an event for the first time."""

    def __init__(self) -> None:
        self.count = 0
        self.first = trio.Event()

    def add(self) -> None:
        self.count += 1
        self.first.set()


async def deliver(
    kind: NozzleKind, settings: object, batches: Sequence[Batch], failures: Failures | None = None
) -> None:
    """Write batches as the runner does: again until they are safe, and with a nozzle opened anew where that is due."""
    waiting, failures = list(batches), failures or Failures()
    with trio.fail_after(_WITHIN_S):
        while waiting:
            try:
                async with kind.open(settings) as write:
                    await _write_all(write, waiting, failures)
            except (SinkRefused, AssertionError):
                raise  # what the contract's envelopes never deserve
            except Exception:
                failures.add()
                await trio.sleep(_PAUSE_S)


async def _write_all(write: Write, waiting: list[Batch], failures: Failures) -> None:
    while waiting:
        try:
            await write(waiting[0])
        except SinkUnavailable as unavailable:
            failures.add()
            waiting[0] = unavailable.left or waiting[0]
            await trio.sleep(min(unavailable.retry_after_s or _PAUSE_S, _PAUSE_S))
        else:
            assert waiting[0].refused == {}
            waiting.pop(0)


def batches_of(bench: Bench, numbers: Iterable[int], size: int = 10) -> list[Batch]:
    """Make batches in which each source has the numbers in order."""
    envelopes = [bench.numbered(source, n) for n in numbers for source in SOURCES]
    parts = [envelopes[start : start + size] for start in range(0, len(envelopes), size)]
    return [
        Batch(EnvelopeBatch(batch=part).SerializeToString(), len(part), f"{part[0].timestamp}-{part[0].source_id}")
        for part in parts
    ]


def assert_delivered(received: Sequence[Item], numbers: Iterable[int], kind: NozzleKind) -> None:
    """Fail unless each source has all the numbers in order: once, or (at least once) with repetitions among them."""
    expected = list(numbers)
    for source in SOURCES:
        of_source = [n for name, n in received if name == source]
        assert list(dict.fromkeys(of_source)) == expected, source
        assert kind.delivery == "at-least-once" or of_source == expected, source
    assert {name for name, _ in received} <= set(SOURCES)


async def delivers_everything_in_order(bench: Bench) -> None:
    """Nothing is lost, invented, or out of order; and nothing is sent twice to a sink that never failed."""
    async with bench.running():
        await deliver(bench.kind, bench.settings, batches_of(bench, range(20)))
        received = await bench.received()

    assert_delivered(received, range(20), bench.kind)
    assert len(received) == 20 * len(SOURCES)


async def goes_on_after_a_restart_of_the_nozzle(bench: Bench) -> None:
    """A nozzle that is opened anew adds to what the one before delivered."""
    async with bench.running():
        await deliver(bench.kind, bench.settings, batches_of(bench, range(5)))
        await deliver(bench.kind, bench.settings, batches_of(bench, range(5, 10)))

        assert_delivered(await bench.received(), range(10), bench.kind)


async def may_write_the_same_batch_again(bench: Bench) -> None:
    """A batch repeated by another nozzle, for it was not known to be safe, is there again or once, as is promised."""
    async with bench.running():
        batches = batches_of(bench, range(5))
        await deliver(bench.kind, bench.settings, batches)
        await deliver(bench.kind, bench.settings, [Batch(each.data, each.count, each.id) for each in batches])

        assert_delivered(await bench.received(), range(5), bench.kind)


async def suffers(bench: Bench, what: str) -> None:
    """Nothing is lost through a sink that refuses or is away: writes fail for as long as it does."""
    failures = Failures()
    async with bench.running(), trio.open_nursery() as nursery:
        await deliver(bench.kind, bench.settings, batches_of(bench, range(5)))
        settings = bench.settings
        async with getattr(bench, what)():
            nursery.start_soon(deliver, bench.kind, settings, batches_of(bench, range(5, 20)), failures)
            with trio.fail_after(_WITHIN_S):
                await failures.first.wait()
        await _eventually_received(bench, range(20))

    assert failures.count


async def skips_what_has_no_form(bench: Bench) -> None:
    """What the sink has no form for is counted once, as no loss, by the attempt that delivers the rest."""
    async with bench.running():
        [numbered] = batches_of(bench, range(5), size=5 * len(SOURCES))
        alone = EnvelopeBatch(batch=[bench.formless or Envelope()]).SerializeToString()
        batch = Batch(alone + numbered.data + alone, numbered.count + 2, numbered.id)
        async with bench.kind.open(bench.settings) as write:
            await write(batch)
            await write(only := Batch(alone, 1))

        assert_delivered(await bench.received(), range(5), bench.kind)
    assert (batch.skipped, batch.refused) == (2, {})
    assert (only.skipped, only.refused) == (1, {})


async def survives_hostile_envelopes(bench: Bench) -> None:
    """What is hostile is delivered, skipped or refused, and harms nothing that is in a batch with it or comes later."""
    async with bench.running():
        first, second = batches_of(bench, range(10), size=5 * len(SOURCES))
        parts = [EnvelopeBatch(batch=part).SerializeToString() for part in (HOSTILE[::2], HOSTILE[1::2])]
        batch = Batch(parts[0] + first.data + parts[1], first.count + len(HOSTILE), first.id)
        with trio.fail_after(_WITHIN_S):
            async with bench.kind.open(bench.settings) as write:
                await write(batch)
                await write(second)

        assert_delivered(await bench.received(), range(10), bench.kind)
    assert batch.skipped + sum(batch.refused.values()) <= len(HOSTILE)
    assert (second.skipped, second.refused) == (0, {})


async def waits_for_a_slow_sink(bench: Bench) -> None:
    """Nothing is lost to a sink that takes its time."""
    async with bench.running():
        async with bench.slow():
            await deliver(bench.kind, bench.settings, batches_of(bench, range(10)))

        assert_delivered(await bench.received(), range(10), bench.kind)


async def leaves_cleanly_when_cancelled(bench: Bench) -> None:
    """A nozzle that is cancelled between two batches closes, and another goes on after it."""
    async with bench.running():
        first, second = batches_of(bench, range(10), size=15)
        with trio.CancelScope() as scope:
            async with bench.kind.open(bench.settings) as write:
                await write(first)
                scope.cancel()
                await trio.lowlevel.checkpoint()
        await deliver(bench.kind, bench.settings, [second])

        assert_delivered(await bench.received(), range(10), bench.kind)


async def _eventually_received(bench: Bench, numbers: Sequence[int]) -> None:
    with trio.fail_after(_WITHIN_S):
        while len(set(await bench.received())) < len(numbers) * len(SOURCES):
            await trio.sleep(_PAUSE_S)
    assert_delivered(await bench.received(), numbers, bench.kind)
