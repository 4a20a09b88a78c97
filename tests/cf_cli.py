"""The cf CLI's commands and its plugin's as a log cache sees them, written after their code (loggregator.md 4.7)."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

from envelope.pb import logcache_v1_pb2 as pb
from envelope.pb.loggregator_v2_pb2 import Envelope
from tests.go_log_cache import ZERO_TIME, GoLogCache, UnexpectedStatus, walk

SECOND = 1_000_000_000
_RECENT_LINES = 1000
_GUIDS_AT_ONCE = 50

Names = Callable[[Sequence[str]], Mapping[str, str]]
"""What the Cloud Controller says the names of some apps are."""


async def recent_logs(client: GoLogCache, app: str) -> list[Envelope]:
    """`cf logs --recent`: the newest lines, oldest first; half as many when the answer would be too large."""
    lines = _RECENT_LINES
    while True:
        try:
            found = await client.read(app, ZERO_TIME, envelope_types=["LOG"], limit=lines, descending="true")
        except UnexpectedStatus as refused:
            if refused.status != 429 or lines == 1:
                raise
            lines //= 2
        else:
            return found[::-1]


async def logs(client: GoLogCache, app: str, heard: Callable[[Envelope], None], pause_s: float = 0.25) -> None:
    """`cf logs`: look for the newest envelope until there is one, and read on from a second before it, for ever."""
    newest: list[int] = []

    async def peek(source_id: str, _: int, **options: str) -> list[Envelope]:
        return await client.read(source_id, ZERO_TIME, limit=1, descending="true", **options)

    await walk(peek, app, lambda found: newest.append(found[0].timestamp), start=0, pause_s=pause_s)
    start = newest[0] - SECOND
    await walk(client.read, app, _each(heard), start=start, delay_s=2, pause_s=pause_s, envelope_types=["LOG"])


async def tail(
    client: GoLogCache,
    source_id: str,
    heard: Callable[[Envelope], None],
    *,
    lines: int = 10,
    kind: str = "ANY",
    follow: bool = False,
    pause_s: float = 0.25,
    **options: str,
) -> None:
    """`cf tail`, with `follow` for ever: from behind the last that it saw, or from five seconds ago."""
    start = time.time_ns() - 5 * SECOND
    if lines:
        asked = {"end_time": time.time_ns(), "descending": "true", "limit": lines, "envelope_types": [kind]}
        newest = await client.read(source_id, 0, **asked, **options)
        for envelope in newest[::-1]:
            start = envelope.timestamp + 1
            heard(envelope)
    if follow:
        following = partial(walk, client.read, source_id, _each(heard), start=start, pause_s=pause_s)
        await following(envelope_types=[kind], **options)


@dataclass(frozen=True)
class MetaRow:
    """A line of `cf log-meta`."""

    source: str
    kind: str
    count: int
    expired: int
    duration_s: int


async def log_meta(client: GoLogCache, names: Names) -> dict[str, MetaRow]:
    """`cf log-meta`: what is held, by source id, each with the name that the Cloud Controller knows."""
    meta = await client.meta()
    known: dict[str, str] = {}
    guids = list(meta)
    for start in range(0, len(guids), _GUIDS_AT_ONCE):
        known |= names(guids[start : start + _GUIDS_AT_ONCE])
    return {source_id: _row(source_id, info, known) for source_id, info in meta.items()}


def rate_per_minute(before: pb.MetaInfo, after: pb.MetaInfo) -> int:
    """`cf log-meta --noise`, from two looks that are five minutes apart."""
    return ((after.count + after.expired) - (before.count + before.expired)) // 5


def line(envelope: Envelope) -> str:
    """How `cf logs` shows a line."""
    at = datetime.fromtimestamp(envelope.timestamp // SECOND, UTC)
    hundredths = envelope.timestamp % SECOND // 10_000_000
    where = f"[{envelope.tags['source_type']}/{envelope.instance_id}]"
    kind = "ERR" if envelope.log.type else "OUT"
    return f"   {at:%Y-%m-%dT%H:%M:%S}.{hundredths:02}+0000 {where} {kind} {envelope.log.payload.decode()}"


def _row(source_id: str, info: pb.MetaInfo, known: Mapping[str, str]) -> MetaRow:
    kind = "application" if source_id in known else "unknown" if source_id.count("-") == 4 else "platform"
    duration_s = max(1, (info.newest_timestamp - info.oldest_timestamp) // SECOND)
    return MetaRow(known.get(source_id, source_id), kind, info.count, info.expired, duration_s)


def _each(heard: Callable[[Envelope], None]) -> Callable[[list[Envelope]], bool]:
    def visit(envelopes: list[Envelope]) -> bool:
        for envelope in envelopes:
            heard(envelope)
        return True

    return visit
