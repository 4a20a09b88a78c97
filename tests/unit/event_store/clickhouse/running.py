"""A store, and a ClickHouse to ship it to."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from event_store.clickhouse.config import ClickHouseSettings
from event_store.sealed import Sealed
from event_store.storage import Store
from tests.fakes.clickhouse import FakeClickHouse, Remembering

TABLE = "`default`.`events`"
PASSWORD = "not-for-logs"


@contextmanager
def clickhouse(engine: Any = None, **given: Any) -> Iterator[FakeClickHouse]:
    """Serve one, by default with rows in memory."""
    server = FakeClickHouse(engine or Remembering(), **given)
    try:
        yield server
    finally:
        server.close()


def settings(server: FakeClickHouse, **given: Any) -> ClickHouseSettings:
    return ClickHouseSettings(url=server.url, **{"retry_s": 0.5, **given})


def sealed(store: Store) -> Sealed:
    return Sealed(store.folder, store.snapshot)


def password_file(folder: Path) -> Path:
    path = folder / "password"
    path.touch(0o600)
    path.write_text(f"{PASSWORD}\n")
    return path
