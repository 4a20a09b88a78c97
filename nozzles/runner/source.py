"""Where a nozzle's envelopes come from, as the rest of the runner sees it; and the Dopplers, as one such source."""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import Protocol

import trio

from envelope.selectors import make_request
from nozzles.config import Config
from nozzles.filters import FilterSettings, make_filter
from nozzles.runner.selection import selection_of
from nozzles.transforms import make_transforms
from plumbing.egress_client import Dopplers
from plumbing.gathering.batcher import Piece
from plumbing.gathering.crossing import Crossing
from plumbing.gathering.doppler_source import CROSSING_PIECES, DopplerSource
from plumbing.gathering.intake import Intake, Step
from plumbing.gathering.recognise import Memory
from plumbing.island import Island
from plumbing.ledger import Account


class Connections(Protocol):
    """How often there was one."""

    connects: int
    """Streams that were opened."""
    disconnects: int
    """Those of them that have ended."""


class Source(Protocol):
    """Hands what comes from outside to an intake, which puts it into a crossing."""

    intake: Intake
    crossing: Crossing[Piece]

    @property
    def connections(self) -> Connections:
        """Count the streams."""

    async def open(self, nursery: trio.Nursery) -> None:
        """Begin to read."""

    async def account(self) -> Account:
        """Show the books of what came."""

    async def stop(self) -> None:
        """Let nothing more in; what came before can still be confirmed."""

    async def close(self) -> None:
        """Hang up, when all that could be confirmed was."""


def make_doppler_source(config: Config, island: Island, known: Iterable[bytes] | None) -> DopplerSource:
    """Ask every Doppler for what its selectors can say; `known` as in `make_intake`."""
    dopplers = Dopplers(config.doppler_addresses, config.tls, random.Random())
    crossing: Crossing[Piece] = Crossing(island, CROSSING_PIECES, linger_s=config.batch_max_age_s / 4)
    selection = selection_of(config.filter)
    intake = make_intake(config, selection.rest, crossing, known)
    request = make_request(
        selection.kinds,
        shard_id=config.subscription,
        sources=selection.sources,
        deterministic_name=config.deterministic_name,
    )
    return DopplerSource(island, dopplers, intake, crossing, request)


def make_intake(
    config: Config, wanted: FilterSettings, crossing: Crossing[Piece], known: Iterable[bytes] | None
) -> Intake:
    """Make the intake of a source; `known` are marks of what came before, if it must not come twice."""
    steps: list[Step] = []
    if (keep := make_filter(wanted)) is not None:
        steps.append(lambda batch, _: keep(batch))
    if config.transforms:
        steps.append(make_transforms(config.transforms))
    return Intake(crossing, steps, None if known is None else Memory(known))
