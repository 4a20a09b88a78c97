"""The nodes of a cluster, on an asyncio loop: that is what the island is."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from envelope.kinds import Kind
from envelope.pb.loggregator_v2_pb2 import Envelope, EnvelopeBatch
from log_cache.cluster import Cluster
from log_cache.query import Answer, Meta, Query
from plumbing.grpc_client import PeerUnavailable
from plumbing.tls import TlsFiles
from plumbing.unary_client import CallFailed

NOWHERE = TlsFiles(ca=Path("ca"), cert=Path("cert"), key=Path("key"))
SOURCES = [f"app-{number}" for number in range(20)]
QUERY = Query(source_id="", start=0, end=1, kinds=Kind.ALL)


class FakePeer:
    """Answers what it was made with, or fails so."""

    def __init__(self, answer: object) -> None:
        self.answer = answer
        self.kept: list[tuple[bytes, int]] = []

    def keep(self, batch: bytes, count: int) -> None:
        self.kept.append((batch, count))

    async def read(self, _: Query) -> object:
        return await self.meta()

    async def meta(self) -> object:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def _cluster(monkeypatch: pytest.MonkeyPatch, *answers: object) -> tuple[Cluster, list[FakePeer]]:
    """A cluster of one more node than there are answers: ours is the first."""
    peers = [FakePeer(answer) for answer in answers]
    fresh = iter(peers)
    monkeypatch.setattr("log_cache.cluster.Peer", lambda *_: next(fresh))
    return Cluster([f"node-{number}:1" for number in range(len(answers) + 1)], 0, NOWHERE), peers


def test_each_node_gets_what_is_its_and_ours_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster, (peer,) = _cluster(monkeypatch, {})
    batch = EnvelopeBatch(batch=[Envelope(source_id=source) for source in SOURCES]).SerializeToString()

    ours, count = cluster.forward(batch, len(SOURCES))

    ((theirs, their_count),) = peer.kept
    here = [each.source_id for each in EnvelopeBatch.FromString(ours).batch]
    there = [each.source_id for each in EnvelopeBatch.FromString(theirs).batch]
    assert (count, their_count) == (len(here), len(there))
    assert sorted(here + there) == sorted(SOURCES)
    assert all(map(cluster.is_local, here))
    assert not any(map(cluster.is_local, there))


def test_of_a_node_that_is_away_nothing_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster, _ = _cluster(monkeypatch, PeerUnavailable("gone"))
    theirs = next(source for source in SOURCES if not cluster.is_local(source))

    answer = asyncio.run(cluster.read(replace(QUERY, source_id=theirs)))

    assert answer == Answer(batch=b"", count=0, cursor="")


def test_what_a_node_refuses_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster, _ = _cluster(monkeypatch, CallFailed("UNKNOWN", "no"))
    theirs = next(source for source in SOURCES if not cluster.is_local(source))

    with pytest.raises(CallFailed, match="no"):
        asyncio.run(cluster.read(replace(QUERY, source_id=theirs)))


def test_what_nodes_hold_is_asked_of_all_and_those_that_fail_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    held = {"app": Meta(count=1, expired=0, oldest=1, newest=1)}
    cluster, _ = _cluster(monkeypatch, held, PeerUnavailable("gone"), CallFailed("INTERNAL", "broken"))

    assert asyncio.run(cluster.meta()) == [held]
