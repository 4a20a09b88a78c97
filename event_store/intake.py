"""What comes from the Dopplers, on its way to the writer: each envelope once, in batches that are confirmed in order.

In:    batches of every Doppler, one subscription; the marks of what is in the store.
Out:   batches to the writer, which says when each is safe.
Drops: nothing that is an envelope; what came before is counted as repeated.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from functools import partial

from envelope.kinds import Kind
from envelope.selectors import make_request
from event_store.config import Config
from plumbing.acks import BULK
from plumbing.egress_client import Dopplers
from plumbing.gathering.batcher import Batcher, Piece
from plumbing.gathering.confirmations import Confirmations, confirm_all
from plumbing.gathering.crossing import Crossing
from plumbing.gathering.doppler_source import CROSSING_PIECES, DopplerSource
from plumbing.gathering.gathering import Gathering, Keeper
from plumbing.gathering.intake import Intake
from plumbing.gathering.recognise import Memory
from plumbing.island import Island


def make_source(config: Config, island: Island, known: Iterable[bytes]) -> DopplerSource:
    """Ask every Doppler for everything; `known` are the marks of what is in the store, the latest last."""
    dopplers = Dopplers(config.doppler_addresses, config.tls, random.Random(), pace=BULK)
    crossing: Crossing[Piece] = Crossing(island, CROSSING_PIECES, linger_s=config.batch_max_age_s / 4)
    intake = Intake(crossing, [], Memory(known))
    return DopplerSource(island, dopplers, intake, crossing, make_request(Kind.TYPED, shard_id=config.shard_id))


def make_gathering(config: Config, island: Island, source: DopplerSource, writer: Keeper) -> Gathering:
    """Gather what comes into batches for the writer."""
    batcher = Batcher(
        max_envelopes=config.batch_max_envelopes, max_bytes=config.batch_max_bytes, max_age_s=config.batch_max_age_s
    )
    return Gathering(source.crossing, batcher, writer, Confirmations(partial(island.post, confirm_all)))
