"""What the Dopplers send goes into a crossing, until it is stopped."""

from __future__ import annotations

import random
from pathlib import Path

from plumbing.egress_client import Dopplers
from plumbing.gathering.batcher import Piece
from plumbing.gathering.crossing import Crossing
from plumbing.gathering.doppler_source import DopplerSource
from plumbing.gathering.intake import Intake
from plumbing.island import Island, open_island
from plumbing.subscription import check
from plumbing.tls import TlsFiles
from tests.unit.plumbing.gathering.arrivals import arrival, logs, texts


def make(island: Island, certs: Path) -> DopplerSource:
    crossing: Crossing[Piece] = Crossing(island, 10)
    dopplers = Dopplers((), TlsFiles.named(certs, "client"), random.Random(0))
    return DopplerSource(island, dopplers, Intake(crossing, []), crossing, b"")


async def test_what_is_taken_crosses_and_is_in_the_books(certs_dir: Path) -> None:
    async with open_island() as island:
        source = make(island, certs_dir)
        await source.open()
        await island.run(source.intake.take, check(arrival(logs("1", "2"))))
        while (piece := source.crossing.take()) is None:
            await source.crossing.wait()
        account = await source.account()
        await source.close()

    assert (texts(piece.batch), account.received, account.delivered) == (["1", "2"], 2, 2)


async def test_once_stopped_nothing_crosses(certs_dir: Path) -> None:
    async with open_island() as island:
        source = make(island, certs_dir)
        await source.stop()
        await island.run(source.intake.take, check(arrival(logs("1"))))
        assert (source.crossing.take(), (await source.account()).received) == (None, 0)
        await source.close()
