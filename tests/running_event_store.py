"""An event store for the time of a test, and what is in its folder as another process sees it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from event_store import Config, serve
from event_store.storage import Reader
from plumbing.auth import AuthSettings
from plumbing.lifecycle import Ports
from tests.running import serving, tls_settings


@asynccontextmanager
async def running_event_store(certs: Path, doppler: Ports, folder: Path, **settings: Any) -> AsyncIterator[Ports]:
    """Run one that reads from one Doppler; yields its ports, and drains it on leaving."""
    defaults: dict[str, Any] = {
        "doppler_addresses": [doppler["listen"]],
        "data_dir": folder,
        "listen": "127.0.0.1:0",
        "auth": AuthSettings(mode="open"),
        **tls_settings(certs, "event-store"),
    }
    async with serving(serve, Config(**{**defaults, **settings})) as ports:
        yield ports


def messages(folder: Path, source_id: str | None = None) -> list[str]:
    """Read what the logs in a store say, of one source or of all, in the order in which they were stored."""
    snapshot = Reader.open(folder).snapshot()
    columns = ["seq", "source_id", "type", "message"]
    rows = [row for batch in snapshot.hot for row in batch.select(columns).to_pylist()]
    for segment in snapshot.segments:
        rows += pq.read_table(snapshot.path(segment), columns=columns, partitioning=None).to_pylist()
    found = [
        (row["seq"], row["message"]) for row in rows if row["type"] == "log" and source_id in (None, row["source_id"])
    ]
    return [message for _, message in sorted(found)]
