"""One small store, two segments and memory, and an engine for it: what reads them may share them."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from event_store.engine import Engine
from event_store.storage import Snapshot
from tests.unit.event_store.engine.stores import Events, snapshot_of

FIRST: Events = {"message": ["one", "two Error"], "t_app": ["web", "api"]}
SECOND: Events = {"message": ["three error", "four"], "f_status_num": [500.0, 200.0]}
HOT: Events = {"message": ["five ERROR", "six"], "t_app": ["web", None], "severity": ["error", "info"]}


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with TemporaryDirectory() as made:
        yield Path(made)


@pytest.fixture(scope="module")
def snapshot(folder: Path) -> Snapshot:
    return snapshot_of(folder, FIRST, SECOND, hot=[HOT])


@pytest.fixture(scope="module")
def engine(folder: Path) -> Iterator[Engine]:
    made = Engine(folder, memory_bytes=200 << 20, temp_bytes=50 << 20, threads=2)
    yield made
    made.close()
