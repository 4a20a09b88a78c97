"""What a store says of itself: how much came, how much is kept, and whether there is room."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

from envelope.pb.loggregator_v2_pb2 import EnvelopeBatch
from event_store.metrics import Parts
from event_store.self_metrics import make_self_metrics
from event_store.upkeep import Upkeep
from event_store.writer import Writer
from plumbing.egress_client import Dopplers
from plumbing.gathering.gathering import Gathering
from plumbing.gathering.intake import Intake
from plumbing.tls import TlsFiles
from tests.unit.event_store.test_upkeep import NOTHING, FakeStore


def make_parts() -> Parts:
    nowhere = TlsFiles(ca=Path(), cert=Path(), key=Path())
    upkeep = Upkeep(FakeStore())
    upkeep.seen = replace(NOTHING, events=40, segment_bytes=1000, wal_bytes=24)
    dopplers, gathering = Dopplers((), nowhere, random.Random(0)), Gathering(None, None, None, None)
    return Parts(Intake(None, []), dopplers, gathering, Writer(None, parse_fields=True), upkeep)


def told(parts: Parts) -> dict[str, float]:
    batch = EnvelopeBatch.FromString(make_self_metrics(parts).batch(1).batch).batch
    counters = {each.counter.name: float(each.counter.total) for each in batch if each.HasField("counter")}
    return counters | {name: each.value for one in batch for name, each in one.gauge.metrics.items()}


def test_what_came_and_what_is_kept_is_told() -> None:
    parts = make_parts()
    parts.intake.counts.fed, parts.intake.counts.repeated, parts.gathering.received = 10, 2, 8
    parts.writer.counts.stored, parts.writer.counts.events, parts.writer.counts.unfit = 5, 7, 1

    assert told(parts) == {
        "ingress": 10,
        "egress": 5,
        "dropped": 1,
        "repeated": 2,
        "events": 7,
        "held": 2,
        "stored_events": 40,
        "disk": 1024,
        "full": 0,
    }


def test_a_full_disk_is_told_and_each_reason_once() -> None:
    parts = make_parts()
    parts.writer.trouble = parts.upkeep.trouble = "no room"

    assert (told(parts)["full"], parts.troubles) == (1, ("no room",))
