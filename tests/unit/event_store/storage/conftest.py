"""What tests of the storage have in common."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from event_store.storage import Store
from tests.unit.event_store.storage.events import opened


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with closing(opened(tmp_path / "store")) as store:
        yield store
